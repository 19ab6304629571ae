//! The real program whose event log fails one write or sync: it says that the event may count, and ends, so that whatever
//! supervises it starts it again; that start knows. And the limit of open files, by which no write may fail.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};

fn event(user: &str) -> String {
    format!(r#"{{"userId":"{user}","eventType":"buy","messageId":"{user}-1"}}"#)
}

fn is_known(served: &Served, user: &str) -> bool {
    served.client().get(&format!("/api/users/{user}")).unwrap().status == 200
}

/// Fails the third commit of the event log at that point.
fn fails_at(point: &str, is_there: bool) {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let armed = ("AUDIENCE_FAILPOINT_ERROR".to_owned(), format!("events.{point}:3"));
    let mut served = Setup { variables: vec![armed], ..setup.clone() }.start();
    for user in ["u1", "u2"] {
        assert_eq!(served.client().post("/api/events", &event(user)).unwrap().status, 202);
    }
    let refused = served.client().post("/api/events", &event("u3")).unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (503, "outcome_unknown"), "{}", refused.text());
    let status = served.wait();
    assert_eq!(status.code(), Some(2), "{}", served.said());
    assert!(served.said().contains("start again"), "{}", served.said());
    let served = setup.start();
    let known = ["u1", "u2", "u3"].map(|user| is_known(&served, user));
    assert_eq!(known, [true, true, is_there], "{point}");
    // Sent again, it counts once either way.
    assert_eq!(served.client().post("/api/events", &event("u3")).unwrap().status, 202);
    for (id, value) in [("once", 1), ("twice", 2)] {
        let body = format!(r#"{{"name":"{id}","rules":{{"event":"buy","operator":"gte","value":{value}}}}}"#);
        assert!(served.client().put(&format!("/api/segments/{id}"), &body).unwrap().status < 300);
    }
    let members = |id| served.client().members(id).unwrap().unwrap();
    for _ in 0..200 {
        if members("once").len() == 3 {
            break;
        }
        pause(10);
    }
    assert_eq!((members("once").len(), members("twice").len()), (3, 0), "{point}");
    served.stop();
}

#[test]
fn a_write_that_fails_ends_the_process_and_the_event_is_not_there() {
    fails_at("write", false);
}

#[test]
fn a_sync_that_fails_ends_the_process_and_the_event_is_there() {
    fails_at("sync", true);
}

/// The program under a limit of open files: the soft one may be raised up to the hard one.
fn limited(directory: &Path, soft: u32, hard: u32) -> Setup {
    let script = directory.join("limited");
    let text = format!("#!/bin/sh\nulimit -Sn {soft}\nulimit -Hn {hard}\nexec \"{}\" \"$@\"\n", program!().display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    Setup::within(script, directory)
}

#[test]
fn connections_leave_the_stores_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let served = limited(directory.path(), 200, 700).start();
    assert!(served.said().contains("permits fewer connections"), "{}", served.said());
    let metrics = served.client().get("/metrics").unwrap().text();
    assert!(metrics.contains("\nprocess_max_fds 700"), "the soft limit is raised: {metrics}");
    let idle: Vec<_> = (0..400).map(|_| served.client().connect().unwrap()).collect();
    pause(300);
    drop(idle);
    for number in 0..20 {
        assert_eq!(served.client().post("/api/events", &event(&format!("u{number}"))).unwrap().status, 202);
    }
    let said = served.said();
    assert!(!said.contains("Too many open files") && !said.contains("could not be accepted"), "{said}");
    served.stop();
}
