//! The first hour of somebody who connects a sender: what comes in is shown, refused events with the reason, and an empty
//! instance takes the demo.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, wait_for_json};
use serde_json::{Value, json};

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn of_outcome<'v>(recent: &'v Value, outcome: &str) -> Vec<&'v Value> {
    list(recent, "items").iter().filter(|item| item["outcome"] == outcome).collect()
}

#[test]
fn events_are_shown_as_they_come_in_and_refused_ones_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let recent = || get(client, "/api/events/recent");
    assert_eq!(recent(), json!({"accepted": 0, "refused": 0, "items": []}));

    let sent =
        client.post("/api/events", r#"[{"userId":"ann","eventType":"buy","properties":{"n":1.50}},{"userId":"ann"}]"#);
    assert_eq!(sent.unwrap().status, 202);
    let refused = [
        ("/api/events", r#"{"eventType":"buy"}"#, "missing_member"),
        ("/api/events", r#"{"userId":"ann","eventType":"buy""#, "malformed_json"),
        ("/v1/track", r#"{"userId":"ann","event":7}"#, "wrong_type"),
        ("/v1/batch", r#"{"batch":[{"userId":"ann","type":"tracked"}]}"#, "unknown_word"),
    ];
    for (path, body, _) in refused {
        assert_eq!(client.post(path, body).unwrap().status, 400, "{body}");
    }
    let shown = recent();
    let accepted = of_outcome(&shown, "accepted");
    assert_eq!((accepted.len(), &accepted[0]["event"]["properties"]["n"]), (1, &json!(1.5)), "{shown}");
    let mut told: Vec<(String, String, String)> = of_outcome(&shown, "refused")
        .into_iter()
        .map(|item| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&item["fault"]["pointer"]), text(&item["fault"]["code"]), text(&item["text"]))
        })
        .collect();
    told.sort_unstable();
    let mut expected = [
        ("", "missing_member", r#"{"userId":"ann"}"#),
        ("", refused[0].2, refused[0].1),
        ("", refused[1].2, refused[1].1),
        ("/event", refused[2].2, refused[2].1),
        ("/type", refused[3].2, r#"{"userId":"ann","type":"tracked"}"#),
    ]
    .map(|(pointer, code, text)| (pointer.to_owned(), code.to_owned(), text.to_owned()));
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!((&shown["accepted"], &shown["refused"]), (&json!(1), &json!(5)));

    // Only the newest are shown, in the order that they came in.
    let many: Vec<Value> = (0..120)
        .map(|n| {
            if n % 2 == 0 {
                json!({"userId": "ben", "eventType": "n", "properties": {"n": n}})
            } else {
                json!({"n": n})
            }
        })
        .collect();
    assert_eq!(client.post("/api/events", &json!(many).to_string()).unwrap().status, 202);
    let shown = recent();
    let numbers: Vec<u64> =
        of_outcome(&shown, "accepted").iter().map(|item| item["event"]["properties"]["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (10..60).rev().map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(of_outcome(&shown, "refused").len(), 50);
    assert_eq!(shown["refused"], 65);

    // Whoever is erased stands in none of them any more.
    assert_eq!(client.send("DELETE", "/api/users/ben", "application/json", b"").unwrap().status, 204);
    let shown = recent();
    assert!(list(&shown, "items").iter().all(|item| item["event"]["userId"] == "ann"), "{shown}");
    served.stop();
}

#[test]
fn the_data_page_counts_what_a_naive_count_does() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let events: Vec<Value> = (0..90u64)
        .map(|n| {
            let amount = match n % 3 {
                0 => json!(n),
                1 => json!(n.to_string()),
                _ => json!("none"),
            };
            let name = if n % 5 == 0 { "refund" } else { "purchase" };
            json!({"userId": format!("u{n}"), "eventType": name, "timestamp": 1_700_000_000_000 + n, "properties": {"amount": amount}})
        })
        .collect();
    assert_eq!(client.post("/api/events", &json!(events).to_string()).unwrap().status, 202);
    // At once: an event that was accepted is seen.
    let schema = client.get("/api/schema").unwrap().json();
    assert_eq!(list(&schema, "events").iter().map(|event| event["count"].as_u64().unwrap()).sum::<u64>(), 90);
    for name in ["purchase", "refund"] {
        let of_type: Vec<&Value> = events.iter().filter(|event| event["eventType"] == name).collect();
        let told = list(&schema, "events").iter().find(|event| event["name"] == name).unwrap();
        assert_eq!((&told["count"], &told["sampled"]), (&json!(of_type.len()), &json!(of_type.len())));
        let hours: u64 = list(told, "hours").iter().map(|hour| hour["count"].as_u64().unwrap()).sum();
        assert_eq!(hours, of_type.len() as u64, "{told}");
        let field = &told["properties"][0];
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut numbers_in_text = 0;
        for event in &of_type {
            let amount = &event["properties"]["amount"];
            *counts.entry(if amount.is_number() { "number" } else { "text" }).or_default() += 1;
            numbers_in_text += u64::from(amount.as_str().is_some_and(|text| text.parse::<f64>().is_ok()));
        }
        let types: Vec<&str> = list(field, "types").iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(types, counts.keys().copied().collect::<Vec<_>>());
        assert_eq!(field["counts"], json!(counts.values().collect::<Vec<_>>()));
        assert_eq!(field["numbersInText"], numbers_in_text);
        let latest = of_type.iter().map(|event| event["timestamp"].as_i64().unwrap()).max().unwrap();
        assert_eq!(field["lastSeenAt"], audience_rules::time::format_time(latest));
    }
    served.stop();
}

#[test]
fn an_empty_instance_takes_the_demo_once() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let client = served.client();
    // A first event of one's own is no obstacle.
    assert_eq!(client.post("/api/events", r#"{"userId":"me","eventType":"test"}"#).unwrap().status, 202);
    assert_eq!(get(client, "/api/demo"), json!({"state": "possible"}));
    let begun = client.post("/api/demo", "").unwrap();
    assert_eq!((begun.status, begun.json()), (202, json!({"state": "loading"})));
    wait_for_json(client, "/api/demo", |demo| demo["state"] != "loading");
    assert_eq!(get(client, "/api/demo"), json!({"state": "loaded"}));
    let segments = get(client, "/api/segments");
    assert!(list(&segments, "items").len() >= 12, "{segments}");
    let events = get(client, "/api/system")["events"]["accepted"].as_u64().unwrap();
    assert!(events > 10_000, "{events}");
    assert_eq!(client.post("/api/demo", "").unwrap().json(), json!({"state": "loaded"}), "it is not filled again");
    served.stop();
    let served = setup.start();
    assert_eq!(get(served.client(), "/api/demo"), json!({"state": "loaded"}));
    served.stop();
}

#[test]
fn an_instance_with_data_of_its_own_refuses_the_demo() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let segment = r#"{"id":"mine","name":"Mine","rules":{"event":"test"}}"#;
    assert_eq!(client.post("/api/segments", segment).unwrap().status, 201);
    assert_eq!(get(client, "/api/demo"), json!({"state": "impossible"}));
    let refused = client.post("/api/demo", "").unwrap();
    assert_eq!((refused.status, refused.code()), (409, "not_empty".to_owned()));
    assert_eq!(get(client, "/api/system")["events"]["accepted"], 0);
    served.stop();
}
