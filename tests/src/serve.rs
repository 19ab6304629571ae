//! The real program: started, killed, stopped and started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::Client;
use crate::network::NetworkNamespace;

/// The longest time that a start may take.
const START: Duration = Duration::from_secs(60);
/// The longest time that an end may take.
const END: Duration = Duration::from_secs(60);
/// Ports that were free a moment ago may be taken: a start is tried so often.
const TRIES: usize = 3;

/// The program that cargo built with the test that asks, which is one of the package `audience`; or that which
/// `AUDIENCE_BINARY` names.
#[macro_export]
macro_rules! program {
    () => {
        $crate::serve::program(env!("CARGO_BIN_EXE_audience"))
    };
}

/// See [`program!`](crate::program!).
pub fn program(built: &str) -> PathBuf {
    std::env::var_os("AUDIENCE_BINARY").map_or_else(|| built.into(), PathBuf::from)
}

/// The settings of a start of the program.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program: see [`program!`](crate::program!).
    pub program: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// The file of its standard error.
    pub log: PathBuf,
    /// Worker processes; one is `audience serve`.
    pub processes: usize,
    /// Worker threads of each.
    pub workers: usize,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: u64,
    /// The network in which the processes besides the first run; without one they run on this side.
    pub network: Option<Arc<NetworkNamespace>>,
    /// Other flags.
    pub flags: Vec<String>,
    /// Variables of its environment, beside those of the test.
    pub variables: Vec<(String, String)>,
}

impl Setup {
    /// Everything in a directory: two workers, a checkpoint every second.
    pub fn within(program: PathBuf, directory: &Path) -> Setup {
        let (data, log) = (directory.join("data"), directory.join("log"));
        let (flags, variables) = (Vec::new(), Vec::new());
        Setup { program, data, log, processes: 1, workers: 2, checkpoint_seconds: 1, network: None, flags, variables }
    }

    /// Starts it, and does not wait.
    pub fn spawn(&self) -> Served {
        let (address, ingest) = free_addresses();
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a file for the log");
        let begin = log.metadata().expect("its length").len();
        let mut command = Command::new(&self.program);
        let others = if self.processes > 1 { self.spawn_others(&mut command) } else { Vec::new() };
        if others.is_empty() {
            command.arg("serve");
        }
        command.arg("--data").arg(&self.data);
        command.args(["--listen", &address.to_string(), "--listen-ingest", &ingest.to_string()]);
        command.args(["--workers", &self.workers.to_string()]);
        command.args(["--checkpoint-seconds", &self.checkpoint_seconds.to_string()]);
        command.args(&self.flags).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the program can be started");
        let output = child.stdout.take().expect("its output");
        let (sender, ready) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with("audience is ready") {
                    let _ = sender.try_send(());
                }
            }
        });
        Served { child, others, ready, address, ingest, log: self.log.clone(), begin }
    }

    /// Starts the processes besides the first, and tells that of them.
    fn spawn_others(&self, first: &mut Command) -> Vec<Child> {
        let hosts = self.log.with_extension("hosts");
        let ports: Vec<TcpListener> = (0..self.processes).map(|_| free_port()).collect();
        let line = |(process, port): (usize, &TcpListener)| {
            let address = address(port);
            match &self.network {
                None => address.to_string(),
                Some(network) if process == 0 => format!("{}:{}", network.here, address.port()),
                Some(network) => format!("{}:{}", network.there, address.port()),
            }
        };
        let lines: Vec<String> = ports.iter().enumerate().map(line).collect();
        std::fs::write(&hosts, lines.join("\n")).expect("a file of hosts");
        drop(ports);
        let worker = |command: &mut Command, process: usize| {
            command.args(["worker", "--process", &process.to_string(), "--hosts"]).arg(&hosts);
        };
        worker(first, 0);
        let other = |process| {
            let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a file for the log");
            let local = || Command::new(&self.program);
            let mut command = self.network.as_ref().map_or_else(local, |network| network.command(&self.program));
            worker(&mut command, process);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the program can be started")
        };
        (1..self.processes).map(other).collect()
    }

    /// Starts it and waits until it is ready.
    pub fn start(&self) -> Served {
        for _ in 1..TRIES {
            let mut served = self.spawn();
            match served.wait_ready() {
                Ok(()) => return served,
                Err(why) if why.contains("is in use by another program") => {}
                Err(why) => panic!("{why}"),
            }
        }
        let mut served = self.spawn();
        served.wait_ready().unwrap_or_else(|why| panic!("{why}"));
        served
    }
}

