//! The running platform within the process, on embedded stores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use audience_embedded::{Options, Stores};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_protocol::SegmentInput;
use audience_rules::event::{EventDecoder, EventDefaults};
use serde_json::{Value, json};

use crate::cluster::Cluster;
pub use crate::serve::wait_until;
use crate::serve::wall_clock;

/// The stores of a data directory.
pub fn stores(data: &Path) -> PlatformStores {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).expect("the stores open");
    PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        notes: stores.notes(),
        changes: stores.changes(),
        catalogue: stores.catalogue(),
        checkpoints: stores.checkpoints(),
    }
}

/// Starts on these stores, with so many workers; takes no checkpoint by itself.
pub fn start(stores: PlatformStores, workers: usize) -> Arc<Service> {
    start_over(stores, workers, None)
}

/// The same over several processes, if there are others; each has so many workers.
pub fn start_over(stores: PlatformStores, workers: usize, cluster: Option<&Cluster>) -> Arc<Service> {
    let engine = EngineOptions { workers, ..EngineOptions::default() };
    let cluster = cluster.map(|cluster| cluster.coordinator.clone());
    let options = ServiceOptions {
        engine,
        cluster,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: None,
        pairing: Pairing::default(),
    };
    Service::start(stores, &options).expect("the platform starts")
}

/// Sends events.
pub fn send(service: &Service, events: impl IntoIterator<Item = Value>) {
    let mut records = Vec::new();
    let defaults = EventDefaults { accepted_at: wall_clock() };
    let mut count = 0;
    for event in events {
        EventDecoder::new().decode(event.to_string().as_bytes(), &defaults, &mut records).expect("an event");
        count += 1;
    }
    service.platform().events.ingest(records, count).expect("it is accepted");
}

/// Creates a segment from its JSON.
pub fn create(service: &Service, segment: Value) {
    let input: SegmentInput = serde_json::from_value(segment).expect("a segment");
    service.platform().segments.create_segment(input, "test").expect("it is created");
}

/// Creates a segment of that rule.
pub fn create_rule(service: &Service, id: &str, rules: &Value) {
    create(service, json!({"id": id, "name": id, "rules": rules}));
}

/// The members of a segment, in the order of ids.
pub fn members(service: &Service, id: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut take = |piece: Vec<String>| {
        members.extend(piece);
        true
    };
    service.platform().segments.visit_members(id, &mut take).expect("a segment");
    members.sort_unstable();
    members
}

/// Waits until ticks beyond that one are committed; they go on by themselves.
pub fn wait_beyond(stores: &PlatformStores, tick: u64) {
    wait_until("a later tick", || {
        stores.changes.progress().is_ok_and(|newest| newest.is_some_and(|newest| newest.tick > tick))
    });
}

/// Copies a data directory that nobody has open, but for the socket that a killed process left in it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
