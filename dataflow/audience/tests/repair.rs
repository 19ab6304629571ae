//! The real program on a damaged data directory: it does not start, `audience repair` makes anew what follows from the events and
//! names what is lost, and with nothing lost it goes on as before.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};

fn repair(data: &Path) -> Output {
    Command::new(program!()).arg("repair").arg("--data").arg(data).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Changes a byte of the file that says which files a part of a store has.
fn damage(part: &Path) {
    let current: PathBuf = part.join("current");
    let mut bytes = fs::read(&current).unwrap();
    bytes[10] ^= 1;
    fs::write(&current, bytes).unwrap();
}

fn send(served: &Served, user: &str, message: &str) {
    let event = format!(r#"{{"userId":"{user}","eventType":"buy","messageId":"{message}"}}"#);
    assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
}

fn wait_for_members(served: &Served, segment: &str, expected: usize) {
    for _ in 0..500 {
        if served.client().members(segment).unwrap().unwrap().len() == expected {
            return;
        }
        pause(10);
    }
    panic!("{segment}: {:?}, not {expected}", served.client().members(segment));
}

#[test]
fn what_follows_from_the_events_is_made_anew_and_what_is_lost_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    for (id, value) in [("once", 1), ("twice", 2)] {
        let body = format!(r#"{{"name":"{id}","rules":{{"event":"buy","operator":"gte","value":{value}}}}}"#);
        assert!(served.client().put(&format!("/api/segments/{id}"), &body).unwrap().status < 300);
    }
    let alias = r#"{"userId":"u1","type":"alias","previousId":"visitor","messageId":"m0"}"#;
    send(&served, "visitor", "m1");
    assert_eq!(served.client().post("/api/events", alias).unwrap().status, 202);
    send(&served, "u2", "m2");
    wait_for_members(&served, "once", 2);
    let refused = repair(&setup.data);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("in use by another process"), "{}", said(&refused));
    served.stop();

    damage(&setup.data.join("messages/keyspaces/2"));
    damage(&setup.data.join("events/keyspaces/3"));
    let mut refused = setup.spawn();
    let why = refused.wait_ready().unwrap_err();
    assert!(why.contains("is damaged") && why.contains("audience repair"), "{why}");
    let repaired = repair(&setup.data);
    assert_eq!(repaired.status.code(), Some(0), "{}", said(&repaired));
    for part in ["the index by user", "the index of messages"] {
        assert!(said(&repaired).contains(&format!("rebuilt  {part}: ")), "{}", said(&repaired));
    }

    let served = setup.start();
    // The message of the id that was merged, under the id that it was merged into.
    send(&served, "u1", "m1");
    send(&served, "u2", "m2");
    send(&served, "u3", "m3");
    wait_for_members(&served, "once", 3);
    assert_eq!(served.client().members("twice").unwrap().unwrap().len(), 0, "nothing counts twice");
    let events = served.client().get("/api/users/u1/events").unwrap();
    assert!(events.text().contains("m1"), "the index by user finds them: {}", events.text());
    served.stop();

    damage(&setup.data.join("ledger/keyspaces/2"));
    let lost = repair(&setup.data);
    assert_eq!(lost.status.code(), Some(1), "{}", said(&lost));
    assert!(said(&lost).contains("lost     the ledger"), "{}", said(&lost));
}
