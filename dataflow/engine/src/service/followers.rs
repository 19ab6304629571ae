//! The followers of the change log, and what they ask of the engine and the catalogue.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use audience_background::{Runner, Stop};
use audience_catalogue::Editor;
use audience_emit::catalogue::{AuditLog, Segments, TraitDefinitions};
use audience_emit::memberships::{EngineStopped, Memberships, WorkerMemberships};
use audience_emit::users::{IdSince, Identities, UserPosition, Users};
use audience_emit::{
    Emitted, Live, ProfileContext, Runs, Sinks, SizeCounts, Sizes, SizesContext, Upstream, WebhookContext, Webhooks,
};
use audience_kernel::aliases::Aliases;
use audience_protocol::{PlatformError, Webhook};
use audience_rules::catalogue::ComputedTrait;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use super::PlatformStores;
use super::metrics::Metrics;
use crate::engine::{Engine, EngineError};

/// The followers of the change log, each in its room.
pub struct Followers {
    /// The change log as they read it.
    pub emitted: Arc<Emitted>,
    /// Sinks.
    pub sinks: Sinks,
    /// Subscribers of the live API.
    pub live: Arc<Live>,
    /// Sizes of segments over time.
    pub sizes: Arc<Sizes>,
    /// Webhooks.
    pub webhooks: Arc<Webhooks>,
    /// Profiles of users.
    pub profiles: Arc<ProfileContext>,
}

/// What followers go on from: they are as of the last progress, which the start has just come to.
pub struct Resumed {
    runs: Runs,
    sizes: SizeCounts,
}

impl Resumed {
    /// Begins a run after what is emitted; the engine's state is exactly that.
    pub fn at(emitted: &Emitted, engine: &Engine, stores: &PlatformStores) -> Result<Resumed, EngineError> {
        let sizes: HashMap<Arc<str>, u64> = engine.sizes().iter().map(|(id, size)| (id.clone(), *size)).collect();
        let sizes = SizeCounts::go_on(emitted, &*stores.notes, sizes)?;
        Ok(Resumed { runs: Runs::begin(&*stores.notes, emitted.newest().tick, emitted.floor()?)?, sizes })
    }
}

impl Followers {
    /// Followers that are yet to be started.
    pub fn new(
        emitted: Arc<Emitted>,
        resumed: Resumed,
        stores: &PlatformStores,
        (served, editor): (Served, &Arc<Editor>),
        (metrics, stop): (&Metrics, &Stop),
    ) -> Followers {
        let catalogue = Arc::new(Followed(editor.clone()));
        let served = Arc::new(served);
        let upstream = Upstream {
            emitted: emitted.clone(),
            runs: resumed.runs,
            memberships: served.clone(),
            segments: catalogue.clone(),
            metrics: metrics.sinks.clone(),
        };
        let context = SizesContext {
            emitted: emitted.clone(),
            notes: stores.notes.clone(),
            segments: catalogue.clone(),
            store_errors: metrics.store_errors(),
        };
        let sizes = Arc::new(Sizes::new(context, resumed.sizes));
        let live = Arc::new(Live::new(emitted.clone()));
        let context = WebhookContext {
            emitted: emitted.clone(),
            live: live.clone(),
            notes: stores.notes.clone(),
            segments: catalogue.clone(),
            audit: catalogue.clone(),
        };
        let webhooks = Arc::new(Webhooks::new(context, stop.clone()));
        let (events, users) = (stores.events.clone(), served);
        let profiles = Arc::new(ProfileContext { emitted: emitted.clone(), events, users, traits: catalogue });
        Followers { emitted, sinks: Sinks::new(upstream), live, sizes, webhooks, profiles }
    }

    /// Starts those that follow in every run.
    pub fn start(&self, jobs: &Runner) -> io::Result<()> {
        let (live, sizes) = (self.live.clone(), self.sizes.clone());
        jobs.start_task("live", move |stop| {
            live.run(stop);
            Ok::<(), EngineError>(())
        })?;
        jobs.start_task("sizes", move |stop| {
            sizes.run(stop);
            Ok::<(), EngineError>(())
        })?;
        Ok(())
    }

    /// Returns the least tick up to which every sink and webhook has everything; none if there are none.
    pub fn least_reached(&self) -> Option<u64> {
        self.sinks.least_reached().into_iter().chain(self.webhooks.least_reached()).min()
    }
}

/// The engine, as followers ask it.
pub struct Served {
    /// The engine.
    pub engine: Arc<Engine>,
}

impl Memberships for Served {
    fn copy(&self) -> Vec<WorkerMemberships> {
        let copied = self.engine.memberships().iter().map(|membership| {
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

    fn barrier(&self) -> Result<u64, EngineStopped> {
        let stopped = |error: EngineError| EngineStopped(error.to_string());
        let tick = self.engine.submit_steps(Vec::new()).map_err(stopped)?;
        self.engine.wait_for(tick).map_err(stopped)?;
        Ok(self.engine.number_of(tick))
    }

    fn check(&self) -> Result<(), EngineStopped> {
        let failure = self.engine.done().failure;
        failure.map_or(Ok(()), |failure| Err(EngineStopped(EngineError::Stopped(failure).to_string())))
    }
}

impl Users for Served {
    fn with_identities(&self, look: &mut dyn FnMut(&dyn Identities)) {
        look(&KnownAliases(&self.engine.aliases().read()));
    }

    fn next_ids(&self, position: &mut UserPosition, most: usize) -> Vec<String> {
        while let Some(membership) = self.engine.memberships().get(position.worker) {
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
        let workers = self.engine.memberships().iter().skip(position.worker);
        let count: u64 = workers.map(|membership| membership.read().users.len() as u64).sum();
        count.saturating_sub(position.slot.into())
    }
}

struct KnownAliases<'a>(&'a Aliases);

impl Identities for KnownAliases<'_> {
    fn root(&self, id: &str) -> Option<&str> {
        self.0.root(id).map(|root| &**root)
    }

    fn ids_since(&self, root: &str) -> Vec<IdSince> {
        self.0.ids_since(root)
    }

    fn erased(&self) -> Vec<IdSince> {
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
