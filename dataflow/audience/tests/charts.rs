//! Charts from outside: each figure is held to a naive count over single users.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;

use audience_rules::time::format_time;
use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn post(client: Client, path: &str, body: &Value, status: u16) -> Value {
    let answer = client.post(path, &body.to_string()).unwrap();
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    answer.json()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one platform is looked at from every side")]
fn a_breakdown_counts_every_member_once() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let mut events: Vec<Value> = Vec::new();
    for n in 0..300u64 {
        let user = format!("u{n:03}");
        let mut traits = json!({"city": format!("City {}", n * n % 23), "address": {"zip": n % 4}});
        if n % 3 == 0 {
            traits["plan"] = if n % 2 == 0 { json!("gold") } else { json!(n % 9) };
        }
        if n % 10 == 7 {
            traits["city"] = Value::Null;
        }
        events.push(json!({"userId": user, "eventType": "identify", "traits": traits}));
        for _ in 0..n % 5 {
            events.push(json!({"userId": user, "eventType": "purchase", "properties": {"amount": 2.5}}));
        }
    }
    post(client, "/api/events", &json!(events), 202);
    post(client, "/api/segments", &json!({"id": "buyers", "name": "Buyers", "rules": {"event": "purchase"}}), 201);
    // With one who was never seen.
    let members: Vec<String> = ["u001", "u002", "u003", "stranger"].map(str::to_owned).into();
    post(client, "/api/segments", &json!({"id": "list", "name": "List", "type": "STATIC", "members": members}), 201);
    for segment in ["buyers", "list"] {
        let members = client.members(segment).unwrap().unwrap();
        let views: Vec<Value> =
            members.iter().map(|user| client.get(&format!("/api/users/{user}")).unwrap().json()).collect();
        for field in ["city", "plan", "address.zip", "totalSpent", "nothing"] {
            // Naively: the value of each member, as the user's own page has it.
            let mut naive: BTreeMap<String, u64> = BTreeMap::new();
            let mut missing = 0;
            for view in &views {
                let told = match field {
                    "address.zip" => view["traits"]["address"].get("zip"),
                    "totalSpent" => view["computedTraits"].get(field),
                    field => view["traits"].get(field),
                };
                match told {
                    Some(value) => *naive.entry(value.to_string()).or_default() += 1,
                    None => missing += 1,
                }
            }
            for limit in [1, 3, 50] {
                let told = get(client, &format!("/api/segments/{segment}/breakdown?trait={field}&limit={limit}"));
                let context = format!("{segment} {field} {limit}: {told}");
                let items = list(&told, "items");
                let mut counts: Vec<u64> = naive.values().copied().collect();
                counts.sort_unstable_by(|one, other| other.cmp(one));
                let shown: Vec<u64> = items.iter().map(|item| item["count"].as_u64().unwrap()).collect();
                assert_eq!(shown, counts[..counts.len().min(limit)], "{context}");
                for item in items {
                    assert_eq!(naive.get(&item["value"].to_string()), item["count"].as_u64().as_ref(), "{context}");
                }
                let sum =
                    shown.iter().sum::<u64>() + told["rest"].as_u64().unwrap() + told["missing"].as_u64().unwrap();
                assert_eq!(
                    (sum, told["size"].as_u64().unwrap()),
                    (members.len() as u64, members.len() as u64),
                    "{context}"
                );
                assert_eq!(told["missing"], missing, "{context}");
                assert_eq!(told["differentValues"], naive.len(), "{context}");
            }
        }
    }
    assert_eq!(client.get("/api/segments/nothing/breakdown?trait=city").unwrap().status, 404);
    assert_eq!(client.get("/api/segments/buyers/breakdown").unwrap().status, 400);
    served.stop();
}

