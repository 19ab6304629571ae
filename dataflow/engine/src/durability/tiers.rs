//! The event log in two tiers: what is young in the data directory, and all of it in the history outside.
//!
//! **Law.** A read gives the same whatever was forgotten in the data directory: records below the log's floor come from the
//! history, and the others from the log. Only what the history holds, and a finished checkpoint is after, is forgotten.
//!
//! A scan of old events has one file of the history in memory at a time. A lookup by user asks the log's own index, and then
//! reads each file that has one of the events.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Backoff, Stop};
use audience_contract::{EventLog, History, Result, SourcePosition, StoreError};
use audience_kernel::aliases::IdSince;
use audience_rules::record::{EventRef, records};

/// How long a lookup waits for a history that does not answer. A worker that gave up would end the process.
const PATIENCE: Duration = Duration::from_secs(60);

/// Receives runs of records.
type Visit<'v> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'v;

/// An event log whose oldest records are in the history alone.
pub(crate) struct TieredLog {
    log: Arc<dyn EventLog>,
    history: Arc<dyn History>,
}

impl TieredLog {
    /// The log with the history that it is kept in.
    pub(crate) fn new(log: Arc<dyn EventLog>, history: Arc<dyn History>) -> TieredLog {
        TieredLog { log, history }
    }

    /// Reads from the log. What it forgot since its floor was asked for comes from the history: a log that has begun a read
    /// ends it, so that nothing was visited by then.
    fn read(&self, read: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        loop {
            let floor = self.log.floor();
            let done = read(floor);
            if done.is_ok() || self.log.floor() == floor {
                return done;
            }
        }
    }

    /// Visits old records by their numbers, and waits while the history does not answer.
    fn visit_old(&self, sequences: &[u64], visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
        let (mut backoff, never, begun) = (Backoff::default(), Stop::new(), Instant::now());
        let (mut seen, mut flow) = (0, ControlFlow::Continue(()));
        loop {
            let visited = self.history.visit(&sequences[seen..], &mut |run| {
                seen += count(run);
                flow = visit(run);
                flow
            });
            match visited {
                Err(error @ StoreError::Unavailable { .. }) if begun.elapsed() < PATIENCE => {
                    let wait = backoff.next();
                    tracing::warn!(%error, ?wait, "Old events cannot be read from the history, and the lookup retries");
                    never.wait(wait);
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(flow),
            }
        }
    }
}

impl EventLog for TieredLog {
    fn append_from(&self, records: &mut [u8], positions: &[SourcePosition]) -> Result<Range<u64>> {
        self.log.append_from(records, positions)
    }

    fn positions(&self) -> Result<Vec<SourcePosition>> {
        self.log.positions()
    }

    fn reach(&self) -> Result<(u64, Vec<SourcePosition>)> {
        self.log.reach()
    }

    fn end(&self) -> u64 {
        self.log.end()
    }

    /// The floor of the data directory: all records can be read, and those below cost more.
    fn floor(&self) -> u64 {
        self.log.floor()
    }

    fn forget(&self, below: u64) -> Result<u64> {
        self.log.forget(below)
    }

    fn bytes(&self) -> Result<u64> {
        self.log.bytes()
    }

    fn naming(&self, ids: &[&str], before: u64) -> Result<Vec<u64>> {
        self.log.naming(ids, before)
    }

    fn scan(&self, range: Range<u64>, visit: &mut Visit<'_>) -> Result<()> {
        let mut next = range.start;
        self.read(&mut |floor| {
            let old = next..range.end.min(floor);
            let mut flow = ControlFlow::Continue(());
            if !old.is_empty() {
                self.history.scan(old.clone(), &mut |run| {
                    flow = visit(run);
                    flow
                })?;
                next = old.end;
            }
            if flow.is_break() || next >= range.end { Ok(()) } else { self.log.scan(next..range.end, visit) }
        })
    }

    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
        self.log.split(range, parts)
    }

    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut Visit<'_>) -> Result<()> {
        let mut done = 0;
        self.read(&mut |floor| {
            if floor == 0 {
                return self.log.visit_users(ids, before, visit);
            }
            let sequences = self.log.naming(ids, before)?;
            let old = sequences.partition_point(|sequence| *sequence < floor);
            let mut visit_named = |run: &[u8]| {
                let named = naming_any(run, ids);
                if named.is_empty() { ControlFlow::Continue(()) } else { visit(&named) }
            };
            if self.visit_old(&sequences[done..old], &mut visit_named)?.is_break() {
                return Ok(());
            }
            done = old;
            self.log.visit(&sequences[old..], &mut visit_named)
        })
    }

    fn may_name(&self, ids: &[&str]) -> Result<Vec<bool>> {
        self.log.may_name(ids)
    }

    fn erase(&self, ids: &[IdSince]) -> Result<()> {
        self.log.erase(ids)
    }

    fn take_back(&self, to: i64) -> Result<u64> {
        self.log.take_back(to)
    }

    fn purge(&self) -> Result<bool> {
        self.log.purge()
    }
}

/// The number of records, blank ones too.
fn count(run: &[u8]) -> usize {
    let (mut rest, mut count) = (run, 0);
    while let Some((_, next)) = EventRef::read(rest) {
        (rest, count) = (next, count + 1);
    }
    count
}

/// The records of a run that name one of the ids.
fn naming_any(run: &[u8], ids: &[&str]) -> Vec<u8> {
    let is_named =
        |event: &EventRef<'_>| ids.contains(&event.user()) || event.other().is_some_and(|other| ids.contains(&other));
    records(run).filter(is_named).flat_map(|event| event.bytes().to_vec()).collect()
}
