//! Inputs of real senders, against the real program: each once cost an event, a trait or a whole library.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::io::Write as _;

use audience_tests::client::{Answer, Client};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

const BATCH: &str = r#"{"batch":[{"type":"track","userId":"u","event":"x"}]}"#;

fn begin(flags: &[&str]) -> (TempDir, Served) {
    let directory = tempfile::tempdir().unwrap();
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    (directory, served)
}

/// Posts, and expects that all of it is taken.
#[track_caller]
fn takes(client: Client, path: &str, body: &str) {
    let answer = client.post(path, body).unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({"success": true})), "{path}: {body}");
}

fn segment(client: Client, id: &str, rules: &Value) {
    let body = json!({"name": id, "rules": rules}).to_string();
    assert!(client.put(&format!("/api/segments/{id}"), &body).unwrap().status < 300);
}

#[track_caller]
fn expect_members(client: Client, id: &str, expected: &[&str]) {
    let mut found = None;
    for _ in 0..500 {
        found = client.members(id).unwrap();
        if found.as_deref().is_some_and(|found| found == expected) {
            return;
        }
        pause(20);
    }
    panic!("{id} has {found:?}, not {expected:?}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with_headers(client: Client, head: &str, headers: &[&str], body: &[u8]) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    client.raw(&[head.as_bytes(), body].concat()).unwrap()
}

#[test]
fn every_path_and_content_type_of_the_libraries_is_taken() {
    let (_directory, served) = begin(&[]);
    let client = served.client();
    for kind in ["p", "i", "t", "g", "a", "s"] {
        let body = r#"{"userId":"u","event":"x","previousId":"o","groupId":"g","name":"n","writeKey":"w"}"#;
        let answer = client.send("POST", &format!("/v1/{kind}"), "text/plain", body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
    }
    for path in ["/v1/b", "/v1/import", "/v1/import/", "/v1/batch/", "//v1/batch"] {
        takes(client, path, BATCH);
    }
    let form = ["content-type: application/x-www-form-urlencoded", "content-encoding: gzip"];
    let answer = with_headers(client, "POST /v1/batch", &form, &gzip(BATCH.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    takes(client, "/v1/track", r#"{"userId":"","anonymousId":"a","event":"x"}"#);
    takes(client, "/v1/track", r#"{"userId":"u","messageId":"","event":"x"}"#);
}

#[test]
fn other_sites_may_send_events_and_the_listed_ones_may_do_more() {
    let (_directory, served) = begin(&["--cors-origins", "https://shop.example"]);
    let preflight = |path: &str, origin: &str| {
        let headers = [
            format!("origin: {origin}"),
            "access-control-request-method: POST".to_owned(),
            "access-control-request-headers: authorization,content-type,x-retry-count".to_owned(),
        ];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = with_headers(served.client(), &format!("OPTIONS {path}"), &headers, b"");
        answer.header("access-control-allow-origin").is_some()
    };
    assert!(preflight("/v1/batch", "https://other.example"));
    assert!(preflight("/api/segments", "https://shop.example") && !preflight("/api/segments", "https://other.example"));
}

#[test]
fn nothing_of_a_message_is_lost_in_a_success() {
    let (_directory, served) = begin(&[]);
    let client = served.client();
    segment(client, "pro", &json!({"field": "plan", "operator": "eq", "value": "pro"}));
    takes(client, "/v1/batch", r#"{"batch":[{"type":"identify","userId":"u","context":{"traits":{"plan":"pro"}}}]}"#);
    expect_members(client, "pro", &["u"]);
    let half = r#"{"type":"identify","userId":"v","anonymousId":"a","traits":{"plan":"pro","bio":"hi \ud83d"}}"#;
    takes(client, "/v1/batch", &format!(r#"{{"batch":[{{"type":"track","userId":"u","event":"x"}},{half}]}}"#));
    takes(client, "/v1/track", r#"{"userId":"u","event":"x","properties":{"t":"\ude00"}}"#);
    expect_members(client, "pro", &["u", "v"]);
}

#[test]
fn times_are_those_that_are_meant() {
    let (_directory, served) = begin(&[]);
    let client = served.client();
    segment(client, "open", &json!({"event": "open"}));
    // A phone whose clock is centuries ahead.
    let time = "2199-01-01T00:00:00.000Z";
    let message = format!(r#"{{"type":"track","userId":"u","event":"open","timestamp":"{time}"}}"#);
    takes(client, "/v1/batch", &format!(r#"{{"batch":[{message}],"sentAt":"{time}"}}"#));
    expect_members(client, "open", &["u"]);
    for time in [
        "2021-10-16T16:00:27.029:Z",
        "2015-10-25T01:00:30+0800",
        "2014-06-05T15:19:30-18000:00",
        "2024-05-21T00:08:54.551",
        "2024-05-21 00:08:54+00:00",
        "2024-05-21",
        "0001-01-01T00:00:00Z",
        "",
    ] {
        takes(client, "/v1/track", &format!(r#"{{"userId":"u","event":"x","timestamp":"{time}"}}"#));
    }
}

#[test]
fn a_track_is_a_track_whatever_it_is_called() {
    let (_directory, served) = begin(&[]);
    let client = served.client();
    segment(client, "v", &json!({"event": "view"}));
    segment(client, "identified", &json!({"event": ["identify", "alias"], "operator": "eq", "value": 3}));
    takes(client, "/v1/track", r#"{"anonymousId":"kiosk","event":"view"}"#);
    takes(client, "/v1/track", r#"{"userId":"ann","event":"view"}"#);
    takes(client, "/v1/track", r#"{"userId":"ann","anonymousId":"kiosk","event":"identify"}"#);
    takes(client, "/v1/track", r#"{"userId":"ann","event":"alias"}"#);
    let message = r#"{"type":"track","userId":"ann","anonymousId":"kiosk","event":"identify","context":{}}"#;
    assert_eq!(client.post("/api/events", message).unwrap().status, 202);
    expect_members(client, "identified", &["ann"]);
    expect_members(client, "v", &["ann", "kiosk"]);
}

#[test]
fn refused_messages_are_kept_until_their_user_is_erased() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let client = served.client();
    let nameless = r#"{"type":"track","userId":"ann"}"#;
    let good = r#"{"type":"track","userId":"ann","event":"x"}"#;
    let answer = client.post("/v1/batch", &format!(r#"{{"batch":[{good},{nameless}]}}"#)).unwrap();
    assert_eq!((answer.status, &answer.json()["rejected"][0]["code"]), (200, &json!("missing_member")));
    let cut = r#"{"userId":"bob","event":"#;
    assert_eq!(client.post("/v1/track", cut).unwrap().status, 400);
    assert_eq!(client.post("/batch/", r#"{"batch":[7]}"#).unwrap().status, 400);
    served.stop();
    let served = setup.start();
    let client = served.client();
    let kept = |path: &str| client.get(path).unwrap().json();
    let items = kept("/api/events/refused")["items"].clone();
    let told: Vec<(&str, &str, &str)> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| [&item["source"], &item["fault"]["code"], &item["text"]].map(|member| member.as_str().unwrap()))
        .map(|[source, code, text]| (source, code, text))
        .collect();
    let expected = [
        ("/batch", "wrong_type", "7"),
        ("/v1/track", "malformed_json", cut),
        ("/v1/batch", "missing_member", nameless),
    ];
    assert_eq!(told, expected);
    let first = kept("/api/events/refused?limit=2");
    let next = format!("/api/events/refused?limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    assert_eq!(kept(&next)["items"][0]["text"], nameless);
    assert_eq!(kept("/api/users/ann/export")["refusedMessages"][0]["text"], nameless);
    assert!(client.send("DELETE", "/api/users/ann", "application/json", b"").unwrap().status < 300);
    assert_eq!(kept("/api/events/refused")["items"].as_array().unwrap().len(), 2);
}

#[test]
fn shops_of_other_words_have_the_shipped_traits() {
    let (_directory, served) = begin(&[]);
    let client = served.client();
    segment(client, "spent", &json!({"field": "totalSpent", "operator": "eq", "value": 30}));
    segment(client, "viewed", &json!({"field": "pageViews", "operator": "gte", "value": 1}));
    let order = |name: &str, total: &str| {
        let message = format!(r#"{{"userId":"ann","event":"{name}","properties":{{"order_id":"o","total":{total}}}}}"#);
        takes(client, "/v1/track", &message);
    };
    order("Order Completed", "50");
    order("Order Refunded", "20");
    takes(client, "/v1/page", r#"{"userId":"ann","name":"Home"}"#);
    takes(client, "/v1/identify", r#"{"userId":"ann","traits":{"totalSpent":7}}"#);
    expect_members(client, "spent", &["ann"]);
    expect_members(client, "viewed", &["ann"]);
    let mut hidden = Value::Null;
    for _ in 0..200 {
        hidden = client.get("/api/schema").unwrap().json()["hiddenTraits"].clone();
        if hidden != json!([]) {
            break;
        }
        pause(50);
    }
    assert_eq!(hidden, json!(["totalSpent"]));
}
