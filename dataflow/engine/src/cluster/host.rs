//! A process that only computes: joins the coordinator, and runs workers until the run ends.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_kernel::operator::Outward;
use parking_lot::Mutex;

use super::coordinator::greet;
use super::frame;
use super::link::{self, Link};
use super::protocol::{Begin, FromHost, FromWorker, Hello, ToHost, ToWorker, VERSION};
use super::status::HostStatus;
use super::stores::RemoteStores;
use crate::durability::seed;
use crate::emission::encode::encode;
use crate::engine::error::{EngineError, EngineFailure, StartError};
use crate::engine::workers::{self, Give, Network, Started, TickDoor, WorkerOptions};

/// Between tries to reach another process.
const RETRY: Duration = Duration::from_millis(200);
/// How long the connections to the other processes may take once a run has begun.
const BEGIN_PATIENCE: Duration = Duration::from_secs(10);
/// How long the workers may take to end once the coordinator has gone in order.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Between looks at how things stand.
const LOOK: Duration = Duration::from_millis(20);

/// Which process this is.
#[derive(Clone)]
pub struct HostOptions {
    /// Its place among the processes; the coordinator is 0.
    pub process: usize,
    /// The address of the coordinator.
    pub coordinator: String,
    /// The address at which the others reach this process, `host:port`. Port 0: any.
    pub listen: String,
    /// Set once the process is to stop: the coordinator is then asked to end the run in order.
    pub leaving: Stop,
    /// Told how it goes.
    pub status: Arc<HostStatus>,
}

impl HostOptions {
    fn is_leaving(&self) -> bool {
        self.leaving.is_requested()
    }
}

/// Joins the coordinator, waiting for it as long as it takes, and computes until the run ends, if one begins. An error is that the run
/// was cut off: threads of it may be left, so that the process is best ended.
pub fn run(options: &HostOptions) -> Result<(), EngineError> {
    let failed = |error: io::Error| StartError::system(format!("cannot listen on {}", options.listen), error);
    let listener = TcpListener::bind(&options.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let name = options.listen.rsplit_once(':').map_or(options.listen.as_str(), |(name, _)| name);
    let (sender, orders) = sync_channel(4);
    let Some(link) = join(options, &format!("{name}:{port}"), &sender) else { return Ok(()) };
    let begin = match wait_for_begin(options, &link, &orders) {
        Some(ToHost::Begin(begin)) => begin,
        Some(ToHost::Refused(reason)) => {
            return Err(StartError::Refused(reason).into());
        }
        Some(ToHost::Beat) | None => return Ok(()),
    };
    tracing::info!(process = options.process, processes = begin.addresses.len(), "a run begins");
    let made = RunConnections::make(options, &begin, &listener).map_err(start_error)?;
    let Some(connections) = made else { return Ok(()) };
    let run = HostedRun::start(options, &begin, connections)?;
    options.status.waits(None);
    let ended = run.wait(options, &link);
    options.status.waits(Some("the run has ended"));
    ended
}

/// Connects to the coordinator until it succeeds, or the process is to stop.
fn join(options: &HostOptions, address: &str, orders: &SyncSender<ToHost>) -> Option<Link> {
    let hello = Hello::Join { process: options.process, address: address.to_owned(), version: VERSION.to_owned() };
    let mut told = None;
    while !options.is_leaving() {
        let orders = orders.clone();
        let take = move |message| {
            if !matches!(message, ToHost::Beat) {
                let _ = orders.try_send(message);
            }
        };
        let link = connect(&options.coordinator, &hello).and_then(|stream| Link::start(stream, FromHost::Beat, take));
        match link {
            Ok(link) => return Some(link),
            Err(error) if told != Some(error.kind()) => {
                told = Some(error.kind());
                tracing::info!(coordinator = options.coordinator, %error, "waiting for the coordinator");
            }
            Err(_) => {}
        }
        options.leaving.wait(RETRY);
    }
    None
}

fn connect(address: &str, hello: &Hello) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    link::tune(&stream)?;
    frame::write(&mut stream, hello)?;
    Ok(stream)
}

/// `None` where the coordinator has gone before it began anything, or the process is to stop.
fn wait_for_begin(options: &HostOptions, link: &Link, orders: &Receiver<ToHost>) -> Option<ToHost> {
    while !options.is_leaving() && link.lost().is_none() {
        if let Ok(order) = orders.recv_timeout(LOOK) {
            return Some(order);
        }
    }
    None
}

fn lost(reason: &str) -> EngineError {
    EngineFailure::CoordinatorLost(reason.to_owned()).into()
}

/// The connections of a run.
struct RunConnections {
    /// Timely's, by process.
    mesh: Vec<Option<TcpStream>>,
    /// For ticks, by worker of this process.
    ticks: Vec<TcpStream>,
    /// To the stores, by worker of this process.
    stores: Vec<RemoteStores>,
}

