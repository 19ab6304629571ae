//! The running platform: wires the rooms together, starts them and stops them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use audience_background::clock;
use audience_background::{Failure, Job, Outcome};
use audience_catalogue::{Editor, SegmentUpdates, ship_traits};
use audience_contract::{EventLog, ProfileStore, SharedSink, Sink, SizeStore, StoreError};
pub use audience_emit::WebhookOptions;
use audience_protocol::Platform;
use audience_rules::placeholders::Placeholders;

use crate::cluster::coordinator::Coordinator;
use crate::durability::archive::Archive;
use crate::durability::backup::{self, BackupPlace, CopiedState};
use crate::durability::checkpoints::{CheckpointContext, CheckpointTaker};
use crate::durability::tiers::TieredLog;
use crate::durability::{Offsite, finish_time_back, restore_patiently};
use crate::emission::followers::{FollowerContext, Followers};
use crate::emission::past_sizes::put_past_sizes;
use crate::enforce::{EnforceContext, Enforcer};
use crate::engine::{Engine, EngineError, EngineFailure, EngineOptions, StartError};
use crate::health::Reports;
pub use crate::intake::ShareReader;
use crate::intake::acceptance::Intake;
use crate::intake::feed::FeedContext;
use crate::intake::shapes::{self, EventShapes};
use crate::intake::sources::Sources;
use crate::lifecycle::Phase;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::platform::Answering;
use crate::platform::figures::{FigureContext, Figures};
use crate::platform::operations::{Operations, ProcessClock};
use crate::resume::{ResumeContext, ResumedEngine};
use crate::rule_set::RuleSet;
use crate::run::{Fail, Run};
use crate::standby::Pairing;
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
    /// The history that is kept outside of the data directory.
    pub offsite: Option<Offsite>,
    /// The data directory that is paired with this one.
    pub pairing: Pairing,
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

impl Service {
    /// Starts: recovers, and goes on from there. Returns once everything that was accepted is served. An empty directory is
    /// restored from the history outside of it. A standby's start returns once it has taken over.
    pub fn start(stores: PlatformStores, options: &ServiceOptions) -> Result<Arc<Service>, EngineError> {
        let offsite = options.offsite.clone();
        if let Some(offsite) = &offsite {
            options.start.enter(StartPhase::Restore);
            restore_patiently(&stores, offsite, &options.start)?;
        }
        let stores = &with_old_events(stores, offsite.as_ref())?;
        finish_time_back(stores)?;
        let Pairing { shipping, standby } = &options.pairing;
        // A standby has what its primary has, and nothing else.
        if standby.is_none() {
            ship_traits(&*stores.catalogue)?;
        }
        let begun = Instant::now();
        let archive = offsite.map(|offsite| Arc::new(Archive::new(offsite, stores.events.clone())));
        let (run, metrics) = (Arc::new(Run::new()), Arc::new(Metrics::default()));
        let context = ResumeContext {
            stores,
            engine: options.engine,
            cluster: options.cluster.as_deref(),
            standby: standby.as_ref(),
            checkpoint_interval: options.checkpoint_interval,
            start: &options.start,
            run: &run,
            metrics: &metrics,
        };
        let resumed = context.resume()?;
        let shipping = shipping.clone();
        let shipping = shipping.map(|options| Arc::new(Shipping::new(options, stores, resumed.emission.emitted())));
        let service = Service::wire(stores, (archive, shipping), options, run, (resumed, metrics))?;
        options.start.enter(StartPhase::Edit);
        service.editor.wait_until_in_force(service.editor.read(|documents| documents.version), START_PATIENCE);
        // Whoever runs the service learns of a failure from the engine, and stops in order.
        if service.engine.failure().is_none() {
            options.start.enter(StartPhase::Ready);
            tracing::info!(events = stores.events.end(), took = ?begun.elapsed(), "ready");
        }
        Ok(service)
    }

    /// Gives every room its context, and starts its jobs.
    fn wire(
        stores: &PlatformStores,
        (archive, shipping): (Option<Arc<Archive>>, Option<Arc<Shipping>>),
        options: &ServiceOptions,
        run: Arc<Run>,
        (resumed, metrics): (ResumedEngine, Arc<Metrics>),
    ) -> Result<Arc<Service>, EngineError> {
        let ResumedEngine { engine, in_force, catalogue_version, emission, fault, went_back } = resumed;
        let events = || stores.events.clone();
        let editor = Arc::new(Editor::open(stores.catalogue.clone(), catalogue_version)?);
        went_back.into_iter().for_each(|how| editor.note_went_back(how));
        let context = FollowerContext { engine: &engine, editor: &editor, stores, metrics: &metrics, fault };
        let followers = Arc::new(Followers::new(emission, context, &run));
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
            sources: sources.clone(),
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
