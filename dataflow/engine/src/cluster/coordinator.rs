//! The first process: waits for the others, and begins a run with them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_background::Stop;
use parking_lot::Mutex;

use super::frame;
use super::link::{self, Link};
use super::protocol::{Begin, FromHost, Hello, Origin, ToHost, VERSION};
use super::remote::Attached;
use super::stores::AskedStores;
use crate::engine::error::{EngineError, EngineFailure, StartError};
use crate::engine::options::EngineOptions;
use crate::engine::progress::{OutwardMessage, SharedProgress};

/// How long a process may take to make its connections once a run has begun.
const BEGIN_PATIENCE: Duration = Duration::from_secs(15);
/// How long whoever connects may take to say what for.
const HELLO_PATIENCE: Duration = Duration::from_secs(1);
/// Between looks for connections.
const LOOK: Duration = Duration::from_millis(5);

/// The door at which the other processes join.
pub struct Coordinator {
    listener: TcpListener,
    processes: usize,
    leaving: Arc<Mutex<Option<usize>>>,
    /// Given once nobody is waited for any more.
    stop: Stop,
}

impl Coordinator {
    /// Listens for the others of so many processes, this one among them. They are waited for until the stop.
    pub fn bind(address: &str, processes: usize, stop: Stop) -> Result<Coordinator, EngineError> {
        let failed = |error: io::Error| StartError::system(format!("cannot listen for processes on {address}"), error);
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Coordinator { listener, processes: processes.max(1), leaving: Arc::default(), stop })
    }

    /// The address at which it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The process that was told to stop, if one was: the run is best ended in order, before it is lost.
    pub fn leaving(&self) -> Option<usize> {
        *self.leaving.lock()
    }

    /// Waits until all processes are there, and begins a run with them.
    pub fn gather(&self, engine: EngineOptions, origin: Origin, stores: AskedStores) -> Result<Peers, EngineError> {
        let joined = self.wait_for_all()?;
        let mut addresses = vec![String::new()];
        addresses.extend(joined.values().map(|joined| joined.address.clone()));
        let begin = Begin {
            run: fastrand::u64(..),
            addresses,
            workers: engine.workers.max(1),
            scan_slice_users: engine.scan_slice_users,
            ticks_outward: engine.ticks_outward,
            origin,
        };
        for (process, joined) in &joined {
            let told = joined.link.send(&ToHost::Begin(Box::new(begin.clone())));
            told.map_err(|error| lost(*process, error.to_string()))?;
        }
        self.connect(&begin, joined, &stores)
    }

    fn wait_for_all(&self) -> Result<BTreeMap<usize, Joined>, EngineError> {
        let mut joined: BTreeMap<usize, Joined> = BTreeMap::new();
        let mut told = usize::MAX;
        loop {
            joined.retain(|_, joined| joined.link.lost().is_none());
            if joined.len() + 1 >= self.processes {
                return Ok(joined);
            }
            if joined.len() != told {
                told = joined.len();
                tracing::info!(processes = self.processes, joined = told + 1, "waiting for processes");
            }
            let Some((stream, hello)) = self.accept()? else { continue };
            let Hello::Join { process, address, version } = hello else { continue };
            match self.check(process, &version) {
                Ok(()) => {
                    let leaving = self.leaving.clone();
                    let take = move |message| match message {
                        FromHost::Beat => {}
                        FromHost::Leaving => *leaving.lock() = Some(process),
                    };
                    if let Ok(link) = Link::start(stream, ToHost::Beat, take) {
                        tracing::info!(process, address, "a process has joined");
                        joined.insert(process, Joined { link, address });
                    }
                }
                Err(reason) => {
                    tracing::error!(process, address, reason, "a process is refused");
                    let mut stream = stream;
                    let _ = frame::write(&mut stream, &ToHost::Refused(reason));
                }
            }
        }
    }

    fn check(&self, process: usize, version: &str) -> Result<(), String> {
        if version != VERSION {
            return Err(format!("it is of version {version}, the coordinator of {VERSION}; run the same everywhere"));
        }
        if process == 0 || process >= self.processes {
            return Err(format!("it is process {process}, but there are 1 to {} besides 0", self.processes - 1));
        }
        Ok(())
    }

    /// The next connection, with what it is for; `None` where there is none just now, or it is none of ours.
    fn accept(&self) -> Result<Option<(TcpStream, Hello)>, EngineError> {
        match self.listener.accept() {
            Ok((stream, _)) => Ok(greet(stream).ok()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.stop.wait(LOOK) {
                    Err(StartError::Stopped.into())
                } else {
                    Ok(None)
                }
            }
            Err(error) => Err(StartError::system("no connections can be taken", error).into()),
        }
    }

    fn connect(
        &self,
        begin: &Begin,
        joined: BTreeMap<usize, Joined>,
        stores: &AskedStores,
    ) -> Result<Peers, EngineError> {
        let others = joined.len();
        let mut peers = Peers {
            sockets: (0..self.processes).map(|_| None).collect(),
            ticks: BTreeMap::new(),
            stores: Vec::new(),
            links: Vec::new(),
            attached: Vec::new(),
        };
        let begun = Instant::now();
        let is_whole = |peers: &Peers| {
            peers.sockets.iter().flatten().count() == others
                && peers.ticks.len() == others * begin.workers
                && peers.stores.len() == others * begin.workers
        };
        while !is_whole(&peers) {
            let gone = joined.iter().find_map(|(process, joined)| Some((process, joined.link.lost()?)));
            if let Some((process, reason)) = gone {
                return Err(lost(*process, reason));
            }
            if begun.elapsed() > BEGIN_PATIENCE {
                return Err(StartError::Unconnected.into());
            }
            if let Some((stream, hello)) = self.accept()? {
                peers.take(begin, stream, &hello, stores)?;
            }
        }
        peers.links = joined.into_iter().map(|(process, joined)| (process, joined.link)).collect();
        tracing::info!(processes = self.processes, workers = self.processes * begin.workers, "a run begins");
        Ok(peers)
    }
}

