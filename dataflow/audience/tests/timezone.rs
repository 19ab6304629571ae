//! The platform's time zone, set over the API: an edit over all history, kept over restarts, with versions and audit.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod access;

use audience_tests::client::{Answer, Client};
use audience_tests::program;
use audience_tests::serve::{Served, Setup};
use serde_json::{Value, json};

const ZONE: &str = "/api/timezone";

fn set(served: &Served, zone: &str, tag: &str) -> Answer {
    let body = json!({"timezone": zone, "note": "we moved"}).to_string();
    let headers = [("if-match", tag), ("x-author", "ann")];
    access::ask(served.client(), &format!("PUT {ZONE}"), &headers, &body)
}

fn get(client: Client, path: &str) -> Value {
    client.get(path).unwrap().json()
}

fn members(served: &Served) -> Vec<String> {
    let mut members = served.client().members("two-days").unwrap().unwrap_or_default();
    members.sort_unstable();
    members
}

fn visit(served: &Served, user: &str, times: [&str; 2]) {
    for time in times {
        let event = json!({"userId": user, "eventType": "visit", "timestamp": time});
        assert_eq!(served.client().post("/api/events", &event.to_string()).unwrap().status, 202);
    }
}

/// A rule for visits on two local days, and `u1` with two visits that are on one day in UTC.
fn started(setup: &Setup) -> Served {
    let served = setup.start();
    let rules = json!({"event": "visit", "measure": {"fn": "days"}, "operator": "gte", "value": 2});
    let segment = json!({"name": "Two days", "rules": rules});
    assert_eq!(served.client().put("/api/segments/two-days", &segment.to_string()).unwrap().status, 201);
    visit(&served, "u1", ["2026-06-10T21:30:00Z", "2026-06-10T22:30:00Z"]);
    served
}

#[test]
fn a_zone_is_an_edit_over_all_history_and_outlives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = started(&setup);
    assert_eq!(get(served.client(), ZONE), json!({"timezone": "UTC", "version": 0}));
    assert_eq!(members(&served), Vec::<String>::new());

    let answer = set(&served, "Europe/Berlin", "\"0\"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.json()["version"], &answer.json()["updatedBy"]), (&json!(1), &json!("ann")));
    assert_eq!(members(&served), ["u1"], "it is in force once it is answered");
    // Local times, which are two days there and one in UTC.
    visit(&served, "u2", ["2026-06-10T23:30:00", "2026-06-11 00:30:00"]);
    audience_tests::platform::wait_until("the second", || members(&served) == ["u1", "u2"]);

    served.kill();
    let served = setup.start();
    assert_eq!(get(served.client(), ZONE)["timezone"], "Europe/Berlin");
    assert_eq!(members(&served), ["u1", "u2"]);
    assert_eq!(set(&served, "UTC", "\"0\"").status, 412, "somebody else was faster");
    assert_eq!(set(&served, "Berlin", "\"1\"").json()["errors"][0]["pointer"], "/timezone");
    assert_eq!(set(&served, "UTC", "\"1\"").json()["version"], 2);
    assert_eq!(members(&served), Vec::<String>::new(), "instants that were read stay, and are one day in UTC");
    assert_eq!(set(&served, "UTC", "\"2\"").json()["version"], 2, "the same zone is no version");

    let versions = get(served.client(), "/api/timezone/versions");
    let names: Vec<_> = versions["items"].as_array().unwrap().iter().map(|one| one["timezone"].clone()).collect();
    assert_eq!(names, ["Europe/Berlin", "UTC"]);
    let audit = get(served.client(), "/api/audit?kind=setting");
    let told = |index: usize| {
        let row = &audit["items"][index];
        [&row["id"], &row["author"], &row["note"], &row["before"]["timezone"], &row["after"]["timezone"]]
            .map(Value::clone)
    };
    assert_eq!(told(0), ["timezone", "ann", "we moved", "Europe/Berlin", "UTC"].map(Value::from));
    assert_eq!(told(1), ["timezone", "ann", "we moved", "UTC", "Europe/Berlin"].map(Value::from));
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    served.stop();
}

#[test]
fn every_process_of_a_cluster_counts_in_the_new_zone() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { processes: 2, ..Setup::within(program!(), directory.path()) };
    let served = started(&setup);
    let users: Vec<String> = (1..=20).map(|number| format!("u{number}")).collect();
    for user in &users[1..] {
        visit(&served, user, ["2026-06-10T21:30:00Z", "2026-06-10T22:30:00Z"]);
    }
    assert_eq!(set(&served, "Europe/Berlin", "\"0\"").status, 200);
    let mut sorted = users;
    sorted.sort_unstable();
    audience_tests::platform::wait_until("all of them", || members(&served) == sorted);
    served.stop();
}
