//! The followers of the change log, and the engine and the catalogue as followers ask them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_catalogue::{Editor, SegmentUpdates, UpdateSender};
use audience_contract::{Notes, ProfileStore, SharedSink, Sink, SizeStore};
use audience_emit::catalogue::{AuditLog, Segments, TraitDefinitions};
use audience_emit::memberships::{EngineStopped, Memberships, WorkerMemberships};
use audience_emit::users::{Identities, UserIdSince, UserPosition, Users};
use audience_emit::{
    Emitted, Live, ProfileContext, Runs, SinkMetrics, Sinks, SizeCounts, Sizes, SizesContext, Upstream, WebhookContext,
    WebhookOptions, Webhooks, WebhooksError, change_log_name,
};
use audience_kernel::aliases::Aliases;
use audience_protocol::{PlatformError, Webhook};
use audience_rules::catalogue::ComputedTrait;
use audience_trace::TickTraces;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::engine::{Engine, EngineError, StartError};
use crate::fault::PartFault;
use crate::health::{ReportedParts, Reports};
use crate::metrics::Metrics;
use crate::run::Run;
use crate::stores::PlatformStores;

/// The followers of the change log, each in its room.
pub(crate) struct Followers {
    /// The change log as followers read it.
    pub emitted: Arc<Emitted>,
    /// Sizes of segments over time.
    pub sizes: Arc<Sizes>,
    /// Webhooks.
    pub webhooks: Arc<Webhooks>,
    /// Subscribers of the live API.
    pub live: Arc<Live>,
    receivers: Receivers,
    /// The fault of the change log, if the newest commit failed.
    fault: PartFault,
}

/// The connectors that receive changes.
struct Receivers {
    sinks: Sinks,
    profiles: Arc<ProfileContext>,
    /// Sends changes of segments.
    updates: UpdateSender,
    /// The notes that name the change log.
    notes: Arc<dyn Notes>,
    metrics: SinkMetrics,
}

/// The state that followers go on from: that of the last progress, which the start has just come to.
pub(crate) struct Resumed {
    emitted: Arc<Emitted>,
    runs: Runs,
    sizes: SizeCounts,
}

impl Resumed {
    /// The change log that followers go on with.
    pub(crate) fn emitted(&self) -> Arc<Emitted> {
        self.emitted.clone()
    }

    /// Begins a run after the last commit; the engine's state is exactly that.
    pub(crate) fn at(emitted: Arc<Emitted>, engine: &Engine, stores: &PlatformStores) -> Result<Resumed, EngineError> {
        let sizes: HashMap<Arc<str>, u64> = engine.sizes().iter().map(|(id, size)| (id.clone(), *size)).collect();
        let sizes = SizeCounts::go_on(&emitted, &*stores.notes, sizes)?;
        let runs = Runs::begin(&*stores.notes, emitted.newest().tick, emitted.floor()?)?;
        Ok(Resumed { emitted, runs, sizes })
    }
}

/// The parts of the platform that followers ask.
pub(crate) struct FollowerContext<'a> {
    /// The engine.
    pub engine: &'a Arc<Engine>,
    /// The catalogue.
    pub editor: &'a Arc<Editor>,
    /// The stores.
    pub stores: &'a PlatformStores,
    /// Figures of followers.
    pub metrics: &'a Metrics,
    /// The fault of the change log.
    pub fault: PartFault,
}

impl Followers {
    /// Followers that are yet to be started, and end with the run.
    pub(crate) fn new(resumed: Resumed, context: FollowerContext<'_>, run: &Run) -> Followers {
        let Resumed { emitted, runs, sizes } = resumed;
        let FollowerContext { engine, editor, stores, metrics, fault } = context;
        let catalogue = Arc::new(Followed(editor.clone()));
        let served = Arc::new(FollowedEngine(engine.clone()));
        let (emitted, notes, segments) = (|| emitted.clone(), || stores.notes.clone(), || catalogue.clone());
        let sinks = Sinks::new(Upstream {
            emitted: emitted(),
            runs,
            memberships: served.clone(),
            users: served.clone(),
            segments: segments(),
            metrics: metrics.sinks.clone(),
        });
        let store_errors = metrics.store_errors();
        let context = SizesContext { emitted: emitted(), notes: notes(), segments: segments(), store_errors };
        let sizes = Arc::new(Sizes::new(context, sizes));
        let live = Arc::new(Live::new(emitted()));
        let context = WebhookContext {
            emitted: emitted(),
            live: live.clone(),
            notes: notes(),
            segments: segments(),
            audit: catalogue.clone(),
        };
        let webhooks = Arc::new(Webhooks::new(context, run.stop().clone()));
        let (events, users) = (stores.events.clone(), served);
        let profiles = ProfileContext { emitted: emitted(), events, users, traits: segments() };
        let (profiles, metrics) = (Arc::new(profiles), metrics.sinks.clone());
        let receivers = Receivers { sinks, profiles, updates: UpdateSender::default(), notes: notes(), metrics };
        Followers { emitted: emitted(), sizes, webhooks, live, receivers, fault }
    }

