//! The running platform: wires the rooms together, starts them and stops them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use audience_background::clock;
use audience_background::{Failure, Job, Outcome};
use audience_catalogue::{Documents, Editor, SegmentUpdates, ship_traits};
use audience_contract::{EventLog, ProfileStore, Progress, SharedSink, Sink, SizeStore, StoreError};
use audience_emit::Emitted;
pub use audience_emit::WebhookOptions;
use audience_protocol::Platform;
use audience_rules::placeholders::Placeholders;

use crate::advance::advance;
use crate::cluster::coordinator::{Coordinator, Peers};
use crate::cluster::protocol::Origin;
use crate::cluster::stores::AskedStores;
use crate::durability::archive::Archive;
use crate::durability::backup::{self, BackupPlace, CopiedState};
use crate::durability::checkpoints::{CheckpointContext, CheckpointTaker};
use crate::durability::seed::{self, WholeCheckpoint};
use crate::durability::tiers::TieredLog;
use crate::durability::{Offsite, catalogue_in_force, finish_time_back, recovery, restore_patiently};
use crate::emission::commit::TickSink;
use crate::emission::encode;
use crate::emission::followers::{FollowerContext, Followers, Resumed};
use crate::emission::past_sizes::put_past_sizes;
use crate::enforce::{EnforceContext, Enforcer};
use crate::engine::{Beginning, Engine, EngineError, EngineFailure, EngineOptions, Head, StartError, Time};
use crate::fault::PartFault;
use crate::health::Reports;
pub use crate::intake::ShareReader;
use crate::intake::acceptance::Intake;
use crate::intake::feed::FeedContext;
use crate::intake::pump;
use crate::intake::shapes::{self, EventShapes};
use crate::intake::sources::Sources;
use crate::lifecycle::{Lifecycle, Phase};
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::platform::Answering;
use crate::platform::figures::{FigureContext, Figures};
use crate::platform::operations::{Operations, ProcessClock};
use crate::rule_set::RuleSet;
use crate::run::{Fail, Run};
use crate::standby::Pairing;
use crate::standby::apply::SilentEngine;
use crate::standby::follow::Standby;
use crate::standby::shipping::Shipping;
use crate::start::{StartPhase, StartProgress};
pub use crate::stores::PlatformStores;

/// How long a start waits for edits that were committed but not in force when the last run ended.
const START_PATIENCE: Duration = Duration::from_secs(600);

/// Settings of the platform.
#[derive(Clone)]
pub struct ServiceOptions {
    /// The engine.
    pub engine: EngineOptions,
    /// The place where other processes join, if there are any.
    pub cluster: Option<Arc<Coordinator>>,
    /// Between checkpoints.
    pub checkpoint_interval: Duration,
    /// The progress of the start, for those who wait for it.
    pub start: Arc<StartProgress>,
    /// Words that are no ids in events of sources.
    pub placeholders: Arc<Placeholders>,
}

/// How long a stop waits for stores of sizes and profiles.
const STORES_END: Duration = Duration::from_secs(4);

/// The running platform.
pub struct Service {
    run: Arc<Run>,
    engine: Arc<Engine>,
    editor: Arc<Editor>,
    intake: Arc<Intake>,
    sources: Arc<Sources>,
    followers: Arc<Followers>,
    checkpoints: Arc<CheckpointTaker>,
    /// The event log, with what stands in the history alone.
    events: Arc<dyn EventLog>,
    shipping: Option<Arc<Shipping>>,
    outside: PlatformDoors,
}

/// The doors of the platform: the APIs, and the other processes.
struct PlatformDoors {
    platform: Platform,
    cluster: Option<Arc<Coordinator>>,
}

/// An engine that has processed everything that was accepted.
struct Recovered {
    engine: Arc<Engine>,
    in_force: RuleSet,
    catalogue_version: u64,
    resumed: Resumed,
    /// The fault of the change log.
    fault: PartFault,
    /// How the catalogue went back while nothing ran, if it did.
    went_back: Option<String>,
}