#[test]
#[expect(clippy::too_many_lines, reason = "one platform is looked at from every side")]
fn a_curve_is_what_explanations_say_at_each_instant() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let now = wall_clock() / 1000 * 1000;
    let users: Vec<String> = (0..24).map(|n| format!("u{n}")).collect();
    let mut events: Vec<Value> = Vec::new();
    for (n, user) in users.iter().enumerate() {
        let n = n as i64;
        // In no order of time, and with one that comes twice.
        for step in [3, 1, 4, 1, 5] {
            let at = now - ((n * 7 + step * 11) % 60) * DAY - n * 1000;
            events.push(json!({"userId": user, "eventType": "purchase", "timestamp": at, "messageId": format!("m{step}"), "properties": {"amount": step * 10}}));
        }
        let plan = if n % 2 == 0 { "gold" } else { "free" };
        events.push(
            json!({"userId": user, "eventType": "identify", "timestamp": now - n * 2 * DAY, "traits": {"plan": plan}}),
        );
    }
    post(client, "/api/events", &json!(events), 202);
    post(client, "/api/events", &json!({"userId": "u1", "previousId": "u2", "eventType": "alias"}), 202);
    assert_eq!(client.send("DELETE", "/api/users/u3", "application/json", b"").unwrap().status, 204);
    let big = json!({"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 80});
    post(client, "/api/segments", &json!({"id": "big", "name": "Big", "rules": big}), 201);
    let rules = [
        big.clone(),
        json!({"event": "purchase", "within": "7d"}),
        json!({"logic": "NOT", "conditions": [{"event": "purchase", "within": "20d"}]}),
        json!({"conditions": [{"segment": "big"}, {"field": "plan", "operator": "eq", "value": "gold"}]}),
        json!({"field": "totalSpent", "operator": "lt", "value": 60}),
    ];
    let (from, to, points) = (now - 40 * DAY, now, 6);
    for (number, rules) in rules.into_iter().enumerate() {
        // The naive way: every user at every point, by the explanation of a segment of that rule.
        let explained = format!("explained-{number}");
        post(client, "/api/segments", &json!({"id": explained, "name": "Explained", "rules": rules}), 201);
        let body = json!({"rules": rules, "from": from, "to": to, "points": points});
        let curve = post(client, "/api/segments/preview/sizes", &body, 200);
        for (nth, point) in list(&curve, "points").iter().enumerate() {
            let at = from + (to - from) * nth as i64 / (points - 1);
            assert_eq!(point["at"], format_time(at));
            let holds = |user: &&String| {
                let path = format!("/api/users/{user}/segments/{explained}/explain?at={at}");
                let answer = client.get(&path).unwrap();
                // Who was merged into another is counted there, and who is erased nowhere.
                answer.status == 200 && answer.json()["userId"] == **user && answer.json()["node"]["held"] == true
            };
            let naive = users.iter().filter(holds).count();
            assert_eq!(point["size"], naive, "{rules} at {nth}");
        }
        assert_eq!(list(&curve, "points").len(), points as usize);
        let mut segment = Value::Null;
        while segment["effective"] != true {
            segment = get(client, &format!("/api/segments/{explained}"));
            pause(20);
        }
        assert_eq!(list(&curve, "points").last().unwrap()["size"], segment["size"], "{rules}");
    }
    for (body, pointer) in [
        (json!({"rules": {"event": ""}}), "/rules/event"),
        (json!({"rules": {"event": "x"}, "points": 1}), "/points"),
        (json!({"rules": {"event": "x"}, "points": 1000}), "/points"),
        (json!({"rules": {"event": "x"}, "from": to, "to": from}), "/from"),
    ] {
        let refused = post(client, "/api/segments/preview/sizes", &body, 400);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    served.stop();
}

#[test]
fn the_last_hour_of_the_system_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let mut hour = Value::Null;
    for _ in 0..600 {
        hour = get(client, "/api/system/hour");
        if list(&hour, "items").len() >= 2 {
            break;
        }
        pause(50);
    }
    let items = list(&hour, "items");
    assert!(items.len() >= 2, "{hour}");
    let times: Vec<&str> = items.iter().map(|item| item["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && items.iter().all(|item| item["memoryBytes"].as_u64().unwrap() > 0), "{hour}");
    served.stop();
}