    /// The spans of ticks, from which those of sinks and webhooks go on.
    pub(crate) fn traces(&self) -> &Arc<TickTraces> {
        self.emitted.traces()
    }

    /// Starts the followers that every run has.
    pub(crate) fn start(&self, run: &Run) -> Result<(), EngineError> {
        let (live, sizes) = (self.live.clone(), self.sizes.clone());
        run.start_task("live", move |stop| {
            live.run(stop);
            Ok::<(), Infallible>(())
        })?;
        run.start_task("sizes", move |stop| {
            sizes.run(stop);
            Ok::<(), Infallible>(())
        })
    }

    /// Emits changes to a sink, from its position.
    pub(crate) fn add_sink(&self, sink: Box<dyn Sink>) -> io::Result<()> {
        self.receivers.sinks.add(sink)
    }

    /// Emits changes to a sink that several writers write side by side, each from its position.
    pub(crate) fn add_shared_sink(&self, sink: Box<dyn SharedSink>) -> io::Result<()> {
        self.receivers.sinks.add_shared(sink)
    }

    /// Writes sizes of segments over time to a store: those that it does not hold, and then each minute that ends.
    pub(crate) fn write_sizes_to(&self, store: Box<dyn SizeStore>, run: &Run) -> io::Result<()> {
        let Receivers { sinks, metrics, .. } = &self.receivers;
        let name = store.name().to_owned();
        let job = self.sizes.write_to(store, metrics.clone(), run.jobs())?;
        sinks.add_store(name, job);
        Ok(())
    }

    /// Writes profiles of users to a store. Those that change by time alone are written again after `refresh`.
    pub(crate) fn write_profiles_to(
        &self,
        store: Box<dyn ProfileStore>,
        refresh: Duration,
        run: &Run,
    ) -> Result<(), EngineError> {
        let Receivers { sinks, profiles, notes, metrics, .. } = &self.receivers;
        let (name, log) = (store.name().to_owned(), change_log_name(&**notes)?);
        let job = profiles.write_to(store, (log, refresh), metrics.clone(), run.jobs()).map_err(EngineError::thread)?;
        sinks.add_store(name, job);
        Ok(())
    }

    /// Starts to post to the webhooks that are stored, and takes new ones.
    pub(crate) fn post_webhooks(&self, options: WebhookOptions) -> Result<(), EngineError> {
        self.webhooks.start(options).map_err(|error| match error {
            WebhooksError::Store(error) => error.into(),
            WebhooksError::Thread(error) => EngineError::thread(error),
            WebhooksError::Started => StartError::Twice("webhooks are posted already").into(),
        })
    }

    /// Sends changes of segments, whoever makes them.
    pub(crate) fn send_updates(&self, receiver: Arc<dyn SegmentUpdates>, editor: &Arc<Editor>) -> io::Result<()> {
        self.receivers.updates.start(receiver, editor.clone())
    }

    /// The sinks, for those who look after them.
    pub(crate) fn sinks(&self) -> &Sinks {
        &self.receivers.sinks
    }

    /// Returns the least tick up to which every sink and webhook has everything; none if there are none.
    pub(crate) fn least_reached(&self) -> Option<u64> {
        self.receivers.sinks.least_reached().into_iter().chain(self.webhooks.least_reached()).min()
    }

    /// Waits until the followers hold everything, which is committed by now. The run stops since `begun`.
    pub(crate) fn finish(&self, begun: Instant) {
        self.sizes.note();
        self.receivers.sinks.finish();
        self.receivers.updates.finish(begun);
        self.webhooks.finish();
    }
}

impl Reports for Followers {
    fn report(&self, report: &mut ReportedParts) {
        report.needs("stores", self.fault.get());
        for sink in self.receivers.sinks.conditions() {
            let name = format!("sink:{}", sink.name);
            match sink.fault {
                None => report.notes(&name, sink.notice),
                fault => report.has(name, fault),
            }
        }
        if let Some(fault) = self.receivers.updates.fault() {
            report.notes("segment-updates", fault);
        }
    }