/// Reads what a connection is for.
pub(super) fn greet(mut stream: TcpStream) -> io::Result<(TcpStream, Hello)> {
    stream.set_nonblocking(false)?;
    link::tune(&stream)?;
    stream.set_read_timeout(Some(HELLO_PATIENCE))?;
    let hello = frame::read(&mut stream)?;
    stream.set_read_timeout(None)?;
    Ok((stream, hello))
}

struct Joined {
    link: Link,
    address: String,
}

/// The other processes of a run.
pub struct Peers {
    sockets: Vec<Option<TcpStream>>,
    ticks: BTreeMap<usize, TcpStream>,
    stores: Vec<(TcpStream, JoinHandle<()>)>,
    links: Vec<(usize, Link)>,
    attached: Vec<TcpStream>,
}

impl Peers {
    fn take(
        &mut self,
        begin: &Begin,
        stream: TcpStream,
        hello: &Hello,
        stores: &AskedStores,
    ) -> Result<(), EngineError> {
        let (run, processes) = (begin.run, self.sockets.len());
        match *hello {
            Hello::Mesh { run: of, process } if of == run && (1..processes).contains(&process) => {
                self.sockets[process] = Some(stream);
            }
            Hello::Ticks { run: of, worker }
                if of == run && (begin.workers..processes * begin.workers).contains(&worker) =>
            {
                self.ticks.insert(worker, stream);
            }
            Hello::Stores { run: of } if of == run => {
                let stores = stores.clone();
                let end = stream.try_clone().map_err(start_error)?;
                let thread = std::thread::Builder::new().name("stores".to_owned());
                self.stores.push((end, thread.spawn(move || stores.serve(stream)).map_err(start_error)?));
            }
            // Of a run that has ended.
            _ => {}
        }
        Ok(())
    }

    /// The number of processes, this one among them.
    pub(crate) fn processes(&self) -> usize {
        self.sockets.len()
    }

    /// The connections for timely, by process.
    pub(crate) fn take_sockets(&mut self) -> Vec<Option<TcpStream>> {
        let none = self.sockets.iter().map(|_| None).collect();
        std::mem::replace(&mut self.sockets, none)
    }

    /// Takes on the workers of the other processes. What is lost of them stops the engine.
    pub(crate) fn attach(
        &mut self,
        shared: &Arc<SharedProgress>,
        outward: &SyncSender<OutwardMessage>,
    ) -> Result<Attached, EngineError> {
        for (process, link) in &self.links {
            let (process, shared) = (*process, shared.clone());
            link.on_lost(move |reason| {
                tracing::error!(process, reason, "a process is lost");
                shared.fail(EngineFailure::ProcessLost { process, reason });
            });
        }
        let mut attached = Attached::default();
        for (worker, stream) in std::mem::take(&mut self.ticks) {
            self.attached.push(stream.try_clone().map_err(start_error)?);
            attached.add(worker, stream, shared, outward).map_err(start_error)?;
        }
        Ok(attached)
    }

    /// Ends all connections.
    pub(crate) fn leave(&self) {
        self.links.iter().for_each(|(_, link)| link.close());
        for stream in self.attached.iter().chain(self.stores.iter().map(|(stream, _)| stream)) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Peers {
    /// Nobody asks the stores any more once this returns.
    fn drop(&mut self) {
        self.leave();
        for (_, thread) in self.stores.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lost(process: usize, reason: String) -> EngineError {
    StartError::ProcessLost { process, reason }.into()
}

fn start_error(error: io::Error) -> EngineError {
    StartError::system("a process cannot be connected", error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryLog, MemoryMessages};

    #[test]
    fn a_coordinator_that_waits_for_processes_stops_within_a_second() {
        let stop = Stop::new();
        let coordinator = Coordinator::bind("127.0.0.1:0", 2, stop.clone()).unwrap();
        let (events, messages) = (Arc::new(MemoryLog::default()), Arc::new(MemoryMessages::default()));
        let stores = AskedStores { events, messages, checkpoints: None };
        let gathering =
            std::thread::spawn(move || coordinator.gather(EngineOptions::default(), Origin::default(), stores));
        Stop::new().wait(Duration::from_millis(300));
        assert!(!gathering.is_finished(), "it does not wait");
        let begun = Instant::now();
        stop.request();
        let ended = gathering.join().unwrap();
        assert!(matches!(ended, Err(EngineError::Start(StartError::Stopped))));
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
