//! The standby's engine takes what was kept, in silence: the state of each progress, as a start would make it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_catalogue::{Documents, Enforcement};
use audience_contract::Progress;
use audience_emit::Emitted;
use parking_lot::{Condvar, Mutex};

use super::follow::Standby;
use super::keep::note_primary;
use crate::advance::advance;
use crate::durability::recovery;
use crate::durability::silent::SilentCheckpoints;
use crate::enforce::{EnforceContext, Enforcer};
use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::rule_set::RuleSet;
use crate::start::{StartPhase, StartProgress};
use crate::stores::PlatformStores;

/// The progress that the engine is to come to.
#[derive(Default)]
struct NextProgress {
    progress: Mutex<(Progress, bool)>,
    moved: Condvar,
}

/// An engine that follows what its stores are given.
pub(crate) struct SilentEngine<'a> {
    /// The engine, at `at`, under these rules.
    pub engine: &'a Arc<Engine>,
    /// Its stores.
    pub stores: &'a PlatformStores,
    /// Its progress.
    pub at: Progress,
    /// Figures.
    pub metrics: &'a Arc<Metrics>,
    /// Between checkpoints.
    pub interval: Duration,
}

impl SilentEngine<'_> {
    /// Applies each progress that `follow` says, until it ends; gives the last, and the rules in force then.
    fn run(
        &self,
        in_force: RuleSet,
        follow: impl FnOnce(&dyn Fn(Progress)) -> Result<(), EngineError>,
    ) -> Result<(Progress, RuleSet), EngineError> {
        let (target, stop) = (NextProgress::default(), Stop::new());
        target.progress.lock().0 = self.at;
        let checkpoints = SilentCheckpoints::new(self.stores, self.metrics.clone(), stop.clone());
        std::thread::scope(|scope| {
            let applier = scope.spawn(|| {
                let applied = self.apply_all(in_force, &target, &checkpoints);
                applied.inspect_err(|error| self.engine.fail(error.clone().into()))
            });
            scope.spawn(|| self.take_checkpoints(&checkpoints, &stop));
            let followed = follow(&|progress| {
                target.progress.lock().0 = progress;
                target.moved.notify_all();
            });
            target.progress.lock().1 = true;
            target.moved.notify_all();
            stop.request();
            let died = || EngineError::thread(std::io::Error::other("the thread of the standby has died"));
            let applied = applier.join().unwrap_or_else(|_| Err(died()));
            followed.and(applied)
        })
    }

    /// Follows the primary, if there is one, until this process takes over; gives the progress and the rules then.
    pub(crate) fn take_over(
        &self,
        standby: Option<Standby<'_>>,
        in_force: RuleSet,
        emitted: &Emitted,
        start: &StartProgress,
    ) -> Result<(Progress, RuleSet), EngineError> {
        let Some(mut standby) = standby else { return Ok((self.at, in_force)) };
        start.enter(StartPhase::Standby);
        let (given, in_force) = self.run(in_force, |on_progress| standby.follow(self.engine, on_progress))?;
        emitted.go_on_after(given);
        self.engine.number_from(given.tick + 1);
        note_primary(&*self.stores.notes)?;
        Ok((given, in_force))
    }

    fn apply_all(
        &self,
        in_force: RuleSet,
        target: &NextProgress,
        checkpoints: &SilentCheckpoints,
    ) -> Result<(Progress, RuleSet), EngineError> {
        let context = EnforceContext {
            engine: self.engine.clone(),
            log: self.stores.events.clone(),
            notes: self.stores.notes.clone(),
            turn: checkpoints.turn().clone(),
            metrics: self.metrics.clone(),
        };
        let (mut enforcer, mut at) = (Enforcer::new(context, in_force), self.at);
        loop {
            let (to, is_last) = {
                let mut progress = target.progress.lock();
                while progress.0 == at && !progress.1 {
                    target.moved.wait(&mut progress);
                }
                *progress
            };
            if to != at {
                self.apply(at, to, &mut enforcer)?;
                at = to;
            } else if is_last {
                return Ok((at, enforcer.into_in_force()));
            }
        }
    }

    /// Brings the engine from one progress to a later one: the events, the clock, and then the rules.
    fn apply(&self, from: Progress, to: Progress, enforcer: &mut Enforcer) -> Result<(), EngineError> {
        recovery::replay(self.engine, &*self.stores.events, from.sequence..to.sequence, &StartProgress::default())?;
        advance(self.engine, to.clock)?;
        if to.catalogue_version != from.catalogue_version {
            enforcer.enforce(&Documents::at(&*self.stores.catalogue, to.catalogue_version)?)?;
        }
        Ok(())
    }

    fn take_checkpoints(&self, checkpoints: &SilentCheckpoints, stop: &Stop) {
        let mut begun = Instant::now();
        while !stop.wait(self.interval.saturating_sub(begun.elapsed())) {
            begun = Instant::now();
            checkpoints.take(self.engine);
        }
    }
}
