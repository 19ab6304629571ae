//! Group commit: callers that append at the same time share one write and one fsync.
//!
//! A caller takes its sequence numbers and adds its records to the group that waits. Whoever finds nobody writing writes
//! the whole group, its own records and those of the others, while the next group gathers. There is no thread for it.
//!
//! Records of a source have nobody who waits for an answer, and several readers would take an fsync each for every few of
//! them. They wait for company, unless the last write was begun a while ago.

use std::mem;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use audience_contract::{Result, SourcePosition};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::chunk::{ChunkWriter, RecordSummary};
use crate::positions::Positions;

/// A group takes no more callers once it is this large; they wait for the one being written.
const GROUP_BYTES: usize = 8 << 20;
/// A group of records of sources that is as large waits for nobody, bytes.
const COMPANY_BYTES: usize = 1 << 20;

/// The queue in which callers of one write meet.
pub(crate) struct Groups {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// A group that has only records of sources is written so long after the one before it at the earliest.
    company: Duration,
}

struct Queue {
    next: u64,
    /// The positions of sources once everything in the queue is written.
    positions: Positions,
    /// The present positions of sources.
    durable: Positions,
    /// The number behind the last record that is written.
    end: u64,
    waiting: Group,
    writing: bool,
    /// When the last write was begun.
    begun: Option<Instant>,
}

/// Records that are written together.
#[derive(Default)]
pub(crate) struct Group {
    /// The records, numbered.
    pub chunks: Vec<ChunkWriter>,
    /// The users whom each caller's records name: the first number of its records, and each place with the user's hash.
    pub users: Vec<(u64, Vec<(u64, u64)>)>,
    /// The number behind the last.
    pub end: u64,
    /// The positions of sources after these records.
    pub positions: Positions,
    bytes: usize,
    /// Set if a caller waits for an answer.
    is_urgent: bool,
    outcome: Arc<OnceLock<Result<()>>>,
}

impl Groups {
    /// Begins at that number and those positions; records of sources wait for others so long from one write to the next.
    pub(crate) fn new(next: u64, positions: Positions, company: Duration) -> Groups {
        let (durable, waiting) = (positions.clone(), Group::default());
        let queue = Queue { next, positions, durable, end: next, waiting, writing: false, begun: None };
        Groups { queue: Mutex::new(queue), changed: Condvar::new(), company }
    }

    /// The positions of sources in the written records.
    pub(crate) fn positions(&self) -> Vec<SourcePosition> {
        self.queue.lock().durable.all()
    }

    /// The number behind the last record that is written, and where sources are with it.
    pub(crate) fn reach(&self) -> (u64, Vec<SourcePosition>) {
        let queue = self.queue.lock();
        (queue.end, queue.durable.all())
    }

    /// Numbers the records, sees to it that they are written by `write` with the positions, and gives their numbers.
    pub(crate) fn append(
        &self,
        records: &mut [u8],
        survey: RecordSummary,
        positions: &[SourcePosition],
        write: impl Fn(Group) -> Result<()>,
    ) -> Result<Range<u64>> {
        let mut queue = self.queue.lock();
        while queue.waiting.bytes >= GROUP_BYTES {
            self.changed.wait(&mut queue);
        }
        queue.positions.check(positions)?;
        let range = queue.join(records, survey, positions);
        let outcome = Arc::clone(&queue.waiting.outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                return outcome.clone().map(|()| range);
            }
            if queue.writing {
                self.changed.wait(&mut queue);
            } else if let Some(due) = queue.due(self.company) {
                self.changed.wait_until(&mut queue, due);
            } else {
                self.write_waiting(&mut queue, &write);
            }
        }
    }

    fn write_waiting(&self, queue: &mut MutexGuard<'_, Queue>, write: impl Fn(Group) -> Result<()>) {
        queue.writing = true;
        queue.begun = Some(now());
        let group = mem::take(&mut queue.waiting);
        let (first, outcome) = (group.first(), Arc::clone(&group.outcome));
        let (reached, end) = (group.positions.clone(), group.end);
        let written = MutexGuard::unlocked(queue, || write(group));
        queue.writing = false;
        if written.is_err() {
            // Those who wait have numbers that build on numbers nobody has now.
            let late = mem::take(&mut queue.waiting);
            queue.next = first.unwrap_or(queue.next);
            queue.positions = queue.durable.clone();
            let _ = late.outcome.set(written.clone());
        } else {
            queue.durable.merge(&reached);
            queue.end = end;
        }
        let _ = outcome.set(written);
        self.changed.notify_all();
    }
}