impl Service {
    /// Starts: recovers, and goes on from there. Returns once everything that was accepted is served.
    pub fn start(stores: PlatformStores, options: ServiceOptions) -> Result<Arc<Service>, EngineError> {
        Service::start_with(stores, None, options)
    }

    /// Starts, and keeps a history outside of the data directory. An empty directory is restored from what is there.
    pub fn start_with(
        stores: PlatformStores,
        offsite: Option<Offsite>,
        options: ServiceOptions,
    ) -> Result<Arc<Service>, EngineError> {
        Service::start_paired(&stores, offsite, &options, &Pairing::default())
    }

    /// Starts on the stores of a data directory that is paired with another. As a standby it returns once it has taken over.
    pub fn start_paired(
        stores: &PlatformStores,
        offsite: Option<Offsite>,
        options: &ServiceOptions,
        pairing: &Pairing,
    ) -> Result<Arc<Service>, EngineError> {
        if let Some(offsite) = &offsite {
            options.start.enter(StartPhase::Restore);
            restore_patiently(stores, offsite, &options.start)?;
        }
        let stores = &with_old_events(stores.clone(), offsite.as_ref())?;
        finish_time_back(stores)?;
        // A standby has what its primary has, and nothing else.
        if pairing.standby.is_none() {
            ship_traits(&*stores.catalogue)?;
        }
        let begun = Instant::now();
        let archive = offsite.map(|offsite| Arc::new(Archive::new(offsite, stores.events.clone())));
        let (run, metrics) = (Arc::new(Run::new()), Arc::new(Metrics::default()));
        let recovered = recover(stores, options, &run, &metrics, pairing)?;
        let shipping = pairing.shipping.clone();
        let shipping = shipping.map(|options| Arc::new(Shipping::new(options, stores, recovered.resumed.emitted())));
        let service = Service::wire(stores, (archive, shipping), options, run, (recovered, metrics))?;
        options.start.enter(StartPhase::Edit);
        service.editor.wait_until_in_force(service.editor.read(|documents| documents.version), START_PATIENCE);
        options.start.enter(StartPhase::Ready);
        tracing::info!(events = stores.events.end(), took = ?begun.elapsed(), "ready");
        Ok(service)
    }

    /// Gives every room its context, and starts its jobs.
    fn wire(
        stores: &PlatformStores,
        (archive, shipping): (Option<Arc<Archive>>, Option<Arc<Shipping>>),
        options: &ServiceOptions,
        run: Arc<Run>,
        (recovered, metrics): (Recovered, Arc<Metrics>),
    ) -> Result<Arc<Service>, EngineError> {
        let Recovered { engine, in_force, catalogue_version, resumed, fault, went_back } = recovered;
        let events = || stores.events.clone();
        let editor = Arc::new(Editor::open(stores.catalogue.clone(), catalogue_version)?);
        went_back.into_iter().for_each(|how| editor.note_went_back(how));
        let context = FollowerContext { engine: &engine, editor: &editor, stores, metrics: &metrics, fault };
        let followers = Arc::new(Followers::new(resumed, context, &run));
        let traces = followers.traces().clone();
        let intake = Arc::new(Intake::new(engine.clone(), events(), traces, shipping.clone()));
        let lookup = Arc::new(Lookup::new(&engine, &stores.events, &stores.catalogue, &editor, &stores.notes));
        let sources = sources((&intake, &editor), &lookup, &metrics, options);
        let (stop, on) = (run.stop().clone(), engine.clone());
        let context = CheckpointContext { engine: on, followers: followers.clone(), metrics: metrics.clone(), stop };
        let checkpoints = Arc::new(CheckpointTaker::new(context, stores, archive.clone()));
        let shapes = Arc::new(EventShapes::new(engine.clone(), events()));
        let figures = figures(&engine, &editor, stores, &metrics);

        let mut rooms: Vec<Arc<dyn Reports>> = vec![
            engine.clone(),
            editor.clone(),
            intake.clone(),
            sources.clone(),
            followers.clone(),
            checkpoints.clone(),
            Arc::new(ProcessClock),
        ];
        rooms.extend(archive.clone().map(|archive| archive as Arc<dyn Reports>));
        rooms.extend(shipping.clone().map(|shipping| shipping as Arc<dyn Reports>));
        let lifecycle = run.lifecycle().clone();
        let operations = Operations::new(lifecycle, rooms, figures.clone(), followers.clone(), shipping.clone());
        let answering = Answering {
            engine: engine.clone(),
            editor: editor.clone(),
            intake: intake.clone(),
            followers: followers.clone(),
            lookup,
            shapes: shapes.clone(),
            stop: run.stop().clone(),
        };
        let outside = PlatformDoors { platform: answering.platform(operations), cluster: options.cluster.clone() };
        let service = Service {
            run,
            engine,
            editor,
            intake,
            sources,
            followers,
            checkpoints,
            events: events(),
            shipping,
            outside,
        };
        service.start_vital_jobs(stores, in_force, &metrics)?;
        if let Some(archive) = archive {
            archive.start(metrics, &service.run)?;
        }
        service.watch_events(shapes, figures)?;
        service.followers.start(&service.run)?;
        service.checkpoints.start(options.checkpoint_interval, options.start.was_long(), &service.run)?;
        Ok(Arc::new(service))
    }

