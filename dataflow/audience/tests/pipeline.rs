//! Pipelines and leaderboards of the real program, each held to a naive count.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod access;

use std::collections::{BTreeMap, BTreeSet};

use access::{ask, invite, join};
use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::Setup;
use serde_json::{Value, json};

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn put(client: Client, id: &str, rules: &Value) {
    let body = json!({"name": id, "rules": rules}).to_string();
    let answer = client.put(&format!("/api/segments/{id}"), &body).unwrap();
    assert!(answer.status < 300, "{id}: {}", answer.text());
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Rules that share much.
fn rules() -> BTreeMap<&'static str, Value> {
    let plan = |value: &str| json!({"field": "plan", "operator": "eq", "value": value});
    let count = |value: u64| json!({"event": "buy", "operator": "gte", "value": value, "within": "30d"});
    let spent = json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 5});
    let top = json!({"rank": {"by": "totalSpent"}, "top": 3, "among": plan("pro")});
    let middle = json!({"event": "buy", "measure": {"fn": "median", "of": "amount"}, "operator": "gt", "value": 5});
    BTreeMap::from([
        ("a", json!({"conditions": [plan("pro"), count(3)]})),
        ("b", json!({"logic": "OR", "conditions": [plan("pro"), plan("pro"), count(4), {"segment": "a"}]})),
        ("c", json!({"logic": "NOT", "conditions": [spent, {"field": "totalSpent", "operator": "lt", "value": 9}]})),
        ("d", top),
        ("e", json!({"conditions": [middle, {"sequence": [{"event": "buy"}, {"event": "buy"}]}, plan("free")]})),
    ])
}

/// Each part of each pipeline is shared by the rules that have it, counted by what the parts say.
fn check_shares(pipelines: &BTreeMap<&str, Value>) {
    for part in ["measures", "predicates"] {
        let definition = if part == "measures" { "definition" } else { "condition" };
        let key = |found: &Value| format!("{} {}", found["kind"], found[definition]);
        let mut naive: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (id, pipeline) in pipelines {
            for found in list(pipeline, part) {
                naive.entry(key(found)).or_default().insert(id);
            }
        }
        for found in pipelines.values().flat_map(|pipeline| list(pipeline, part)) {
            assert_eq!(found["sharedBy"], naive[&key(found)].len(), "{found}");
        }
    }
}

#[test]
fn a_pipeline_is_found_again_from_the_catalogue_of_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    let client = running.client();
    let rules = rules();
    rules.iter().for_each(|(id, rules)| put(client, id, rules));
    let now = |id: &str| get(client, &format!("/api/segments/{id}/pipeline"));
    let pipelines: BTreeMap<&str, Value> = rules.keys().map(|id| (*id, now(id))).collect();
    check_shares(&pipelines);
    let b = &pipelines["b"];
    let plan = json!({"any": [{"predicate": "p1"}, {"predicate": "p1"}, {"predicate": "p2"}, {"predicate": "p3"}]});
    assert_eq!(b["plan"], plan, "a condition that stands twice is one");
    assert_eq!((&b["segments"], &b["windows"], &b["isTable"]), (&json!(["a"]), &json!(["30d"]), &json!(true)));
    assert_eq!(b["sources"], json!([{"name": "http"}]));
    let events: Vec<&Value> = list(b, "events").iter().map(|event| &event["eventType"]).collect();
    assert_eq!(events, ["buy", "identify"]);
    let d = &pipelines["d"];
    assert_eq!(list(d, "predicates").len(), 2, "the rank, and who is ranked: {d}");
    assert_eq!(list(d, "measures")[0]["traits"], json!(["totalSpent"]));
    assert_eq!(list(&pipelines["e"], "measures")[0]["growsWith"], "records");

    // The last of them was stored among all others.
    let then = get(client, "/api/segments/e/pipeline?version=1");
    assert_eq!(then, pipelines["e"]);
    put(client, "a", &json!({"field": "plan", "operator": "exists"}));
    assert_eq!(client.send("DELETE", "/api/segments/b", "application/json", b"").unwrap().status, 204);
    let edited = now("a");
    assert_eq!((&edited["version"], edited["cost"]["measuresPerEvent"].as_u64()), (&json!(2), Some(1)));
    assert_eq!(get(client, "/api/segments/e/pipeline?version=1"), then, "later edits change nothing of it");
    let first = get(client, "/api/segments/a/pipeline?version=1");
    assert_eq!((&first["plan"], &first["fields"]), (&pipelines["a"]["plan"], &pipelines["a"]["fields"]));
    assert_ne!(now("e")["catalogueVersion"], then["catalogueVersion"]);
    for (path, status) in [("a/pipeline?version=9", 404), ("a/pipeline?version=x", 400), ("none/pipeline", 404)] {
        assert_eq!(client.get(&format!("/api/segments/{path}")).unwrap().status, status, "{path}");
    }
    running.stop();
    let running = setup.start();
    assert_eq!(get(running.client(), "/api/segments/e/pipeline?version=1"), then, "nor does a restart");
    running.stop();
}

