//! The real program: started, killed, stopped and started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

/// How long a start may take.
const START: Duration = Duration::from_secs(60);
/// How long an end may take.
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

/// How the program is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program: see [`program!`](crate::program!).
    pub program: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Where its standard error goes.
    pub log: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: u64,
    /// Other flags.
    pub flags: Vec<String>,
    /// Variables of its environment, beside those of the test.
    pub variables: Vec<(String, String)>,
}

impl Setup {
    /// Everything in a directory: two workers, a checkpoint every second.
    pub fn within(program: PathBuf, directory: &Path) -> Setup {
        let (data, log) = (directory.join("data"), directory.join("log"));
        Setup { program, data, log, workers: 2, checkpoint_seconds: 1, flags: Vec::new(), variables: Vec::new() }
    }

    /// Starts it, and does not wait.
    pub fn spawn(&self) -> Served {
        let (address, ingest) = free_addresses();
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a file for the log");
        let begin = log.metadata().expect("its length").len();
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--data").arg(&self.data);
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
        Served { child, ready, address, ingest, log: self.log.clone(), begin }
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
    let listen = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let (one, other) = (listen(), listen());
    let address = |listener: &TcpListener| listener.local_addr().expect("its address");
    (address(&one), address(&other))
}

/// A running program; killed when dropped.
pub struct Served {
    child: Child,
    ready: Receiver<()>,
    /// Where all APIs are.
    pub address: SocketAddr,
    /// Where events go.
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

    /// What it wrote to its standard error.
    pub fn said(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.begin))?;
            file.read_to_end(&mut text)
        });
        read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&text).into_owned())
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("a signal can be sent");
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
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits.
pub fn pause(milliseconds: u64) {
    #[expect(clippy::disallowed_methods, reason = "a test that waits for another process has nothing to be woken by")]
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Milliseconds since 1970.
pub fn wall_clock() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test beside a program that follows the wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
