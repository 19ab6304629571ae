//! Tenants of a running process: each has what it would have alone, and nothing of one is there for another.
//!
//! `AUDIENCE_TENANT_CASES` makes more random timelines.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod access;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use access::{ask, invite, join, key};
use audience_api::templates;
use audience_tests::client::{Answer, Client};
use audience_tests::program;
use audience_tests::random::Random;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

fn setup(directory: &Path) -> Setup {
    let boundless = ["requests", "key-requests", "address-requests"].map(|name| format!("--{name}-per-minute=0"));
    let flags = ["--auth", "required"].map(String::from).into_iter().chain(boundless).collect();
    Setup { flags, ..Setup::within(program!(), directory) }
}

/// The cookies of a platform's admin and operator.
fn staff(setup: &Setup, client: Client) -> (String, String) {
    let one = |email: &str, role: &str| join(client, &invite(&setup.program, &setup.data, email, role));
    (one("ann@example.org", "marketing_admin"), one("op@example.org", "operator"))
}

fn with(client: Client, cookie: &str, head: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(client, head, &[("cookie", cookie)], &body)
}

/// Makes a tenant, and waits until it is ready; gives the cookie of its admin.
fn tenant(client: Client, operator: &str, id: &str) -> String {
    let body = json!({"id": id, "name": format!("Tenant {id}"), "admin": format!("admin@{id}.example")});
    let made = with(client, operator, "POST /api/tenants", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let cookie = join(client, link.split_once("/join#").unwrap().1);
    wait_ready(client, &cookie);
    cookie
}

fn wait_ready(client: Client, cookie: &str) {
    let begun = Instant::now();
    while with(client, cookie, "GET /api/segments", &Value::Null).status == 503 {
        assert!(begun.elapsed() < PATIENCE, "the tenant is not ready");
        pause(50);
    }
}

/// One step of a tenant's timeline: a request.
type Step = (String, Value);

/// The ids of users, the same in all timelines.
fn users() -> Vec<String> {
    (0..12).map(|user| format!("u{user}")).collect()
}

const SEGMENTS: [&str; 4] = ["rich", "often", "first", "never"];

fn rules(random: &mut Random, segment: &str) -> Value {
    let than = random.between(1, 400);
    match segment {
        "rich" => {
            json!({"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": than})
        }
        "often" => json!({"event": "purchase", "operator": "gte", "value": 1 + than % 4, "within": "200d"}),
        "first" => json!({"rank": {"by": "totalSpent"}, "top": 1 + than % 5}),
        _ => json!({"event": "purchase", "operator": "eq", "value": 0}),
    }
}

/// A random timeline: purchases, traits, merges, erasures, and edits of segments that all timelines name alike.
fn timeline(random: &mut Random, now: i64) -> Vec<Step> {
    let users = users();
    let mut steps: Vec<Step> = Vec::new();
    for step in 0..60 {
        let user = random.pick(&users).clone();
        let at = now - 3_600_000 * random.between(24, 100 * 24) as i64;
        let amount = random.between(1, 300);
        let purchase =
            json!({"userId": user, "eventType": "purchase", "timestamp": at, "properties": {"amount": amount}});
        steps.push(match random.weighted(&[70, 12, 8, 3, if step < 5 { 60 } else { 12 }]) {
            0 => ("POST /api/events".to_owned(), purchase),
            1 => {
                let traits = json!({"plan": random.word(&["gold", "free"])});
                (
                    "POST /api/events".to_owned(),
                    json!({"userId": user, "eventType": "identify", "timestamp": at, "traits": traits}),
                )
            }
            2 => {
                let anonymous = format!("a{}", random.between(0, 5));
                let merge = json!({"userId": user, "anonymousId": anonymous, "eventType": "identify", "timestamp": at});
                ("POST /api/events".to_owned(), merge)
            }
            3 => (format!("DELETE /api/users/{user}"), Value::Null),
            _ => {
                let segment = random.word(&SEGMENTS);
                let document = json!({"name": segment, "rules": rules(random, segment)});
                (format!("PUT /api/segments/{segment}"), document)
            }
        });
    }
    steps
}

fn take(client: Client, cookie: &str, (head, body): &Step) {
    let status = with(client, cookie, head, body).status;
    assert!(matches!(status, 200..=299 | 404), "{head}: {status}");
}

/// All that a tenant has: the members of each segment, the profile of each user, and the changes given out so far.
fn known(client: Client, cookie: &str) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for segment in SEGMENTS {
        let answer = with(client, cookie, &format!("GET /api/segments/{segment}/members"), &Value::Null);
        known.insert(segment.to_owned(), format!("{} {}", answer.status, answer.json()["items"]));
    }
    for user in users() {
        let answer = with(client, cookie, &format!("GET /api/users/{user}"), &Value::Null);
        let body = answer.json();
        known.insert(user, format!("{} {} {}", answer.status, body["traits"], body["computedTraits"]));
    }
    known
}

