//! The real program while a start takes its time: its ports answer, say what is waited for, and a signal ends it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::io::copy;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use audience_tests::client::{Answer, Client};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use database::TestDatabase;

/// A port of this machine at which nothing listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// Waits for the answer of one that was just started, and for one that has these words.
fn wait_for(client: Client, path: &str, words: &str) -> Answer {
    let mut last = None;
    for _ in 0..2_000 {
        last = client.get(path).ok();
        if let Some(answer) = last.as_ref().filter(|answer| answer.text().contains(words)) {
            return answer.clone();
        }
        pause(5);
    }
    panic!("{path}: {words} is not in {:?}", last.map(|answer| answer.text()));
}

/// The exit status of `audience health`.
fn health(address: SocketAddr, flags: &[&str]) -> Option<i32> {
    let mut command = Command::new(program!());
    command.arg("health").arg(address.to_string()).args(flags).output().unwrap().status.code()
}

fn assert_starting(served: &Served) {
    let client = served.client();
    for path in ["/health/ready", "/actuator/health"] {
        let answer = wait_for(client, path, "PostgreSQL does not answer");
        assert_eq!((answer.status, answer.json()["status"].as_str()), (503, Some("DOWN")), "{}", answer.text());
    }
    assert_eq!(client.get("/health/live").unwrap().status, 200);
    // How far the start is can be watched from its first second.
    let metrics = client.get("/metrics").unwrap();
    assert_eq!(metrics.status, 200);
    for line in ["audience_ready 0", "audience_start_phase{phase=\"open\"} 1", "process_resident_memory_bytes "] {
        assert!(metrics.text().contains(line), "{line} is not in {}", metrics.text());
    }
    assert!(metrics.text().ends_with("# EOF\n"), "{}", metrics.text());
    assert_eq!(health(served.address, &[]), Some(1));
    assert_eq!(health(served.address, &["--live"]), Some(0));
    assert_eq!(Client(served.ingest).get("/health/live").unwrap().status, 200);
    let event = r#"{"userId":"u","eventType":"e"}"#;
    for answer in
        [client.get("/api/segments").unwrap(), client.get("/").unwrap(), client.post("/api/events", event).unwrap()]
    {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
        assert!(answer.text().contains("PostgreSQL does not answer"), "{}", answer.text());
    }
}

#[test]
fn a_start_that_waits_says_so_and_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--postgres".to_owned(), format!("postgres://nobody@{}/none", nowhere())];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    let mut served = setup.spawn();
    assert_starting(&served);
    // A port that is taken is an error at once, whatever there is to wait for.
    let mut command = Command::new(program!());
    command.arg("serve").arg("--data").arg(directory.path().join("other")).args(&setup.flags);
    let output = command.args(["--listen", &served.address.to_string()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("in use") && said.contains("--listen"), "{said}");
    // A command on this host is told why it is not served, and not that somebody else has the directory.
    let mut command = Command::new(program!());
    command.args(["admin", "invite", "ann@example.org", "--data"]).arg(&setup.data);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("the server is starting"), "{said}");
    let begun = Instant::now();
    served.terminate();
    assert!(served.wait().success(), "{}", served.said());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn it_serves_once_what_it_waits_for_is_there() {
    let database = TestDatabase::create();
    let (_, at) = database.url.split_once('@').unwrap();
    let (server, _) = at.split_once('/').unwrap();
    let (server, here) = (server.to_owned(), nowhere());
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--postgres".to_owned(), database.url.replacen(&server, &here.to_string(), 1)];
    let mut served = Setup { flags, ..Setup::within(program!(), directory.path()) }.spawn();
    assert_starting(&served);
    let listener = TcpListener::bind(here).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&server).unwrap();
            let ways = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
            for (from, to) in ways.map(|(from, to)| (from.unwrap(), to.unwrap())) {
                std::thread::spawn(move || copy(&mut &from, &mut &to));
            }
        }
    });
    served.wait_ready().unwrap();
    assert_eq!(served.client().get("/health/ready").unwrap().status, 200);
    assert_eq!(served.client().get("/api/segments").unwrap().status, 200);
    assert_eq!(health(served.address, &[]), Some(0));
    assert_eq!(health(nowhere(), &[]), Some(2));
    let metrics = served.client().get("/metrics").unwrap().text();
    assert!(
        metrics.contains("audience_ready 1") && metrics.contains("audience_start_phase{phase=\"ready\"} 1"),
        "{metrics}"
    );
    // Its connections go through here.
    served.stop();
}
