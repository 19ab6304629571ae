//! Persistent formats across versions: records, blocks of changes and checkpoints that an earlier build wrote are read by
//! this one.
//!
//! `tests/golden/NAME` holds what one build wrote, and beside it in JSON what that means. A build that changes a format adds
//! a directory with [`writes_a_golden_directory`], and leaves the older ones as they are.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use audience_contract::changes::decode;
use audience_contract::{Document, DocumentKind, Progress};
use audience_engine::durability::Manifest;
use audience_engine::service::{PlatformStores, Service};
use audience_protocol::TimezoneInput;
use audience_rules::event::event_to_json;
use audience_rules::record::EventRef;
use audience_tests::ledger::places;
use audience_tests::platform::{create, create_rule, members, send, start, stores, wait_until};
use serde_json::{Value, json};

/// Under which number the manifest of the checkpoint stands among its shards.
const MANIFEST: u64 = u64::MAX;
/// Who is in what, by what the checkpoint alone says of them.
const SEGMENTS: [&str; 11] =
    ["bought", "spent", "gold", "path", "top", "list", "toys", "kept", "days", "stayed", "as-often"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn directories() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!directories.is_empty());
    directories
}

/// Numbers with bytes: each is its number and its length, eight bytes little-endian, and the bytes.
fn read_frames(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while let Some((number, after)) = rest.split_first_chunk::<8>() {
        let (length, after) = after.split_first_chunk::<8>().unwrap();
        let (frame, after) = after.split_at(u64::from_le_bytes(*length) as usize);
        frames.push((u64::from_le_bytes(*number), frame.to_vec()));
        rest = after;
    }
    frames
}

