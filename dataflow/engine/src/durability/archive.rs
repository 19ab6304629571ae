//! Keeps the history: what is in the event log goes into files for other tools, from which a lost log is made anew.
//!
//! A thread follows the event log. A file is due once there are enough events for it, or the first of them has waited long
//! enough. The last one of those that are written at a time also says where the sources were; so a log that is made anew
//! goes on there, with each message once.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use audience_background::{Failure, Job, JobHandle, Outcome, clock};
use audience_contract::{EventLog, History, SourcePosition, StoreError};
use audience_kernel::aliases::IdSince;
use audience_rules::record::{Erased, EventRef, records};
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::recovery;
use super::retention::LogLimits;
use crate::engine::EngineError;
use crate::health::{ReportedParts, Reports};
use crate::metrics::Metrics;
use crate::run::Run;

/// Bytes of records in a file at most, and a run of them more: a file is in memory while it is written.
const FILE_BYTES: usize = 64 << 20;
/// Between looks at whether a file is due.
const LOOK: Duration = Duration::from_millis(100);

/// The history outside of the data directory, from which the directory can be made anew.
#[derive(Clone)]
pub struct Offsite {
    /// The accepted events.
    pub history: Arc<dyn History>,
    /// Events in a file at most.
    pub file_events: u64,
    /// How long an event waits for others before a file is written.
    pub file_age: Duration,
    /// True if checkpoints have a copy of the catalogue, because it is in the data directory and nowhere else.
    pub keeps_catalogue: bool,
    /// The bounds of the event log's part that stays in the data directory beside it.
    pub limits: LogLimits,
}

/// The history that is kept.
pub(crate) struct Archive {
    offsite: Offsite,
    /// The event log that it follows.
    log: Arc<dyn EventLog>,
    /// Held while a file is gathered and written: nothing that is erased meanwhile may get into it.
    writing: Mutex<NextFile>,
    /// The job that writes it, once it runs.
    job: OnceLock<JobHandle>,
    /// The number behind the last record that is kept, as far as is known.
    end: Mutex<u64>,
}

/// The next file.
#[derive(Default)]
struct NextFile {
    /// The end of a file that could not be written, with the positions: it is tried as it was, since it may have come
    /// about all the same.
    failed: Option<(u64, Option<Vec<SourcePosition>>)>,
    /// The positions of the sources after the last record that is kept, if they are known.
    positions: Option<Vec<SourcePosition>>,
    /// Since when events have waited.
    since: Option<Instant>,
}

impl Archive {
    /// The archive of an event log, which is not followed yet.
    pub(crate) fn new(offsite: Offsite, log: Arc<dyn EventLog>) -> Archive {
        Archive { offsite, log, writing: Mutex::default(), job: OnceLock::new(), end: Mutex::new(0) }
    }

    /// Returns whether checkpoints have a copy of the catalogue.
    pub(crate) fn keeps_catalogue(&self) -> bool {
        self.offsite.keeps_catalogue
    }

    /// The bounds of the event log's part that stays in the data directory.
    pub(crate) fn limits(&self) -> LogLimits {
        self.offsite.limits
    }

    /// The number after the last record that the history holds, as far as is known.
    pub(crate) fn kept(&self) -> u64 {
        *self.end.lock()
    }

    /// Starts to follow the event log. After the stop it writes what is left.
    pub(crate) fn start(self: &Arc<Self>, metrics: Arc<Metrics>, run: &Run) -> Result<(), EngineError> {
        let archive = self.clone();
        let job = Job::new("history", LOOK).complaint("The history is not kept").with_last_pass();
        let started = run.start(job.on_failure(move |_| metrics.history_failed()), move |pass| {
            archive.write_due(pass.is_last)?;
            Ok::<_, Failure<StoreError>>(Outcome::Idle)
        })?;
        // It is set once, as the platform starts.
        let _ = self.job.set(started);
        Ok(())
    }

    /// Writes the files that are due; all there is where it `is_last`.
    fn write_due(&self, is_last: bool) -> Result<(), StoreError> {
        let log = &*self.log;
        let mut plan = self.writing.lock();
        let mut next = self.offsite.history.end()?;
        *self.end.lock() = next;
        let waiting = log.end().saturating_sub(next);
        if waiting == 0 {
            plan.since = None;
            return Ok(());
        }
        let since = *plan.since.get_or_insert_with(Instant::now);
        if !is_last && waiting < self.offsite.file_events && since.elapsed() < self.offsite.file_age {
            return Ok(());
        }
        let (end, positions) = log.reach()?;
        while next < end {
            next = self.write_file(&mut plan, log, next, end, &positions)?;
            *self.end.lock() = next;
        }
        plan.since = None;
        Ok(())
    }

