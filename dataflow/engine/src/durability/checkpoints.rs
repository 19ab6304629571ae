//! The checkpoints of a run: when one is taken, and what is forgotten after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Failure, Job, Outcome, Stop};
use audience_contract::{ChangeLog, EventLog, StoreError};
use audience_protocol::SPANS;
use parking_lot::Mutex;

use super::archive::Archive;
use super::checkpoint::{Checkpointer, FinishedCheckpoint};
use super::erasures::Erasures;
use super::retention;
use crate::emission::followers::Followers;
use crate::engine::{Engine, EngineError};
use crate::fault::PartFault;
use crate::health::{ReportedParts, Reports};
use crate::metrics::Metrics;
use crate::occurrence::{CheckpointGivenUp, ListsKept};
use crate::run::Run;
use crate::stores::PlatformStores;

/// Ticks whose changes are kept for those who resume: some days at four idle ticks a second.
const KEPT_TICKS: u64 = 1_000_000;
/// The same while a sink has not taken them; a sink that stays away for longer restarts from scratch.
const KEPT_TICKS_FOR_SINKS: u64 = 20 * KEPT_TICKS;
/// The time that a backup waits for the checkpoint or the backup before it.
const BACKUP_PATIENCE: Duration = Duration::from_secs(20);

/// Held while measures get their history, and while a checkpoint is taken: no checkpoint has a part of a history.
pub(crate) type CheckpointTurn = Arc<Mutex<()>>;

/// The parts of the platform that checkpoints need.
pub(crate) struct CheckpointContext {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The followers, whose positions say which changes may be forgotten.
    pub followers: Arc<Followers>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// The signal that the run stops.
    pub stop: Stop,
}

/// Takes checkpoints, and forgets what no start needs after them.
pub(crate) struct CheckpointTaker {
    context: CheckpointContext,
    checkpointer: Checkpointer,
    changes: Arc<dyn ChangeLog>,
    erasures: Erasures,
    events: Arc<dyn EventLog>,
    archive: Option<Arc<Archive>>,
    turn: CheckpointTurn,
    /// Held while a backup is made. No checkpoint is taken meanwhile: one would prune older ones, and finish erasures.
    backing_up: Mutex<()>,
    /// Why the last checkpoint was given up, if it was.
    fault: PartFault,
}

impl CheckpointTaker {
    /// Checkpoints of an engine on these stores.
    pub(crate) fn new(
        context: CheckpointContext,
        stores: &PlatformStores,
        archive: Option<Arc<Archive>>,
    ) -> CheckpointTaker {
        let keeps_catalogue = archive.as_ref().is_some_and(|archive| archive.keeps_catalogue());
        CheckpointTaker {
            checkpointer: Checkpointer::new(stores, keeps_catalogue, context.metrics.clone()),
            changes: stores.changes.clone(),
            events: stores.events.clone(),
            archive: archive.clone(),
            erasures: Erasures::new(stores, archive, context.stop.clone()),
            turn: CheckpointTurn::default(),
            backing_up: Mutex::new(()),
            fault: PartFault::default(),
            context,
        }
    }

    /// The turn, which edits that bring new measures take.
    pub(crate) fn turn(&self) -> &CheckpointTurn {
        &self.turn
    }

    /// Starts to take checkpoints: the first one at once where `is_due`, as after a long replay. Otherwise a process that dies
    /// more often than it takes checkpoints would never take one, and each start would take longer.
    pub(crate) fn start(self: &Arc<Self>, interval: Duration, is_due: bool, run: &Run) -> Result<(), EngineError> {
        let checkpoints = self.clone();
        let job = Job::new("checkpointer", interval).complaint("No more checkpoints are taken");
        let job = if is_due { job } else { job.delayed() };
        let started = run.start(job, move |_| {
            let begun = Instant::now();
            checkpoints.take().map_err(Failure::Final)?;
            // The interval counts from the start of a checkpoint: a start replays no more than that.
            Ok::<Outcome, Failure<EngineError>>(Outcome::Rest(interval.saturating_sub(begun.elapsed())))
        });
        started.map(drop)
    }

    /// Takes a checkpoint now. A store's fault is told and passed over: the next one tries again.
    pub(crate) fn take(&self) -> Result<(), EngineError> {
        let Some(_no_backup) = self.backing_up.try_lock() else { return Ok(()) };
        // A store that is away keeps nothing else waiting.
        let number = self.checkpointer.next_number();
        // Positions only move forward: one that is read early forgets less.
        let reached = self.context.followers.least_reached();
        let _turn = self.turn.lock();
        let span = tracing::info_span!(target: SPANS, "checkpoint", number = ?number.as_ref().ok(), error = tracing::field::Empty);
        let _span = span.enter();
        let taken = number.and_then(|number| self.take_and_forget(number, reached));
        self.fault.set(taken.as_ref().err().map(EngineError::to_string));
        if let Err(error) = taken {
            if self.context.engine.failure().is_some() {
                return Err(error);
            }
            span.record("error", error.to_string());
            CheckpointGivenUp { error: &error }.emit(&self.context.metrics);
        }
        // An end does not wait for a catalogue that halts: a later checkpoint does it.
        if !self.context.stop.is_requested()
            && let Err(error) = self.erasures.forget_lists()
        {
            ListsKept { error: &error }.emit(&self.context.metrics);
        }
        Ok(())
    }

    /// Takes a checkpoint, and then does something during which no further one is taken. Waits for a checkpoint that is under way.
    pub(crate) fn back_up<T>(&self, work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
        self.take()?;
        let Some(_held) = self.backing_up.try_lock_for(BACKUP_PATIENCE) else {
            let detail = "another backup, or a checkpoint, is being made: repeat it a little later".to_owned();
            return Err(StoreError::Unavailable { action: "making a backup", detail }.into());
        };
        work()
    }

    fn take_and_forget(&self, number: u64, reached: Option<u64>) -> Result<(), EngineError> {
        let CheckpointContext { engine, stop, .. } = &self.context;
        let FinishedCheckpoint { erased, replay_from } = self.checkpointer.take(number, engine, stop)?;
        self.erasures.finish(erased, engine)?;
        self.forget_changes(reached)?;
        let Some(archive) = &self.archive else { return Ok(()) };
        Ok(retention::forget(&*self.events, archive.limits(), replay_from.min(archive.kept()))?)
    }

    /// Forgets changes that nobody can still want to resume from; `reached` is the least tick that every follower holds.
    fn forget_changes(&self, reached: Option<u64>) -> Result<(), EngineError> {
        let newest = self.changes.progress()?.map_or(0, |progress| progress.tick);
        let reached = reached.unwrap_or(newest);
        let least = newest.saturating_sub(KEPT_TICKS).min(reached);
        Ok(self.changes.forget(least.max(newest.saturating_sub(KEPT_TICKS_FOR_SINKS)))?)
    }
}

impl Reports for CheckpointTaker {
    fn report(&self, report: &mut ReportedParts) {
        // The stream goes on without checkpoints.
        report.notes("checkpoints", self.fault.get());
    }
}