    /// Starts the jobs without which nothing goes on, and the one that follows the catalogue.
    fn start_vital_jobs(
        &self,
        stores: &PlatformStores,
        in_force: RuleSet,
        metrics: &Arc<Metrics>,
    ) -> Result<(), EngineError> {
        let fail = || -> Fail {
            let engine = self.engine.clone();
            Box::new(move |failure| engine.fail(failure))
        };
        let intake = self.intake.clone();
        self.run.start_vital("pump", fail(), move || intake.run())?;
        let (engine, turn) = (self.engine.clone(), self.checkpoints.turn().clone());
        let (log, notes, metrics) = (stores.events.clone(), stores.notes.clone(), metrics.clone());
        let context = EnforceContext { engine, log, notes, turn, metrics };
        let editor = self.editor.clone();
        self.run.start_vital("editor", fail(), move || editor.reconcile(&mut Enforcer::new(context, in_force)))?;
        if let Some(shipping) = self.shipping.clone() {
            self.run.start_task("standby", move |stop| {
                shipping.tend(stop);
                Ok::<(), Infallible>(())
            })?;
        }
        let editor = self.editor.clone();
        self.run.start_task("catalogue", move |_| {
            editor.follow();
            Ok::<(), Infallible>(())
        })
    }

    /// Starts the job that looks at accepted events, about once a second.
    fn watch_events(&self, shapes: Arc<EventShapes>, figures: Arc<Figures>) -> Result<(), EngineError> {
        let job = Job::new("people", shapes::LOOK).complaint("Events were not looked at for their shape");
        let started = self.run.start(job, move |pass| {
            figures.take_rates();
            shapes.look(pass.stop)?;
            figures.note_hidden_traits(&shapes);
            Ok::<_, Failure<StoreError>>(Outcome::Idle)
        });
        started.map(drop)
    }

    /// The platform as the APIs see it.
    pub fn platform(&self) -> &Platform {
        &self.outside.platform
    }

    /// Takes events from a source. Each of the readers reads its share of the partitions, on a thread of its own. Messages
    /// that are no events go to the dead letters.
    pub fn take_from(&self, readers: Vec<ShareReader>) -> Result<(), EngineError> {
        self.sources.add(readers, &self.run)
    }

    /// Emits membership changes to a sink, from its position.
    pub fn emit_to(&self, sink: Box<dyn Sink>) -> Result<(), EngineError> {
        self.followers.add_sink(sink).map_err(EngineError::thread)
    }