    /// Writes one file, which goes up to `end` at most; gives where it ends.
    fn write_file(
        &self,
        plan: &mut NextFile,
        log: &dyn EventLog,
        next: u64,
        end: u64,
        positions: &[SourcePosition],
    ) -> Result<u64, StoreError> {
        let failed = plan.failed.take().filter(|(failed_end, _)| *failed_end > next);
        // Several files are about as large as each other.
        let files = (end - next).div_ceil(self.offsite.file_events.max(1)).max(1);
        let limit = failed.as_ref().map_or(next + (end - next).div_ceil(files), |(failed_end, _)| *failed_end);
        let gathered = gather(log, next, limit)?;
        let reached = next + gathered.count;
        // What has not changed from the beginning to the end was that in between too.
        let is_known = reached == end || plan.positions.as_deref() == Some(positions);
        let known = match failed {
            Some((_, known)) => known,
            None => is_known.then(|| positions.to_vec()),
        };
        let written = self.offsite.history.append(&gathered.bytes, known.as_deref());
        if written.is_err() {
            plan.failed = Some((reached, known));
        } else {
            plan.positions = known;
        }
        written.map(|()| reached)
    }

    /// Erases what names one of the ids and stands before the number that is with it, here and then in the event log, which
    /// says where that is. No file is written in between: it would have what the log still has.
    pub(crate) fn erase(&self, ids: &[IdSince]) -> Result<(), StoreError> {
        let log = &*self.log;
        let _plan = self.writing.lock();
        let before: HashMap<&str, u64> = ids.iter().map(|(id, before)| (id.as_str(), *before)).collect();
        let names: Vec<&str> = before.keys().copied().collect();
        let erased = |record: &EventRef<'_>| {
            Erased::of(record, |id| before.get(id).is_some_and(|before| record.sequence() < *before))
        };
        let (mut sequences, mut parted) = (Vec::new(), Vec::new());
        log.visit_users(&names, before.values().copied().max().unwrap_or(0), &mut |run| {
            for record in records(run) {
                match erased(&record) {
                    Erased::Nothing => {}
                    Erased::Whole => sequences.push(record.sequence()),
                    Erased::Other => parted.push(record.sequence()),
                }
            }
            ControlFlow::Continue(())
        })?;
        if !sequences.is_empty() || !parted.is_empty() {
            self.offsite.history.erase(&sequences, &parted)?;
        }
        log.erase(ids)
    }
}

/// Records one behind the other.
pub(crate) struct GatheredRecords {
    /// The records.
    pub bytes: Vec<u8>,
    /// Their number.
    pub count: u64,
}

/// The records from `next` on, up to `limit` or as many as a file takes.
pub(crate) fn gather(log: &dyn EventLog, next: u64, limit: u64) -> Result<GatheredRecords, StoreError> {
    let mut gathered = GatheredRecords { bytes: Vec::new(), count: 0 };
    log.scan(next..limit, &mut |run| {
        let mut rest = run;
        // Blank ones keep their place.
        while let Some((record, behind)) = EventRef::read(rest) {
            rest = behind;
            if (next..limit).contains(&record.sequence()) {
                gathered.bytes.extend_from_slice(record.bytes());
                gathered.count += 1;
            }
        }
        if gathered.bytes.len() < FILE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(gathered)
}

impl Reports for Archive {
    fn report(&self, report: &mut ReportedParts) {
        report.notes("history", self.job.get().and_then(JobHandle::fault));
    }

    fn observe(&self, metrics: &Metrics) {
        let (end, kept) = (self.log.end(), *self.end.lock());
        let oldest = if kept < end { recovery::newest_acceptance(&*self.log, kept + 1).ok().flatten() } else { None };
        let age = oldest.map_or(0, |oldest| (clock::now() - oldest).max(0));
        metrics.history_lag(end.saturating_sub(kept), Duration::from_millis(age.unsigned_abs()));
        metrics.history_alone(self.log.floor());
    }
}

#[cfg(test)]
mod tests;
