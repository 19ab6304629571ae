//! The `audience serve` under load: its start, its memory, its end.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::BenchClient;

/// A stop takes a checkpoint, which may take a while.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long sources and sinks may take to answer once the server is ready.
const CONNECTED: Duration = Duration::from_secs(30);
/// Between looks at whether they have.
const LOOK: Duration = Duration::from_millis(50);

/// How to start it.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// The program.
    pub program: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Processes; one is `audience serve`.
    pub processes: usize,
    /// Worker threads of each.
    pub workers: usize,
    /// Further flags.
    pub flags: Vec<String>,
}

/// A server, either started here or running already.
pub struct BenchServer {
    /// The address at which it answers.
    pub address: SocketAddr,
    child: Option<Child>,
    /// The processes besides the first.
    others: Vec<Child>,
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl BenchServer {
    /// Starts it; returns when it is ready, with how long that took.
    pub fn start(setup: &ServerSetup) -> anyhow::Result<(BenchServer, Duration)> {
        let begun = Instant::now();
        let (address, ingest) = (free_address()?, free_address()?);
        let mut command = Command::new(&setup.program);
        let others = if setup.processes > 1 { start_others(setup, &mut command)? } else { Vec::new() };
        if others.is_empty() {
            command.arg("serve");
        }
        let mut child = command
            .args(["--data".as_ref(), setup.data.as_os_str()])
            .args(["--workers", &setup.workers.to_string(), "--log", "warn"])
            .args(["--listen", &address.to_string(), "--listen-ingest", &ingest.to_string()])
            .args(&setup.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", setup.program.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let server = BenchServer { address, child: Some(child), others };
        ensure!(line.contains("ready"), "the server did not start: {line:?}");
        let took = begun.elapsed();
        // Sources and sinks are reached behind that.
        let mut client = BenchClient::connect(address)?;
        while client.get("/health/ready")?.status != 200 {
            ensure!(
                begun.elapsed() < took + CONNECTED,
                "{}",
                String::from_utf8_lossy(client.get("/health/ready")?.body)
            );
            std::thread::park_timeout(LOOK);
        }
        Ok((server, took))
    }

    /// One that runs already.
    pub fn running(address: SocketAddr) -> BenchServer {
        BenchServer { address, child: None, others: Vec::new() }
    }

    /// A connection.
    pub fn client(&self) -> anyhow::Result<BenchClient> {
        Ok(BenchClient::connect(self.address)?)
    }

    /// Resident memory, bytes; of one that was started here as one process.
    pub fn memory(&self) -> Option<u64> {
        self.child.as_ref().filter(|_| self.others.is_empty()).and_then(|child| resident(Some(child.id())))
    }

    /// Its process, of one that was started here.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Seconds of processor time that it has used.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process()?)).ok()?;
        // Behind the name, which may have anything in it: of the system and of the user, hundredths of a second each.
        let mut fields = status.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / 100.0)
    }

    /// Kills the worker that the supervisor of one of several processes has started, not the first one's.
    pub fn kill_worker(&self, process: usize) -> anyhow::Result<()> {
        let supervisor = self.others.get(process - 1).context("there is no such process")?.id();
        let tasks = std::fs::read_dir(format!("/proc/{supervisor}/task"))?;
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let all: Vec<i32> = children
            .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
            .collect();
        let worker = all.first().and_then(|id| Pid::from_raw(*id)).context("it has no worker just now")?;
        Ok(kill_process(worker, Signal::KILL)?)
    }

    /// Ends it with a signal, and waits for its end; gives how long that took.
    pub fn end(mut self, signal: Signal) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let Some(mut child) = self.child.take() else { bail!("it was not started here") };
        let id = Pid::from_raw(i32::try_from(child.id())?).context("no process id")?;
        kill_process(id, signal)?;
        while begun.elapsed() < PATIENCE {
            if child.try_wait()?.is_some() {
                // Dropped with the server, they end too.
                return Ok(begun.elapsed());
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        child.kill()?;
        child.wait()?;
        bail!("it did not end within {PATIENCE:?}")
    }
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        for child in self.child.iter_mut().chain(&mut self.others) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the processes besides the first, and tells that of them.
fn start_others(setup: &ServerSetup, first: &mut Command) -> anyhow::Result<Vec<Child>> {
    let hosts = setup.data.with_extension("hosts");
    let addresses: Vec<String> =
        (0..setup.processes).map(|_| Ok(free_address()?.to_string())).collect::<anyhow::Result<_>>()?;
    std::fs::write(&hosts, addresses.join("\n"))?;
    let worker = |command: &mut Command, process: usize| {
        command.args(["worker", "--process", &process.to_string(), "--hosts"]).arg(&hosts);
    };
    worker(first, 0);
    let other = |process| {
        let mut command = Command::new(&setup.program);
        worker(&mut command, process);
        Ok(command.args(["--log", "warn"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
    };
    (1..setup.processes).map(other).collect()
}

/// Resident memory, bytes, of a process, or of this one.
pub fn resident(process: Option<u32>) -> Option<u64> {
    let name = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let status = std::fs::read_to_string(Path::new("/proc").join(name).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory() {
        assert!(super::resident(None).is_some_and(|bytes| bytes > 1 << 20));
    }
}
