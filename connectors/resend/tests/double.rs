//! The provider against a double of the API, which remembers keys, loses answers and refuses.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use audience_contract::suite::{self, TakenMail};
use audience_contract::{HandOver, Mail, MailProvider as _};
use audience_resend::ResendProvider;
use parking_lot::Mutex;
use serde_json::Value;

/// The double's conduct, and the mails that it took, by their keys.
#[derive(Default)]
struct Desk {
    /// The status of each answer; 200 where it is 0.
    status: u16,
    /// The name of a refusal.
    name: &'static str,
    /// True if the next answers are lost after the mail was taken.
    loses_answers: bool,
    taken: BTreeMap<String, Value>,
    requests: usize,
}

type SharedDesk = Arc<Mutex<Desk>>;

fn start(desk: Desk) -> (ResendProvider, SharedDesk) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let desk = Arc::new(Mutex::new(desk));
    let shared = desk.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let desk = shared.clone();
            thread::spawn(move || converse(&stream, &desk));
        }
    });
    (ResendProvider::new(&url.parse().unwrap(), "re_key").unwrap(), desk)
}

/// One connection; ends where the other side does, or where an answer is lost.
fn converse(mut stream: &TcpStream, desk: &Mutex<Desk>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut headers) = (String::new(), BTreeMap::new());
        (reader.read_line(&mut line).ok()? > 0).then_some(())?;
        assert_eq!(line, "POST /emails HTTP/1.1\r\n");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        assert_eq!(headers["authorization"], "Bearer re_key");
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).ok()?;
        let (status, name) =
            take(&mut desk.lock(), &headers["idempotency-key"], serde_json::from_slice(&body).unwrap())?;
        let body = format!("{{\"name\": \"{name}\"}}");
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

/// The answer to a mail; none where it is lost.
fn take(desk: &mut Desk, key: &str, letter: Value) -> Option<(u16, &'static str)> {
    desk.requests += 1;
    if desk.status != 0 {
        return Some((desk.status, desk.name));
    }
    let is_other = desk.taken.get(key).is_some_and(|known| *known != letter);
    if is_other {
        return Some((409, "invalid_idempotent_request"));
    }
    desk.taken.insert(key.to_owned(), letter);
    (!desk.loses_answers).then_some((200, ""))
}

fn mails(count: usize) -> Vec<Mail> {
    (0..count).map(suite::mail).collect()
}

#[test]
fn it_is_a_provider() {
    let (provider, desk) = start(Desk::default());
    suite::mail_provider(&provider, &mut || {
        let taken = |(id, letter): (&String, &Value)| TakenMail {
            id: id.clone(),
            to: letter["to"][0].as_str().unwrap().to_owned(),
            headers: letter["headers"].as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect(),
        };
        desk.lock().taken.iter().map(taken).collect()
    });
    let desk = desk.lock();
    let letter = &desk.taken[&suite::mail(0).id];
    assert_eq!(letter["from"], "\"Blum & Söhne\" <shop@example.org>");
    assert_eq!(letter["tags"][0]["value"], suite::mail(0).id);
    assert!(desk.taken.values().all(|letter| !letter["subject"].as_str().unwrap().contains(['\r', '\n'])));
}

#[test]
fn what_is_in_doubt_is_settled_by_the_key_and_taken_once() {
    let (provider, desk) = start(Desk { loses_answers: true, ..Desk::default() });
    assert_eq!(provider.remembers(), Duration::from_secs(82_800));
    let mut mails = mails(20);
    let outcomes = provider.hand_over(&mails);
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Unknown(_))), "{outcomes:?}");
    desk.lock().loses_answers = false;
    // The person's name changed meanwhile.
    mails[3].html = "<p>Hello Ann</p>".to_owned();
    let outcomes = provider.hand_over(&mails);
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Accepted(_))), "{outcomes:?}");
    assert_eq!((desk.lock().taken.len(), outcomes.len()), (20, 20));
}

#[test]
fn answers_are_told_apart() {
    let hand = |status, name| {
        let (provider, desk) = start(Desk { status, name, ..Desk::default() });
        let outcomes = provider.hand_over(&mails(40));
        let requests = desk.lock().requests;
        (outcomes, requests)
    };
    for status in [400, 422] {
        let (outcomes, _) = hand(status, "validation_error");
        let is_refused = |one: &HandOver| matches!(one, HandOver::Rejected { is_hard_bounce: false, .. });
        assert!(outcomes.iter().all(is_refused), "{status}: {outcomes:?}");
    }
    for status in [500, 503] {
        let (outcomes, _) = hand(status, "");
        assert!(outcomes.iter().all(|one| matches!(one, HandOver::Unknown(_))), "{status}: {outcomes:?}");
    }
    let (outcomes, _) = hand(409, "concurrent_idempotent_requests");
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Unknown(_))), "{outcomes:?}");
    for (status, name) in
        [(401, "missing_api_key"), (403, "validation_error"), (429, "daily_quota_exceeded"), (302, "")]
    {
        let (outcomes, requests) = hand(status, name);
        let is_told = |one: &HandOver| matches!(one, HandOver::NotHanded(why) if why.contains(name));
        assert!(outcomes.iter().all(is_told), "{status}: {outcomes:?}");
        assert!(requests <= 16, "the others are not tried: {requests} of 40");
    }
}

#[test]
fn without_a_connection_nothing_was_handed_over() {
    let provider = ResendProvider::new(&"http://127.0.0.1:1".parse().unwrap(), "re_key").unwrap();
    let outcomes = provider.hand_over(&mails(3));
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::NotHanded(_))), "{outcomes:?}");
    assert!(ResendProvider::new(&"http://127.0.0.1:1".parse().unwrap(), "a\nb").is_err());
}