impl RunConnections {
    /// Makes all connections: each process connects to those before it, and waits for those after it. `None` if the
    /// process is to stop before that.
    fn make(options: &HostOptions, begin: &Begin, listener: &TcpListener) -> io::Result<Option<RunConnections>> {
        let (run, process) = (begin.run, options.process);
        let address = |process: usize| if process == 0 { &options.coordinator } else { &begin.addresses[process] };
        let mut mesh: Vec<Option<TcpStream>> = begin.addresses.iter().map(|_| None).collect();
        for (other, place) in mesh.iter_mut().enumerate().take(process) {
            let Some(stream) = connect_within(address(other), &Hello::Mesh { run, process }, &options.leaving)? else {
                return Ok(None);
            };
            *place = Some(stream);
        }
        let begun = Instant::now();
        while mesh.iter().skip(process + 1).any(Option::is_none) {
            match listener.accept().and_then(|(stream, _)| greet(stream)) {
                Ok((stream, Hello::Mesh { run: of, process })) if of == run && process < mesh.len() => {
                    mesh[process] = Some(stream);
                }
                _ if begun.elapsed() > BEGIN_PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
                _ if options.leaving.wait(LOOK) => return Ok(None),
                _ => {}
            }
        }
        let first = process * begin.workers;
        let mut connections = RunConnections { mesh, ticks: Vec::new(), stores: Vec::new() };
        for worker in first..first + begin.workers {
            connections.ticks.push(connect(&options.coordinator, &Hello::Ticks { run, worker })?);
            connections.stores.push(RemoteStores::new(connect(&options.coordinator, &Hello::Stores { run })?));
        }
        Ok(Some(connections))
    }
}

/// Connects to a process that may not listen yet; `None` if this process is to stop before it does.
fn connect_within(address: &str, hello: &Hello, leaving: &Stop) -> io::Result<Option<TcpStream>> {
    let begun = Instant::now();
    loop {
        match connect(address, hello) {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if begun.elapsed() > BEGIN_PATIENCE => return Err(error),
            Err(_) if leaving.wait(RETRY) => return Ok(None),
            Err(_) => {}
        }
    }
}

/// The workers of this process in a run.
struct HostedRun {
    /// Told when all worker threads have ended.
    ended: Receiver<()>,
    /// Workers that are yet to be told that no more ticks come.
    open: Arc<AtomicUsize>,
    failure: Arc<Mutex<Option<EngineFailure>>>,
    writers: Vec<JoinHandle<io::Result<()>>>,
}

impl HostedRun {
    fn start(options: &HostOptions, begin: &Begin, connections: RunConnections) -> Result<HostedRun, EngineError> {
        let RunConnections { mesh, ticks, stores } = connections;
        let failure = Arc::new(Mutex::new(None));
        let (mut senders, mut writers, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        for stream in ticks {
            readers.push(stream.try_clone().map_err(start_error)?);
            let (sender, outward) = sync_channel(begin.ticks_outward.max(1));
            senders.push(sender);
            let writer = std::thread::Builder::new().name("outward".to_owned());
            writers.push(writer.spawn(move || write_outward(stream, &outward)).map_err(start_error)?);
        }
        let failed = failure.clone();
        let fail = Arc::new(move |failure: EngineFailure| {
            failed.lock().get_or_insert(failure);
        });
        let first = options.process * begin.workers;
        let gives = Mutex::new(senders.iter().cloned().map(Some).collect::<Vec<_>>());
        let stores: Vec<Arc<RemoteStores>> = stores.into_iter().map(Arc::new).collect();
        let (origin, status) = (begin.origin.clone(), options.status.clone());
        let worker_options = WorkerOptions {
            seed: Arc::new(move |worker, peers| seed::seed_remotely(&stores[worker - first], &origin, worker, peers)),
            encode,
            scan_slice_users: begin.scan_slice_users,
            gives_members: true,
            aliases: None,
            outward: Arc::new(move |worker| give(worker, &status, gives.lock()[worker - first].take())),
            fail: fail.clone(),
        };
        let network = Network::Cluster { workers: begin.workers, sockets: mesh, process: options.process };
        let started = workers::start(network, worker_options);
        let told = started.as_ref().map(drop).map_err(ToString::to_string);
        for sender in senders {
            let _ = sender.send(FromWorker::Started(told.clone()));
        }
        let (threads, all) = started?;
        let open = Arc::new(AtomicUsize::new(all.len()));
        for (Started { door, .. }, stream) in all.into_iter().zip(readers) {
            let (fail, open) = (fail.clone(), open.clone());
            let reader = std::thread::Builder::new().name("ticks".to_owned());
            let read = move || match read_ticks(stream, door) {
                Ok(()) => drop(open.fetch_sub(1, Ordering::AcqRel)),
                Err(error) => fail(EngineFailure::failed("ticks cannot be read", error)),
            };
            reader.spawn(read).map_err(start_error)?;
        }
        let (sender, ended) = sync_channel(1);
        let joiner = std::thread::Builder::new().name("workers".to_owned());
        let join = move || {
            if threads.join().iter().all(Result::is_ok) {
                let _ = sender.send(());
            }
        };
        joiner.spawn(join).map_err(start_error)?;
        Ok(HostedRun { ended, open, failure, writers })
    }

    /// Waits for the end of the run.
    fn wait(self, options: &HostOptions, link: &Link) -> Result<(), EngineError> {
        let mut has_told = false;
        loop {
            if options.is_leaving() && !std::mem::replace(&mut has_told, true) {
                // Where it does not get there, the coordinator is lost.
                let _ = link.send(&FromHost::Leaving);
            }
            match self.ended.recv_timeout(LOOK) {
                Ok(()) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineFailure::Bug("a worker died").into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(reason) = link.lost() {
                // Where no more ticks come, it may have all that it waited for.
                let is_ending = self.open.load(Ordering::Acquire) == 0;
                if is_ending && self.ended.recv_timeout(END_PATIENCE).is_ok() {
                    break;
                }
                return Err(lost(&reason));
            }
            if let Some(failure) = self.failure.lock().clone() {
                return Err(failure.into());
            }
        }
        for writer in self.writers {
            let written = writer.join().map_err(|_| EngineFailure::Bug("a writer died"))?;
            written.map_err(|error| EngineFailure::failed("what the workers give cannot be sent", error))?;
        }
        // Who goes before the coordinator has everything is missed.
        link.wait_lost(END_PATIENCE);
        Ok(())
    }
}

fn give(worker: usize, status: &Arc<HostStatus>, sender: Option<SyncSender<FromWorker>>) -> Give {
    let status = status.clone();
    Box::new(move |item: Outward| {
        if let Outward::Tick(output) = &item {
            status.done(worker, output);
        }
        if let Some(sender) = &sender {
            // Nobody listens any more only when the run is given up.
            let _ = sender.send(FromWorker::Outward(item));
        }
    })
}

fn write_outward(stream: TcpStream, outward: &Receiver<FromWorker>) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 16, stream);
    while let Ok(item) = outward.recv() {
        frame::write(&mut to, &item)?;
        while let Ok(item) = outward.try_recv() {
            frame::write(&mut to, &item)?;
        }
        to.flush()?;
    }
    frame::write(&mut to, &FromWorker::Ended)?;
    to.flush()
}

