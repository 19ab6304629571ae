//! The running platform: engine, stores and clock, put together.

pub mod archive;
pub mod changes;
pub mod checkpoint;
mod connectors;
mod erase;
mod feed;
mod followers;
mod lifecycle;
pub(crate) mod metrics;
mod past_sizes;
mod people;
mod platform;
mod pump;
pub(crate) mod recovery;
pub mod restore;
mod sink;
mod source_metrics;
pub mod start;
pub(crate) mod user;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use audience_background::clock;
use audience_background::{Failure, Job, Outcome, Runner};
use audience_catalogue::{Documents, Editor, ship_traits, unavailable};
use audience_contract::{
    CatalogueStore, ChangeLog, CheckpointStore, EventLog, MessageIndex, Notes, Progress, StoreError,
};
use audience_emit::Emitted;
pub use audience_emit::WebhookOptions;
use audience_protocol::{PlatformError, SPANS};
use parking_lot::Mutex;

use self::archive::{Archive, Offsite};
use self::checkpoint::Checkpointer;
use self::connectors::Connectors;
use self::erase::Erasures;
pub use self::feed::Reader;
use self::followers::{Followers, Resumed, Served};
use self::lifecycle::{Lifecycle, Phase};
use self::metrics::Metrics;
use self::people::People;
use self::pump::Pump;
use self::recovery::Found;
use self::sink::{Gathered, TickSink};
use self::start::{StartPhase, StartProgress};
use crate::advance::advance;
use crate::cluster::coordinator::{Coordinator, Peers};
use crate::cluster::protocol::Origin;
use crate::cluster::stores::AskedStores;
use crate::enforce::{EnforceContext, Enforcer};
use crate::engine::{Beginning, Engine, EngineError, EngineOptions, Head, StartError, Time};
use crate::lookup::Lookup;
use crate::rule_set::RuleSet;

/// How long a start waits for edits that were committed but not in force when the last run ended.
const START_PATIENCE: Duration = Duration::from_secs(600);
/// Ticks whose changes are kept for those who resume: some days at four idle ticks a second.
const KEPT_TICKS: u64 = 1_000_000;
/// The same where a sink has not taken them; one that stays away for longer is begun anew.
const KEPT_TICKS_FOR_SINKS: u64 = 20 * KEPT_TICKS;

/// The stores of a platform.
#[derive(Clone)]
pub struct PlatformStores {
    /// Accepted events.
    pub events: Arc<dyn EventLog>,
    /// Which message came first.
    pub messages: Arc<dyn MessageIndex>,
    /// Membership changes given out.
    pub changes: Arc<dyn ChangeLog>,
    /// Segments and traits.
    pub catalogue: Arc<dyn CatalogueStore>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// What is noted beside them: sizes of segments over time, webhooks.
    pub notes: Arc<dyn Notes>,
}

/// How the platform runs.
#[derive(Clone)]
pub struct ServiceOptions {
    /// The engine.
    pub engine: EngineOptions,
    /// Where other processes join, if there are any.
    pub cluster: Option<Arc<Coordinator>>,
    /// Between checkpoints.
    pub checkpoint_interval: Duration,
    /// The progress of the start, for those who wait for it.
    pub start: Arc<StartProgress>,
}

/// The running platform.
pub struct Service {
    stores: PlatformStores,
    engine: Arc<Engine>,
    editor: Arc<Editor>,
    lookup: Lookup,
    pump: Pump,
    metrics: Arc<Metrics>,
    checkpointer: Checkpointer,
    turn: Mutex<()>,
    erasures: Erasures,
    cluster: Option<Arc<Coordinator>>,
    connectors: Connectors,
    people: People,
    followers: Followers,
    archive: Option<Archive>,
    lifecycle: Arc<Lifecycle>,
    store_fault: Arc<Mutex<Option<String>>>,
    /// Why the last checkpoint was given up, for health.
    checkpoint_fault: Mutex<Option<String>>,
    jobs: Runner,
}

/// Tells how far a start is.
fn tell(begun: Instant, stage: &'static str) {
    tracing::info!(took = ?begun.elapsed(), "starting: {stage}");
}

impl Service {
    /// Starts: brings back what was, and goes on from there. Returns once everything that was accepted is served.
    pub fn start(stores: PlatformStores, options: ServiceOptions) -> Result<Arc<Service>, EngineError> {
        Service::start_with(stores, None, options)
    }

    /// Starts, and keeps a history outside of the data directory. One that is empty is made anew from what is there.
    pub fn start_with(
        stores: PlatformStores,
        offsite: Option<Offsite>,
        options: ServiceOptions,
    ) -> Result<Arc<Service>, EngineError> {
        if let Some(offsite) = &offsite {
            options.start.enter(StartPhase::Restore);
            restore::restore(&stores, offsite, &options.start)?;
        }
        ship_traits(&*stores.catalogue)?;
        let begun = Instant::now();
        let (service, in_force) = Service::bring_back(stores, offsite.map(Archive::new), &options)?;
        service.spawn(&options, in_force)?;
        options.start.enter(StartPhase::Edit);
        service.editor.wait_until_in_force(service.editor.read(|documents| documents.version), START_PATIENCE);
        options.start.enter(StartPhase::Ready);
        tracing::info!(events = service.stores.events.end(), took = ?begun.elapsed(), "ready");
        Ok(service)
    }

