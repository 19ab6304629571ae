//! `audience worker`: one of several processes that compute together, and its supervisor.
//!
//! The command starts a supervisor. The supervisor runs the worker as a process of its own, and restarts it whenever it ends or
//! shows no sign of life. A computation over several processes does not outlive the loss of one: all of them restart from the
//! last checkpoint. The supervisor holds no state; when it is killed, its worker ends too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use audience_api::{ApiOptions, Listen, Scope, Server, Tls};
use audience_auth::Auth;
use audience_background::{Stop, clock};
use audience_engine::cluster::host::{self, HostOptions};
use audience_engine::cluster::link::SILENCE;
use audience_engine::cluster::status::HostStatus;
use audience_protocol::Platform;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::serve::{self, OtherProcesses};
use crate::settings::{ServeFlags, ServeSettings, TlsProcess};
use crate::telemetry::TelemetrySettings;
use crate::{process_metrics, telemetry};

/// The line by which a worker shows that it lives.
const BEAT_LINE: &str = "beat";
/// The time between signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// The wait before the first restart of a worker; it doubles until a worker has stayed.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The time after which a worker counts as having stayed.
const STAYED: Duration = Duration::from_secs(10);

/// Settings of `audience worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The place of this process in the file of hosts, counted from 0. Process 0 has the data directory, all stores and
    /// the APIs. The others only compute, and need no setting but these two; with `--listen` they serve health and figures.
    #[arg(long, env = "AUDIENCE_PROCESS", value_name = "N")]
    process: usize,
    /// A file with a line `host:port` for each process, at which the others reach it. It is the same for all.
    #[arg(long, env = "AUDIENCE_HOSTS", value_name = "FILE")]
    hosts: PathBuf,
    /// The worker itself, without its supervisor, which has restarted it so often.
    #[arg(long, hide = true, value_name = "RESTARTS")]
    supervised: Option<u64>,
    #[command(flatten)]
    serve: ServeFlags,
}

/// Runs until told to stop.
pub(crate) fn run(args: WorkerArgs, is_listen_given: bool) -> anyhow::Result<ExitCode> {
    let hosts = read_hosts(&args)?;
    let address = is_listen_given.then_some(args.serve.listen.0);
    let settings = ServeSettings::load(args.serve)?;
    // The supervisor does nothing of which there would be spans.
    let otlp = settings.flags.telemetry.otlp.clone().filter(|_| args.supervised.is_some());
    let _telemetry = telemetry::start(&TelemetrySettings { otlp, ..settings.flags.telemetry.clone() }, "worker")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Some(restarts) = args.supervised else { return runtime.block_on(supervise()) };
    process_metrics::begin((args.process == 0).then(|| settings.data()), restarts);
    live_with_supervisor();
    std::panic::set_hook(Box::new(log_panic));
    if args.process == 0 {
        return serve::run_on(
            runtime,
            settings,
            Some(OtherProcesses { listen: hosts[0].clone(), processes: hosts.len() }),
        );
    }
    // The rest of its start is the coordinator's.
    process_metrics::ready();
    let leaving = Stop::default();
    let (coordinator, listen) = (hosts[0].clone(), hosts[args.process].clone());
    let status = Arc::new(HostStatus::default());
    let options = HostOptions { process: args.process, coordinator, listen, leaving, status };
    let listeners = address.map(|address| [address]);
    let process = TlsProcess { listeners: listeners.as_ref().map_or(&[], |one| one), ..TlsProcess::default() };
    let tls = address.map(|_| settings.flags.http.tls.open(process)).transpose()?.flatten();
    runtime.block_on(host(options, address, tls))
}

fn read_hosts(args: &WorkerArgs) -> anyhow::Result<Vec<String>> {
    let path = args.hosts.display();
    let text = std::fs::read_to_string(&args.hosts)
        .with_context(|| format!("--hosts (AUDIENCE_HOSTS): {path} cannot be read"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let hosts: Vec<String> = lines.map(str::to_owned).collect();
    for host in &hosts {
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            bail!(
                "--hosts (AUDIENCE_HOSTS): {path}: `{host}` is not an address; write host:port, such as 10.0.0.1:7201"
            );
        }
    }
    if args.process >= hosts.len() {
        bail!(
            "--process (AUDIENCE_PROCESS) is {1}, and {path} has {0} processes: give 0 to {2}",
            hosts.len(),
            args.process,
            hosts.len().saturating_sub(1)
        );
    }
    Ok(hosts)
}

/// Computes, run after run, until told to stop.
async fn host(options: HostOptions, address: Option<SocketAddr>, tls: Option<Arc<Tls>>) -> anyhow::Result<ExitCode> {
    if let Some(address) = address {
        let listen = [Listen { address, scope: Scope::Health, flag: "--listen" }];
        let figures = process_metrics::figures;
        let api_options = ApiOptions { tls, clock: clock::now, figures, ..ApiOptions::default() };
        let server =
            Server::bind(Platform::without_engine(options.status.clone()), Arc::new(Auth::off()), &listen, api_options)
                .await?;
        tokio::spawn(server.run(std::future::pending()));
    }
    let leaving = options.leaving.clone();
    tokio::spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("The process leaves the run; a second signal ends it at once");
        leaving.request();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        #[expect(clippy::disallowed_methods, reason = "asked for by the second signal; nothing is kept here")]
        std::process::exit(130);
    });
    loop {
        let run = options.clone();
        let ended = tokio::task::spawn_blocking(move || host::run(&run)).await.context("the run was cut off")?;
        if options.leaving.is_requested() {
            return Ok(ExitCode::SUCCESS);
        }
        if let Err(error) = ended {
            tracing::error!(%error, "The run was cut off");
            // Threads that wait for a process that is gone never end.
            #[expect(clippy::disallowed_methods, reason = "nothing is kept here, and the supervisor starts it again")]
            std::process::exit(1);
        }
        tracing::info!("The run has ended");
    }
}

