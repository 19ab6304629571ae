//! Campaigns of the real program: previewed with reasons, launched into the sandbox and to a server, unsubscribed from, and
//! killed in the middle.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The time that anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sends that may be on their way at a time: four windows of a hundred.
const OPEN: usize = 400;

/// Asks, and holds the status.
fn ask(client: Client, method: &str, path: &str, body: &Value, status: u16) -> Value {
    let answer = client.send(method, path, "application/json", body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    answer.json()
}

/// Waits until a campaign has a status.
fn wait_for(client: Client, id: &str, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let campaign = ask(client, "GET", &format!("/api/campaigns/{id}"), &json!(null), 200);
        if campaign["status"] == status {
            return campaign;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not become {status}: {campaign}");
        pause(20);
    }
}

/// People with traits, all in the segment `all`.
fn people(client: Client, people: &[(&str, Value)]) {
    let event = |(user, traits): &(&str, Value)| json!({"userId": user, "eventType": "identify", "properties": traits, "type": "identify", "traits": traits});
    for some in people.chunks(100) {
        let batch: Vec<Value> = some.iter().map(event).collect();
        ask(client, "POST", "/v1/batch", &json!({ "batch": batch }), 200);
    }
    let ids: Vec<&str> = people.iter().map(|(user, _)| *user).collect();
    ask(client, "POST", "/api/segments", &json!({"id": "all", "name": "All", "type": "STATIC", "members": ids}), 201);
    let begun = Instant::now();
    while client.members("all").unwrap().is_none_or(|members| members.len() < people.len()) {
        assert!(begun.elapsed() < PATIENCE, "the segment does not fill");
        pause(20);
    }
}

fn content(client: Client) {
    let body = "<p>Hello {{ user.name | default: 'you' }}</p><p>{{ postal_address }} <a href=\"{{ unsubscribe_url }}\">No more</a></p>";
    let content =
        json!({"id": "hello", "name": "Hello", "subject": "For {{ user.id }}", "preheader": "News", "body": body});
    ask(client, "POST", "/api/contents", &content, 201);
    ask(client, "POST", "/api/contents/hello/approve", &json!(null), 200);
}

fn campaign(client: Client, id: &str, more: &Value) {
    let mut campaign = json!({"id": id, "name": id, "segmentId": "all", "contentId": "hello"});
    more.as_object().unwrap().iter().for_each(|(key, value)| campaign[key] = value.clone());
    ask(client, "POST", "/api/campaigns", &campaign, 201);
}

fn launch(client: Client, id: &str) {
    ask(client, "POST", &format!("/api/campaigns/{id}/launch"), &json!(null), 200);
}

fn setup(directory: &std::path::Path, flags: &[&str]) -> Setup {
    let mut setup = Setup::within(program!(), directory);
    setup.flags = vec!["--mail-postal-address".to_owned(), "1 Main Street".to_owned()];
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    setup
}

#[test]
fn a_campaign_reaches_exactly_those_of_its_preview() {
    let directory = tempfile::tempdir().unwrap();
    let served = setup(directory.path(), &[]).start();
    let client = served.client();
    let yes = |email: &str| json!({"email": email, "emailConsent": true});
    people(
        client,
        &[
            ("ann", json!({"email": "Ann@example.org", "emailConsent": true, "name": "Ann <b>"})),
            ("bob", yes("bob@example.org")),
            ("cat", yes("bob@example.org")),
            ("dan", json!({"email": "dan@example.org", "emailConsent": false})),
            ("eve", json!({"emailConsent": true})),
            ("fay", yes("fay@example.org")),
        ],
    );
    let unfinished = json!({"id": "bare", "name": "Bare", "subject": "x", "body": "<p>no way out</p>"});
    ask(client, "POST", "/api/contents", &unfinished, 201);
    let refused = ask(client, "POST", "/api/contents/bare/approve", &json!(null), 400);
    assert_eq!(refused["errors"][0]["pointer"], "/body", "{refused}");
    content(client);
    campaign(client, "first", &json!({"caps": [{"most": 1, "per": "day"}]}));
    ask(client, "POST", "/api/suppressions", &json!({"address": "fay@example.org"}), 201);
    let preview = ask(client, "POST", "/api/campaigns/first/preview", &json!(null), 200);
    let stopped = json!({"no_address": 1, "no_consent": 1, "suppressed": 1, "duplicate_address": 1});
    assert_eq!((&preview["size"], &preview["reachable"], &preview["stopped"]), (&json!(6), &json!(2), &stopped));
    assert_eq!(preview["samples"]["reachable"], json!(["ann", "bob"]));
    launch(client, "first");
    let done = wait_for(client, "first", "completed");
    assert_eq!(done["stats"], json!({"accepted": 2, "suppressed": 4}));
    assert_eq!(done["suppressed"], preview["stopped"]);

    let mails = ask(client, "GET", "/api/sandbox/mails", &json!(null), 200);
    let mails = mails["items"].as_array().unwrap();
    let to: BTreeSet<&str> = mails.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!((mails.len(), to), (2, BTreeSet::from(["ann@example.org", "bob@example.org"])));
    let ann = mails.iter().find(|mail| mail["to"] == "ann@example.org").unwrap();
    assert!(ann["html"].as_str().unwrap().contains("Hello Ann &lt;b&gt;") && ann["subject"] == "For ann", "{ann}");
    unsubscribe(client, ann);

    // Both are capped: one for today by the first campaign, the other is unsubscribed before that.
    campaign(client, "second", &json!({"caps": [{"most": 1, "per": "day"}]}));
    let preview = ask(client, "POST", "/api/campaigns/second/preview", &json!(null), 200);
    assert_eq!((&preview["reachable"], &preview["later"]), (&json!(0), &json!({"capped": 1})), "{preview}");
    assert_eq!(preview["stopped"]["suppressed"], 2);
    recorded(client);
    served.stop();
}

/// Sends what somebody is now.
fn is_now(client: Client, user: &str, plan: &str) {
    let traits = json!({"plan": plan, "email": format!("{user}@example.org"), "emailConsent": true});
    ask(client, "POST", "/api/events", &json!({"userId": user, "eventType": "identify", "traits": traits}), 202);
}

fn wait_accepted(client: Client, id: &str, count: usize) {
    let begun = Instant::now();
    loop {
        let campaign = ask(client, "GET", &format!("/api/campaigns/{id}"), &json!(null), 200);
        let stats = &campaign["stats"];
        if *stats == json!({ "accepted": count }) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "not {count} accepted: {campaign}");
        pause(20);
    }
}

