//! The real program says how large segments were, what they have in common, and who all is in them, also across `kill -9`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause};
use audience_tests::stream::Stream;
use serde_json::{Value, json};

fn segment(client: Client, id: &str, rules: &Value) {
    let body = json!({"name": id, "rules": rules}).to_string();
    assert!(client.put(&format!("/api/segments/{id}"), &body).unwrap().status < 300);
}

fn happens(client: Client, event: &str, users: std::ops::Range<u32>) {
    let lines: Vec<String> =
        users.map(|user| json!({"userId": format!("u{user}"), "eventType": event}).to_string()).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

/// The sizes once so many are in it.
fn sizes(client: Client, id: &str, query: &str, size: u64) -> Value {
    for _ in 0..3_000 {
        let answer = client.get(&format!("/api/segments/{id}/size?{query}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sizes = answer.json();
        if sizes["size"] == size {
            return sizes;
        }
        pause(20);
    }
    panic!("{id} has not {size} members")
}

fn sums(sizes: &Value) -> (u64, u64, u64) {
    let points = sizes["points"].as_array().unwrap();
    let sum = |what: &str| points.iter().map(|point| point[what].as_u64().unwrap()).sum();
    (sum("entered"), sum("left"), points.last().unwrap()["size"].as_u64().unwrap())
}

/// Also where there is another one of that name at once, which has so many members.
fn what_is_deleted_is_forgotten(client: Client, members: u64) {
    let delete = || assert_eq!(client.send("DELETE", "/api/segments/s", "", b"").unwrap().status, 204);
    delete();
    segment(client, "s", &json!({"event": "in"}));
    let known = sizes(client, "s", "", members);
    assert_eq!(sums(&known), (members, 0, members), "made again: {known}");
    delete();
    pause(500);
    assert_eq!(client.get("/api/segments/s/size").unwrap().status, 404);
}

#[test]
fn sizes_are_kept_whatever_happens_to_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let mut served = setup.start();
    let wanted = json!({"conditions": [{"event": "in"}, {"conditions": [{"event": "out"}], "logic": "NOT"}]});
    segment(served.client(), "s", &wanted);
    let (mut entered, mut left) = (0, 0);
    for round in 0..4 {
        let first = round * 100;
        happens(served.client(), "in", first..first + 100);
        entered += 100;
        sizes(served.client(), "s", "", entered - left);
        happens(served.client(), "out", first..first + 30);
        left += 30;
        let known = sizes(served.client(), "s", "step=1m", entered - left);
        assert_eq!(sums(&known), (entered, left, entered - left), "round {round}: {known}");
        match round % 2 {
            0 => served.kill(),
            _ => served.stop(),
        }
        served = setup.start();
        let again = sizes(served.client(), "s", "step=1h", entered - left);
        assert_eq!(sums(&again), (entered, left, entered - left), "round {round}, started again");
    }
    let known = sizes(served.client(), "s", "", entered - left);
    let day = &known["growth"]["day"];
    assert_eq!((&day["sizeThen"], &day["net"], &day["percent"]), (&json!(0), &json!(280), &Value::Null));
    let created = served.client().get("/api/segments/s").unwrap().json()["createdAt"].clone();
    assert_eq!((&day["since"], &known["growth"]["week"]["since"]), (&created, &created), "it is not older");
    assert_eq!(known["knownSince"], created);
    // What an edit does, and the first fill of a segment, is no growth; what people do behind it is.
    segment(served.client(), "s", &json!({"event": "in"}));
    let known = sizes(served.client(), "s", "", entered);
    let day = |known: &Value| {
        ["sizeThen", "entered", "left", "net"].map(|name| known["growth"]["day"][name].as_i64().unwrap())
    };
    assert_eq!(day(&known), [400, 0, 0, 0], "{known}");
    happens(served.client(), "in", 400..410);
    let known = sizes(served.client(), "s", "", entered + 10);
    assert_eq!(day(&known), [400, 10, 0, 10], "{known}");
    assert_eq!(known["growth"]["day"]["percent"], 2.5);
    let edited = known["growth"]["day"]["since"].as_str().unwrap();
    assert!(edited > created.as_str().unwrap(), "{known}");
    segment(served.client(), "later", &json!({"event": "out"}));
    let later = sizes(served.client(), "later", "", left);
    assert_eq!(day(&later), [120, 0, 0, 0], "{later}");
    served.kill();
    served = setup.start();
    let again = sizes(served.client(), "s", "", entered + 10);
    assert_eq!((day(&again), again["growth"]["day"]["since"].as_str().unwrap()), ([400, 10, 0, 10], edited));
    // An edit that lets everybody leave shows at once; before it there were as many.
    segment(served.client(), "s", &json!({"event": "never"}));
    let known = sizes(served.client(), "s", "", 0);
    assert_eq!(sums(&known), (entered + left + 10, entered + left + 10, 0));
    what_is_deleted_is_forgotten(served.client(), entered + 10);
    for bad in ["from=x", "step=0m", "from=5&to=4", "from=0&step=1s"] {
        let path = format!("/api/segments/s/size?{bad}");
        assert_eq!(served.client().get(&path).unwrap().code(), "invalid_parameter", "{bad}");
    }
    served.stop();
}

#[test]
fn what_segments_have_in_common_and_who_is_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    segment(client, "a", &json!({"event": "a"}));
    segment(client, "b", &json!({"event": "b"}));
    segment(client, "none", &json!({"event": "none"}));
    happens(client, "a", 0..300);
    happens(client, "b", 200..600);
    sizes(client, "a", "", 300);
    sizes(client, "b", "", 400);
    let overlap = client.get("/api/segments/a/overlap?with=b&with=none&with=a").unwrap().json();
    assert_eq!((&overlap["segmentId"], &overlap["size"]), (&json!("a"), &json!(300)));
    let counts: Vec<Vec<u64>> = overlap["with"]
        .as_array()
        .unwrap()
        .iter()
        .map(|with| {
            ["size", "both", "either", "onlyThis", "onlyOther"].map(|name| with[name].as_u64().unwrap()).to_vec()
        })
        .collect();
    assert_eq!(counts, [[400, 100, 600, 200, 300], [0, 0, 300, 300, 0], [300, 300, 300, 0, 0]]);
    assert_eq!(client.get("/api/segments/a/overlap?with=gone").unwrap().status, 404);
    assert_eq!(client.get("/api/segments/a/overlap").unwrap().code(), "invalid_parameter");

    let expected: BTreeSet<String> = (0..300).map(|user| format!("u{user}")).collect();
    let csv = client.get("/api/segments/a/members?format=csv").unwrap();
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("userId"));
    assert_eq!(lines.map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert_eq!(text.lines().count(), 301, "each once");
    let request = "GET /api/segments/a/members HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n";
    let ndjson = client.raw(request.as_bytes()).unwrap().text();
    let users =
        ndjson.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["userId"].as_str().unwrap().to_owned());
    assert_eq!(users.collect::<BTreeSet<_>>(), expected);
    assert_eq!(client.get("/api/segments/none/members?format=csv").unwrap().text(), "userId\r\n");
    assert_eq!(client.get("/api/segments/gone/members?format=csv").unwrap().status, 404);
    served.stop();
}

