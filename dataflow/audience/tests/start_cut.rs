//! The real program whose servers go away in the middle of its start, at any instant of it: it waits, as it does for one that is
//! away from the beginning. And a server that goes away in the middle of a commit: the answer says that nobody knows.
//!
//! It needs PostgreSQL and Kafka from `scripts/services`; Redis is the test's own.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;
mod own_redis;
#[allow(dead_code, reason = "this test uses a part")]
mod topics;

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::proxy::{CommitCut, Proxy};
use audience_tests::serve::{Served, Setup, pause, wait_until, wall_clock};
use database::TestDatabase;
use own_redis::OwnRedis;
use serde_json::json;
use topics::variable;

/// The time for which a server is away, milliseconds.
const AWAY: u64 = 300;
/// The instants of the cuts, milliseconds after the start.
const INSTANTS: std::ops::RangeInclusive<u64> = 20..=400;

/// The database behind a proxy, and its address there.
fn cut_database(database: &TestDatabase) -> (Proxy, String) {
    let (_, at) = database.url.split_once('@').unwrap();
    let server = at.split(['/', '?']).next().unwrap().to_owned();
    let proxy = Proxy::begin(&server);
    let url = database.url.replacen(&server, &proxy.address.to_string(), 1);
    (proxy, url)
}

fn buyers(name: &str) -> String {
    json!({"name": name, "rules": {"event": "buy", "operator": "gte", "value": 3}}).to_string()
}

/// Edits a segment until that succeeds: a database that was just away is found again at its own pace.
fn edit(client: Client, name: &str) {
    for _ in 0..200 {
        let answer = client.put("/api/segments/buyers", &buyers(name)).unwrap();
        if answer.status < 300 {
            return;
        }
        pause(25);
    }
    panic!("{name}: no edit succeeds");
}

/// Starts the program and cuts the proxy, at one instant after the other; `check` looks at each that has started. Gives how many
/// starts said that they retry.
fn cut_starts(setup: &Setup, proxy: &Proxy, step: usize, check: impl Fn(&Served, u64)) -> u32 {
    let mut waited = 0;
    for after in INSTANTS.step_by(step) {
        let mut served = setup.spawn();
        pause(after);
        proxy.cut(AWAY);
        served.wait_ready().unwrap_or_else(|why| panic!("cut after {after} ms: {why}"));
        waited += u32::from(served.said().contains("the start retries"));
        check(&served, after);
        served.stop();
    }
    waited
}

fn is_up(client: Client, part: &str) -> bool {
    client.get("/actuator/health").is_ok_and(|answer| answer.json()["components"][part]["status"] == "UP")
}

#[test]
fn a_start_waits_wherever_its_database_goes_away() {
    let database = TestDatabase::create();
    let (proxy, url) = cut_database(&database);
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { flags: vec!["--postgres".to_owned(), url], ..Setup::within(program!(), directory.path()) };
    let waited = cut_starts(&setup, &proxy, 20, |served, after| edit(served.client(), &format!("cut {after}")));
    assert!(waited >= 3, "the cuts hit {waited} starts: they come at the wrong instants");
}

#[test]
fn a_start_goes_on_wherever_redis_goes_away() {
    let redis = OwnRedis::start();
    let server = redis.url().trim_start_matches("redis://").trim_end_matches("/0").to_owned();
    let proxy = Proxy::begin(&server);
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--redis".to_owned(), format!("redis://{}/0", proxy.address)];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    cut_starts(&setup, &proxy, 60, |served, after| {
        let body = json!({"name": "all", "rules": {"event": "buy", "operator": "gte", "value": 1}}).to_string();
        assert!(served.client().put("/api/segments/all", &body).unwrap().status < 300);
        let event = json!({"userId": format!("u{after}"), "eventType": "buy"}).to_string();
        assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
        wait_until("the change in Redis", || redis.segments_of(&format!("u{after}")) == ["all"]);
    });
}

/// Settings of Kafka under topics that no other test has.
fn kafka_settings(directory: &Path, proxy: &Proxy, prefix: &str) -> Vec<String> {
    let file = directory.join("audience.toml");
    let text = format!("[kafka]\nbrokers = \"{}\"\npartitions = 1\ntopic_prefix = \"{prefix}\"\n", proxy.address);
    std::fs::write(&file, text).unwrap();
    vec!["--config".to_owned(), file.display().to_string()]
}

#[test]
fn a_start_goes_on_wherever_kafka_goes_away() {
    let proxy = Proxy::begin_as_broker(&variable("AUDIENCE_TEST_KAFKA"));
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("cut-test-{}.", wall_clock());
    let flags = kafka_settings(directory.path(), &proxy, &prefix);
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    let parts = [format!("source:{prefix}user-events"), format!("sink:kafka:{prefix}audience")];
    cut_starts(&setup, &proxy, 95, |served, _| {
        for part in &parts {
            wait_until(part, || is_up(served.client(), part));
        }
        let event = json!({"userId": "u", "eventType": "buy"}).to_string();
        assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
    });
}

/// A `segment-api`; killed when dropped.
struct ReadingProcess(Child, Client);

impl Drop for ReadingProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn segment_api_waits_wherever_its_database_goes_away() {
    let database = TestDatabase::create();
    let (proxy, url) = cut_database(&database);
    let directory = tempfile::tempdir().unwrap();
    for after in INSTANTS.step_by(40) {
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let log = directory.path().join(format!("log-{after}"));
        let mut command = Command::new(program!());
        command.args(["segment-api", "--postgres", &url, "--listen", &address.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let mut api = ReadingProcess(command.spawn().unwrap(), Client(address));
        pause(after);
        proxy.cut(AWAY);
        wait_until("segment-api", || {
            let ended = api.0.try_wait().unwrap();
            assert_eq!(ended, None, "cut after {after} ms: {}", std::fs::read_to_string(&log).unwrap());
            api.1.get("/health/ready").is_ok_and(|answer| answer.status == 200)
        });
        edit(api.1, &format!("cut {after}"));
    }
}

#[test]
fn a_commit_whose_connection_is_lost_is_said_to_be_unknown() {
    let database = TestDatabase::create();
    let (proxy, url) = cut_database(&database);
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { flags: vec!["--postgres".to_owned(), url], ..Setup::within(program!(), directory.path()) };
    let served = setup.start();
    edit(served.client(), "first");
    for (cut, is_there) in [(CommitCut::Before, false), (CommitCut::After, true)] {
        let name = format!("{cut:?}");
        proxy.cut_next_commit(cut);
        let answer = served.client().put("/api/segments/buyers", &buyers(&name)).unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (503, "outcome_unknown"), "{name}: {}", answer.text());
        let shown = || served.client().get("/api/segments/buyers").unwrap().json()["name"] == json!(name);
        if is_there {
            wait_until("what was committed", shown);
        } else {
            pause(500);
            assert!(!shown(), "{name}: what was not committed is shown");
        }
        edit(served.client(), &format!("after {name}"));
    }
    served.stop();
}
