//! `audience apply` and `audience export`: a server's definitions as files, and files as a server's definitions.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup};
use serde_json::{Value, json};

/// Runs a command on a server.
fn run(served: &Served, words: &[&str]) -> Output {
    Command::new(program!()).args(words).args(["--server", &format!("http://{}", served.address)]).output().unwrap()
}

/// Its exit status, and all that it says.
fn said(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

fn put(client: Client, path: &str, body: &Value) {
    let answer = client.put(path, &body.to_string()).unwrap();
    assert!(answer.status < 300, "{path}: {}", answer.text());
}

/// A shop in which `u1` spent 10, `u2` 20 and so on, with a trait, two segments of rules and a list.
fn shop(directory: &Path) -> Served {
    let running = Setup::within(program!(), directory).start();
    let client = running.client();
    let measure = json!({"fn": "sum", "of": "amount"});
    put(client, "/api/traits/spent", &json!({"name": "spent", "event": "buy", "measure": measure}));
    let rules = json!({"field": "spent", "operator": "gte", "value": 20});
    put(client, "/api/segments/spenders", &json!({"name": "Spenders", "rules": rules, "tags": ["money"]}));
    put(client, "/api/segments/also", &json!({"name": "Also", "rules": {"segment": "spenders"}}));
    put(client, "/api/segments/friends", &json!({"name": "Friends", "members": ["u1", "u9"]}));
    for user in 1..=4 {
        let event = json!({"userId": format!("u{user}"), "eventType": "buy", "properties": {"amount": user * 10}});
        assert_eq!(client.post("/api/events", &event.to_string()).unwrap().status, 202);
    }
    audience_tests::platform::wait_until("the spenders", || members(&running, "spenders") == ["u2", "u3", "u4"]);
    running
}

fn members(served: &Served, segment: &str) -> Vec<String> {
    let mut members = served.client().members(segment).unwrap().unwrap_or_default();
    members.sort_unstable();
    members
}

/// Changes a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_exported_changes_nothing_and_an_edit_of_a_file_is_an_edit() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path());
    let files = directory.path().join("definitions");
    let place = files.to_str().unwrap();
    let (status, text) = said(&run(&running, &["export", place]));
    assert_eq!(status, 0, "{text}");
    assert_eq!(said(&run(&running, &["apply", place, "--prune"])), (0, "nothing to do\n".to_owned()));

    let spenders = files.join("segments/spenders.json");
    edit(&spenders, "20", "35.0");
    edit(&files.join("settings.json"), "UTC", "Asia/Kolkata");
    edit(&files.join("segments/friends.json"), "Friends", "Old friends");
    let both =
        json!({"id": "both", "name": "Both", "rules": {"conditions": [{"segment": "few"}, {"segment": "also"}]}});
    fs::write(files.join("segments/both.json"), both.to_string()).unwrap();
    let few = json!({"id": "few", "name": "Few", "rules": {"event": "buy", "operator": "eq", "value": 1}});
    fs::write(files.join("segments/few.json"), few.to_string()).unwrap();
    let (status, text) = said(&run(&running, &["apply", place, "--dry-run"]));
    assert_eq!(status, 3, "{text}");
    assert!(text.contains("~ change segment spenders: 0 enter, 2 leave"), "{text}");
    assert!(text.contains("+ create segment few: 4 enter, 0 leave"), "{text}");
    assert!(text.contains("~ change setting timezone to Asia/Kolkata\n"), "{text}");
    assert_eq!(members(&running, "spenders"), ["u2", "u3", "u4"], "nothing was changed");

    let (status, text) = said(&run(&running, &["apply", place]));
    assert_eq!(status, 0, "{text}");
    assert_eq!(members(&running, "spenders"), ["u4"]);
    assert_eq!(members(&running, "both"), ["u4"]);
    assert_eq!(members(&running, "friends"), ["u1", "u9"], "a list keeps its members");
    assert_eq!(running.client().get("/api/segments/friends").unwrap().json()["name"], "Old friends");
    assert_eq!(running.client().get("/api/timezone").unwrap().json()["timezone"], "Asia/Kolkata");
    assert_eq!(said(&run(&running, &["apply", place])), (0, "nothing to do\n".to_owned()));
    running.stop();
}

#[test]
fn what_has_no_file_is_deleted_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path());
    let files = directory.path().join("definitions");
    let place = files.to_str().unwrap();
    assert_eq!(said(&run(&running, &["export", place])).0, 0);
    for name in ["segments/spenders", "segments/also", "traits/spent"] {
        fs::remove_file(files.join(format!("{name}.json"))).unwrap();
    }
    assert_eq!(said(&run(&running, &["apply", place])), (0, "nothing to do\n".to_owned()), "only with --prune");
    let (status, text) = said(&run(&running, &["apply", place, "--prune"]));
    assert_eq!(status, 0, "{text}");
    let gone = ["- delete segment also", "- delete segment spenders", "- delete trait spent"];
    assert_eq!(text.lines().take(3).collect::<Vec<_>>(), gone);
    for path in ["/api/segments/spenders", "/api/segments/also", "/api/traits/spent"] {
        assert_eq!(running.client().get(path).unwrap().status, 404, "{path}");
    }
    assert_eq!(running.client().get("/api/traits/totalSpent").unwrap().status, 200, "shipped ones stay");
    running.stop();
}

#[test]
fn a_fault_is_told_with_its_place_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path());
    let files = directory.path().join("definitions");
    let place = files.to_str().unwrap();
    assert_eq!(said(&run(&running, &["export", place])).0, 0);
    let spenders = files.join("segments/spenders.json");
    edit(&spenders, "\"gte\"", "\"about\"");
    let (status, text) = said(&run(&running, &["apply", place]));
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("segment spenders was refused") && text.contains("/rules/operator"), "{text}");
    assert_eq!(members(&running, "spenders"), ["u2", "u3", "u4"]);
    fs::write(&spenders, "{").unwrap();
    let (status, text) = said(&run(&running, &["apply", place]));
    assert!(status == 2 && text.contains("spenders.json"), "{text}");
    let (status, text) = said(&run(&running, &["apply", "/nowhere"]));
    assert!(status == 2 && text.contains("/nowhere is no directory"), "{text}");
    running.stop();
}