#[test]
fn sizes_are_told_as_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    segment(client, "a", &json!({"event": "a"}));
    segment(client, "b", &json!({"event": "b"}));
    happens(client, "a", 0..3);
    sizes(client, "a", "", 3);
    let follow = |path: &str| Stream::of(client, path, None).unwrap().unwrap();
    let (mut all, mut one) = (follow("/api/stream/sizes"), follow("/api/stream/sizes?segment=b"));
    let next = |stream: &mut Stream| {
        let event = stream.next_event().unwrap().unwrap();
        assert_eq!(event.event, "sizes");
        event.data
    };
    let first = next(&mut all);
    assert_eq!(first["sizes"], json!({"a": 3, "b": 0}));
    assert_eq!(next(&mut one)["sizes"], json!({"b": 0}));
    happens(client, "a", 3..5);
    assert_eq!(next(&mut all)["sizes"], json!({"a": 5}), "only what is new");
    // An edit is told, to those who follow other segments too, and then what comes of it.
    segment(client, "b", &json!({"event": "a"}));
    for stream in [&mut all, &mut one] {
        let mut told = next(stream);
        while told["sizes"]["b"] != 5 || told["inForceVersion"] != told["catalogueVersion"] {
            told = next(stream);
        }
        assert!(told["catalogueVersion"].as_u64() > first["catalogueVersion"].as_u64());
    }
    served.stop();
    assert_eq!(one.next_event().unwrap(), None, "it ends with the program");
}
