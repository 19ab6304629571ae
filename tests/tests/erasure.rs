//! The running platform, asked to forget a user: at once unknown, after a checkpoint gone, and so they stay however it is
//! started again.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audience_contract::{ChangeKind, DocumentKind};
use audience_engine::service::Service;
use audience_protocol::PlatformError;
use audience_rules::record::records;
use audience_tests::ledger::Ledger;
use audience_tests::platform::{copy, create, members, send, start, stores, wait_until};
use serde_json::json;

const USER: &str = "erased-user@example.org";
const ANONYMOUS: &str = "erased-anonymous-4711";

/// Waits until the segment has so many members.
fn wait_for(service: &Service, id: &str, count: usize) {
    wait_until(id, || members(service, id).len() == count);
}

/// Somebody with two ids, events, traits and a place in a list, and others.
fn with_users(data: &Path) -> Arc<Service> {
    let service = start(stores(data), 3);
    create(&service, json!({"id": "buyers", "name": "b", "rules": {"event": "buy"}}));
    create(&service, json!({"id": "idle", "name": "i", "rules": {"logic": "NOT", "conditions": [{"event": "buy"}]}}));
    create(&service, json!({"id": "top", "name": "t", "rules": {"rank": {"by": {"event": "buy"}}, "top": 1}}));
    create(&service, json!({"id": "list", "name": "l", "type": "static", "members": [ANONYMOUS, "ann", "nobody"]}));
    for event in 0..3 {
        send(&service, [json!({"anonymousId": ANONYMOUS, "eventType": "buy", "messageId": format!("m{event}")})]);
    }
    send(
        &service,
        [json!({"userId": USER, "anonymousId": ANONYMOUS, "eventType": "identify", "traits": {"plan": "x"}})],
    );
    send(&service, [json!({"userId": "ann", "eventType": "buy"})]);
    send(&service, [json!({"userId": "bob", "eventType": "view"})]);
    // Another on the same device, who stays another.
    let on_it = json!({"userId": "bob", "anonymousId": ANONYMOUS, "eventType": "identify", "traits": {"plan": "y"}});
    send(&service, [on_it]);
    wait_for(&service, "buyers", 2);
    wait_for(&service, "list", 3);
    wait_for(&service, "idle", 1);
    assert_eq!((members(&service, "top"), members(&service, "idle")), (vec![USER.to_owned()], vec!["bob".to_owned()]));
    assert!(members(&service, "list").contains(&USER.to_owned()), "the entry of the other id is the user's");
    service
}

/// Nothing is known of the user, and everybody else is as ever.
fn check_unknown(service: &Service) {
    for id in [USER, ANONYMOUS] {
        assert!(matches!(service.platform().users.user(id), Err(PlatformError::NotFound { .. })));
        assert_eq!(service.platform().users.user_segments(id).unwrap(), []);
    }
    let found = ["buyers", "idle", "top", "list"].map(|id| members(service, id).join(" "));
    assert_eq!(found, ["ann", "bob", "ann", "ann nobody"]);
    assert_eq!(service.platform().users.user("ann").unwrap().event_count, 1);
    let bob = service.platform().users.user("bob").unwrap();
    assert_eq!((bob.event_count, bob.traits.len(), bob.aliases), (2, 1, vec![]));
}

/// Known again by an event whose message id the erased user had used, and by nothing else.
fn check_anew(service: &Service) {
    send(service, [json!({"userId": ANONYMOUS, "eventType": "buy", "messageId": "m1"})]);
    wait_for(service, "buyers", 2);
    let view = service.platform().users.user(ANONYMOUS).unwrap();
    assert_eq!((view.event_count, view.traits.len(), view.aliases), (1, 0, vec![]));
    assert!(matches!(service.platform().users.user(USER), Err(PlatformError::NotFound { .. })));
}

fn files_that_name_the_user(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files_that_name_the_user(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            let names = |id: &str| bytes.windows(id.len()).any(|window| window == id.as_bytes());
            if names(USER) || names(ANONYMOUS) {
                found.push(path);
            }
        }
    }
    found
}

fn checkpoints(data: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(data.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn an_erased_user_is_unknown_at_once_and_gone_after_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let service = with_users(data);
    service.checkpoint().unwrap();
    assert!(!files_that_name_the_user(&data.join("checkpoints")).is_empty(), "there is something to be erased");
    assert!(!files_that_name_the_user(&data.join("events")).is_empty());
    service.platform().users.erase_user(ANONYMOUS, "test").unwrap();
    check_unknown(&service);
    service.platform().users.erase_user(USER, "test").unwrap();
    for _ in 0..2 {
        service.checkpoint().unwrap();
        assert_eq!(checkpoints(data).len(), 1, "no older checkpoint is left");
    }
    for store in ["checkpoints", "events", "messages"] {
        assert_eq!(files_that_name_the_user(&data.join(store)), Vec::<PathBuf>::new(), "in {store}");
    }
    check_unknown(&service);
    service.stop();
    drop(service);
    let ledger = Ledger::read(data).unwrap();
    let left =
        ledger.changes.iter().filter(|(_, change)| change.change == ChangeKind::Left && *change.user_id == *USER);
    let causes: Vec<String> = left.map(|(_, change)| format!("{} {:?}", change.segment_id, change.cause)).collect();
    assert!(causes.iter().any(|cause| cause == "buyers Erasure"), "{causes:?}");
    assert!(records(&ledger.events).all(|event| event.user() != USER && event.user() != ANONYMOUS));
    let lists = stores(data).catalogue.history(DocumentKind::Members, "list").unwrap();
    assert!(lists.iter().all(|list| !list.body.as_ref().unwrap().contains(ANONYMOUS)), "{lists:?}");
    let service = start(stores(data), 3);
    check_unknown(&service);
    check_anew(&service);
    service.stop();
}

/// Starts on what a process that was killed left, with its checkpoints and without.
fn check_starts(killed: &Path) {
    for has_checkpoints in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        copy(killed, &data).unwrap();
        if !has_checkpoints {
            checkpoints(&data).iter().for_each(|checkpoint| fs::remove_dir_all(checkpoint).unwrap());
        }
        let service = start(stores(&data), 3);
        check_unknown(&service);
        // What was left undone is done.
        service.checkpoint().unwrap();
        service.checkpoint().unwrap();
        assert_eq!(files_that_name_the_user(&data.join("checkpoints")), Vec::<PathBuf>::new());
        assert_eq!(files_that_name_the_user(&data.join("events")), Vec::<PathBuf>::new());
        check_unknown(&service);
        check_anew(&service);
        service.stop();
        drop(service);
        let service = start(stores(&data), 3);
        wait_for(&service, "buyers", 2);
        assert_eq!(service.platform().users.user(ANONYMOUS).unwrap().event_count, 1);
        service.stop();
    }
}

#[test]
fn an_erased_user_stays_unknown_whenever_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let service = with_users(&data);
    service.checkpoint().unwrap();
    service.platform().users.erase_user(USER, "test").unwrap();
    // Copies of the files of an idle process are what it leaves when it is killed.
    let behind_the_record = directory.path().join("record");
    copy(&data, &behind_the_record).unwrap();
    service.checkpoint().unwrap();
    let behind_the_checkpoint = directory.path().join("checkpoint");
    copy(&data, &behind_the_checkpoint).unwrap();
    service.stop();
    check_starts(&behind_the_record);
    check_starts(&behind_the_checkpoint);
}