    /// Emits membership changes to a sink that several writers write side by side, each from its position.
    pub fn emit_to_shared(&self, sink: Box<dyn SharedSink>) -> Result<(), EngineError> {
        self.followers.add_shared_sink(sink).map_err(EngineError::thread)
    }

    /// Writes sizes of segments over time to a store: those that it does not hold, and then each minute that ends.
    pub fn write_sizes_to(&self, store: Box<dyn SizeStore>) -> Result<(), EngineError> {
        self.followers.write_sizes_to(store, &self.run).map_err(EngineError::thread)
    }

    /// Writes profiles of users to a store. Those that change by time alone are written again after `refresh`.
    pub fn write_profiles_to(&self, store: Box<dyn ProfileStore>, refresh: Duration) -> Result<(), EngineError> {
        self.followers.write_profiles_to(store, refresh, &self.run)
    }

    /// Starts to post to the webhooks that are stored, and takes new ones.
    pub fn post_webhooks(&self, options: WebhookOptions) -> Result<(), EngineError> {
        self.followers.post_webhooks(options)
    }

    /// Sends changes of segments, whoever makes them.
    pub fn send_updates(&self, receiver: Arc<dyn SegmentUpdates>) -> Result<(), EngineError> {
        self.followers.send_updates(receiver, &self.editor).map_err(EngineError::thread)
    }

    /// Looks for changes of the catalogue now: another process says that there is one.
    pub fn look_at_catalogue(&self) {
        self.editor.look();
    }

    /// Replaces the sizes that are counted by sizes over the past: those that there would have been if the segments had
    /// been there as they are now since before the first event. `events` are all that was accepted, in the order of their
    /// timestamps, each as if it had been accepted then.
    pub fn put_past_sizes(&self, events: &[u8]) -> Result<(), EngineError> {
        let catalogue = self.editor.read(|documents| documents.catalogue.clone());
        put_past_sizes(&self.followers, catalogue, events, self.run.stop())
    }

    /// Takes a checkpoint now. A store's fault is told and passed over: the next one tries again.
    pub fn checkpoint(&self) -> Result<(), EngineError> {
        self.checkpoints.take()
    }

    /// Copies events and a checkpoint of these stores, which are the platform's, to an empty place, while everything goes on.
    /// Takes a checkpoint before; further ones wait until the backup is made.
    pub fn back_up(&self, stores: &PlatformStores, to: &BackupPlace) -> Result<CopiedState, EngineError> {
        let stores = PlatformStores { events: self.events.clone(), ..stores.clone() };
        self.checkpoints.back_up(|| backup::copy(&stores, to, self.run.stop()))
    }

    /// Returns whether the platform stops.
    pub fn is_ending(&self) -> bool {
        self.run.stop().is_requested()
    }

    /// The number of workers in all processes.
    pub fn workers(&self) -> usize {
        self.engine.workers()
    }

    /// The process of the cluster that is to stop, if one is: the run is best ended in order.
    pub fn leaving(&self) -> Option<usize> {
        self.outside.cluster.as_ref().and_then(|cluster| cluster.leaving())
    }

    /// The failure after which nothing more is computed, if there is one.
    pub fn failure(&self) -> Option<String> {
        self.engine.failure().map(|failure| failure.to_string())
    }

    /// Ends the engine: another process may accept and give out.
    pub fn fence(&self, why: &str) {
        self.followers.emitted.hold_back();
        self.engine.fail(EngineFailure::Fenced(why.to_owned()));
    }

    /// Stops: everything that was accepted is processed, a checkpoint is taken, and the followers hold everything.
    pub fn stop(&self) {
        if !self.run.enter(Phase::Stopping) {
            return;
        }
        let begun = Instant::now();
        self.intake.close();
        self.editor.close();
        // A store of profiles that does not answer gets what it lacks after the next start.
        let is_store = |job: &str| self.followers.sinks().has_store_job(job);
        self.run.jobs().wait_ended_each(|job| is_store(job).then_some(begun + STORES_END));
        if let Err(error) = self.checkpoint() {
            tracing::error!(%error, "no last checkpoint");
        }
        self.engine.stop();
        // Everything is committed now, and sinks are yet to hold it.
        self.followers.finish(begun);
    }
}