#[test]
fn who_enters_or_leaves_is_written_to_once_over_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path(), &[]);
    let mut served = setup.start();
    content(served.client());
    let rules = json!({"field": "plan", "operator": "eq", "value": "pro"});
    ask(served.client(), "PUT", "/api/segments/pro", &json!({"name": "Pro", "rules": rules}), 201);
    is_now(served.client(), "before", "pro");
    let begun = Instant::now();
    while served.client().members("pro").unwrap().is_none_or(|members| members.is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "nobody enters");
        pause(20);
    }
    let triggered = |on: &str| json!({"segmentId": "pro", "trigger": {"on": on}, "onUnknown": "resend"});
    for (id, on) in [("welcome", "entry"), ("farewell", "exit")] {
        campaign(served.client(), id, &triggered(on));
        launch(served.client(), id);
        wait_for(served.client(), id, "active");
    }
    for number in 0..60 {
        is_now(served.client(), &format!("u{number}"), "pro");
        if number % 25 == 20 {
            served.kill();
            served = setup.start();
        }
    }
    wait_accepted(served.client(), "welcome", 60);
    is_now(served.client(), "u7", "free");
    wait_accepted(served.client(), "farewell", 1);
    // The first time alone counts.
    is_now(served.client(), "u7", "pro");
    is_now(served.client(), "u60", "pro");
    wait_accepted(served.client(), "welcome", 61);
    let mails = ask(served.client(), "GET", "/api/sandbox/mails", &json!(null), 200);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for mail in mails["items"].as_array().unwrap() {
        *counts.entry(mail["to"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected = |number| (format!("u{number}@example.org"), if number == 7 { 2 } else { 1 });
    assert_eq!(counts, (0..=60).map(expected).collect());
    let refused = json!({"name": "both", "segmentId": "pro", "contentId": "hello", "trigger": {"on": "entry"}, "frequency": "0 9 * * *"});
    let refused = ask(served.client(), "POST", "/api/campaigns", &refused, 400);
    assert_eq!(refused["errors"][0]["pointer"], "/trigger", "{refused}");
    served.stop();
}

/// The audit log has the acts of people, and the metrics have their outcome.
fn recorded(client: Client) {
    let rows = |kind: &str| -> Vec<(String, String)> {
        let rows = ask(client, "GET", &format!("/api/audit?kind={kind}"), &json!(null), 200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows["items"].as_array().unwrap().iter().rev().map(|row| (text(&row["action"]), text(&row["id"]))).collect()
    };
    let row = |action: &str, id: &str| (action.to_owned(), id.to_owned());
    let campaigns = [row("created", "first"), row("launched", "first"), row("created", "second")];
    assert_eq!(rows("campaign"), campaigns);
    assert_eq!(rows("content"), [row("created", "bare"), row("created", "hello"), row("approved", "hello")]);
    assert_eq!(rows("suppression").len(), 1, "what people do by links is in the list of suppressions itself");
    let figures = client.get("/metrics").unwrap().text();
    assert!(figures.contains("audience_mail_hand_overs_total{outcome=\"accepted\"} 2\n"), "{figures}");
}

/// Follows the link of a mail: a look changes nothing, one click does.
fn unsubscribe(client: Client, mail: &Value) {
    let link = mail["headers"]["List-Unsubscribe"].as_str().unwrap();
    assert_eq!(mail["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    let path = link.trim_matches(['<', '>']).split_once("/u/").map(|(_, token)| format!("/u/{token}")).unwrap();
    let suppressed = || ask(client, "GET", "/api/suppressions", &json!(null), 200)["items"].as_array().unwrap().len();
    let before = suppressed();
    assert_eq!(client.get(&path).unwrap().status, 200);
    assert_eq!(suppressed(), before, "a scanner that follows links unsubscribes nobody");
    let form = "application/x-www-form-urlencoded";
    let forged = format!("{}A", &path[..path.len() - 1]);
    assert_eq!(client.send("POST", &forged, form, b"List-Unsubscribe=One-Click").unwrap().status, 404);
    assert_eq!(client.send("POST", &path, form, b"List-Unsubscribe=One-Click").unwrap().status, 200);
    assert_eq!(suppressed(), before + 2, "the user and the address");
}

/// The mails that a peer has taken: how often by their id, or by their recipient.
type Taken = Arc<Mutex<BTreeMap<String, usize>>>;

/// A peer that takes mails in conversations.
fn server(
    converse: impl Fn(TcpStream, &Mutex<BTreeMap<String, usize>>) -> Option<()> + Send + Sync + 'static,
) -> (u16, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, taken) = (listener.local_addr().unwrap().port(), Taken::default());
    let (noted, converse) = (Arc::clone(&taken), Arc::new(converse));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (noted, converse) = (Arc::clone(&noted), Arc::clone(&converse));
            thread::spawn(move || converse(stream, &noted));
        }
    });
    (port, taken)
}

/// One conversation by SMTP; ends where the other side does. Ids are noted before the answer, which takes its time.
fn converse(mut stream: TcpStream, noted: &Mutex<BTreeMap<String, usize>>) -> Option<()> {
    stream.write_all(b"220 here\r\n").ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let line = lines.next()?.ok()?;
        match line.get(..4)? {
            "EHLO" => stream.write_all(b"250-here\r\n250 PIPELINING\r\n").ok()?,
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok()?;
                let mut id = String::new();
                loop {
                    let line = lines.next()?.ok()?;
                    if line == "." {
                        break;
                    }
                    line.strip_prefix("Message-ID: <")
                        .into_iter()
                        .for_each(|rest| id = rest.split('@').next().unwrap_or_default().to_owned());
                }
                *noted.lock().entry(id).or_default() += 1;
                pause(3);
                stream.write_all(b"250 2.0.0 taken\r\n").ok()?;
            }
            _ => stream.write_all(b"250 2.0.0 ok\r\n").ok()?,
        }
    }
}

