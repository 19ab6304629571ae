//! The engines of the tenants beside `default`, in the process of `audience serve`.
//!
//! Law: each tenant has an engine of its own, on a data directory of its own, `tenants/ID` below that of `default`. So a tenant
//! has what it would have alone: its events, rules, changes and checkpoints meet those of no other, and a fault in one of them
//! ends none of the others. The clock is one.
//!
//! The members' store says which tenants there are. A look each second opens those that are new, opens those that failed again
//! after a while, and removes the data of those that were ended. A kill at any point leaves the next start with the same to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use audience_api::Door;
use audience_auth::Auth;
use audience_catalogue::StoredVocabulary;
use audience_embedded::Options;
use audience_engine::durability::backup::{BackupPlace, DocumentStores};
use audience_engine::service::{Service, ServiceOptions};
use audience_objects::Objects;
use audience_protocol::{Platform, Tenant};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::backup::create::{BackupPart, BackupSource};
use crate::demo_loader::DemoLoader;
use crate::opening::{join_kafka, offsite_of, open_stores, platform_stores, service_options};
use crate::outside::Outside;
use crate::settings::ServeSettings;
use crate::tenant_directories::{self, FOLDER};

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The time after which a tenant that failed is opened again.
const RETRY: Duration = Duration::from_secs(30);
/// Memory of a tenant's stores: an idle one must not take what a busy one needs.
const CACHE_BYTES: u64 = 16 << 20;
const BUFFER_BYTES: u64 = 8 << 20;

/// The engines of the tenants.
pub(crate) struct Tenants {
    settings: ServeSettings,
    auth: Arc<Auth>,
    door: Door,
    engines: Mutex<TenantEngines>,
}

#[derive(Default)]
struct TenantEngines {
    by_tenant: BTreeMap<Tenant, TenantEngine>,
    /// True once the process ends: nothing is opened any more.
    is_stopping: bool,
}

/// The engine of a tenant.
enum TenantEngine {
    /// It is being opened or ended.
    Busy,
    Running(Arc<Service>, BackupSource),
    /// It failed then.
    Failed(Instant),
}

impl Tenants {
    /// Looks after the tenants for as long as the process runs; called in a runtime.
    pub(crate) fn host(settings: ServeSettings, auth: Arc<Auth>, door: Door) -> Arc<Tenants> {
        let tenants = Arc::new(Tenants { settings, auth, door, engines: Mutex::default() });
        let looking = Arc::downgrade(&tenants);
        tokio::spawn(async move {
            while let Some(tenants) = looking.upgrade() {
                tenants.look();
                drop(tenants);
                tokio::time::sleep(LOOK).await;
            }
        });
        tenants
    }

    /// Compares what there should be with what there is, and has the difference made.
    fn look(self: &Arc<Self>) {
        for (tenant, record) in self.auth.tenants() {
            let mut engines = self.engines.lock();
            if engines.is_stopping {
                return;
            }
            let running = match engines.by_tenant.get(&tenant) {
                Some(TenantEngine::Busy) => continue,
                Some(TenantEngine::Failed(at)) if at.elapsed() < RETRY => continue,
                Some(TenantEngine::Running(service, _)) if !record.ending && service.failure().is_none() => continue,
                Some(TenantEngine::Running(service, _)) => Some(Arc::clone(service)),
                Some(TenantEngine::Failed(_)) | None => None,
            };
            engines.by_tenant.insert(tenant.clone(), TenantEngine::Busy);
            drop(engines);
            let tenants = Arc::clone(self);
            tokio::task::spawn_blocking(move || match (record.ending, running) {
                (true, running) => tenants.end(&tenant, running),
                (false, Some(failed)) => tenants.give_up(&tenant, &failed),
                (false, None) => tenants.open(&tenant),
            });
        }
    }

    /// The data directory of a tenant.
    fn directory(&self, tenant: &Tenant) -> PathBuf {
        tenant_directories::of(self.settings.data(), tenant.id())
    }

    fn open(self: &Arc<Self>, tenant: &Tenant) {
        let (id, begun) = (tenant.id(), Instant::now());
        let opened = self.start(tenant);
        let mut engines = self.engines.lock();
        let engine = match opened {
            Ok((service, platform, source)) if !engines.is_stopping => {
                self.door.open_tenant(tenant, platform);
                tracing::info!(tenant = id, took = ?begun.elapsed(), "A tenant is ready");
                TenantEngine::Running(service, source)
            }
            Ok((service, ..)) => {
                drop(engines);
                return service.stop();
            }
            Err(error) => {
                tracing::error!(tenant = id, error = format!("{error:#}"), "A tenant cannot be opened; it is retried");
                TenantEngine::Failed(Instant::now())
            }
        };
        engines.by_tenant.insert(tenant.clone(), engine);
    }

