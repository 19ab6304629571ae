//! The parts of which a platform is put together: its stores, its options, its Kafka.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use audience_api::Door;
use audience_contract::{CatalogueStore, StoreError};
use audience_embedded::{Options, Stores};
use audience_engine::durability::Offsite;
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_engine::start::StartProgress;
use audience_objects::Objects;

use crate::settings::{ServeSettings, named};
use crate::updates::{self, Updates};
use crate::{connectors, offsite};

/// The stores of a platform in a data directory; where checkpoints are elsewhere, these are.
pub(crate) fn platform_stores(
    settings: &ServeSettings,
    stores: &Stores,
    catalogue: Arc<dyn CatalogueStore>,
    is_new: bool,
    door: &Door,
) -> anyhow::Result<(PlatformStores, Option<Arc<Objects>>)> {
    let objects =
        settings.checkpoints.as_deref().map(|url| offsite::open(url, settings.data(), is_new, door)).transpose()?;
    if objects.is_some() {
        // Those in the data directory are of no use any more, and name users who may be erased.
        stores.checkpoints().prune(0)?;
    }
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        changes: stores.changes(),
        notes: stores.notes(),
        catalogue,
        checkpoints: objects.as_ref().map_or_else(|| stores.checkpoints(), |objects| objects.checkpoints()),
    };
    Ok((stores, objects))
}

/// Settings of a platform of one process.
pub(crate) fn service_options(settings: &ServeSettings, start: Arc<StartProgress>) -> ServiceOptions {
    ServiceOptions {
        engine: EngineOptions { workers: settings.workers(), ..EngineOptions::default() },
        cluster: None,
        checkpoint_interval: Duration::from_secs(settings.flags.checkpoint_seconds),
        placeholders: settings.flags.http.placeholders(),
        start,
        offsite: None,
        pairing: Pairing::default(),
    }
}

/// The history of a platform outside of its data directory.
pub(crate) fn offsite_of(settings: &ServeSettings, objects: &Arc<Objects>, keeps_catalogue: bool) -> Offsite {
    Offsite {
        history: objects.history(),
        file_events: settings.history.events.into(),
        file_age: Duration::from_secs(settings.history.seconds),
        keeps_catalogue,
        limits: settings.history.limits(),
    }
}

/// Opens the data directory, or says how damage to it is repaired.
pub(crate) fn open_stores(data: &Path, options: &Options) -> anyhow::Result<Stores> {
    Stores::open(data, options).map_err(|error| {
        let hint = match error {
            StoreError::Corrupt { .. } => {
                "; `audience repair` makes anew what follows from the events, and names what is lost"
            }
            _ => "",
        };
        anyhow!("{}: {error}{hint}", named("data"))
    })
}

/// Joins the platform to Kafka, if it is named.
pub(crate) fn join_kafka(service: &Arc<Service>, settings: &ServeSettings) -> anyhow::Result<()> {
    let Some(kafka) = &settings.connections.kafka else { return Ok(()) };
    connectors::join_kafka(service, kafka)?;
    service.send_updates(Arc::new(Updates::new(kafka)?))?;
    if settings.connections.postgres.is_some() {
        let looking = Arc::downgrade(service);
        updates::follow(kafka, move || looking.upgrade().iter().for_each(|service| service.look_at_catalogue()))?;
    }
    Ok(())
}