/// The members that follow from the changes given out.
fn changed(client: Client, cookie: &str) -> Value {
    let page = with(client, cookie, "GET /api/changes?limit=1000", &Value::Null).json();
    let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for change in page["items"].as_array().unwrap() {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        let by = if change["change"] == "entered" { 1 } else { -1 };
        *counts.entry((text("segmentId"), text("userId"))).or_default() += by;
    }
    let members = counts.into_iter().filter(|(_, count)| *count != 0);
    members.map(|((segment, user), count)| json!([segment, user, count])).collect()
}

/// Waits until it no longer changes: what was accepted is then evaluated.
fn settled(client: Client, cookie: &str) -> (BTreeMap<String, String>, Value) {
    let mut last = (known(client, cookie), changed(client, cookie));
    let begun = Instant::now();
    loop {
        pause(400);
        let next = (known(client, cookie), changed(client, cookie));
        if next == last {
            return last;
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on changing");
        last = next;
    }
}

fn cases() -> u64 {
    let name = "AUDIENCE_TENANT_CASES";
    std::env::var(name).ok().map_or(1, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn tenants_together_have_what_each_has_alone() {
    for case in 0..cases() {
        let now = wall_clock();
        let mut random = Random::new(0x7e4a_4275 + case);
        let timelines: Vec<Vec<Step>> = (0..4).map(|_| timeline(&mut random, now)).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut setup = Setup { workers: 1 + (case as usize + 1) % 4, ..setup(directory.path()) };
        let mut served = setup.start();
        let (admin, operator) = staff(&setup, served.client());
        let mut cookies = vec![admin];
        cookies.extend(["acme", "bolt", "cube"].map(|id| tenant(served.client(), &operator, id)));
        let mut places = vec![0; timelines.len()];
        let restart = random.between(20, 160) as usize;
        for step in 0..timelines.iter().map(Vec::len).sum() {
            if step == restart {
                served = start_again(served, &mut setup, &cookies, case % 2 == 0);
            }
            let open: Vec<usize> = (0..timelines.len()).filter(|one| places[*one] < timelines[*one].len()).collect();
            let one = *random.pick(&open);
            take(served.client(), &cookies[one], &timelines[one][places[one]]);
            places[one] += 1;
        }
        for (one, steps) in timelines.iter().enumerate() {
            let together = settled(served.client(), &cookies[one]);
            let alone = alone(steps);
            assert_eq!(together, alone, "case {case}, timeline {one}");
        }
        served.stop();
    }
}

/// Kills or stops the program, and starts it with another number of workers.
fn start_again(served: Served, setup: &mut Setup, cookies: &[String], is_killed: bool) -> Served {
    if is_killed {
        served.kill()
    } else {
        served.stop()
    }
    setup.workers = 1 + setup.workers % 4;
    let served = setup.start();
    cookies.iter().for_each(|cookie| wait_ready(served.client(), cookie));
    served
}

/// The same timeline in a platform that has no other.
fn alone(steps: &[Step]) -> (BTreeMap<String, String>, Value) {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path());
    let served = setup.start();
    let (admin, _) = staff(&setup, served.client());
    steps.iter().for_each(|step| take(served.client(), &admin, step));
    let known = settled(served.client(), &admin);
    served.stop();
    known
}

/// Something of each kind in a tenant: the path under which it stands, and its id.
fn things(client: Client, cookie: &str) -> Vec<(&'static str, String)> {
    let make = |head: &str, body: Value| {
        let made = with(client, cookie, head, &body);
        assert!(matches!(made.status, 200..=202), "{head} {}: {}", made.status, made.text());
        made.json()
    };
    let id = |made: Value| made["id"].as_str().unwrap().to_owned();
    let rules = json!({"event": "purchase", "operator": "gte", "value": 1});
    make("PUT /api/segments/only-here", json!({"name": "Only here", "rules": rules}));
    make("PUT /api/traits/onlyHere", json!({"event": "purchase", "measure": "count"}));
    make("POST /api/events", json!({"userId": "only-here", "eventType": "purchase"}));
    let hook = make("POST /api/webhooks", json!({"url": "https://hooks.example.com/x"}));
    let key = id(make("POST /api/keys", json!({"name": "pages", "kind": "write"})));
    let link = id(make("POST /api/invitations", json!({"email": "vic@example.org", "role": "viewer"})));
    let first = |path: &str| {
        let list = with(client, cookie, &format!("GET {path}"), &Value::Null).json();
        list["items"][0]["id"].as_str().unwrap().to_owned()
    };
    vec![
        ("/api/segments/", "only-here".to_owned()),
        ("/api/traits/", "onlyHere".to_owned()),
        ("/api/users/", "only-here".to_owned()),
        ("/api/webhooks/", id(hook)),
        ("/api/keys/", key),
        ("/api/invitations/", link),
        ("/api/members/", first("/api/members")),
        ("/api/sessions/", first("/api/sessions")),
    ]
}

/// An id of the same letters and length that nothing has.
fn never(id: &str) -> String {
    id.chars().rev().collect()
}

#[test]
fn an_id_of_another_tenant_is_answered_as_one_that_never_was() {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path());
    let served = setup.start();
    let client = served.client();
    let (ann, operator) = staff(&setup, client);
    let eve = tenant(client, &operator, "acme");
    let things = things(client, &ann);
    let shown = || {
        let documents = ["segments/only-here", "traits/onlyHere", "users/only-here", "webhooks", "keys", "members"];
        documents.map(|path| {
            let mut shown = with(client, &ann, &format!("GET /api/{path}"), &Value::Null).json();
            // The target of the webhook is nowhere, and is tried again meanwhile.
            let items = shown["items"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
            items.for_each(|item| drop(item.remove("deliveries")));
            shown
        })
    };
    let begun = Instant::now();
    while with(client, &ann, "GET /api/users/only-here", &Value::Null).status != 200 {
        assert!(begun.elapsed() < PATIENCE);
        pause(20);
    }
    let before = shown();
    let mut asked = 0;
    for (method, template, _) in templates() {
        let Some((place, id)) = things.iter().find(|(place, _)| template.starts_with(&format!("{place}{{"))) else {
            continue;
        };
        let answer = |id: &str| {
            let parts = template[place.len()..].split('/').skip(1);
            let rest: Vec<&str> = parts.map(|part| if part.starts_with('{') { "1" } else { part }).collect();
            let path = [&[id], rest.as_slice()].concat().join("/");
            let body = if matches!(&*method, "GET" | "DELETE") { Value::Null } else { json!({}) };
            let answer = with(client, &eve, &format!("{method} {place}{path}"), &body);
            (answer.status, answer.text().replace(id, "ID"))
        };
        assert_eq!(answer(id), answer(&never(id)), "{method} {template}");
        asked += 1;
    }
    assert!(asked >= 30, "{asked} routes have ids");
    assert_eq!(shown(), before, "and nothing of it has changed");
    for path in [
        "segments",
        "traits",
        "webhooks",
        "keys",
        "invitations",
        "changes",
        "events/recent",
        "audit",
        "users",
        "members",
        "sessions",
    ] {
        let text = with(client, &eve, &format!("GET /api/{path}"), &Value::Null).text();
        assert!(
            !text.contains("only-here") && !text.contains("onlyHere") && !text.contains("example.org"),
            "{path}: {text}"
        );
    }
    served.stop();
}

#[test]
fn a_tenant_has_its_own_quota_figures_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path());
    let served = setup.start();
    let client = served.client();
    let (ann, operator) = staff(&setup, client);
    let eve = tenant(client, &operator, "acme");
    let scrape = json!({"name": "figures", "kind": "server", "permissions": ["system:read"]});
    let (of_acme, of_default) = (key(client, &eve, &scrape), key(client, &ann, &scrape));
    let event = json!({"userId": "a", "eventType": "purchase"});
    assert_eq!(with(client, &eve, "POST /api/events", &event).status, 202);
    let figures = |key: &str| ask(client, "GET /metrics", &[("authorization", &format!("Bearer {key}"))], "").text();
    let (own, whole) = (figures(&of_acme), figures(&of_default));
    assert!(whole.contains("audience_tenant_ready{tenant=\"acme\"} 1"), "{whole}");
    assert!(whole.contains("audience_tenant_events_total{tenant=\"acme\"} 1"), "{whole}");
    assert!(!own.contains("audience_tenant_ready") && !own.contains("audience_auth_members"), "{own}");
    let quota = json!({"requestsPerMinute": 3});
    assert_eq!(with(client, &operator, "PATCH /api/tenants/acme", &quota).status, 200);
    let statuses: Vec<u16> = (0..5).map(|_| with(client, &eve, "GET /api/segments", &Value::Null).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(with(client, &ann, "GET /api/segments", &Value::Null).status, 200, "others have their own");
    events_have_a_quota(client, &operator, (&eve, &ann));
    assert_eq!(with(client, &ann, "GET /api/tenants", &Value::Null).status, 403, "it is for operators");
    let data = setup.data.join("tenants/acme");
    assert!(data.is_dir());
    assert_eq!(with(client, &operator, "DELETE /api/tenants/acme", &Value::Null).status, 204);
    assert_eq!(with(client, &eve, "GET /api/segments", &Value::Null).status, 401);
    // Killed on the way or not: a start goes on with it.
    served.kill();
    let served = setup.start();
    let client = served.client();
    let begun = Instant::now();
    while with(client, &operator, "GET /api/tenants", &Value::Null).json()["items"].as_array().unwrap().len() > 1 {
        assert!(begun.elapsed() < PATIENCE, "the tenant is still there");
        pause(50);
    }
    assert!(!data.exists());
    let eve = tenant(client, &operator, "acme");
    assert_eq!(with(client, &eve, "GET /api/users/a", &Value::Null).status, 404, "nothing is left of it");
    served.stop();
}

/// All or nothing of a body passes, and what is refused is not there.
fn events_have_a_quota(client: Client, operator: &str, (eve, ann): (&str, &str)) {
    let quotas = json!({"requestsPerMinute": null, "eventsPerMinute": 10});
    let changed = with(client, operator, "PATCH /api/tenants/acme", &quotas);
    assert_eq!((changed.status, &changed.json()["eventsPerMinute"]), (200, &json!(10)));
    let bodies = |count: usize| json!(vec![json!({"userId": "b", "eventType": "purchase"}); count]);
    let send = |cookie: &str, count| with(client, cookie, "POST /api/events", &bodies(count));
    let statuses: Vec<u16> = [8, 3, 2, 1, 11].map(|count| send(eve, count).status).to_vec();
    assert_eq!(statuses, [202, 429, 202, 429, 413]);
    let refused = send(eve, 1);
    let problem = refused.json();
    assert_eq!((&problem["code"], &problem["violated-policies"]), (&json!("quota_exceeded"), &json!(["events"])));
    assert!(
        refused.header("retry-after").is_some() && refused.text().contains("10 events a minute"),
        "{}",
        refused.text()
    );
    assert_eq!(send(ann, 20).status, 202, "others have their own");
    let system = with(client, eve, "GET /api/system", &Value::Null).json();
    assert_eq!(system["events"]["accepted"], 11, "one was there before: {system}");
}

/// Runs a command of backups; gives its exit status and what it says.
fn backup(backups: &Path, words: &[&str]) -> (Option<i32>, String) {
    let url = format!("file://{}", backups.display());
    let output = Command::new(program!()).arg("backup").args(words).args(["--backups", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    (output.status.code(), said)
}

#[test]
fn a_backup_has_every_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path());
    let (backups, other) = (directory.path().join("backups"), directory.path().join("other"));
    let served = setup.start();
    let (ann, operator) = staff(&setup, served.client());
    let eve = tenant(served.client(), &operator, "acme");
    let buyers = json!({"name": "Buyers", "rules": {"event": "purchase", "operator": "gte", "value": 1}});
    for (cookie, user) in [(&ann, "of-default"), (&eve, "of-acme")] {
        let event = json!({"userId": user, "eventType": "purchase"});
        assert_eq!(with(served.client(), cookie, "POST /api/events", &event).status, 202);
        let made = with(served.client(), cookie, "PUT /api/segments/buyers", &buyers);
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let data = setup.data.to_str().unwrap();
    let (status, name) = backup(&backups, &["create", "--data", data]);
    assert_eq!(status, Some(0), "{name}");
    served.stop();
    assert_eq!(backup(&backups, &["verify", &name]), (Some(0), format!("{name} is whole")));

    let restored = Setup { data: other.clone(), ..setup.clone() };
    let to = other.to_str().unwrap();
    let documents = backups.join(&name).join("tenants/acme/documents.json");
    let whole = std::fs::read(&documents).unwrap();
    std::fs::write(&documents, [&whole[..], b" "].concat()).unwrap();
    let damaged = backup(&backups, &["verify", &name]);
    assert_eq!(damaged, (Some(1), format!("{name}: tenant acme: documents.json is damaged")));
    let (status, said) = backup(&backups, &["restore", &name, "--data", to]);
    assert!(status != Some(0) && said.contains("tenant acme") && !other.exists(), "{said}");
    std::fs::write(&documents, whole).unwrap();

    let (status, said) = backup(&backups, &["restore", &name, "--data", to]);
    assert!(status == Some(0) && said.contains("1 events, and those of the tenants acme"), "{said}");
    let served = restored.start();
    wait_ready(served.client(), &eve);
    for (cookie, user) in [(&ann, "of-default"), (&eve, "of-acme")] {
        let members = with(served.client(), cookie, "GET /api/segments/buyers/members", &Value::Null);
        assert_eq!(members.json()["items"], json!([user]), "{}", members.text());
    }
    served.stop();
    // Nobody serves it any more.
    let (status, later) = backup(&backups, &["create", "--data", to]);
    assert_eq!(status, Some(0), "{later}");
    assert_eq!(backup(&backups, &["verify", &later]), (Some(0), format!("{later} is whole")));
    assert!(backups.join(&later).join("tenants/acme/backup.json").exists());
}

#[test]
fn a_pair_serves_one_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = setup(directory.path());
    let lease = directory.path().join("lease");
    std::fs::create_dir(&lease).unwrap();
    setup.flags.extend(["--lease".to_owned(), format!("file://{}", lease.display())]);
    let served = setup.start();
    let client = served.client();
    let (_, operator) = staff(&setup, client);
    let refused =
        with(client, &operator, "POST /api/tenants", &json!({"id": "acme", "name": "Acme", "admin": "a@acme.example"}));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("one_tenant")), "{}", refused.text());
}