impl Queue {
    /// When the group is written, where it is to wait until then.
    fn due(&self, company: Duration) -> Option<Instant> {
        let due = self.begun? + company;
        let may_wait = !self.waiting.is_urgent && self.waiting.bytes < COMPANY_BYTES;
        (may_wait && now() < due).then_some(due)
    }

    fn join(&mut self, mut records: &mut [u8], survey: RecordSummary, positions: &[SourcePosition]) -> Range<u64> {
        let first = self.next;
        self.positions.advance(positions);
        let group = &mut self.waiting;
        group.bytes += records.len();
        group.is_urgent |= positions.is_empty();
        group.positions.advance(positions);
        while !records.is_empty() {
            if group.chunks.last().is_none_or(ChunkWriter::is_full) {
                group.chunks.push(ChunkWriter::new(self.next));
            }
            let Some(chunk) = group.chunks.last_mut() else { break };
            let taken = chunk.fill(records, &mut self.next);
            records = &mut records[taken..];
        }
        group.users.push((first, survey.users));
        group.end = self.next;
        first..self.next
    }
}

impl Group {
    fn first(&self) -> Option<u64> {
        self.users.first().map(|(first, _)| *first)
    }
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use audience_contract::StoreError;
    use audience_rules::record::blank;

    use super::*;

    /// Longer than any of it takes where nobody waits for company.
    const COMPANY: Duration = Duration::from_secs(60);

    fn groups() -> Groups {
        Groups::new(0, Positions::default(), COMPANY)
    }

    fn position(partition: u32) -> SourcePosition {
        SourcePosition { source: "events".to_owned(), partition, next_offset: 1 }
    }

    /// The number of callers in the waiting group.
    fn waiting(groups: &Groups) -> usize {
        groups.queue.lock().waiting.users.len()
    }

    #[test]
    fn records_of_sources_wait_for_others_who_wait_for_nobody() {
        let (groups, written, begun) = (groups(), Mutex::new(Vec::new()), now());
        let append = |positions: &[SourcePosition]| {
            let write = |group: Group| {
                written.lock().push(group.users.len());
                Ok(())
            };
            groups.append(&mut [], RecordSummary::of(&[]).unwrap(), positions, write).unwrap();
        };
        append(&[position(0)]);
        thread::scope(|scope| {
            let append = &append;
            for partition in 1..=2 {
                scope.spawn(move || append(&[position(partition)]));
            }
            while waiting(&groups) < 2 && written.lock().len() == 1 {
                thread::yield_now();
            }
            append(&[]);
        });
        assert_eq!(*written.lock(), [1, 3]);
        assert_eq!(groups.positions().len(), 3);
        assert!(begun.elapsed() < COMPANY, "nobody waits for an answer that long");
    }

    #[test]
    fn what_is_large_waits_for_nobody() {
        let (groups, begun) = (groups(), now());
        let append = |records: &mut [u8]| {
            groups.append(records, RecordSummary::of(records).unwrap(), &[position(0)], |_| Ok(())).unwrap()
        };
        append(&mut []);
        let mut records = Vec::new();
        while records.len() < COMPANY_BYTES {
            blank(0, &mut records);
        }
        assert!(!append(&mut records).is_empty());
        assert!(begun.elapsed() < COMPANY);
    }

    #[test]
    fn those_who_wait_behind_a_write_that_fails_are_told_and_nothing_is_taken_of_them() {
        let groups = groups();
        let append = |positions: &[SourcePosition], write: &dyn Fn() -> Result<()>| {
            let mut records = Vec::new();
            blank(0, &mut records);
            let survey = RecordSummary::of(&records).unwrap();
            groups.append(&mut records, survey, positions, |_| write())
        };
        assert_eq!(append(&[position(0)], &|| Ok(())).unwrap(), 0..1);
        let fails = || {
            while waiting(&groups) == 0 {
                thread::yield_now();
            }
            Err(StoreError::Unavailable { action: "appending events", detail: "the disk is gone".to_owned() })
        };
        thread::scope(|scope| {
            let (append, fails) = (&append, &fails);
            let failed = scope.spawn(move || append(&[], fails));
            while !groups.queue.lock().writing {
                thread::yield_now();
            }
            assert!(append(&[position(1)], &|| Ok(())).is_err());
            assert!(failed.join().unwrap().is_err());
        });
        assert_eq!(groups.positions(), [position(0)]);
        assert_eq!(append(&[], &|| Ok(())).unwrap(), 1..2);
    }
}