/// The keys that a provider remembers, and the requests that it had.
#[derive(Default)]
struct Keys {
    known: Mutex<BTreeSet<String>>,
    requests: AtomicUsize,
}

/// One connection by HTTP; ends where the other side does. A key that is known is not delivered again, and every ninth answer
/// is lost after the mail was delivered.
fn take_keyed(mut stream: TcpStream, keys: &Keys, delivered: &Mutex<BTreeMap<String, usize>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut key, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            (reader.read_line(&mut line).ok()? > 0).then_some(())?;
            match line.trim_end().split_once(": ") {
                Some(("idempotency-key", value)) => value.clone_into(&mut key),
                Some(("content-length", value)) => length = value.parse().ok()?,
                None if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let letter: Value = serde_json::from_slice(&body).ok()?;
        if keys.known.lock().insert(key) {
            *delivered.lock().entry(letter["to"][0].as_str()?.to_owned()).or_default() += 1;
        }
        pause(3);
        if keys.requests.fetch_add(1, Ordering::Relaxed) % 9 == 8 {
            return None;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok()?;
    }
}

/// Sends a campaign to a peer, kills the program in the middle again and again, and gives what became of it.
fn killed(flags: &[&str], taken: &Taken, on_unknown: &str, kills: usize) -> (Value, BTreeMap<String, usize>) {
    const PEOPLE: usize = 1_500;
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path(), flags);
    let mut served = setup.start();
    let ids: Vec<String> = (0..PEOPLE).map(|number| format!("user-{number}")).collect();
    let traits = |id: &str| json!({"email": format!("{id}@example.org"), "emailConsent": true});
    people(served.client(), &ids.iter().map(|id| (id.as_str(), traits(id))).collect::<Vec<_>>());
    content(served.client());
    campaign(served.client(), "big", &json!({"onUnknown": on_unknown}));
    launch(served.client(), "big");
    for kill in 0..kills {
        let wanted = PEOPLE / (kills + 1) * (kill + 1) * 2 / 3;
        let begun = Instant::now();
        while taken.lock().len() < wanted {
            assert!(begun.elapsed() < PATIENCE, "{} of {wanted} were sent", taken.lock().len());
            pause(1);
        }
        served.kill();
        served = setup.start();
    }
    let done = wait_for(served.client(), "big", "completed");
    served.stop();
    let taken = taken.lock().clone();
    (done["stats"].clone(), taken)
}

