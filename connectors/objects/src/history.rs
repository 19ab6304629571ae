//! The history, as files of Parquet that anyone's tools read: see [`file`] for what is in them.
//!
//! `history/<first number, 20 digits>-<number behind the last>.parquet`: listed in the order of acceptance, without gaps.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use audience_contract::{History, Result, SourcePosition, StoreError};
use audience_rules::record::{Erased, EventRef};
use parking_lot::Mutex;
use parquet::errors::ParquetError;

use crate::file::{self, ObjectFile};
use crate::objects::Objects;

const FOLDER: &str = "history";
const READING: &str = "reading history";
const WRITING: &str = "writing history";
const ERASING: &str = "erasing from history";

/// The history. Every call that reads or writes a file has it in memory.
pub(crate) struct ParquetHistory {
    objects: Arc<Objects>,
    /// The contents of each file, in order; read when needed, and again after a failure.
    files: Mutex<Option<Vec<Range<u64>>>>,
}

impl ParquetHistory {
    /// Under the URL of these objects.
    pub(crate) fn new(objects: Arc<Objects>) -> ParquetHistory {
        ParquetHistory { objects, files: Mutex::new(None) }
    }

    /// Runs it on the list of files. After a failure nobody knows which there are.
    fn with_files<T>(&self, run: impl FnOnce(&mut Vec<Range<u64>>) -> Result<T>) -> Result<T> {
        let mut known = self.files.lock();
        let mut files = match known.take() {
            Some(files) => files,
            None => self.list()?,
        };
        let done = run(&mut files);
        if done.is_ok() {
            *known = Some(files);
        }
        done
    }

    fn list(&self) -> Result<Vec<Range<u64>>> {
        let names = self.objects.list(READING, FOLDER)?;
        let mut files: Vec<Range<u64>> = names.iter().filter_map(|name| parse(name)).collect();
        // A write that was given up may have come about all the same, behind one that went further.
        files.sort_unstable_by_key(|file| (file.start, std::cmp::Reverse(file.end)));
        let mut next = 0;
        let mut kept: Vec<Range<u64>> = Vec::new();
        let mut surplus = Vec::new();
        for found in files {
            if found.start == next {
                next = found.end;
                kept.push(found);
            } else if found.end <= next {
                surplus.push(path(&found));
            } else {
                let detail = format!("event {next} is missing; the next file is {}", path(&found));
                return Err(StoreError::Corrupt { place: format!("{}/{FOLDER}", self.objects.name()), detail });
            }
        }
        if !surplus.is_empty() {
            self.objects.refuse_others(WRITING)?;
            self.objects.delete(WRITING, &surplus)?;
        }
        Ok(kept)
    }

    fn open(&self, range: &Range<u64>) -> Result<ObjectFile> {
        let bytes = self.objects.get(READING, &path(range))?;
        let bytes = bytes.ok_or_else(|| self.damaged(range, &"it is missing"))?;
        ObjectFile::open(bytes).map_err(|error| self.damaged(range, &error))
    }

    fn records(&self, range: &Range<u64>) -> Result<(ObjectFile, Vec<Vec<u8>>)> {
        let file = self.open(range)?;
        let records = file.records(range).map_err(|error| self.damaged(range, &error))?;
        Ok((file, records))
    }

    fn damaged(&self, range: &Range<u64>, detail: &dyn std::fmt::Display) -> StoreError {
        StoreError::Corrupt { place: format!("{}/{}", self.objects.name(), path(range)), detail: detail.to_string() }
    }

    fn write(
        &self,
        action: &'static str,
        range: &Range<u64>,
        records: &[u8],
        positions: Option<&[SourcePosition]>,
    ) -> Result<()> {
        let refused = |error: ParquetError| StoreError::Refused { action, detail: error.to_string() };
        let bytes = file::encode(records, positions).map_err(refused)?;
        self.objects.refuse_others(action)?;
        self.objects.put(action, &path(range), bytes.into())
    }
}

impl History for ParquetHistory {
    fn end(&self) -> Result<u64> {
        self.with_files(|files| Ok(files.last().map_or(0, |file| file.end)))
    }

    fn positions(&self) -> Result<(u64, Vec<SourcePosition>)> {
        let files = self.with_files(|files| Ok(files.clone()))?;
        for range in files.iter().rev() {
            if let Some(positions) = self.open(range)?.positions {
                return Ok((range.end, positions));
            }
        }
        Ok((0, Vec::new()))
    }

