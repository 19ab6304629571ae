//! `scripts/cluster` after a supervisor was killed: it says that it does not run, and starts it again.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::pause;
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// Addresses that are free now, as are the ports 1,000 above.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// A cluster of two, ended when dropped.
struct ScriptCluster<'a> {
    directory: &'a Path,
    arguments: Vec<String>,
}

impl ScriptCluster<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/cluster");
        Command::new(script).args(arguments).env("AUDIENCE_CLUSTER_DIR", self.directory).output().unwrap()
    }

    fn start(&self) {
        let arguments: Vec<&str> = ["start"].into_iter().chain(self.arguments.iter().map(String::as_str)).collect();
        let output = self.run(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains("audience is ready"), "{said}");
    }

    fn kill_supervisor(&self, process: usize) {
        let number = fs::read_to_string(self.directory.join(format!("{process}.pid"))).unwrap();
        kill_process(Pid::from_raw(number.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        while fs::read(format!("/proc/{}/cmdline", number.trim())).is_ok_and(|line| !line.is_empty()) {
            pause(5);
        }
    }
}

impl Drop for ScriptCluster<'_> {
    fn drop(&mut self) {
        self.run(&["kill"]);
    }
}

#[test]
fn a_killed_supervisor_is_missed_and_started_again() {
    // Nobody reaps what the script leaves behind.
    set_child_subreaper(Some(getpid())).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [first, other, api, ingest] = free_addresses(4)[..] else { panic!("four addresses") };
    let hosts = directory.path().join("hosts-of-test");
    fs::write(&hosts, format!("{first}\n{other}\n")).unwrap();
    let data = directory.path().join("data");
    let arguments: Vec<String> = ["--hosts", &hosts.display().to_string(), "--workers", "1"]
        .into_iter()
        .chain(["--program", &program!().display().to_string(), "--", "--data", &data.display().to_string()])
        .chain(["--listen", &api.to_string(), "--listen-ingest", &ingest.to_string()])
        .map(str::to_owned)
        .collect();
    let home = directory.path().join("cluster");
    let cluster = ScriptCluster { directory: &home, arguments };
    let client = Client(api);
    let assert_serves = |user: &str| {
        let event = format!(r#"{{"userId":"{user}","eventType":"buy"}}"#);
        let answer = client.post("/api/events", &event).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
    };
    cluster.start();
    assert_serves("a");
    for process in [1, 0] {
        cluster.kill_supervisor(process);
        let status = cluster.run(&["status"]);
        let said = String::from_utf8_lossy(&status.stdout).into_owned();
        assert_eq!(status.status.code(), Some(1), "{said}");
        let is_missed = |line: &str| line.starts_with(&format!("process {process} ")) && line.ends_with("does not run");
        assert!(said.lines().any(is_missed), "{said}");
        cluster.start();
        // Ready is what it says, and both processes run.
        assert_serves("b");
        assert!(cluster.run(&["status"]).status.success());
    }
    assert!(cluster.run(&["stop"]).status.success());
    // A process that is lost is told in words, and not by the panics of the threads that exchanged data with it.
    for process in [0, 1] {
        let said = fs::read_to_string(home.join(format!("{process}.log"))).unwrap();
        for noise in ["panicked", "MergeQueue", "/registry/src/"] {
            let line = said
                .lines()
                .find(|line| line.contains(noise) && !line.contains("a worker panicked: a process is lost"));
            assert_eq!(line, None);
        }
    }
}
