//! Brings a sink what is given out: exactly what the change log says, in its order, from where the sink is.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_contract::{MembershipChange, Progress, Reach, Sink, SinkError, StoreError};
use audience_protocol::SPANS;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::Service;
use super::backoff::Backoff;
use super::changes::decode;
use super::snapshot::Snapshot;
use crate::engine::EngineError;

/// How often a sink is told how far it is where nothing changes: the change log does not go back for ever.
const IDLE_REACH: Duration = Duration::from_secs(60);
/// How long to wait for a change before looking whether all is over.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a follower tells of itself.
#[derive(Debug)]
pub struct FollowerStatus {
    /// The sink.
    pub sink: String,
    /// What keeps it from being written, if anything does.
    fault: Mutex<Option<String>>,
    /// The tick up to which it holds everything; none before it was first opened.
    reached: Mutex<Option<u64>>,
    is_closed: AtomicBool,
}

impl FollowerStatus {
    /// Of a sink that was not opened yet.
    pub fn new(sink: &str) -> Self {
        let (fault, reached, is_closed) = (Mutex::new(None), Mutex::new(None), AtomicBool::new(false));
        FollowerStatus { sink: sink.to_owned(), fault, reached, is_closed }
    }

    /// What keeps it from being written.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// The tick up to which it holds everything.
    pub fn reached(&self) -> Option<u64> {
        *self.reached.lock()
    }

    /// Ends [`Follower::run`] once everything is given out, or the sink fails.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

/// Why following was broken off.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The error for a tick whose changes cannot be read.
pub fn undecoded(tick: u64) -> StoreError {
    StoreError::Corrupt { place: format!("the changes of tick {tick}"), detail: "they cannot be decoded".to_owned() }
}

/// Brings one sink what is given out.
pub struct Follower<'a> {
    service: &'a Service,
    status: Arc<FollowerStatus>,
    sink: Box<dyn Sink>,
    backoff: Backoff,
}

impl<'a> Follower<'a> {
    /// For a sink that is not open yet.
    pub fn new(service: &'a Service, status: Arc<FollowerStatus>, sink: Box<dyn Sink>) -> Self {
        Follower { service, status, sink, backoff: Backoff::default() }
    }

    /// Follows until closed. Faults of the sink are tried again; where another process has taken it over, it ends.
    pub fn run(mut self) {
        loop {
            let Err(error) = self.follow() else { return };
            *self.status.fault.lock() = Some(error.to_string());
            self.service.metrics.connectors.sink_failed(&self.status.sink);
            tracing::error!(sink = self.status.sink, %error, "membership changes are not given out");
            let is_final = matches!(error, FollowError::Sink(SinkError::Fenced(_)) | FollowError::Engine(_));
            if is_final || self.is_closed() {
                return;
            }
            super::pause(self.backoff.next());
        }
    }

    fn is_closed(&self) -> bool {
        self.status.is_closed.load(Ordering::Acquire)
    }

    fn follow(&mut self) -> Result<(), FollowError> {
        let mut reached = match self.sink.open()? {
            Some(Reach::All(progress)) if self.can_follow_from(progress)? => progress,
            Some(Reach::Users { progress, up_to }) if self.can_follow_from(progress)? => {
                self.begin(Some((progress, up_to)))?
            }
            // Everything there was is still in the change log.
            None if self.can_follow_from(Progress::default())? => Progress::default(),
            None => self.begin(None)?,
            Some(old) => {
                let (sink, at) = (&self.status.sink, old.progress().tick);
                tracing::warn!(sink, at, "the change log cannot go on from where the sink is; begun anew");
                self.sink.clear(self.newest()?, &|_| true)?;
                self.begin(None)?
            }
        };
        let (mut told, mut told_tick) = (Instant::now(), reached.tick);
        loop {
            self.has_reached(reached);
            let newest = self.newest()?;
            if newest.tick > reached.tick {
                let is_due = told.elapsed() >= IDLE_REACH;
                if self.bring(&mut reached, newest, None, is_due)? {
                    (told, told_tick) = (Instant::now(), reached.tick);
                }
                continue;
            }
            if self.is_closed() {
                if told_tick < reached.tick {
                    self.write(&Reach::All(reached), &mut Vec::new())?;
                }
                return Ok(());
            }
            self.service.committed.wait_beyond(reached.tick, PATIENCE);
        }
    }

