//! Users looked at one by one, from outside: why they are in a segment, as of when, and what is known of their events.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wait_for_json, wall_clock};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn send(client: Client, events: &Value) {
    let answer = client.post("/api/events", &events.to_string()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn put(client: Client, segment: &str, body: &Value) {
    let answer = client.put(&format!("/api/segments/{segment}"), &body.to_string()).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
}

#[test]
fn a_membership_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let now = wall_clock();
    let bought = |user: &str, days: i64, amount: i64| json!({"userId": user, "eventType": "purchase", "timestamp": now - days * DAY, "properties": {"amount": amount}});
    send(client, &json!([bought("a", 40, 500), bought("a", 10, 60), bought("a", 5, 70), bought("b", 1, 900)]));
    send(client, &json!({"userId": "a", "anonymousId": "before", "eventType": "identify", "traits": {"plan": "gold"}}));
    put(
        client,
        "spenders",
        &json!({"name": "Spenders", "rules": {"conditions": [
            {"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 100, "within": "30d"},
            {"field": "plan", "operator": "ne", "value": "free"},
        ]}}),
    );
    put(client, "best", &json!({"name": "Best", "rules": {"rank": {"by": "totalSpent"}, "top": 1}}));
    put(client, "list", &json!({"name": "List", "members": ["stranger"]}));
    wait_for_json(client, "/api/users/a/segments", |found| found.as_array().is_some_and(|found| found.len() == 1));

    // Under any of the user's ids.
    for id in ["a", "before"] {
        let explained = get(client, &format!("/api/users/{id}/segments/spenders/explain"));
        assert_eq!(
            (&explained["userId"], &explained["member"], &explained["version"]),
            (&json!("a"), &json!(true), &json!(1))
        );
        let node = &explained["node"]["children"][0];
        assert_eq!((&node["value"], &node["events"]["total"]), (&json!(130), &json!(2)));
        assert_eq!(node["events"]["items"][0]["properties"]["amount"], 70);
        // Without the purchase of ten days ago it is not enough.
        let leaves = explained["nextChangeAt"].as_str().unwrap();
        assert_eq!(leaves, audience_rules::time::format_time(now + 20 * DAY));
        assert_eq!(explained.get("mayChange"), None);
    }
    let then = get(client, &format!("/api/users/a/segments/spenders/explain?at={}", now - 15 * DAY));
    assert_eq!((&then["member"], &then["inForce"]), (&json!(true), &json!(false)), "{then}");
    assert_eq!(then["node"]["children"][0]["value"], 500);
    let best = get(client, "/api/users/a/segments/best/explain");
    assert_eq!(
        (&best["member"], &best["node"]["place"], &best["node"]["ranked"]),
        (&json!(false), &json!(2), &json!(2))
    );
    assert_eq!(get(client, "/api/users/stranger/segments/list/explain")["member"], true);

    // An edit is another version; what was in force before stays known.
    let before = wall_clock();
    pause(5);
    put(
        client,
        "spenders",
        &json!({"name": "Spenders", "rules": {"event": "purchase", "operator": "gte", "value": 9}}),
    );
    assert_eq!(get(client, "/api/users/a/segments/spenders/explain")["member"], false);
    let then = get(client, &format!("/api/users/a/segments/spenders/explain?at={before}"));
    assert_eq!((&then["member"], &then["inForce"], &then["version"]), (&json!(true), &json!(true), &json!(1)));
    for (path, status) in [
        ("/api/users/nobody/segments/spenders/explain", 404),
        ("/api/users/a/segments/nothing/explain", 404),
        ("/api/users/a/segments/nothing/explain?at=1000", 404),
        ("/api/users/a/segments/spenders/explain?at=yesterday", 400),
    ] {
        assert_eq!(client.get(path).unwrap().status, status, "{path}");
    }
    served.stop();
}

#[test]
fn users_are_found_and_their_events_paged() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let now = wall_clock();
    let events: Vec<Value> = (0..25)
        .map(|n| json!({"userId": "ann", "eventType": if n % 5 == 0 { "five" } else { "other" }, "timestamp": now - n % 7, "properties": {"n": n}}))
        .collect();
    send(client, &json!(events));
    send(client, &json!(["ben", "anna", "Ann", "an"].map(|user| json!({"userId": user, "eventType": "visit"}))));
    send(client, &json!({"userId": "ann", "previousId": "ben", "eventType": "alias"}));
    put(client, "list", &json!({"name": "List", "members": ["annual"]}));
    // A merged id and one of a list only are no users.
    wait_for_json(client, "/api/users", |page| {
        page["items"] == json!(["Ann", "an", "ann", "anna"].map(|id| json!({"userId": id})))
    });
    let first = get(client, "/api/users?q=ann&limit=1");
    assert_eq!(first["items"], json!([{"userId": "ann"}]));
    let next = first["nextCursor"].as_str().unwrap();
    assert_eq!(get(client, &format!("/api/users?q=ann&cursor={next}")), json!({"items": [{"userId": "anna"}]}));
    for path in ["/api/users", "/api/users/ann/events", "/api/segments", "/api/segments/list/members", "/api/audit"] {
        assert_eq!(client.get(&format!("{path}?cursor=zzzz")).unwrap().status, 400, "{path}");
    }

    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(client, &format!("/api/users/ben/events?eventType=other&limit=7&cursor={cursor}"));
        numbers.extend(page["items"].as_array().unwrap().iter().filter_map(|event| event["properties"]["n"].as_i64()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let mut expected: Vec<i64> = (0..25).filter(|n| n % 5 != 0).collect();
    // The newest first, and of equal timestamps that which was accepted last.
    expected.sort_by_key(|n| (n % 7, -n));
    assert_eq!(numbers, expected);
    assert_eq!(client.get("/api/users/annual/events").unwrap().status, 404);
    served.stop();
}

#[test]
fn shapes_come_back_after_a_start_and_forget_who_is_erased() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let kept = json!({"userId": "a", "eventType": "kept", "properties": {"size": 5}});
    send(served.client(), &json!([kept, {"userId": "b", "eventType": "secret", "properties": {"pin": 1234}}]));
    let names = |shape: &Value| -> Vec<String> {
        let events = shape["events"].as_array().into_iter().flatten();
        events.filter_map(|event| event["name"].as_str().map(str::to_owned)).collect()
    };
    wait_for_json(served.client(), "/api/schema", |shape| names(shape) == ["kept", "secret"]);
    let refused =
        served.client().post("/api/events", r#"[{"eventType":"x"},{"userId":"a","eventType":"kept"}]"#).unwrap();
    assert_eq!(refused.status, 202);
    assert_eq!(get(served.client(), "/api/system")["events"]["rejected"], 1);
    served.kill();
    let served = setup.start();
    let client = served.client();
    wait_for_json(client, "/api/schema", |shape| names(shape) == ["kept", "secret"]);
    assert_eq!(client.send("DELETE", "/api/users/b", "application/json", b"").unwrap().status, 204);
    let shape = wait_for_json(client, "/api/schema", |shape| names(shape) == ["kept"]);
    let property = &shape["events"][0]["properties"][0];
    let seen_at = property["lastSeenAt"].as_str().expect("the time of the newest event");
    let expected = json!({
        "name": "size", "types": ["number"], "counts": [1], "numbersInText": 0, "lastSeenAt": seen_at, "examples": [5],
    });
    assert_eq!(*property, expected);
    served.stop();
}

/// Beyond this many events a place in a rank is not computed for an explanation.
const EVENTS_OF_ALL: usize = 200_000;

#[test]
fn a_rank_among_too_many_is_told_by_the_membership_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    send(
        client,
        &json!([{"userId": "a", "eventType": "p"}, {"userId": "b", "eventType": "p"}, {"userId": "b", "eventType": "p"}]),
    );
    let rank = json!({"rank": {"by": {"event": "p"}}, "top": 1});
    put(client, "best", &json!({"name": "Best", "rules": rank}));
    put(client, "both", &json!({"name": "Both", "rules": {"conditions": [rank, {"event": "never"}]}}));
    let explain = |user: &str, segment: &str| get(client, &format!("/api/users/{user}/segments/{segment}/explain"));
    assert_eq!(explain("a", "best")["node"]["place"], 2);
    let line = "{\"userId\":\"n\",\"eventType\":\"noise\"}\n";
    for _ in 0..EVENTS_OF_ALL / 10_000 {
        let sent = client.send("POST", "/api/events", "application/x-ndjson", line.repeat(10_000).as_bytes()).unwrap();
        assert_eq!(sent.status, 202, "{}", sent.text());
    }
    wait_for_json(client, "/api/users/b/segments", |found| found[0]["segmentId"] == "best");
    for (user, is_best) in [("a", false), ("b", true)] {
        let best = explain(user, "best");
        assert_eq!((&best["member"], &best["node"]["held"]), (&json!(is_best), &json!(is_best)), "{best}");
        assert_eq!((best.get("nextChangeAt"), &best["mayChange"]), (None, &json!(true)), "{best}");
        // That nobody did the other thing decides, so nothing tells of the rank.
        let both = explain(user, "both");
        assert_eq!((&both["member"], &both["node"]["held"]), (&json!(false), &json!(false)), "{both}");
        assert_eq!(both.get("mayChange"), None, "{both}");
        let node = &both["node"]["children"][0];
        assert_eq!((node.get("held"), &node["unknown"], node.get("place")), (None, &json!(true), None), "{both}");
    }
    served.stop();
}

#[test]
fn a_long_row_of_segments_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    send(client, &json!({"userId": "a", "eventType": "p"}));
    put(client, "s0", &json!({"name": "0", "rules": {"event": "p"}}));
    for row in 1..=17 {
        let before = format!("s{}", row - 1);
        put(client, &format!("s{row}"), &json!({"name": "next", "rules": {"segment": before}}));
    }
    assert_eq!(get(client, "/api/users/a/segments/s16/explain")["member"], true);
    let refused = client.get("/api/users/a/segments/s17/explain").unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (409, "too_deep"));
    served.stop();
}
