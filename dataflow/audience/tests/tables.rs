//! People in tables from outside: columns of traits, searches by value, exports with columns, and who entered and left.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, wait_for_json, wall_clock};
use serde_json::{Value, json};

const USERS: usize = 240;

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn send(client: Client, events: &Value) {
    let answer = client.post("/api/events", &events.to_string()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn put(client: Client, segment: &str, rules: &Value) {
    let body = json!({"name": segment, "rules": rules});
    let answer = client.put(&format!("/api/segments/{segment}"), &body.to_string()).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn texts(items: &[Value], key: &str) -> Vec<String> {
    items.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

/// The traits of user number `n`; some lack some.
fn traits(n: usize) -> Value {
    let mut traits = json!({"email": format!("{}@example.{}", n / 3, if n.is_multiple_of(2) { "com" } else { "org" }), "age": 20 + n % 50, "kind": "customer"});
    if !n.is_multiple_of(4) {
        traits["address"] = json!({"city": format!("City {}", n % 7)});
    }
    if n.is_multiple_of(5) {
        traits["vip"] = json!(n.is_multiple_of(2));
    }
    traits
}

fn id(n: usize) -> String {
    format!("user {n:03}")
}

fn fill(client: Client) {
    let mut events: Vec<Value> = Vec::new();
    for n in 0..USERS {
        events.push(json!({"userId": id(n), "eventType": "identify", "traits": traits(n)}));
        for _ in 0..n % 4 {
            events.push(json!({"userId": id(n), "eventType": "purchase", "properties": {"amount": 10.5}}));
        }
    }
    send(client, &json!(events));
    // Two ids, one user: what the second did is the first's.
    send(client, &json!({"userId": "visitor", "eventType": "purchase", "properties": {"amount": 1000}}));
    send(client, &json!({"userId": id(1), "previousId": "visitor", "eventType": "alias"}));
}

/// The result of a search, counted naively over what is known of each user.
fn naive(known: &BTreeMap<String, Value>, fits: impl Fn(&Value) -> bool) -> Vec<String> {
    known.iter().filter(|(_, view)| fits(view)).map(|(id, _)| id.clone()).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one platform is looked at from every side")]
fn tables_searches_and_exports_are_those_of_a_naive_look_at_every_user() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    fill(client);
    put(client, "buyers", &json!({"event": "purchase", "operator": "gte", "value": 2}));
    wait_for_json(client, "/api/segments/buyers", |segment| segment["effective"] == true);

    let table = get(client, "/api/users?limit=1000&column=email&column=totalSpent&column=address.city&column=nothing");
    let rows = list(&table, "items");
    assert_eq!(rows.len(), USERS, "one who was merged is none");
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for row in rows {
        let user = row["userId"].as_str().unwrap();
        let view = get(client, &format!("/api/users/{}", user.replace(' ', "%20")));
        let mut expected = json!({"email": view["traits"]["email"]});
        if let Some(city) = view["traits"]["address"].get("city") {
            expected["address.city"] = city.clone();
        }
        if let Some(spent) = view["computedTraits"].get("totalSpent") {
            expected["totalSpent"] = spent.clone();
        }
        assert_eq!(row["values"], expected, "{user}");
        known.insert(user.to_owned(), view);
    }
    assert_eq!(known[&id(1)]["computedTraits"]["totalSpent"], json!(1010.5));

    // Searches.
    let found = |query: &str| {
        let found = get(client, &format!("/api/users?{query}"));
        (texts(list(&found, "items"), "userId"), found["total"].as_u64().unwrap())
    };
    let is = |view: &Value, field: &str, wanted: &Value| view["traits"][field] == *wanted;
    let starts = |view: &Value, field: &str, with: &str| {
        view["traits"].get(field).and_then(Value::as_str).is_some_and(|text| text.starts_with(with))
    };
    let members: BTreeSet<String> = client.members("buyers").unwrap().unwrap().into_iter().collect();
    assert!(members.len() > 50);
    let spent = |view: &Value| view["computedTraits"].get("totalSpent") == Some(&json!(21));
    for (query, expected) in [
        ("trait=email&equals=7@example.com", naive(&known, |view| is(view, "email", &json!("7@example.com")))),
        ("trait=email&startsWith=7", naive(&known, |view| starts(view, "email", "7"))),
        ("trait=email&startsWith=", Vec::new()),
        ("trait=age&equals=25", naive(&known, |view| is(view, "age", &json!(25)))),
        ("trait=vip&equals=true", naive(&known, |view| is(view, "vip", &json!(true)))),
        ("trait=address.city&equals=City%203", naive(&known, |view| view["traits"]["address"]["city"] == "City 3")),
        ("trait=totalSpent&equals=21", naive(&known, spent)),
        ("trait=email&equals=nobody", Vec::new()),
    ] {
        if query.ends_with('=') {
            assert_eq!(client.get(&format!("/api/users?{query}")).unwrap().status, 400, "{query}");
            continue;
        }
        let (items, total) = found(&format!("{query}&limit=100"));
        assert_eq!((&items, total), (&expected, expected.len() as u64), "{query}");
        let inside: Vec<String> = expected.into_iter().filter(|user| members.contains(user)).collect();
        assert_eq!(
            found(&format!("{query}&segment=buyers&limit=100")),
            (inside.clone(), inside.len() as u64),
            "{query}"
        );
    }
    // More than are named: the total is exact, and those who are named fit.
    for (query, limit, field, prefix) in [
        ("trait=kind&startsWith=cust&limit=1000", 100, "kind", "cust"),
        ("trait=email&startsWith=1&limit=5", 5, "email", "1"),
    ] {
        let expected = naive(&known, |view| starts(view, field, prefix));
        let (some, total) = found(query);
        assert!(expected.len() > limit, "{query}");
        assert_eq!((some.len(), total), (limit, expected.len() as u64), "{query}");
        assert!(some.is_sorted() && some.iter().all(|user| expected.contains(user)), "{query}");
    }

    // Members in pages with columns, and all of them in a file.
    let mut paged: BTreeMap<String, Value> = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = get(client, &format!("/api/users?segment=buyers&column=email&limit=17{cursor}"));
        for row in list(&page, "items") {
            paged.insert(row["userId"].as_str().unwrap().to_owned(), row["values"]["email"].clone());
        }
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: BTreeMap<String, Value> =
        members.iter().map(|user| (user.clone(), known[user]["traits"]["email"].clone())).collect();
    assert_eq!(paged, expected);
    let csv = client.get("/api/segments/buyers/members?format=csv&column=email&column=totalSpent").unwrap().text();
    let mut lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.remove(0), "userId,email,totalSpent");
    lines.sort_unstable();
    let expected: Vec<String> = members
        .iter()
        .map(|user| {
            let view = &known[user];
            format!("{user},{},{}", view["traits"]["email"].as_str().unwrap(), view["computedTraits"]["totalSpent"])
        })
        .collect();
    assert_eq!(lines, expected);
    served.stop();
}

#[test]
fn what_a_table_cannot_be_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let many: String = (0..21).map(|n| format!("&column=c{n}")).collect();
    for (path, status) in [
        ("/api/users?trait=email", 400),
        ("/api/users?equals=x", 400),
        ("/api/users?trait=email&equals=x&startsWith=y", 400),
        ("/api/users?trait=email&equals=x&q=u", 400),
        ("/api/users?trait=email&equals=x&segment=nothing", 404),
        ("/api/users?segment=nothing", 404),
        ("/api/users?trait=totalSpent&startsWith=1", 400),
        ("/api/segments/nothing/members?column=x", 400),
        (&format!("/api/users?limit=1{many}"), 400),
        ("/api/changes?cursor=MTIz", 400),
    ] {
        let answer = client.get(path).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    served.stop();
}

#[test]
#[expect(clippy::too_many_lines, reason = "one platform is looked at from every side")]
fn who_entered_and_left_is_read_back_from_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let client = served.client();
    let threshold = |value: u64| json!({"event": "visit", "operator": "gte", "value": value});
    put(client, "often", &threshold(2));
    put(client, "other", &json!({"event": "visit"}));
    let now = wall_clock();
    let visits: Vec<Value> = (0..60)
        .map(|n| json!({"userId": format!("u{}", n % 20), "eventType": "visit", "timestamp": now - 1000 + n}))
        .collect();
    for some in visits.chunks(7) {
        send(client, &json!(some));
    }
    wait_for_json(client, "/api/segments/often", |segment| segment["size"] == 20);
    put(client, "often", &threshold(4));
    put(client, "often", &threshold(3));
    send(client, &json!({"userId": "late", "eventType": "visit"}));
    send(client, &json!({"userId": "u0", "previousId": "late", "eventType": "alias"}));
    wait_for_json(client, "/api/users/late/segments", |found| found.as_array().is_some_and(|found| found.len() == 2));

    let check = |client: Client| {
        // 20 enter both, the first edit takes all out of one, the second brings them back, `late` comes and is merged. What is
        // served already may not be in the log yet.
        let all = wait_for_json(client, "/api/changes?limit=1000", |all| list(all, "items").len() >= 40 + 20 + 20 + 2);
        let all = list(&all, "items");
        assert_eq!(all.len(), 40 + 20 + 20 + 2, "{all:?}");
        let places: Vec<(u64, u64)> = texts(all, "id")
            .iter()
            .map(|id| {
                let (tick, index) = id.split_once('-').unwrap();
                (tick.parse().unwrap(), index.parse().unwrap())
            })
            .collect();
        assert!(places.is_sorted_by(|newer, older| newer > older), "the newest first, each once: {places:?}");
        for (filter, fits) in [
            ("segment=often", Box::new(|change: &Value| change["segmentId"] == "often") as Box<dyn Fn(&Value) -> bool>),
            ("segment=often&segment=other&user=u7", Box::new(|change| change["userId"] == "u7")),
            // All ids of a user.
            ("user=u0", Box::new(|change| change["userId"] == "u0" || change["userId"] == "late")),
            ("user=nobody", Box::new(|_| false)),
        ] {
            let expected: Vec<&Value> = all.iter().filter(|change| fits(change)).collect();
            let (mut paged, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = get(client, &format!("/api/changes?{filter}&limit=3{cursor}"));
                paged.extend(list(&page, "items").to_vec());
                let Some(next) = page["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(paged.iter().collect::<Vec<_>>(), expected, "{filter}");
        }
        all.to_vec()
    };
    let before = check(client);
    let of_u7: Vec<(String, String)> = before
        .iter()
        .filter(|change| change["userId"] == "u7" && change["segmentId"] == "often")
        .map(|change| (change["change"].as_str().unwrap().to_owned(), change["cause"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [("entered", "rule"), ("left", "rule"), ("entered", "event")];
    assert_eq!(of_u7, expected.map(|(change, cause)| (change.to_owned(), cause.to_owned())));
    // From the log as from memory.
    served.stop();
    let served = setup.start();
    assert_eq!(check(served.client()), before);
    served.stop();
}
