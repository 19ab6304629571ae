use audience_contract::Result;
use audience_rules::record::{RecordHead, RecordKind, begin, finish};
use audience_rules::value::ContainerWriter;

use super::*;
use crate::memory::MemoryLog;

/// A file as it was added.
#[derive(Clone, Debug, PartialEq)]
struct AddedFile {
    end: u64,
    records: Vec<u8>,
    positions: Option<Vec<SourcePosition>>,
}

/// A history in memory, which fails so often and keeps what it was given all the same where it `is_written`.
#[derive(Default)]
struct Memory {
    files: Mutex<Vec<AddedFile>>,
    failures: Mutex<u32>,
    is_written: bool,
    erased: Mutex<Vec<u64>>,
}

impl History for Memory {
    fn end(&self) -> Result<u64> {
        Ok(self.files.lock().last().map_or(0, |file| file.end))
    }

    fn positions(&self) -> Result<(u64, Vec<SourcePosition>)> {
        unreachable!("an archive only writes")
    }

    fn append(&self, bytes: &[u8], positions: Option<&[SourcePosition]>) -> Result<()> {
        let end = records(bytes).last().map_or(0, |record| record.sequence() + 1);
        let file = AddedFile { end, records: bytes.to_vec(), positions: positions.map(<[SourcePosition]>::to_vec) };
        let fails = std::mem::replace(&mut *self.failures.lock(), 0) > 0;
        if !fails || self.is_written {
            self.files.lock().push(file);
        }
        let detail = "no answer".to_owned();
        if fails { Err(StoreError::Unavailable { action: "writing", detail }) } else { Ok(()) }
    }

    fn scan(&self, _: std::ops::Range<u64>, _: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        unreachable!("an archive only writes")
    }

    fn visit(&self, _: &[u64], _: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        unreachable!("an archive only writes")
    }

    fn erase(&self, sequences: &[u64], parted: &[u64]) -> Result<()> {
        assert_eq!(parted, [0; 0]);
        self.erased.lock().extend_from_slice(sequences);
        Ok(())
    }

    fn truncate(&self, _: u64) -> Result<()> {
        unreachable!("an archive only writes")
    }
}

fn append(log: &MemoryLog, users: &[&str], offset: Option<u64>) {
    let mut bytes = Vec::new();
    for user in users {
        let (kind, timestamp) = (RecordKind::Event, 1);
        let head = RecordHead { timestamp, accepted_at: 1, kind, user, other: "", message: "", event_type: "e" };
        let start = begin(head, &mut bytes);
        (0..3).for_each(|_| ContainerWriter::object(&mut bytes).finish(&mut bytes));
        finish(start, &mut bytes);
    }
    let position = offset.map(at);
    log.append_from(&mut bytes, position.as_slice()).expect("append");
}

fn at(next_offset: u64) -> SourcePosition {
    SourcePosition { source: "s".to_owned(), partition: 0, next_offset }
}

fn archive(log: &Arc<MemoryLog>, history: Memory, file_events: u64) -> (Arc<Memory>, Archive) {
    let history = Arc::new(history);
    let file_age = Duration::from_secs(3600);
    let (limits, keeps_catalogue) = (LogLimits::default(), false);
    let offsite = Offsite { history: history.clone(), file_events, file_age, keeps_catalogue, limits };
    (history, Archive::new(offsite, log.clone()))
}

/// The ends of the files, with the offset that each knows.
fn files(history: &Memory) -> Vec<(u64, Option<Vec<SourcePosition>>)> {
    history.files.lock().iter().map(|file| (file.end, file.positions.clone())).collect()
}

#[test]
fn files_are_cut_and_say_where_sources_were_as_far_as_is_known() {
    let log = Arc::new(MemoryLog::default());
    let (history, archive) = archive(&log, Memory::default(), 3);
    append(&log, &["a", "b"], None);
    archive.write_due(false).expect("written");
    assert_eq!(files(&history), [], "nothing is due yet");
    append(&log, &["c", "d", "e"], Some(7));
    archive.write_due(false).expect("written");
    let known = |offset| Some(vec![at(offset)]);
    assert_eq!(files(&history), [(3, None), (5, known(7))], "where the source was at 3 nobody knows");
    append(&log, &["f", "g", "h", "i"], None);
    archive.write_due(false).expect("written");
    assert_eq!(files(&history)[2..], [(7, known(7)), (9, known(7))], "it has not moved");
    append(&log, &["j"], Some(8));
    archive.write_due(true).expect("written");
    assert_eq!(files(&history)[4..], [(10, known(8))], "the last one does not wait for others");
    let all: Vec<u8> = history.files.lock().iter().flat_map(|file| file.records.clone()).collect();
    let users: Vec<String> = records(&all).map(|record| record.user().to_owned()).collect();
    assert_eq!(users.concat(), "abcdefghij");
    assert_eq!(*archive.end.lock(), 10);
}

#[test]
fn an_event_waits_no_longer_than_it_may() {
    let log = Arc::new(MemoryLog::default());
    let (history, mut archive) = archive(&log, Memory::default(), 100);
    archive.offsite.file_age = Duration::ZERO;
    append(&log, &["a"], None);
    archive.write_due(false).expect("written");
    assert_eq!(files(&history), [(1, Some(vec![]))]);
}

/// A write that failed is tried as it was, with the positions of then; where it has come about it is not tried again.
#[test]
fn after_a_failure_the_same_file_comes() {
    for is_written in [false, true] {
        let log = Arc::new(MemoryLog::default());
        let (history, archive) = archive(&log, Memory { failures: Mutex::new(1), is_written, ..Memory::default() }, 10);
        append(&log, &["a", "b"], Some(1));
        assert!(archive.write_due(true).is_err());
        append(&log, &["c"], Some(2));
        archive.write_due(true).expect("written");
        assert_eq!(files(&history), [(2, Some(vec![at(1)])), (3, Some(vec![at(2)]))], "{is_written}");
    }
}

#[test]
fn what_is_erased_is_found_by_the_log() {
    let log = Arc::new(MemoryLog::default());
    let (history, archive) = archive(&log, Memory::default(), 10);
    append(&log, &["a", "b", "a", "c", "b", "a"], None);
    archive.erase(&[("a".to_owned(), 5), ("b".to_owned(), 2), ("nobody".to_owned(), 9)]).expect("erased");
    assert_eq!(*history.erased.lock(), [0, 1, 2]);
    let left = log.of_users(&["a", "b"], u64::MAX).expect("of_users");
    assert_eq!(records(&left).map(|record| record.sequence()).collect::<Vec<_>>(), [4, 5], "and from the log");
    // What was erased before it was kept does not get there.
    archive.write_due(true).expect("written");
    let kept: Vec<u64> = history
        .files
        .lock()
        .iter()
        .flat_map(|file| records(&file.records).map(|r| r.sequence()).collect::<Vec<_>>())
        .collect();
    assert_eq!(kept, [3, 4, 5]);
}