fn read_ticks(stream: TcpStream, door: TickDoor) -> io::Result<()> {
    let mut from = BufReader::with_capacity(1 << 16, stream);
    loop {
        match frame::read(&mut from)? {
            ToWorker::Tick(tick, items) => {
                if door.give((tick, items)).is_err() {
                    return Err(io::Error::other("a worker is gone"));
                }
            }
            ToWorker::End => {
                door.close();
                return Ok(());
            }
        }
    }
}

fn start_error(error: io::Error) -> EngineError {
    StartError::system("the coordinator cannot be connected", error).into()
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Origin;
    use super::*;

    /// How long `wait` takes from the moment that the process is to stop, which is a while after it begins.
    fn stopped_within<T: Send>(options: &HostOptions, wait: impl FnOnce() -> T + Send) -> (Duration, T) {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(wait);
            options.leaving.child().wait(Duration::from_millis(300));
            assert!(!waiting.is_finished(), "it does not wait");
            let begun = Instant::now();
            options.leaving.request();
            let ended = waiting.join().unwrap();
            (begun.elapsed(), ended)
        })
    }

    fn options(process: usize, coordinator: &str) -> HostOptions {
        HostOptions {
            process,
            coordinator: coordinator.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            leaving: Stop::new(),
            status: Arc::default(),
        }
    }

    fn begin(addresses: &[&str]) -> Begin {
        Begin {
            run: 7,
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            workers: 1,
            scan_slice_users: 1,
            ticks_outward: 1,
            origin: Origin::default(),
        }
    }

    /// An address at which nobody listens.
    fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    #[test]
    fn a_process_that_waits_for_the_coordinator_stops_within_a_second() {
        let options = options(1, &nobody());
        let (took, ended) = stopped_within(&options, || run(&options));
        assert!(ended.is_ok() && took < Duration::from_secs(1), "{took:?}");
    }

    #[test]
    fn a_process_that_waits_for_the_processes_after_it_stops_within_a_second() {
        let coordinator = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = options(1, &coordinator.local_addr().unwrap().to_string());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let begin = begin(&["", "", ""]);
        let (took, made) = stopped_within(&options, || RunConnections::make(&options, &begin, &listener));
        assert!(made.unwrap().is_none() && took < Duration::from_secs(1), "{took:?}");
    }

    #[test]
    fn a_process_that_waits_for_one_before_it_stops_within_a_second() {
        let coordinator = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = options(2, &coordinator.local_addr().unwrap().to_string());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let begin = begin(&["", &nobody(), ""]);
        let (took, made) = stopped_within(&options, || RunConnections::make(&options, &begin, &listener));
        assert!(made.unwrap().is_none() && took < Duration::from_secs(1), "{took:?}");
    }
}
