//! The real program after a clock that was two hours ahead was followed: time is taken back by a command that tells what it does
//! to memberships before it does it, and that is exactly what comes about.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::path::Path;
use std::process::{Command, Output};

use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::time::format_time;
use audience_tests::platform::stores;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

/// Appends events to the log of a program that is stopped, accepted at that instant.
fn append(data: &Path, accepted_at: i64, events: &[Value]) {
    let mut records = Vec::new();
    for event in events {
        EventDecoder::new().decode(event.to_string().as_bytes(), &EventDefaults { accepted_at }, &mut records).unwrap();
    }
    stores(data).events.append(&mut records).unwrap();
}

fn take_time_back(data: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(program!());
    command.args(["admin", "take-time-back", "--data"]).arg(data).args(flags).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn wait_for(served: &Served, segment: &str, expected: &[&str]) {
    let mut members = Vec::new();
    for _ in 0..500 {
        members = served.client().members(segment).unwrap().unwrap().into_iter().collect::<Vec<_>>();
        members.sort_unstable();
        if members == expected {
            return;
        }
        pause(10);
    }
    panic!("{segment}: {members:?}, not {expected:?}\n{}", served.said());
}

fn health(served: &Served) -> String {
    served.client().get("/actuator/health").unwrap().text()
}

fn send(served: &Served, user: &str) {
    let event = json!({"userId": user, "eventType": "buy", "messageId": user}).to_string();
    assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
}

#[test]
fn time_is_taken_back_with_the_effect_that_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let recent = json!({"event": "buy", "within": "1h"});
    for (id, rules) in [("recent", recent), ("ever", json!({"event": "buy"}))] {
        let body = json!({"name": id, "rules": rules}).to_string();
        let answer = served.client().put(&format!("/api/segments/{id}"), &body).unwrap();
        assert!(answer.status < 300, "{}", answer.text());
    }
    send(&served, "before");
    wait_for(&served, "recent", &["before"]);
    served.stop();

    // Accepted by a clock two hours ahead, which was followed; one bears a time that lies even later.
    let ahead = wall_clock() + 2 * HOUR;
    let later = format_time(ahead + HOUR);
    let events = [
        json!({"userId": "during", "eventType": "buy", "messageId": "during"}),
        json!({"userId": "later", "eventType": "buy", "messageId": "later", "timestamp": later}),
    ];
    append(&setup.data, ahead, &events);
    let served = setup.start();
    wait_for(&served, "recent", &["during"]);
    assert!(health(&served).contains("stands still"), "{}", health(&served));
    let refused = take_time_back(&setup.data, &["--yes"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    served.stop();

    let told = take_time_back(&setup.data, &[]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));
    let text = said(&told);
    assert!(text.contains("recent: 1 enter (before), 0 leave") && text.contains("2 events"), "{text}");
    assert!(!text.contains("ever:") && text.contains("Nothing is changed"), "{text}");
    assert!(stores(&setup.data).changes.progress().unwrap().unwrap().clock >= ahead);

    let taken = take_time_back(&setup.data, &["--yes"]);
    assert_eq!(taken.status.code(), Some(0), "{}", said(&taken));
    let served = setup.start();
    assert!(!health(&served).contains("stands still"), "{}", health(&served));
    wait_for(&served, "recent", &["before", "during"]);
    wait_for(&served, "ever", &["before", "during"]);
    send(&served, "after");
    send(&served, "during");
    wait_for(&served, "recent", &["after", "before", "during"]);
    let rows = served.client().get("/api/audit?kind=time").unwrap().json();
    assert_eq!((&rows["items"][0]["action"], &rows["items"][0]["author"]), (&json!("takenBack"), &json!("host")));
    // Exactly what was told is in the change log: nobody else left or entered.
    let changes = served.client().get("/api/changes?segment=recent&limit=100").unwrap().json();
    let changes = changes["items"].as_array().unwrap().iter().rev();
    let told: Vec<(&str, &str)> =
        changes.map(|row| (row["userId"].as_str().unwrap(), row["change"].as_str().unwrap())).collect();
    let expected =
        [("before", "entered"), ("before", "left"), ("during", "entered"), ("before", "entered"), ("after", "entered")];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert!(expected.iter().all(|one| told.contains(one)), "{told:?}");
    served.stop();
    let nothing = take_time_back(&setup.data, &["--yes"]);
    assert!(said(&nothing).contains("nothing to take back"), "{}", said(&nothing));
}
