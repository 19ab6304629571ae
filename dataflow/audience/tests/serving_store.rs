//! `audience segment-api` over a Redis or an Aerospike that is emptied, filled, halted or damaged by hand: readers are never told
//! that somebody is in nothing who is in something, nobody waits, everybody is told, and what was lost comes back.
//!
//! Each test has a store of its own; PostgreSQL is that of `scripts/services`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;
mod own_aerospike;
mod own_redis;
mod own_store;

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wait_until};
use database::TestDatabase;
use own_aerospike::OwnAerospike;
use own_redis::OwnRedis;
use own_store::OwnStore;
use serde_json::{Value, json};
use tempfile::TempDir;

const USERS: u64 = 3_000;
const SEGMENTS: u64 = 5;

/// An engine with a store of its own.
struct EngineHost<S> {
    store: S,
    database: TestDatabase,
    served: Served,
    config: String,
    directory: TempDir,
}

impl<S: OwnStore> EngineHost<S> {
    fn start() -> Self {
        let (store, database, directory) = (S::start(), TestDatabase::create(), tempfile::tempdir().unwrap());
        let file = directory.path().join("audience.toml");
        let text = format!("postgres = \"{}\"\n{}", database.url, store.table());
        std::fs::write(&file, text).unwrap();
        let config = file.display().to_string();
        let flags = vec!["--config".to_owned(), config.clone()];
        let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
        EngineHost { store, database, served, config, directory }
    }

    /// Everybody bought: each user is in every segment.
    fn fill(&self) {
        let client = self.served.client();
        for segment in 0..SEGMENTS {
            let rules = json!({"event": "buy", "operator": "gte", "value": 1});
            let body = json!({"name": format!("s{segment}"), "rules": rules}).to_string();
            assert!(client.put(&format!("/api/segments/s{segment}"), &body).unwrap().status < 300);
        }
        let events: Vec<Value> = (0..USERS).map(|user| json!({"userId": id(user), "eventType": "buy"})).collect();
        for some in events.chunks(1_000) {
            let body = Value::from(some.to_vec()).to_string();
            assert_eq!(client.post("/api/events", &body).unwrap().status, 202);
        }
        self.wait_until_whole();
    }

    fn wait_until_whole(&self) {
        wait_until("everybody in the store", || self.is_up() && self.store.users() == USERS as usize);
    }

    /// The sink's name.
    fn sink_name() -> String {
        format!("{}:audience", S::NAME)
    }

    /// Returns whether the sink is up.
    fn is_up(&self) -> bool {
        self.component(&format!("sink:{}", Self::sink_name())).0
    }

    /// Returns whether a part of the engine is up, and what it says.
    fn component(&self, name: &str) -> (bool, String) {
        component(self.served.client(), name)
    }

    fn sink(&self, command: &str) -> (i32, String) {
        let engine = format!("http://{}", self.served.address);
        let output =
            Command::new(program!()).args(["sink", command, &Self::sink_name(), "--engine", &engine]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap(), said)
    }
}

fn component(client: Client, name: &str) -> (bool, String) {
    let health = client.get("/actuator/health").unwrap().json();
    let part = &health["components"][name];
    (part["status"] == "UP", part["detail"].as_str().unwrap_or_default().to_owned())
}

fn id(user: u64) -> String {
    format!("u{user:05}")
}

/// A `segment-api`; killed when dropped.
struct SegmentApiProcess {
    child: Child,
    address: SocketAddr,
    log: std::path::PathBuf,
    /// Its part in health that reads memberships.
    memberships: String,
}