    fn has_reached(&mut self, reached: Progress) {
        self.backoff.reset();
        *self.status.fault.lock() = None;
        *self.status.reached.lock() = Some(reached.tick);
    }

    fn newest(&self) -> Result<Progress, StoreError> {
        Ok(self.service.stores.changes.progress()?.unwrap_or_default())
    }

    /// Whether the change log has everything behind that. A sink that is ahead of the log has another history: that of
    /// another data directory, or of this one before an older copy took its place.
    fn can_follow_from(&self, progress: Progress) -> Result<bool, StoreError> {
        let is_ahead = progress.tick > self.newest()?.tick;
        Ok(!is_ahead && self.service.stores.changes.floor()? <= progress.tick.saturating_add(1))
    }

    /// Writes what changed behind `reached` up to `newest`, in pieces; where `up_to` says so, only of users up to that id.
    /// Without changes it is written only where that `is_due`. Gives whether anything was written.
    fn bring(
        &mut self,
        reached: &mut Progress,
        newest: Progress,
        up_to: Option<&str>,
        is_due: bool,
    ) -> Result<bool, FollowError> {
        // And a tick more.
        let at_once = self.sink.changes_at_once();
        let mut changes: Vec<MembershipChange> = Vec::new();
        let mut failed: Option<FollowError> = None;
        let mut is_written = false;
        let (log, from) = (self.service.stores.changes.clone(), reached.tick + 1);
        log.read(from, &mut |tick, bytes| {
            if tick > newest.tick {
                return ControlFlow::Break(());
            }
            let Some(decoded) = decode(bytes) else {
                failed = Some(undecoded(tick).into());
                return ControlFlow::Break(());
            };
            changes.extend(decoded.into_iter().filter(|change| up_to.is_none_or(|up_to| *change.user_id <= *up_to)));
            if changes.len() >= at_once {
                // Of a tick in between only its number is known.
                let progress = Progress { tick, ..*reached };
                failed = self.write(&reach(progress, up_to), &mut changes).err();
                *reached = progress;
                is_written = true;
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !changes.is_empty() || is_due || up_to.is_some() {
            self.write(&reach(newest, up_to), &mut changes)?;
            is_written = true;
        }
        *reached = newest;
        Ok(is_written)
    }

    fn write(&mut self, reach: &Reach, changes: &mut Vec<MembershipChange>) -> Result<(), FollowError> {
        let begun = Instant::now();
        let (sink, tick) = (&self.status.sink, reach.progress().tick);
        let span = tracing::info_span!(target: SPANS, "sink.write", sink, tick, changes = changes.len());
        span.in_scope(|| self.sink.write(reach, changes))?;
        self.service.metrics.connectors.written(&self.status.sink, changes.len(), begun.elapsed());
        changes.clear();
        Ok(())
    }

    /// Gives a sink that has nothing, or only users up to some id, all memberships as of now.
    fn begin(&mut self, broken_off: Option<(Progress, String)>) -> Result<Progress, FollowError> {
        let newest = self.newest()?;
        let up_to = match broken_off {
            Some((mut reached, up_to)) => {
                self.bring(&mut reached, newest, Some(&up_to), true)?;
                Some(up_to)
            }
            None => None,
        };
        let snapshot = Snapshot::take(self.service, newest)?;
        let versions: HashMap<String, u64> = self.service.editor.read(|documents| {
            documents.segments.iter().map(|(id, known)| (id.clone(), known.stored.document.version)).collect()
        });
        let (mut changes, at_once) = (Vec::new(), self.sink.changes_at_once());
        for user in snapshot.users_behind(up_to.as_deref()) {
            snapshot.changes_of(user, &versions, &mut changes);
            if changes.len() >= at_once {
                self.write(&reach(newest, Some(snapshot.id(user))), &mut changes)?;
            }
        }
        self.write(&Reach::All(newest), &mut changes)?;
        Ok(newest)
    }
}

fn reach(progress: Progress, up_to: Option<&str>) -> Reach {
    match up_to {
        None => Reach::All(progress),
        Some(up_to) => Reach::Users { progress, up_to: up_to.to_owned() },
    }
}
