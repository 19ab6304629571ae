//! A stop, a checkpoint and health, while a store cannot be written or a thread has died.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_contract::{ChangeLog, CheckpointStore, EventLog, Progress, Result, SourcePosition, StoreError};
use audience_protocol::ComponentStatus;
use audience_tests::ledger::Ledger;
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use serde_json::json;

/// A change log on a disk that may be full.
struct Full(Arc<dyn ChangeLog>, Arc<AtomicBool>);

impl ChangeLog for Full {
    fn commit(&self, progress: Progress, changes: &[u8]) -> Result<()> {
        if self.1.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable { action: "writing changes", detail: "no space left".to_owned() });
        }
        self.0.commit(progress, changes)
    }

    fn progress(&self) -> Result<Option<Progress>> {
        self.0.progress()
    }

    fn read(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.0.read(from, visit)
    }

    fn forget(&self, tick: u64) -> Result<()> {
        self.0.forget(tick)
    }

    fn floor(&self) -> Result<u64> {
        self.0.floor()
    }
}

/// It ends, and what was accepted and could not be given out any more is given out by the next start.
#[test]
fn it_does_not_wait_for_a_full_disk_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let mut full = stores(directory.path());
    full.changes = Arc::new(Full(full.changes, is_full.clone()));
    let service = start(full, 2);
    create_rule(&service, "bought", &json!({"event": "buy"}));
    is_full.store(true, Ordering::Release);
    send(&service, [json!({"userId": "u", "eventType": "buy"})]);
    wait_until("it is a member, as far as anyone can be told", || members(&service, "bought") == ["u"]);
    service.stop();
    // As a process that ends leaves it.
    let left = directory.path().with_extension("left");
    let given = Ledger::of_copy(directory.path(), &left).unwrap();
    assert_eq!((given.changes.len(), given.progress.sequence), (0, 0), "the disk was full");
    let service = start(stores(&left), 2);
    assert_eq!(members(&service, "bought"), ["u"]);
    service.stop();
    drop(service);
    assert_eq!(Ledger::read(&left).unwrap().changes.len(), 1, "it entered once");
    fs::remove_dir_all(left).unwrap();
}

/// Checkpoints on a disk that is full.
struct FullCheckpoints(Arc<dyn CheckpointStore>);

impl CheckpointStore for FullCheckpoints {
    fn put_shard(&self, _: u64, _: u32, _: &[u8]) -> Result<()> {
        Err(StoreError::Unavailable { action: "writing a shard", detail: "no space left".to_owned() })
    }

    fn finish(&self, checkpoint: u64, manifest: &[u8]) -> Result<()> {
        self.0.finish(checkpoint, manifest)
    }

    fn list(&self) -> Result<Vec<u64>> {
        self.0.list()
    }

    fn manifest(&self, checkpoint: u64) -> Result<Vec<u8>> {
        self.0.manifest(checkpoint)
    }

    fn shard(&self, checkpoint: u64, shard: u32) -> Result<Option<Vec<u8>>> {
        self.0.shard(checkpoint, shard)
    }

    fn prune(&self, keep: usize) -> Result<()> {
        self.0.prune(keep)
    }
}

/// The engine goes on without the checkpoint, and health does not say that it has stopped.
#[test]
fn a_checkpoint_that_is_given_up_is_told_with_the_fault_of_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut full = stores(directory.path());
    full.checkpoints = Arc::new(FullCheckpoints(full.checkpoints));
    let service = start(full, 2);
    service.checkpoint().unwrap();
    let health = service.platform().operations.health();
    assert_eq!(health.components["checkpoints"].detail.as_deref(), Some("writing a shard failed: no space left"));
    assert_eq!((health.ready, health.components["engine"].status), (true, ComponentStatus::Up));
    create_rule(&service, "bought", &json!({"event": "buy"}));
    send(&service, [json!({"userId": "u", "eventType": "buy"})]);
    wait_until("the engine goes on", || members(&service, "bought") == ["u"]);
    service.stop();
}

#[test]
fn an_accepted_event_does_not_clear_the_fault_of_the_change_log() {
    let directory = tempfile::tempdir().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let mut full = stores(directory.path());
    full.changes = Arc::new(Full(full.changes, is_full.clone()));
    let service = start(full, 1);
    let is_ready = || service.platform().operations.health().ready;
    assert!(is_ready());
    is_full.store(true, Ordering::Release);
    wait_until("health shows the fault", || !is_ready());
    for _ in 0..5 {
        send(&service, [json!({"userId": "u", "eventType": "buy"})]);
        assert!(!is_ready(), "the event log works, and the change log does not");
    }
    is_full.store(false, Ordering::Release);
    wait_until("it is ready again", is_ready);
    service.stop();
}

/// An event log whose scans panic once they are to.
struct Panicking(Arc<dyn EventLog>, Arc<AtomicBool>);

impl EventLog for Panicking {
    fn append_from(&self, records: &mut [u8], positions: &[SourcePosition]) -> Result<Range<u64>> {
        self.0.append_from(records, positions)
    }

    fn positions(&self) -> Result<Vec<SourcePosition>> {
        self.0.positions()
    }

    fn end(&self) -> u64 {
        self.0.end()
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        assert!(!self.1.load(Ordering::Acquire), "injected");
        self.0.scan(range, visit)
    }

    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
        self.0.split(range, parts)
    }

    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.0.visit_users(ids, before, visit)
    }

    fn erase(&self, ids: &[(String, u64)]) -> Result<()> {
        self.0.erase(ids)
    }

    fn purge(&self) -> Result<bool> {
        self.0.purge()
    }
}

#[test]
fn health_shows_that_the_editor_has_died_and_a_stop_still_ends() {
    let directory = tempfile::tempdir().unwrap();
    let is_panicking = Arc::new(AtomicBool::new(false));
    let mut broken = stores(directory.path());
    broken.events = Arc::new(Panicking(broken.events, is_panicking.clone()));
    let service = start(broken, 2);
    send(&service, [json!({"userId": "u", "eventType": "buy"})]);
    assert_eq!(service.failure(), None);
    is_panicking.store(true, Ordering::Release);
    // Its measure needs history.
    create_rule(&service, "bought", &json!({"event": "buy"}));
    wait_until("health shows it", || !service.platform().operations.health().ready);
    let engine = service.platform().operations.health().components["engine"].clone();
    assert_eq!(engine.status, ComponentStatus::Down);
    assert!(engine.detail.is_some_and(|detail| detail.contains("`editor` has died")));
    assert!(service.failure().is_some_and(|failure| failure.contains("`editor` has died")));
    let begun = Instant::now();
    service.stop();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