    /// What was accepted before, all of it done; and the rules in force.
    fn bring_back(
        stores: PlatformStores,
        archive: Option<Archive>,
        options: &ServiceOptions,
    ) -> Result<(Arc<Service>, RuleSet), EngineError> {
        let (begun, start) = (Instant::now(), &*options.start);
        start.enter(StartPhase::Load);
        let progress = stores.changes.progress()?;
        let given = progress.unwrap_or_default();
        let metrics = Arc::new(Metrics::default());
        let found = recovery::newest_good(&*stores.checkpoints, progress, &metrics);
        let checkpointer = Checkpointer::new(&stores, archive.as_ref(), metrics.clone());
        let (lifecycle, store_fault) = (Arc::new(Lifecycle::default()), Arc::new(Mutex::new(None)));
        let jobs = Runner::new(lifecycle.stop().clone());
        let emitted = Arc::new(Emitted::new(stores.changes.clone(), given));
        let sink = TickSink {
            emitted: emitted.clone(),
            metrics: metrics.clone(),
            lifecycle: lifecycle.clone(),
            store_fault: store_fault.clone(),
            last_commit: None,
            gathered: Gathered::default(),
        };
        // More than the pump has under way: a sink that is slow for a while stops no worker.
        let engine_options = EngineOptions { ticks_outward: pump::TICKS_UNDER_WAY + 16, ..options.engine };
        let peers = gather(options.cluster.as_deref(), engine_options, &stores, given, found.as_ref())?;
        let seed = recovery::seed(&stores, found.clone(), given);
        let beginning = beginning(given, found.as_ref(), lifecycle.clone());
        let engine = Engine::start(engine_options, peers, seed, changes::encode, sink.into_sink(), beginning)?;
        let engine = Arc::new(engine);
        tell(begun, "the state is loaded");
        start.enter(StartPhase::Replay);
        let then = Documents::at(&*stores.catalogue, given.catalogue_version)?;
        let in_force = recovery::catch_up(&engine, &*stores.events, given, found.as_ref(), &then.catalogue, start)?;
        tell(begun, "the state is that which was given out");
        let resumed = Resumed::at(&emitted, &engine, &stores)?;
        lifecycle.enter(Phase::CatchingUp);
        start.enter(StartPhase::CatchUp);
        go_on(&engine, &stores, given, start)?;
        lifecycle.enter(Phase::Live);
        let editor = Arc::new(Editor::open(stores.catalogue.clone(), given.catalogue_version)?);
        let served = Served { engine: engine.clone() };
        let service = Arc::new(Service {
            followers: Followers::new(emitted, resumed, &stores, (served, &editor), (&metrics, jobs.stop())),
            connectors: Connectors::default(),
            lookup: Lookup::new(&engine, &stores.events, &stores.catalogue, &editor),
            editor,
            stores,
            engine,
            pump: Pump::default(),
            metrics,
            checkpointer,
            turn: Mutex::new(()),
            erasures: Erasures::default(),
            cluster: options.cluster.clone(),
            people: People::default(),
            archive,
            jobs,
            lifecycle,
            store_fault,
            checkpoint_fault: Mutex::new(None),
        });
        Ok((service, in_force))
    }

    fn spawn(self: &Arc<Self>, options: &ServiceOptions, in_force: RuleSet) -> Result<(), EngineError> {
        let service = self.clone();
        self.thread("pump", move || service.pump.run(&service.engine))?;
        let service = self.clone();
        self.thread("editor", move || {
            let context = EnforceContext {
                engine: &service.engine,
                log: &*service.stores.events,
                turn: &service.turn,
                metrics: &service.metrics,
            };
            service.editor.reconcile(&mut Enforcer::new(context, in_force))
        })?;
        let service = self.clone();
        self.thread("catalogue", move || {
            service.editor.follow();
            Ok(())
        })?;
        self.keep_history()?;
        self.watch_people()?;
        self.followers.start(&self.jobs).map_err(StartError::thread)?;
        let (service, interval) = (self.clone(), options.checkpoint_interval);
        let job = Job::new("checkpointer", interval).delayed();
        let started = self.jobs.start(job.complaint("No more checkpoints are taken"), move |_| {
            let begun = Instant::now();
            service.checkpoint().map_err(Failure::Final)?;
            // The interval counts from the start of a checkpoint: a start replays no more than that.
            Ok::<Outcome, Failure<EngineError>>(Outcome::Rest(interval.saturating_sub(begun.elapsed())))
        });
        started.map(drop).map_err(|error| StartError::thread(error).into())
    }

    fn thread(
        self: &Arc<Self>,
        name: &str,
        run: impl FnOnce() -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let started = self.jobs.start_task(name, move |_| run());
        started.map(drop).map_err(|error| StartError::thread(error).into())
    }