/// The first of some members by value, and of equal ones by id.
fn naive(values: &BTreeMap<String, f64>, descending: bool, most: usize) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = values.iter().map(|(user, value)| (user.clone(), *value)).collect();
    all.sort_by(|(user, value), (other, than)| {
        let by_value = value.total_cmp(than);
        (if descending { by_value.reverse() } else { by_value }).then_with(|| user.cmp(other))
    });
    all.truncate(most);
    all
}

fn told(board: &Value) -> Vec<(String, f64)> {
    let leader = |item: &Value| (item["userId"].as_str().unwrap().to_owned(), item["value"].as_f64().unwrap());
    list(board, "items").iter().map(leader).collect()
}

#[test]
fn a_leaderboard_is_the_first_members_with_their_values() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    let client = running.client();
    let sum = json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}});
    let average = json!({"event": "buy", "measure": {"fn": "avg", "of": "amount"}});
    put(client, "best", &json!({"rank": {"by": sum}, "top": 7}));
    let even = json!({"field": "even", "operator": "eq", "value": true});
    put(client, "even", &json!({"conditions": [even, {"rank": {"by": average, "order": "asc"}, "percent": 50}]}));
    put(client, "plain", &even);
    let (mut events, mut sums, mut averages) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for n in 0..40u32 {
        let user = format!("u{n:02}");
        let amounts = [f64::from(n * n % 11), f64::from(n % 5), 1.5];
        events.push(json!({"userId": user, "eventType": "identify", "traits": {"even": n % 2 == 0}}));
        for amount in amounts {
            events.push(json!({"userId": user, "eventType": "buy", "properties": {"amount": amount}}));
        }
        let whole: f64 = amounts.iter().sum();
        sums.insert(user.clone(), whole);
        averages.insert(user, whole / 3.0);
    }
    assert_eq!(client.post("/api/events", &json!(events).to_string()).unwrap().status, 202);
    let best = || get(client, "/api/segments/best/leaderboard?limit=50");
    audience_tests::platform::wait_until("the best", || told(&best()) == naive(&sums, true, 7));
    assert_eq!((&best()["size"], &best()["descending"]), (&json!(7), &json!(true)));
    assert_eq!(told(&get(client, "/api/segments/best/leaderboard?limit=3")), naive(&sums, true, 3));
    // The members of a compound rule, in the order of its rank.
    let members: BTreeSet<String> = client.members("even").unwrap().unwrap().into_iter().collect();
    let of_members = averages.iter().filter(|(user, _)| members.contains(*user));
    let of_members = of_members.map(|(user, value)| (user.clone(), *value)).collect();
    let expected = naive(&of_members, false, 5);
    let even = told(&get(client, "/api/segments/even/leaderboard?limit=5"));
    assert_eq!(even.len(), 5);
    for ((user, value), (expected, exact)) in even.iter().zip(&expected) {
        assert!(user == expected && (value - exact).abs() < 1e-6, "{even:?} {expected}");
    }
    let refused = client.get("/api/segments/plain/leaderboard").unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("no_rank")));
    assert_eq!(client.get("/api/segments/none/leaderboard").unwrap().status, 404);

    // Who may not see personal data gets no values.
    let admin = join(client, &invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin"));
    let viewer = join(client, &invite(&setup.program, &setup.data, "bob@example.org", "viewer"));
    let as_seen = |cookie: &str| ask(client, "GET /api/segments/best/leaderboard", &[("cookie", cookie)], "").json();
    assert_eq!(told(&as_seen(&admin)), naive(&sums, true, 7));
    let masked = as_seen(&viewer);
    assert!(masked["masked"] == true && list(&masked, "items").iter().all(|item| item["value"].is_null()), "{masked}");
    running.stop();
}