/// Two addresses that are free now.
fn free_addresses() -> (SocketAddr, SocketAddr) {
    let (one, other) = (free_port(), free_port());
    (address(&one), address(&other))
}

fn free_port() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).expect("a free port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("its address")
}

/// A running program; killed when dropped.
pub struct Served {
    child: Child,
    /// The processes besides the first.
    others: Vec<Child>,
    ready: Receiver<()>,
    /// The address of all APIs.
    pub address: SocketAddr,
    /// The address of the Event Ingestion API.
    pub ingest: SocketAddr,
    log: PathBuf,
    begin: u64,
}

impl Served {
    /// Waits until it is ready; or says why it will not be.
    pub fn wait_ready(&mut self) -> Result<(), String> {
        match self.ready.recv_timeout(START) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(format!("not ready after {START:?}:\n{}", self.said())),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.wait();
                Err(format!("it ended with {status} before it was ready:\n{}", self.said()))
            }
        }
    }

    /// A client of all APIs.
    pub fn client(&self) -> Client {
        Client(self.address)
    }

    /// The text of its standard error.
    pub fn said(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.begin))?;
            file.read_to_end(&mut text)
        });
        read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&text).into_owned())
    }

    /// The first process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL to all of it, and waits for the end.
    pub fn kill(mut self) {
        self.end_at_once();
    }

    fn end_at_once(&mut self) {
        let workers: Vec<Pid> = (0..=self.others.len()).filter_map(|process| self.worker(process)).collect();
        for child in std::iter::once(&mut self.child).chain(&mut self.others) {
            let _ = child.kill();
            let _ = child.wait();
        }
        // They end with their supervisors, but not in the same instant.
        for worker in &workers {
            let _ = kill_process(*worker, Signal::KILL);
        }
        while workers.iter().any(|worker| is_running(*worker)) {
            pause(1);
        }
    }

    /// The worker that the supervisor of one of several processes has started, if it is there just now.
    pub fn worker(&self, process: usize) -> Option<Pid> {
        if self.others.is_empty() {
            return None;
        }
        let supervisor = if process == 0 { &self.child } else { &self.others[process - 1] };
        // The supervisor starts it from any of its threads.
        let tasks = std::fs::read_dir(format!("/proc/{}/task", supervisor.id())).ok()?;
        let of_task =
            |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("children")).ok();
        let children = tasks.filter_map(of_task).find(|children| !children.trim().is_empty())?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    /// SIGSTOP: it does nothing until it is resumed.
    pub fn suspend(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("a signal can be sent");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("a signal can be sent");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("a signal can be sent");
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + END;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < deadline => pause(10),
                other => panic!("it does not end ({other:?}):\n{}", self.said()),
            }
        }
    }

    /// SIGTERM, which it must follow with status 0.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "it ended with {status}:\n{}", self.said());
        for mut other in std::mem::take(&mut self.others) {
            kill_process(Pid::from_child(&other), Signal::TERM).expect("a signal can be sent");
            let status = other.wait().expect("it ends");
            assert!(status.success(), "another process ended with {status}:\n{}", self.said());
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end_at_once();
    }
}

/// Returns whether a process runs that is not a child of this one.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // Behind the name, which may be anything, stands the state; Z: it has ended.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// Waits.
pub fn pause(milliseconds: u64) {
    #[expect(clippy::disallowed_methods, reason = "a test that waits for another process has nothing to be woken by")]
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Waits until it holds; panics after a minute.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = wall_clock() + 60_000;
    while !holds() {
        assert!(wall_clock() < deadline, "in vain: {what}");
        pause(10);
    }
}

/// Waits until the JSON at a path is as wanted, and returns it; panics after two and a half minutes.
pub fn wait_for_json(client: Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = wall_clock() + 150_000;
    loop {
        let last = client.get(path).map(|answer| answer.json()).unwrap_or_default();
        if wanted(&last) {
            return last;
        }
        assert!(wall_clock() < deadline, "{path}: {last}");
        pause(20);
    }
}

/// A figure of `/metrics` that has no labels.
pub fn metric(client: Client, name: &str) -> f64 {
    let text = client.get("/metrics").map(|answer| answer.text()).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Milliseconds since 1970.
pub fn wall_clock() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test beside a program that follows the wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