/// Logs a panic in one line.
///
/// Once a process is lost, the threads that exchange data with it panic one after the other, in the library that they call. The
/// run itself says that it was cut off, so these are for whoever looks closer.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name();
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let reason = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // Without the directory of the machine that built it.
    let place =
        place.rsplit_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map_or(&*place, |it| it.1);
    if place.starts_with("timely") {
        tracing::debug!(thread, reason, place, "A thread of the run ends with it");
    } else {
        tracing::error!(thread, reason, place, "A thread panicked");
    }
}

/// Shows that this process lives, and ends it once its supervisor is gone.
fn live_with_supervisor() {
    let beat = || {
        let mut out = std::io::stdout();
        while writeln!(out, "{BEAT_LINE}").and_then(|()| out.flush()).is_ok() {
            std::thread::park_timeout(BEAT);
        }
    };
    let watch = || {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        #[expect(clippy::disallowed_methods, reason = "as if killed; everything accepted is durable")]
        std::process::exit(1);
    };
    std::thread::spawn(beat);
    std::thread::spawn(watch);
}

/// Runs the worker and restarts it, until told to stop.
async fn supervise() -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut wait = FIRST_WAIT;
    for restarts in 0.. {
        let begun = Instant::now();
        let mut worker = Supervised::start(restarts)?;
        let ended = tokio::select! {
            ended = worker.watch() => ended?,
            _ = interrupt.recv() => return stop(worker, &mut interrupt, &mut terminate).await,
            _ = terminate.recv() => return stop(worker, &mut interrupt, &mut terminate).await,
        };
        wait = if begun.elapsed() > STAYED { FIRST_WAIT } else { (2 * wait).min(LONGEST_WAIT) };
        tracing::error!(reason = ended, retry_in = ?wait, "The worker has ended, and the supervisor restarts it");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
    Ok(ExitCode::FAILURE)
}

/// Tells the worker to stop, and waits for it; a second signal kills it.
async fn stop(
    mut worker: Supervised,
    interrupt: &mut tokio::signal::unix::Signal,
    terminate: &mut tokio::signal::unix::Signal,
) -> anyhow::Result<ExitCode> {
    let pid = Pid::from_child(&worker.child);
    kill_process(pid, Signal::TERM).context("the worker cannot be told to stop")?;
    let status = tokio::select! {
        status = worker.wait() => status?,
        _ = interrupt.recv() => worker.kill()?,
        _ = terminate.recv() => worker.kill()?,
    };
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A running worker.
struct Supervised {
    child: Child,
    /// A sign of life each; closed with the output of the worker, and so with its end.
    beats: watch::Receiver<()>,
}

impl Supervised {
    fn start(restarts: u64) -> anyhow::Result<Supervised> {
        let program = std::env::current_exe().context("the program is not known")?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).arg(format!("--supervised={restarts}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the worker cannot be started")?;
        let stdout = child.stdout.take().context("the worker has no output")?;
        let (beat, beats) = watch::channel(());
        std::thread::spawn(move || pass_on(stdout, &beat));
        Ok(Supervised { child, beats })
    }

    /// Ends when the worker has, or has been killed because it was silent; gives why.
    async fn watch(&mut self) -> anyhow::Result<String> {
        loop {
            match tokio::time::timeout(SILENCE, self.beats.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(self.kill()?.to_string()),
                Err(_) => {
                    let status = self.kill()?;
                    return Ok(format!("it showed no sign of life for {SILENCE:?}; {status}"));
                }
            }
        }
    }

    async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        while self.beats.changed().await.is_ok() {}
        self.kill()
    }

    /// Kills the worker; returns its own status where it has ended.
    fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

/// Notes signs of life, and passes on everything else that the worker writes.
fn pass_on(stdout: ChildStdout, beat: &watch::Sender<()>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if line == BEAT_LINE {
            beat.send_replace(());
        } else {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}
