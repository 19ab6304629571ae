//! A start up to the live engine: it has processed everything that was accepted, and gives out its changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::clock;
use audience_catalogue::Documents;
use audience_contract::Progress;
use audience_emit::Emitted;

use crate::advance::advance;
use crate::cluster::coordinator::{Coordinator, Peers};
use crate::cluster::protocol::Origin;
use crate::cluster::stores::AskedStores;
use crate::durability::seed::{self, WholeCheckpoint};
use crate::durability::{catalogue_in_force, recovery};
use crate::emission::commit::TickSink;
use crate::emission::encode;
use crate::emission::followers::Resumed;
use crate::engine::{Beginning, Engine, EngineError, EngineOptions, Head, Time};
use crate::fault::PartFault;
use crate::intake::pump;
use crate::lifecycle::{Lifecycle, Phase};
use crate::metrics::Metrics;
use crate::rule_set::RuleSet;
use crate::run::Run;
use crate::standby::StandbyOptions;
use crate::standby::apply::SilentEngine;
use crate::standby::follow::Standby;
use crate::start::{StartPhase, StartProgress};
use crate::stores::PlatformStores;

/// The parts that a resumption needs.
pub(crate) struct ResumeContext<'a> {
    /// The stores, with the events that stand in the history alone.
    pub stores: &'a PlatformStores,
    /// The engine's options.
    pub engine: EngineOptions,
    /// The place where other processes join, if there are any.
    pub cluster: Option<&'a Coordinator>,
    /// The primary that is followed before anything is given out.
    pub standby: Option<&'a StandbyOptions>,
    /// Between checkpoints of a standby.
    pub checkpoint_interval: Duration,
    /// The progress of the start.
    pub start: &'a StartProgress,
    /// The phase of the run.
    pub run: &'a Run,
    /// Figures.
    pub metrics: &'a Arc<Metrics>,
}

/// An engine that has processed everything that was accepted.
pub(crate) struct ResumedEngine {
    /// The engine, live.
    pub engine: Arc<Engine>,
    /// The rules in force.
    pub in_force: RuleSet,
    /// The version of the catalogue that they are of.
    pub catalogue_version: u64,
    /// The changes that were given out, for their followers.
    pub emission: Resumed,
    /// The fault of the change log.
    pub fault: PartFault,
    /// The way in which the catalogue went back while nothing ran, if it did.
    pub went_back: Option<String>,
}

impl ResumeContext<'_> {
    /// Starts an engine, and brings it to where everything that was accepted is processed.
    pub(crate) fn resume(&self) -> Result<ResumedEngine, EngineError> {
        let ResumeContext { stores, start, run, metrics, .. } = *self;
        let begun = Instant::now();
        let standby = self.standby.map(|options| Standby::fill(options, stores, start)).transpose()?;
        start.enter(StartPhase::Load);
        let progress = stores.changes.progress()?;
        let (catalogue, notes) = (&*stores.catalogue, &*stores.notes);
        let mut given = progress.unwrap_or_default();
        let taken_as_new = catalogue_in_force::check(catalogue, notes, &*stores.changes, given)?;
        given.catalogue_version = taken_as_new.as_ref().map_or(given.catalogue_version, |taken| taken.version);
        let found = recovery::newest_good(&*stores.checkpoints, progress, metrics);
        let (emitted, fault) = (Arc::new(Emitted::new(stores.changes.clone(), given)), PartFault::default());
        let lifecycle = run.lifecycle();
        let sink = TickSink::new(emitted.clone(), metrics.clone(), lifecycle.clone(), fault.clone());
        // More than the pump has under way: a sink that is slow for a while stops no worker.
        let engine_options = EngineOptions { ticks_outward: pump::TICKS_UNDER_WAY + 16, ..self.engine };
        let peers = gather(self.cluster, engine_options, stores, given, found.as_ref())?;
        let seed = seed::seed(stores, found.clone(), given);
        let beginning = beginning(given, found.as_ref(), lifecycle);
        let engine = Arc::new(Engine::start(engine_options, peers, seed, encode, sink.into_sink(), beginning)?);
        tell(begun, "the state is loaded");
        start.enter(StartPhase::Replay);
        let then = Documents::at(&*stores.catalogue, given.catalogue_version)?;
        catalogue_in_force::note(&*stores.notes, &then)?;
        let in_force = recovery::catch_up(&engine, &*stores.events, given, found.as_ref(), &then.catalogue, start)?;
        tell(begun, "the state is that which was given out");
        let silent = SilentEngine { engine: &engine, stores, at: given, metrics, interval: self.checkpoint_interval };
        let (given, in_force) = silent.take_over(standby, in_force, &emitted, start)?;
        let emission = Resumed::at(emitted, &engine, stores)?;
        run.enter(Phase::CatchingUp);
        start.enter(StartPhase::CatchUp);
        go_on(&engine, stores, given, start)?;
        run.enter(Phase::Live);
        let went_back = taken_as_new.map(|taken| taken.how);
        Ok(ResumedEngine { engine, in_force, catalogue_version: given.catalogue_version, emission, fault, went_back })
    }
}

/// Tells how far a start is.
fn tell(begun: Instant, stage: &'static str) {
    tracing::info!(took = ?begun.elapsed(), "starting: {stage}");
}

/// Waits for the other processes, if there are any; their workers begin with the same state.
fn gather(
    cluster: Option<&Coordinator>,
    engine: EngineOptions,
    stores: &PlatformStores,
    progress: Progress,
    found: Option<&WholeCheckpoint>,
) -> Result<Option<Peers>, EngineError> {
    let Some(cluster) = cluster else { return Ok(None) };
    let checkpoint = found.map(|found| (found.number, found.manifest.clone()));
    let asked = AskedStores {
        events: stores.events.clone(),
        messages: stores.messages.clone(),
        checkpoints: Some(stores.checkpoints.clone()),
    };
    cluster.gather(engine, Origin { progress: Some(progress), checkpoint }, asked).map(Some)
}

/// The beginning of the engine: after the last progress, with the events since the checkpoint still to be replayed.
fn beginning(progress: Progress, found: Option<&WholeCheckpoint>, lifecycle: &Arc<Lifecycle>) -> Beginning {
    let sequence = found.map_or(0, |found| found.manifest.least.sequence);
    let of_run = lifecycle.clone();
    let time: Time = Box::new(move |clock| if of_run.is_clock_running() { clock.max(clock::now()) } else { clock });
    let failed = lifecycle.failed().clone();
    Beginning { head: Head::after(progress, sequence), first_number: progress.tick + 1, time, failed }
}

/// Processes what was accepted after the last progress, and moves the clock to now.
fn go_on(
    engine: &Arc<Engine>,
    stores: &PlatformStores,
    given: Progress,
    start: &StartProgress,
) -> Result<(), EngineError> {
    let end = stores.events.end();
    // What is accepted from now on comes behind all that was, in time as well.
    clock::go_on_from(recovery::newest_acceptance(&*stores.events, end)?.unwrap_or(given.clock).max(given.clock));
    recovery::replay(engine, &*stores.events, given.sequence..end, start)?;
    advance(engine, clock::now())
}