impl SegmentApiProcess {
    fn start<S: OwnStore>(host: &EngineHost<S>, has_engine: bool) -> SegmentApiProcess {
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let log = host.directory.path().join(format!("segment-api-{}", address.port()));
        let mut command = Command::new(program!());
        command.args(["segment-api", "--config", &host.config, "--listen", &address.to_string()]);
        if has_engine {
            command.args(["--engine", &format!("http://{}", host.served.address)]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let memberships = format!("memberships:{}", S::NAME);
        let api = SegmentApiProcess { child: command.spawn().unwrap(), address, log, memberships };
        wait_until("segment-api", || api.client().get("/health/ready").is_ok_and(|answer| answer.status == 200));
        wait_until("its store", || api.is_reading());
        api
    }

    fn client(&self) -> Client {
        Client(self.address)
    }

    /// Returns whether it reads memberships from the store.
    fn is_reading(&self) -> bool {
        component(self.client(), &self.memberships).0
    }

    fn segments_of(&self, user: u64) -> (u16, usize) {
        let answer = self.client().get(&format!("/api/users/{}/segments", id(user))).unwrap();
        (answer.status, answer.json().as_array().map_or(0, Vec::len))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for SegmentApiProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Emptied, it is filled again without an event; meanwhile readers get the engine's answer or 503, never a part.
fn an_emptied_store_is_told_and_filled_and_never_read<S: OwnStore>() {
    let mut host = EngineHost::<S>::start();
    host.fill();
    let [with, without] = [true, false].map(|has_engine| SegmentApiProcess::start(&host, has_engine));
    assert_eq!(with.segments_of(7), (200, SEGMENTS as usize));
    let (is_done, refused, read) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for user in (0..USERS).cycle() {
                if is_done.load(Ordering::Acquire) {
                    return;
                }
                assert_eq!(with.segments_of(user), (200, SEGMENTS as usize), "the engine answers meanwhile");
                match without.segments_of(user) {
                    (503, _) => refused.fetch_add(1, Ordering::Relaxed),
                    whole => {
                        assert_eq!(whole, (200, SEGMENTS as usize), "never a part");
                        read.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        });
        for _ in 0..3 {
            pause(300);
            host.store.empty();
            wait_until("readers are refused", || refused.swap(0, Ordering::Relaxed) > 0);
            host.wait_until_whole();
            wait_until("readers are answered", || read.swap(0, Ordering::Relaxed) > 0);
        }
        is_done.store(true, Ordering::Release);
    });
    assert!(host.served.said().contains("has lost what it held"), "{}", host.served.said());
    host.served.stop();
}

/// Halted, nobody waits for it, and it is noticed, on a quiet machine within two seconds; reads that need PostgreSQL alone go on.
fn a_halted_store_holds_up_nobody<S: OwnStore>() {
    let host = EngineHost::<S>::start();
    host.fill();
    let api = SegmentApiProcess::start(&host, true);
    let before = api.said().lines().count();
    host.store.pause();
    let (halted, mut noticed) = (Instant::now(), [None, None]);
    while noticed.contains(&None) {
        assert!(halted.elapsed() < Duration::from_secs(20), "it is not noticed: {noticed:?}");
        for (noticed, is_up) in noticed.iter_mut().zip([api.is_reading(), host.is_up()]) {
            *noticed = noticed.or_else(|| (!is_up).then(|| halted.elapsed()));
        }
        pause(20);
    }
    let metrics = api.client().get("/metrics").unwrap().text();
    assert!(metrics.contains("\naudience_serving_store_up 0\n"), "{metrics}");
    let down = format!("audience_sink_up{{sink=\"{}\"}} 0", EngineHost::<S>::sink_name());
    assert!(host.served.client().get("/metrics").unwrap().text().contains(&down));
    eprintln!("noticed after {noticed:?}");
    let slowest = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..40)
            .map(|reader| {
                let api = &api;
                scope.spawn(move || {
                    let mut slowest = Duration::ZERO;
                    for user in 0..25 {
                        let begun = Instant::now();
                        assert_eq!(api.segments_of(reader * 25 + user), (200, SEGMENTS as usize));
                        assert_eq!(api.client().get("/api/segments/s1").unwrap().status, 200);
                        slowest = slowest.max(begun.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).max().unwrap()
    });
    // A reader that waited for the store itself took ten.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let lines = api.said().lines().count() - before;
    assert!(lines <= 3, "{lines} lines for 1,000 reads: {}", api.said());
    host.store.resume();
    wait_until("it is asked again", || api.is_reading() && host.is_up());
    host.served.stop();
}

/// Deleted by hand: a change makes the record whole again, an ordered comparison finds the others and the lists, a slow one does
/// so by itself, and a rebuild begins with nothing.
fn records_deleted_by_hand_come_back<S: OwnStore>() {
    let host = EngineHost::<S>::start();
    host.fill();
    let client = host.served.client();
    let rules = json!({"event": "view", "operator": "gte", "value": 1});
    let body = json!({"name": "viewers", "rules": rules}).to_string();
    assert!(client.put("/api/segments/viewers", &body).unwrap().status < 300);
    host.store.delete_user(&id(7));
    let event = json!({"userId": id(7), "eventType": "view"}).to_string();
    assert_eq!(client.post("/api/events", &event).unwrap().status, 202);
    let all = SEGMENTS as usize + 1;
    wait_until("a change makes it whole", || host.store.segments_of(&id(7)).len() == all);
    // Many at once, a list, and what nobody wrote.
    for user in 100..400 {
        host.store.delete_user(&id(user));
    }
    host.store.delete_members("s2");
    host.store.enter(&id(500), "viewers");
    let (status, said) = host.sink("verify");
    assert!(status == 1 && said.contains("users compared"), "{status}: {said}");
    wait_until("all are whole", || {
        (0..USERS).all(|user| user == 7 || host.store.segments_of(&id(user)).len() == SEGMENTS as usize)
    });
    wait_until("the list is whole", || host.store.members("s2") == USERS as usize);
    wait_until("nothing is wrong any more", || host.sink("verify").0 == 0);
    let text = client.get("/metrics").unwrap().text();
    assert!(
        text.contains(&format!("audience_sink_wrong_records_total{{sink=\"{}\"}}", EngineHost::<S>::sink_name())),
        "{text}"
    );
    // By itself.
    host.store.delete_user(&id(30));
    wait_until("a slow comparison finds it", || host.store.segments_of(&id(30)).len() == SEGMENTS as usize);
    host.store.enter("nobody", "s1");
    let (status, said) = host.sink("rebuild");
    assert_eq!(status, 0, "{said}");
    wait_until("a rebuild leaves nothing else", || host.store.segments_of("nobody").is_empty());
    host.wait_until_whole();
    assert!(host.database.url.contains("audience_test"));
    host.served.stop();
}

mod redis_is_the_store {
    use super::OwnRedis;

    #[test]
    fn an_emptied_store_is_told_and_filled_and_never_read() {
        super::an_emptied_store_is_told_and_filled_and_never_read::<OwnRedis>();
    }

    #[test]
    fn a_halted_store_holds_up_nobody() {
        super::a_halted_store_holds_up_nobody::<OwnRedis>();
    }

    #[test]
    fn records_deleted_by_hand_come_back() {
        super::records_deleted_by_hand_come_back::<OwnRedis>();
    }
}

mod aerospike_is_the_store {
    use super::OwnAerospike;

    #[test]
    #[ignore = "needs AUDIENCE_AEROSPIKE_SERVER"]
    fn an_emptied_store_is_told_and_filled_and_never_read() {
        super::an_emptied_store_is_told_and_filled_and_never_read::<OwnAerospike>();
    }

    #[test]
    #[ignore = "needs AUDIENCE_AEROSPIKE_SERVER"]
    fn a_halted_store_holds_up_nobody() {
        super::a_halted_store_holds_up_nobody::<OwnAerospike>();
    }

    #[test]
    #[ignore = "needs AUDIENCE_AEROSPIKE_SERVER"]
    fn records_deleted_by_hand_come_back() {
        super::records_deleted_by_hand_come_back::<OwnAerospike>();
    }
}
