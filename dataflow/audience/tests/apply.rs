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
    assert_eq!(status, 2, "{text}");
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
fn nothing_is_applied_where_one_file_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path());
    let files = directory.path().join("definitions");
    let place = files.to_str().unwrap();
    assert_eq!(said(&run(&running, &["export", place])).0, 0);
    let (spenders, also) = (files.join("segments/spenders.json"), files.join("segments/also.json"));
    let exported = fs::read_to_string(&spenders).unwrap();
    let refused = |words: &[&str], parts: &[&str]| {
        let (status, text) = said(&run(&running, words));
        assert_eq!(status, 1, "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
        assert_eq!(running.client().get("/api/timezone").unwrap().json()["timezone"], "UTC", "nothing was applied");
        assert_eq!(members(&running, "spenders"), ["u2", "u3", "u4"]);
    };
    // This one is right, and would come first.
    edit(&files.join("settings.json"), "UTC", "Asia/Kolkata");
    edit(&spenders, "\"gte\"", "\"about\"");
    edit(&also, "spenders", "nobody");
    let both = ["spenders.json: /rules/operator", "also.json: /rules/segment", "2 faults; nothing was changed"];
    refused(&["apply", place], &both);
    refused(&["apply", place, "--dry-run"], &both);
    fs::write(&also, "{").unwrap();
    refused(&["apply", place], &["also.json: EOF while parsing", "1 faults"]);
    edit(&spenders, "\"about\"", "\"gte\"");
    fs::remove_file(&also).unwrap();
    edit(&spenders, "\"id\"", "\"status\": \"DRAFT\", \"id\"");
    refused(&["apply", place], &["spenders.json: /status: the server's segment is ACTIVE"]);
    fs::write(&spenders, exported).unwrap();
    // The rules that use it would not be valid any more.
    fs::remove_file(files.join("traits/spent.json")).unwrap();
    refused(&["apply", place, "--prune"], &["trait spent, which has no file: (root): the rules of these segments"]);
    fs::create_dir(files.join("campaigns")).ok();
    let campaign = json!({"id": "k", "name": "K", "segmentId": "nobody", "contentId": "none", "holdOut": 2});
    fs::write(files.join("campaigns/k.json"), campaign.to_string()).unwrap();
    let faults = ["k.json: /holdOut", "k.json: /segmentId: there is no segment", "k.json: /contentId"];
    refused(&["apply", place], &faults);
    refused(&["apply", "/nowhere"], &["/nowhere is no directory"]);
    refused(&["apply", place, "--dryrun"], &["--dryrun"]);
    running.stop();
}

fn ask(client: Client, method: &str, path: &str) {
    let answer = client.send(method, path, "application/json", b"").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}

#[test]
fn contents_are_approved_and_campaigns_are_drafts_until_somebody_launches_them() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path());
    let client = running.client();
    let files = directory.path().join("definitions");
    let place = files.to_str().unwrap();
    assert_eq!(said(&run(&running, &["export", place])).0, 0);
    let body = "<p>{{ postal_address }} <a href=\"{{ unsubscribe_url }}\">No more</a></p>";
    let content = json!({"id": "hello", "name": "Hello", "subject": "For you", "body": body, "status": "approved"});
    fs::write(files.join("contents/hello.json"), content.to_string()).unwrap();
    let far = "2099-01-01T00:00:00Z";
    let campaign = json!({"id": "k", "name": "K", "segmentId": "also", "contentId": "hello", "startDate": far});
    fs::write(files.join("campaigns/k.json"), campaign.to_string()).unwrap();
    let (status, text) = said(&run(&running, &["apply", place]));
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with("+ create content hello\n~ approve content hello\n+ create campaign k\n"), "{text}");
    assert_eq!(client.get("/api/contents/hello").unwrap().json()["status"], "approved");
    assert_eq!(client.get("/api/campaigns/k").unwrap().json()["status"], "draft");
    let nothing = || assert_eq!(said(&run(&running, &["apply", place])), (0, "nothing to do\n".to_owned()));
    nothing();

    // What people do at the server is no difference: an approval that the file does not ask for, and a launch.
    edit(&files.join("contents/hello.json"), ",\"status\":\"approved\"", "");
    nothing();
    ask(client, "POST", "/api/campaigns/k/launch");
    nothing();
    edit(&files.join("campaigns/k.json"), "\"K\"", "\"Other\"");
    let (status, text) = said(&run(&running, &["apply", place]));
    assert!(status == 1 && text.contains("k.json: (root): the campaign was launched"), "{text}");

    for name in ["campaigns/k", "contents/hello"] {
        fs::remove_file(files.join(format!("{name}.json"))).unwrap();
    }
    let (status, text) = said(&run(&running, &["apply", place, "--prune"]));
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with("- archive content hello\ndone"), "what was launched goes on: {text}");
    assert_eq!(client.get("/api/campaigns/k").unwrap().json()["status"], "scheduled");
    running.stop();
}