/// The sources, which feed the intake.
fn sources(
    (intake, editor): (&Arc<Intake>, &Arc<Editor>),
    lookup: &Lookup,
    metrics: &Metrics,
    options: &ServiceOptions,
) -> Arc<Sources> {
    Arc::new(Sources::new(FeedContext {
        intake: intake.clone(),
        refusals: lookup.refusals.clone(),
        metrics: metrics.sources.clone(),
        placeholders: options.placeholders.clone(),
        editor: editor.clone(),
    }))
}

fn figures(
    engine: &Arc<Engine>,
    editor: &Arc<Editor>,
    stores: &PlatformStores,
    metrics: &Arc<Metrics>,
) -> Arc<Figures> {
    let (engine, editor) = (engine.clone(), editor.clone());
    Arc::new(Figures::new(FigureContext { engine, editor, events: stores.events.clone(), metrics: metrics.clone() }))
}

/// The stores, with the events that stand in the history alone.
fn with_old_events(stores: PlatformStores, offsite: Option<&Offsite>) -> Result<PlatformStores, EngineError> {
    let (log, floor) = (stores.events.clone(), stores.events.floor());
    match offsite {
        Some(offsite) => Ok(PlatformStores { events: Arc::new(TieredLog::new(log, offsite.history.clone())), ..stores }),
        None if floor == 0 => Ok(stores),
        None => Err(StartError::Restore(format!(
            "the {floor} oldest events stand in the history outside alone; start with the URL of checkpoints that the data \
             directory had before"
        ))
        .into()),
    }
}

/// Tells how far a start is.
fn tell(begun: Instant, stage: &'static str) {
    tracing::info!(took = ?begun.elapsed(), "starting: {stage}");
}

/// Starts an engine, and brings it to where everything that was accepted is processed.
fn recover(
    stores: &PlatformStores,
    options: &ServiceOptions,
    run: &Run,
    metrics: &Arc<Metrics>,
    pairing: &Pairing,
) -> Result<Recovered, EngineError> {
    let (begun, start) = (Instant::now(), &*options.start);
    let standby = pairing.standby.as_ref().map(|options| Standby::fill(options, stores, start)).transpose()?;
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
    let engine_options = EngineOptions { ticks_outward: pump::TICKS_UNDER_WAY + 16, ..options.engine };
    let peers = gather(options.cluster.as_deref(), engine_options, stores, given, found.as_ref())?;
    let seed = seed::seed(stores, found.clone(), given);
    let beginning = beginning(given, found.as_ref(), lifecycle);
    let engine = Arc::new(Engine::start(engine_options, peers, seed, encode, sink.into_sink(), beginning)?);
    tell(begun, "the state is loaded");
    start.enter(StartPhase::Replay);
    let then = Documents::at(&*stores.catalogue, given.catalogue_version)?;
    catalogue_in_force::note(&*stores.notes, &then)?;
    let in_force = recovery::catch_up(&engine, &*stores.events, given, found.as_ref(), &then.catalogue, start)?;
    tell(begun, "the state is that which was given out");
    let silent = SilentEngine { engine: &engine, stores, at: given, metrics, interval: options.checkpoint_interval };
    let (given, in_force) = silent.take_over(standby, in_force, &emitted, start)?;
    let resumed = Resumed::at(emitted, &engine, stores)?;
    run.enter(Phase::CatchingUp);
    start.enter(StartPhase::CatchUp);
    go_on(&engine, stores, given, start)?;
    run.enter(Phase::Live);
    let went_back = taken_as_new.map(|taken| taken.how);
    Ok(Recovered { engine, in_force, catalogue_version: given.catalogue_version, resumed, fault, went_back })
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
