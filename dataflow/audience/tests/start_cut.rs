//! The real program whose PostgreSQL goes away in the middle of its start, at any instant of it: it waits, as it does for one that
//! is away from the beginning.
//!
//! It needs PostgreSQL from `scripts/services`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use audience_tests::program;
use audience_tests::serve::{Setup, pause};
use database::TestDatabase;

/// How long the server is away, milliseconds.
const AWAY: u64 = 300;

/// A proxy that can be cut.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn begin(server: String) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (is_cut, open) = (Arc::default(), Arc::default());
        let proxy = Proxy { address: listener.local_addr().unwrap(), is_cut, open };
        let here = proxy.clone();
        std::thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|client| here.join(client, &server))
        });
        proxy
    }

    fn join(&self, client: TcpStream, server: &str) {
        if self.is_cut.load(Ordering::Acquire) {
            return;
        }
        let server = TcpStream::connect(server).unwrap();
        let ways = [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())];
        for (from, to) in ways.map(|(from, to)| (from.unwrap(), to.unwrap())) {
            std::thread::spawn(move || {
                let _ = copy(&mut &from, &mut &to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        self.open.lock().unwrap().extend([client, server]);
    }

    /// Cuts all connections, and takes none for a while.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.open.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        pause(AWAY);
        self.is_cut.store(false, Ordering::Release);
    }
}

#[test]
fn a_start_waits_wherever_its_database_goes_away() {
    let database = TestDatabase::create();
    let (_, at) = database.url.split_once('@').unwrap();
    let server = at.split(['/', '?']).next().unwrap().to_owned();
    let proxy = Proxy::begin(server.clone());
    let directory = tempfile::tempdir().unwrap();
    let url = database.url.replacen(&server, &proxy.address.to_string(), 1);
    let flags = vec!["--postgres".to_owned(), url];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    let mut waited = 0;
    for after in (20..=400).step_by(20) {
        let mut served = setup.spawn();
        pause(after);
        proxy.cut();
        served.wait_ready().unwrap_or_else(|why| panic!("cut after {after} ms: {why}"));
        waited += u32::from(served.said().contains("the start retries"));
        let body = format!(r#"{{"name":"cut {after}","rules":{{"event":"buy","operator":"gte","value":3}}}}"#);
        for attempt in 0.. {
            let answer = served.client().put("/api/segments/buyers", &body).unwrap();
            if answer.status < 300 {
                break;
            }
            assert!(attempt < 200, "cut after {after} ms: {}", answer.text());
            pause(25);
        }
        served.stop();
    }
    assert!(waited >= 3, "the cuts hit {waited} starts: they come at the wrong instants");
}