fn write_frames(path: &Path, frames: &[(u64, Vec<u8>)]) {
    let frame = |(number, bytes): &(u64, Vec<u8>)| {
        [&number.to_le_bytes()[..], &(bytes.len() as u64).to_le_bytes(), bytes].concat()
    };
    fs::write(path, frames.iter().flat_map(frame).collect::<Vec<u8>>()).unwrap();
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write_json(path: &Path, value: &impl serde::Serialize) {
    fs::write(path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

fn record_meaning(record: &EventRef<'_>) -> Value {
    let kind = format!("{:?}", record.kind());
    let event = if record.kind().counts() { event_to_json(record) } else { "null".to_owned() };
    let event: Value = serde_json::from_str(&event).unwrap();
    json!({
        "sequence": record.sequence(), "kind": kind, "user": record.user(), "other": record.other(),
        "acceptedAt": record.accepted_at(), "timestamp": record.timestamp(), "event": event,
    })
}

fn change_meanings(ticks: &[(u64, Vec<u8>)]) -> Vec<Value> {
    let of_tick = |(tick, bytes): &(u64, Vec<u8>)| {
        let changes = decode(bytes).unwrap();
        let meaning = |change: audience_contract::MembershipChange| {
            json!({
                "tick": tick, "user": *change.user_id, "segment": *change.segment_id, "change": change.change,
                "at": change.at, "version": change.version, "cause": change.cause,
            })
        };
        changes.into_iter().map(meaning).collect::<Vec<_>>()
    };
    ticks.iter().flat_map(of_tick).collect()
}

#[test]
fn records_of_earlier_builds_mean_what_they_meant() {
    for directory in directories() {
        let bytes = fs::read(directory.join("records.bin")).unwrap();
        let found: Vec<Value> = places(&bytes).map(|record| record_meaning(&record)).collect();
        assert_eq!(found, read_json::<Vec<Value>>(&directory.join("records.json")), "{}", directory.display());
    }
}

#[test]
fn changes_of_earlier_builds_mean_what_they_meant() {
    for directory in directories() {
        let found = change_meanings(&read_frames(&directory.join("changes.bin")));
        assert_eq!(found, read_json::<Vec<Value>>(&directory.join("changes.json")), "{}", directory.display());
    }
}

/// The records of its users are gone from the event log, so that what they are in can follow from the checkpoint alone.
#[test]
fn checkpoints_of_earlier_builds_are_started_from() {
    for golden in directories() {
        let data = tempfile::tempdir().unwrap();
        let stores = stores(data.path());
        let expected: BTreeMap<String, Vec<String>> = read_json(&golden.join("members.json"));
        put_documents(&stores, read_json(&golden.join("documents.json")));
        stores.events.append(&mut fs::read(golden.join("records.bin")).unwrap()).unwrap();
        let users = expected.values().flatten().map(|user| (user.clone(), stores.events.end()));
        stores.events.erase(&users.collect::<Vec<_>>()).unwrap();
        let progress: Progress = read_json(&golden.join("progress.json"));
        for (tick, changes) in read_frames(&golden.join("changes.bin")) {
            stores.changes.commit(Progress { tick, ..Progress::default() }, &changes).unwrap();
        }
        stores.changes.commit(progress, &[]).unwrap();
        let (mut shards, mut manifest) = (read_frames(&golden.join("checkpoint.bin")), Vec::new());
        shards.retain_mut(|(number, bytes)| {
            if *number == MANIFEST {
                manifest = std::mem::take(bytes);
            }
            *number != MANIFEST
        });
        for (number, bytes) in &shards {
            stores.checkpoints.put_shard(1, u32::try_from(*number).unwrap(), bytes).unwrap();
        }
        stores.checkpoints.finish(1, &manifest).unwrap();
        assert!(Manifest::decode(&manifest).unwrap().is_within(progress));
        let service = start(stores, 2);
        let found = expected.keys().map(|id| (id.clone(), members(&service, id)));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{}", golden.display());
        assert!(service.platform().operations.metrics().contains("audience_checkpoints_passed_over_total 0\n"));
        service.stop();
    }
}

fn put_documents(stores: &PlatformStores, documents: Vec<Document>) {
    let mut by_version: BTreeMap<u64, Vec<Document>> = BTreeMap::new();
    for document in documents {
        by_version.entry(document.catalogue_version).or_default().push(document);
    }
    for version in 1..=by_version.last_key_value().map_or(0, |(version, _)| *version) {
        assert!(stores.catalogue.put(version - 1, &by_version.remove(&version).unwrap_or_default()).unwrap());
    }
}

/// Writes a directory as this build does: `AUDIENCE_GOLDEN=NAME cargo test -p audience-tests --test golden -- --ignored`.
#[test]
#[ignore = "it adds to the tree: for a build that changes a format"]
fn writes_a_golden_directory() {
    let golden = golden().join(std::env::var("AUDIENCE_GOLDEN").unwrap());
    let data = tempfile::tempdir().unwrap();
    live(data.path());
    fs::create_dir_all(&golden).unwrap();
    let stores = stores(data.path());
    let mut records = Vec::new();
    let log = &stores.events;
    log.scan(0..log.end(), &mut |run| {
        records.extend_from_slice(run);
        ControlFlow::Continue(())
    })
    .unwrap();
    fs::write(golden.join("records.bin"), &records).unwrap();
    let meanings: Vec<Value> = places(&records).map(|record| record_meaning(&record)).collect();
    write_json(&golden.join("records.json"), &meanings);
    let mut ticks = Vec::new();
    stores
        .changes
        .read(0, &mut |tick, bytes| {
            ticks.push((tick, bytes.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    write_frames(&golden.join("changes.bin"), &ticks);
    write_json(&golden.join("changes.json"), &change_meanings(&ticks));
    write_json(&golden.join("progress.json"), &stores.changes.progress().unwrap().unwrap());
    let newest = stores.catalogue.at(stores.catalogue.version().unwrap()).unwrap();
    let histories = newest.iter().map(|document| stores.catalogue.history(document.kind, &document.id).unwrap());
    let documents: Vec<Document> = histories.flatten().collect();
    assert!(documents.iter().any(|document| document.kind == DocumentKind::Members));
    write_json(&golden.join("documents.json"), &documents);
    let number = stores.checkpoints.list().unwrap()[0];
    let shards =
        (0..1_000).filter_map(|shard| Some((u64::from(shard), stores.checkpoints.shard(number, shard).unwrap()?)));
    let manifest = (MANIFEST, stores.checkpoints.manifest(number).unwrap());
    write_frames(&golden.join("checkpoint.bin"), &shards.chain([manifest]).collect::<Vec<_>>());
    drop(stores);
    let service = start(self::stores(data.path()), 2);
    let found = SEGMENTS.map(|id| (id.to_owned(), members(&service, id)));
    write_json(&golden.join("members.json"), &BTreeMap::from(found));
    service.stop();
}

/// A life with every kind of record, every cause of a change and every kind of state, up to its last checkpoint.
fn live(data: &Path) {
    let service = start(stores(data), 2);
    create_rule(&service, "bought", &json!({"event": "buy"}));
    create_rule(&service, "recent", &json!({"event": "buy", "within": "1s"}));
    create_rule(&service, "path", &json!({"sequence": [{"event": "view"}, {"event": "buy", "maxGap": "3d"}]}));
    create_rule(&service, "top", &json!({"rank": {"by": {"event": "buy"}}, "top": 1}));
    let is_gold = json!({"field": "plan", "operator": "eq", "value": "gold"});
    create_rule(&service, "gold", &is_gold);
    create(&service, json!({"id": "list", "name": "l", "type": "static", "members": ["ann", "nobody"]}));
    send(&service, [json!({"userId": "ann", "eventType": "view", "messageId": "m1", "properties": {"page": "/é"}})]);
    send(&service, [json!({"userId": "ann", "eventType": "buy", "properties": {"amount": 12.5, "tags": ["a", null]}})]);
    send(&service, [json!({"userId": "bob", "eventType": "buy", "properties": {"amount": 40}})]);
    send(&service, [json!({"userId": "bob", "eventType": "buy", "timestamp": "2100-01-01T00:00:00Z"})]);
    send(
        &service,
        [json!({"userId": "cid", "eventType": "identify", "traits": {"plan": "gold", "n": {"deep": true}}})],
    );
    send(&service, [json!({"anonymousId": "device", "eventType": "buy", "context": {"ip": "::1"}})]);
    send(&service, [json!({"userId": "dora", "anonymousId": "device", "eventType": "identify"})]);
    send(&service, [json!({"previousId": "old", "userId": "dora", "eventType": "alias"})]);
    send(&service, [json!({"userId": "gone", "eventType": "buy"})]);
    wait_until("all are members", || members(&service, "bought") == ["ann", "bob", "dora", "gone"]);
    let spent = json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gte", "value": 12});
    create_rule(&service, "spent", &spent);
    orders(&service);
    service.platform().users.erase_user("gone", "test").unwrap();
    wait_until("time has passed", || members(&service, "recent").is_empty());
    wait_until("who is erased has left", || members(&service, "bought") == ["ann", "bob", "dora"]);
    service.stop();
}

/// Rules of the second page, over orders on two days of the platform's zone that are one day in UTC.
fn orders(service: &Service) {
    let of_toys = json!({"field": "item.kind", "operator": "eq", "value": "toy"});
    create_rule(service, "toys", &json!({"event": "order", "each": "lines", "where": of_toys}));
    create_rule(service, "kept", &json!({"event": "order", "unless": {"event": "cancelled", "same": "order"}}));
    let days = json!({"event": "order", "measure": {"fn": "days"}, "operator": "gte", "value": 2});
    create_rule(service, "days", &days);
    create_rule(service, "stayed", &json!({"sequence": [{"event": "order"}, {"not": {"event": "cancelled"}}]}));
    let as_often = json!({"left": {"event": "cancelled"}, "operator": "gte", "right": {"event": "order"}});
    create_rule(service, "as-often", &as_often);
    let zone = TimezoneInput { timezone: "Europe/Berlin".to_owned(), note: Some("moved".to_owned()) };
    service.platform().catalogue.set_timezone(zone, None, "test").unwrap();
    let lines = json!([{"kind": "toy", "n": 2}, {"kind": "book"}]);
    for (user, order, at) in
        [("ann", 1, "2026-06-10T21:30:00Z"), ("ann", 2, "2026-06-10T22:30:00Z"), ("bob", 3, "2026-06-10T22:30:00Z")]
    {
        let properties = json!({"order": order, "lines": lines});
        send(service, [json!({"userId": user, "eventType": "order", "timestamp": at, "properties": properties})]);
    }
    send(
        service,
        [json!({"userId": "bob", "anonymousId": "phone", "eventType": "cancelled", "properties": {"order": 3}})],
    );
    wait_until("the orders", || members(service, "kept") == ["ann"] && members(service, "days") == ["ann"]);
}