    fn append(&self, records: &[u8], positions: Option<&[SourcePosition]>) -> Result<()> {
        let range = range_of(records)?;
        self.with_files(|files| {
            let next = files.last().map_or(0, |file| file.end);
            if range.start != next {
                let detail = format!("event {next} comes next, and not {}", range.start);
                return Err(StoreError::Refused { action: WRITING, detail });
            }
            self.write(WRITING, &range, records, positions)?;
            files.push(range);
            Ok(())
        })
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let files = self.with_files(|files| Ok(files.clone()))?;
        for file in files.iter().filter(|file| file.start < range.end && range.start < file.end) {
            for run in self.records(file)?.1 {
                if visit(within(&run, &range)).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn visit(&self, sequences: &[u64], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let files = self.with_files(|files| Ok(files.clone()))?;
        let mut rest = sequences;
        for file in &files {
            let wanted = take_below(&mut rest, file.end);
            if wanted.is_empty() {
                continue;
            }
            for run in self.records(file)?.1 {
                let found = picked(&run, wanted);
                if !found.is_empty() && visit(&found).is_break() {
                    return Ok(());
                }
            }
        }
        match rest.first() {
            None => Ok(()),
            Some(missing) => {
                let detail = format!("event {missing} is missing");
                Err(StoreError::Corrupt { place: format!("{}/{FOLDER}", self.objects.name()), detail })
            }
        }
    }

    fn erase(&self, sequences: &[u64], parted: &[u64]) -> Result<()> {
        self.with_files(|files| {
            let (mut rest, mut rest_parted) = (sequences, parted);
            for range in files.iter() {
                let (erased, parted) = (take_below(&mut rest, range.end), take_below(&mut rest_parted, range.end));
                if erased.is_empty() && parted.is_empty() {
                    continue;
                }
                let (file, records) = self.records(range)?;
                let records = records.concat();
                let left = without(&records, erased, parted);
                if left != records {
                    self.write(ERASING, range, &left, file.positions.as_deref())?;
                }
            }
            Ok(())
        })
    }

    fn truncate(&self, end: u64) -> Result<()> {
        self.with_files(|files| {
            let kept = files.partition_point(|file| file.start < end);
            if kept > 0 && files[kept - 1].end != end {
                let detail = format!("no file begins with event {end}");
                return Err(StoreError::Refused { action: WRITING, detail });
            }
            self.objects.refuse_others(WRITING)?;
            // The last one first, so that there is never a gap.
            for file in files.drain(kept..).rev() {
                self.objects.delete(WRITING, &[path(&file)])?;
            }
            Ok(())
        })
    }
}

fn path(range: &Range<u64>) -> String {
    format!("{FOLDER}/{:020}-{:020}.parquet", range.start, range.end)
}

fn parse(name: &str) -> Option<Range<u64>> {
    let (first, end) = name.strip_suffix(".parquet")?.split_once('-')?;
    let range = first.parse().ok()?..end.parse().ok()?;
    (first.len() == 20 && end.len() == 20 && range.start < range.end).then_some(range)
}

/// Every record, blank ones too.
fn all(records: &[u8]) -> impl Iterator<Item = EventRef<'_>> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let (record, next) = EventRef::read(rest)?;
        rest = next;
        Some(record)
    })
}

fn range_of(records: &[u8]) -> Result<Range<u64>> {
    let (mut range, mut bytes) = (None::<Range<u64>>, 0);
    for record in all(records) {
        let first = range.as_ref().map_or(record.sequence(), |range| range.start);
        range = Some(first..record.sequence() + 1);
        bytes += record.bytes().len();
    }
    let refused = || StoreError::Refused { action: WRITING, detail: "the records cannot be read".to_owned() };
    range.filter(|_| bytes == records.len()).ok_or_else(refused)
}

fn within<'a>(run: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let (mut start, mut end) = (0, 0);
    for record in all(run) {
        if record.sequence() < range.start {
            start += record.bytes().len();
        }
        if record.sequence() < range.end {
            end += record.bytes().len();
        }
    }
    &run[start..end.max(start)]
}

/// The records of a run that have one of these numbers.
fn picked(run: &[u8], sequences: &[u64]) -> Vec<u8> {
    let wanted = all(run).filter(|record| sequences.binary_search(&record.sequence()).is_ok());
    wanted.flat_map(|record| record.bytes().iter().copied()).collect()
}

/// Takes the numbers below `end` off the front.
fn take_below<'n>(numbers: &mut &'n [u64], end: u64) -> &'n [u64] {
    let (below, rest) = numbers.split_at(numbers.partition_point(|number| *number < end));
    *numbers = rest;
    below
}

/// The records without those erased, and without the other ids of those parted.
fn without(records: &[u8], erased: &[u64], parted: &[u64]) -> Vec<u8> {
    let mut left = Vec::with_capacity(records.len());
    let is_among = |numbers: &[u64], record: &EventRef<'_>| numbers.binary_search(&record.sequence()).is_ok();
    for record in all(records) {
        let erased = match (is_among(erased, &record), is_among(parted, &record)) {
            (true, _) => Erased::Whole,
            (false, true) if record.other().is_some() => Erased::Other,
            _ => Erased::Nothing,
        };
        erased.write(&record, &mut left);
    }
    left
}