    fn start(&self, tenant: &Tenant) -> anyhow::Result<(Arc<Service>, Platform, BackupSource)> {
        let data = self.directory(tenant);
        fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
        let settings = settings_of(&self.settings, tenant, data.clone());
        let outside = Outside::new(&settings)?;
        let options = Options { cache_bytes: CACHE_BYTES, buffer_bytes: BUFFER_BYTES, ..Options::default() };
        let stores = open_stores(&data, &options)?;
        let is_new = stores.changes().progress()?.is_none();
        let (own, webhooks) = (stores.access(), stores.webhooks());
        let (stores, objects) = platform_stores(&settings, &stores, stores.catalogue(), is_new, &self.door)?;
        let offsite = objects.map(|objects| offsite_of(&settings, &objects, true));
        let options = ServiceOptions { offsite, ..service_options(&settings, Arc::default()) };
        let service = Service::start(stores.clone(), &options)?;
        join_kafka(&service, &settings)?;
        outside.join(&service, webhooks.clone())?;
        let documents = DocumentStores { access: own.clone(), webhooks };
        let source = BackupSource { stores, documents, postgres: None };
        let known = service.platform();
        let vocabulary = StoredVocabulary::new(own, known.traits.clone(), known.catalogue.clone());
        let demo = DemoLoader::new(Arc::clone(&service), data, Handle::current());
        let platform = Platform { vocabulary: Arc::new(vocabulary), demo: Arc::new(demo), ..known.clone() };
        Ok((service, platform, source))
    }

    /// Stops an engine that failed; it is opened again after a while.
    fn give_up(&self, tenant: &Tenant, failed: &Service) {
        let reason = failed.failure().unwrap_or_default();
        tracing::error!(tenant = tenant.id(), reason, "The engine of a tenant failed; it is opened again");
        self.door.close_tenant(tenant);
        failed.stop();
        self.engines.lock().by_tenant.insert(tenant.clone(), TenantEngine::Failed(Instant::now()));
    }

    /// Removes the data of an ended tenant, and then forgets it.
    fn end(&self, tenant: &Tenant, running: Option<Arc<Service>>) {
        self.door.close_tenant(tenant);
        running.iter().for_each(|service| service.stop());
        drop(running);
        let removed = self.remove(tenant).and_then(|()| Ok(self.auth.forget_tenant(tenant)?));
        let mut engines = self.engines.lock();
        match removed {
            Ok(()) => {
                tracing::info!(tenant = tenant.id(), "The data of an ended tenant are gone");
                engines.by_tenant.remove(tenant);
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(
                    tenant = tenant.id(),
                    error,
                    "The data of an ended tenant cannot be removed; it is retried"
                );
                engines.by_tenant.insert(tenant.clone(), TenantEngine::Failed(Instant::now()));
            }
        }
    }

    fn remove(&self, tenant: &Tenant) -> anyhow::Result<()> {
        let data = self.directory(tenant);
        if let Some(url) = settings_of(&self.settings, tenant, data.clone()).checkpoints {
            Objects::open(&url, &std::env::vars().collect::<Vec<_>>())?.delete_all()?;
        }
        remove_directory(&data).with_context(|| data.display().to_string())
    }

    /// The parts of a backup that are the tenants', by id. An error where one of them cannot be copied now.
    pub(crate) fn backup_parts(&self) -> anyhow::Result<Vec<(String, BackupPart)>> {
        let (known, engines) = (self.auth.tenants(), self.engines.lock());
        let staying = known.iter().filter(|(_, record)| !record.ending);
        let part = |tenant: &Tenant| {
            let Some(TenantEngine::Running(service, source)) = engines.by_tenant.get(tenant) else {
                bail!("the engine of tenant {} is not ready: repeat this once it is", tenant.id());
            };
            let service = Arc::clone(service);
            let copy = move |source: &BackupSource, place: &BackupPlace| Ok(service.back_up(&source.stores, place)?);
            Ok((tenant.id().to_owned(), BackupPart::new(&self.directory(tenant), source.clone(), copy)))
        };
        staying.map(|(tenant, _)| part(tenant)).collect()
    }

    /// Stops all engines, each with a checkpoint.
    pub(crate) fn stop(&self) {
        let engines = {
            let mut engines = self.engines.lock();
            engines.is_stopping = true;
            std::mem::take(&mut engines.by_tenant)
        };
        std::thread::scope(|scope| {
            for engine in engines.into_values() {
                if let TenantEngine::Running(service, _) = engine {
                    scope.spawn(move || service.stop());
                }
            }
        });
    }
}

fn remove_directory(directory: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => match directory.parent().map(fs::File::open) {
            Some(Ok(parent)) => parent.sync_all(),
            _ => Ok(()),
        },
    }
}

/// The settings of a tenant: one worker, its own directory, and its id in the names of everything outside.
fn settings_of(settings: &ServeSettings, tenant: &Tenant, data: PathBuf) -> ServeSettings {
    let (mut own, id) = (settings.clone(), tenant.id());
    own.flags.data = Some(data);
    own.flags.demo = false;
    own.flags.workers = Some(std::num::NonZeroUsize::MIN);
    own.connections.postgres = None;
    own.checkpoints = own.checkpoints.map(|url| format!("{}/{FOLDER}/{id}", url.trim_end_matches('/')));
    if let Some(kafka) = &mut own.connections.kafka {
        kafka.topic_prefix = format!("{}{id}.", kafka.topic_prefix);
    }
    if let Some(redis) = &mut own.connections.redis {
        // No key of `default` begins so, whatever the ids of its users are.
        redis.prefix = format!("{}@{id}", redis.prefix);
    }
    if let Some(aerospike) = &mut own.connections.aerospike {
        for store in [&mut aerospike.user_profiles, &mut aerospike.segment_ownership, &mut aerospike.analytics] {
            store.prefix = format!("{}{id}-", store.prefix);
        }
    }
    own
}
