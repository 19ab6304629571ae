//! The demo as somebody finds it who tries the program out: something on every page, explanations that agree with the
//! memberships, and life in it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, wait_for_json};
use serde_json::Value;

/// Tries of a comparison between which the shop may move somebody.
const TRIES: usize = 2_400;

fn json(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn texts<'v>(items: &'v [Value], key: &str) -> Vec<&'v str> {
    items.iter().filter_map(|item| item[key].as_str()).collect()
}

/// Returns whether explanation and membership say the same of a user and a segment; both may change in between.
fn agree(client: Client, user: &str, segment: &str) -> bool {
    (0..TRIES).any(|_| {
        let is_in = || {
            texts(json(client, &format!("/api/users/{user}/segments")).as_array().unwrap(), "segmentId")
                .contains(&segment)
        };
        let before = is_in();
        let explained = json(client, &format!("/api/users/{user}/segments/{segment}/explain"));
        let is_said = explained["member"] == before || explained["member"] == is_in();
        assert!(explained["node"]["text"].is_string(), "{explained}");
        is_said
    })
}

/// The time of the first point.
fn points_from(sizes: &Value) -> &str {
    sizes["points"][0]["at"].as_str().unwrap()
}

#[test]
fn there_is_something_on_every_page() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags.push("--demo".into());
    let served = setup.start();
    let client = served.client();

    let is_filled = |segment: &Value| {
        segment["status"] != "ACTIVE" || segment["size"].as_u64() > Some(0) || segment["id"] == "active-now"
    };
    let page = wait_for_json(client, "/api/segments", |page| list(page, "items").iter().all(is_filled));
    let segments = list(&page, "items");
    assert!(segments.len() >= 12, "{page}");
    assert!(segments.iter().any(|segment| segment["status"] == "DRAFT" && segment["size"] == 0));
    assert_eq!(list(&json(client, "/api/segments/high-value/versions"), "items").len(), 3);

    // Sizes of before it was filled are those that its events make.
    let since = audience_tests::serve::wall_clock() - 80 * 24 * 3_600_000;
    for (segment, grows) in [("high-value", true), ("lapsing", true), ("best-100", false), ("invited", false)] {
        let known = json(client, &format!("/api/segments/{segment}/size?from={since}&step=1d"));
        let points: Vec<i64> = list(&known, "points").iter().map(|point| point["size"].as_i64().unwrap()).collect();
        assert_eq!(points.last().copied(), known["size"].as_i64(), "{segment}");
        assert!(points.len() >= 80 && points[40] > 0, "{segment}: {points:?}");
        assert!(!grows || points[10] < points[79], "{segment}: {points:?}");
        let known_since = known["knownSince"].as_str().unwrap();
        assert!(known_since < points_from(&known), "{segment}: {known_since}");
        // The first fill is none of it.
        let week = &known["growth"]["week"];
        let (then, size) = (week["sizeThen"].as_i64().unwrap(), known["size"].as_i64().unwrap());
        assert!(then > 0 && then * 2 > size, "{segment}: {week}");
    }

    let shape = wait_for_json(client, "/api/schema", |shape| list(shape, "events").len() >= 6);
    let purchase = list(&shape, "events").iter().find(|event| event["name"] == "purchase").unwrap();
    assert!(texts(list(purchase, "properties"), "name").contains(&"amount"), "{purchase}");
    assert!(texts(list(&shape, "traits"), "name").contains(&"plan"), "{shape}");

    let users = json(client, "/api/users?q=singh-&limit=3");
    assert!(texts(list(&users, "items"), "userId").iter().all(|user| user.starts_with("singh-")));
    for user in texts(list(&users, "items"), "userId") {
        for segment in texts(segments, "id") {
            assert!(agree(client, user, segment), "{user}, {segment}");
        }
        let events = json(client, &format!("/api/users/{user}/events?limit=1000"));
        let times = texts(list(&events, "items"), "timestamp");
        assert!(!times.is_empty() && times.is_sorted_by(|newer, older| newer >= older), "{events}");
    }

    // Customers come and go.
    let before = json(client, "/api/system");
    let (events, changes) = (before["events"]["accepted"].as_u64(), before["changes"]["total"].as_u64());
    wait_for_json(client, "/api/system", |now| {
        now["events"]["accepted"].as_u64() > events && now["changes"]["total"].as_u64() > changes
    });
    wait_for_json(client, "/api/segments/active-now", |segment| segment["size"].as_u64() > Some(0));
    assert_eq!(before["health"]["ready"], true);
    served.stop();

    // It goes on from where it was, and is not filled again.
    let served = setup.start();
    let after = json(served.client(), "/api/system");
    let grown = after["events"]["accepted"].as_u64().unwrap() - events.unwrap();
    assert!(grown < 20_000, "{grown} more events");
    assert_eq!(after["segments"], before["segments"]);
    served.stop();
}

#[test]
fn a_directory_with_other_data_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    assert_eq!(served.client().post("/api/events", r#"{"userId":"u","eventType":"x"}"#).unwrap().status, 202);
    served.stop();
    setup.flags.push("--demo".into());
    let said = setup.spawn().wait_ready().unwrap_err();
    assert!(said.contains("data that no demo made"), "{said}");
    setup.flags.clear();
    let served = setup.start();
    assert_eq!(json(served.client(), "/api/system")["events"]["accepted"], 1);
    served.stop();
}