    fn observe(&self, metrics: &Metrics) {
        self.receivers.sinks.observe();
        self.webhooks.observe(&metrics.webhooks);
    }
}

/// The engine, as followers ask it.
struct FollowedEngine(Arc<Engine>);

impl Memberships for FollowedEngine {
    fn copy(&self) -> Vec<WorkerMemberships> {
        let copied = self.0.memberships().iter().map(|membership| {
            // Readers and the worker wait while bitmaps and ids are copied.
            let membership = membership.read();
            let segments: Vec<_> = membership
                .segments
                .iter()
                .map(|(id, bitmap)| (id.clone(), membership.bitmap(*bitmap).clone()))
                .collect();
            let mut anywhere = RoaringBitmap::new();
            segments.iter().for_each(|(_, bitmap)| anywhere |= bitmap);
            let users = anywhere.iter().map(|slot| (Arc::from(membership.users.id(slot)), slot)).collect();
            WorkerMemberships { segments, users }
        });
        copied.collect()
    }

    fn of_user(&self, id: &str) -> Vec<Arc<str>> {
        let workers = self.0.memberships().iter();
        workers.flat_map(|membership| membership.read().segments_of(id).cloned().collect::<Vec<_>>()).collect()
    }

    fn barrier(&self) -> Result<u64, EngineStopped> {
        let stopped = |error: EngineError| EngineStopped(error.to_string());
        let tick = self.0.submit_steps(Vec::new()).map_err(stopped)?;
        self.0.wait_for(tick).map_err(stopped)?;
        Ok(self.0.number_of(tick))
    }

    fn check(&self) -> Result<(), EngineStopped> {
        let failure = self.0.failure();
        failure.map_or(Ok(()), |failure| Err(EngineStopped(EngineError::Stopped(failure).to_string())))
    }
}

impl Users for FollowedEngine {
    fn with_identities(&self, look: &mut dyn FnMut(&dyn Identities)) {
        look(&KnownAliases(&self.0.aliases().read()));
    }

    fn next_ids(&self, position: &mut UserPosition, most: usize) -> Vec<String> {
        while let Some(membership) = self.0.memberships().get(position.worker) {
            let membership = membership.read();
            let end = (membership.users.len() as u32).min(position.slot.saturating_add(most as u32));
            if position.slot < end {
                let ids = (position.slot..end).map(|slot| membership.users.id(slot).to_owned()).collect();
                position.slot = end;
                return ids;
            }
            *position = UserPosition { worker: position.worker + 1, slot: 0 };
        }
        Vec::new()
    }

    fn count_after(&self, position: UserPosition) -> u64 {
        let workers = self.0.memberships().iter().skip(position.worker);
        let count: u64 = workers.map(|membership| membership.read().users.len() as u64).sum();
        count.saturating_sub(position.slot.into())
    }
}

struct KnownAliases<'a>(&'a Aliases);

impl Identities for KnownAliases<'_> {
    fn root(&self, id: &str) -> Option<&str> {
        self.0.root(id).map(|root| &**root)
    }

    fn ids_since(&self, root: &str) -> Vec<UserIdSince> {
        self.0.ids_since(root)
    }

    fn erased(&self) -> Vec<UserIdSince> {
        self.0.erased()
    }

    fn counts_from(&self, id: &str) -> u64 {
        self.0.counts_from(id)
    }
}

/// The catalogue, as followers ask it.
struct Followed(Arc<Editor>);

impl Segments for Followed {
    fn versions(&self) -> HashMap<String, u64> {
        self.0.read(|documents| {
            documents.segments.iter().map(|(id, known)| (id.clone(), known.stored.document.version)).collect()
        })
    }

    fn has_segment(&self, id: &str) -> bool {
        self.0.read(|documents| documents.segments.contains_key(id))
    }

    fn created_at(&self, id: &str) -> Result<String, PlatformError> {
        Ok(self.0.segment(id)?.created_at)
    }
}

impl TraitDefinitions for Followed {
    fn version(&self) -> u64 {
        self.0.read(|documents| documents.version)
    }

    fn computed_traits(&self) -> (u64, BTreeMap<Arc<str>, ComputedTrait>) {
        let documents = self.0.documents();
        (documents.version, documents.catalogue.traits.clone())
    }
}

impl AuditLog for Followed {
    fn record_webhook(
        &self,
        author: &str,
        action: &str,
        before: Option<&Webhook>,
        after: Option<&Webhook>,
    ) -> Result<(), PlatformError> {
        self.0.audit_webhook(author, action, before, after)
    }
}