#[test]
fn nobody_gets_a_mail_twice_where_doubt_is_held_and_the_doubt_is_counted() {
    let (port, taken) = server(converse);
    let (stats, taken) = killed(&["--mail-smtp", &format!("smtp://127.0.0.1:{port}")], &taken, "hold", 4);
    let count = |state: &str| stats[state].as_u64().unwrap_or_default() as usize;
    assert_eq!(count("accepted") + count("held"), 1_500, "nobody is missing: {stats}");
    assert!(taken.values().all(|times| *times == 1), "nobody gets it twice");
    assert!(taken.len() >= count("accepted"), "what was accepted was taken");
    assert!(count("held") > 0 && count("held") <= 4 * OPEN, "{stats}");
}

#[test]
fn nobody_is_left_out_where_doubt_is_sent_again() {
    let (port, taken) = server(converse);
    let (stats, taken) = killed(&["--mail-smtp", &format!("smtp://127.0.0.1:{port}")], &taken, "resend", 3);
    assert_eq!(stats, json!({"accepted": 1_500}));
    assert_eq!(taken.len(), 1_500);
    let twice = taken.values().filter(|times| **times > 1).count();
    assert!(twice <= 3 * OPEN, "{twice}");
}

#[test]
fn nobody_is_missing_and_nobody_gets_a_mail_twice_where_the_provider_has_keys() {
    let keys = Keys::default();
    let (port, delivered) = server(move |stream, delivered| take_keyed(stream, &keys, delivered));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "re_key\n").unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let flags = ["--mail-resend-key-file", file.to_str().unwrap(), "--mail-resend-url", &url];
    let (stats, delivered) = killed(&flags, &delivered, "hold", 4);
    assert_eq!(stats, json!({"accepted": 1_500}), "nothing is in doubt");
    assert_eq!(delivered.len(), 1_500, "nobody is missing");
    assert!(delivered.values().all(|times| *times == 1), "nobody gets it twice");
}