    /// Forgets changes that nobody can still want to resume from; `reached` is the least tick that every follower holds.
    fn forget_changes(&self, reached: Option<u64>) -> Result<(), EngineError> {
        let newest = self.stores.changes.progress()?.map_or(0, |progress| progress.tick);
        let reached = reached.unwrap_or(newest);
        let least = newest.saturating_sub(KEPT_TICKS).min(reached);
        Ok(self.stores.changes.forget(least.max(newest.saturating_sub(KEPT_TICKS_FOR_SINKS)))?)
    }

    /// Takes a checkpoint now. A store's fault is told and passed over: the next one tries again.
    pub fn checkpoint(&self) -> Result<(), EngineError> {
        // A store that is away keeps nothing else waiting.
        let number = self.checkpointer.next_number();
        // Positions only move forward: one that is read early forgets less.
        let reached = self.followers.least_reached();
        let _turn = self.turn.lock();
        let span = tracing::info_span!(target: SPANS, "checkpoint", number = ?number.as_ref().ok(), error = tracing::field::Empty);
        let _span = span.enter();
        let taken = number.and_then(|number| self.checkpointer.take(number, &self.engine, self.lifecycle.stop()));
        let taken = taken.and_then(|erased| self.finish_erasures(erased)).and_then(|()| self.forget_changes(reached));
        *self.checkpoint_fault.lock() = taken.as_ref().err().map(EngineError::to_string);
        if let Err(error) = taken {
            if self.engine.done().failure.is_some() {
                return Err(error);
            }
            self.metrics.store_failed();
            self.metrics.checkpoint_failed();
            span.record("error", error.to_string());
            tracing::error!(%error, "the checkpoint was given up; the one before stays");
        }
        // An end does not wait for a catalogue that halts: a later checkpoint does it.
        if !self.is_ending()
            && let Err(error) = self.forget_lists()
        {
            self.metrics.store_failed();
            tracing::error!(%error, "lists that were replaced are not forgotten yet");
        }
        Ok(())
    }

    /// Whether the platform ends.
    pub fn is_ending(&self) -> bool {
        self.lifecycle.is_stopping()
    }

    /// Accepts records: durable when this returns. Gives their numbers.
    fn accept(&self, mut records: Vec<u8>) -> Result<Range<u64>, PlatformError> {
        if !self.pump.has_room() {
            return Err(PlatformError::Busy { retry_after_seconds: 1 });
        }
        if let Some(failure) = self.engine.done().failure {
            return Err(PlatformError::Unavailable(format!("the engine has stopped: {failure}")));
        }
        let appended = {
            let _span = tracing::info_span!(target: SPANS, "events.append", bytes = records.len()).entered();
            self.stores.events.append(&mut records)
        };
        *self.store_fault.lock() = appended.as_ref().err().map(StoreError::to_string);
        let range = appended.map_err(unavailable)?;
        self.pump.take(range.clone(), records);
        Ok(range)
    }

    /// How many workers there are, in all processes.
    pub fn workers(&self) -> usize {
        self.engine.workers()
    }

    fn is_ready(&self) -> bool {
        self.lifecycle.is_ready()
    }

    /// The process of the cluster that is to stop, if one is: the run is best ended in order.
    pub fn leaving(&self) -> Option<usize> {
        self.cluster.as_ref().and_then(|cluster| cluster.leaving())
    }

    /// Why the engine has stopped, if it has.
    pub fn failure(&self) -> Option<String> {
        self.engine.done().failure.map(|failure| failure.to_string())
    }

    fn store_fault(&self) -> Option<String> {
        self.store_fault.lock().clone()
    }

    /// Ends: what was accepted is done, a checkpoint is taken, and everything stops.
    pub fn stop(&self) {
        if !self.lifecycle.enter(Phase::Stopping) {
            return;
        }
        let begun = Instant::now();
        self.jobs.stop().request();
        self.pump.close();
        self.editor.close();
        self.jobs.wait_ended(None);
        if let Err(error) = self.checkpoint() {
            tracing::error!(%error, "no last checkpoint");
        }
        self.engine.stop();
        self.followers.sizes.note();
        // Everything is committed now, and sinks are yet to hold it.
        self.followers.sinks.finish();
        self.connectors.updates.finish(begun);
        self.followers.webhooks.finish();
    }
}

/// Waits for the other processes, if there are any; their workers begin with the same state.
fn gather(
    cluster: Option<&Coordinator>,
    engine: EngineOptions,
    stores: &PlatformStores,
    progress: Progress,
    found: Option<&Found>,
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
fn beginning(progress: Progress, found: Option<&Found>, lifecycle: Arc<Lifecycle>) -> Beginning {
    let sequence = found.map_or(0, |found| found.manifest.least.sequence);
    let time: Time = Box::new(move |clock| if lifecycle.is_clock_running() { clock.max(clock::now()) } else { clock });
    Beginning { head: Head::after(progress, sequence), first_number: progress.tick + 1, time }
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
