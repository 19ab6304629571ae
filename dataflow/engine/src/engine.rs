//! The workers, and the two doors between them and everything else.
//!
//! The workers are threads of this process, and of others where they have joined it
//! ([`cluster`](crate::cluster)).
//!
//! Inward, a tick goes to every worker through a bounded channel; a full one holds back whoever submits. Outward, every
//! worker gives what a tick made into one bounded channel; the collector puts the workers' parts together and hands each
//! whole tick to the sink, in order. A slow sink fills the channel, and so holds back the workers.

mod collector;
mod error;
mod head;
pub(crate) mod workers;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_contract::Progress;
use audience_kernel::aliases::Aliases;
use audience_kernel::membership::Membership;
use audience_kernel::message::{Control, PreviewResult};
use audience_kernel::operator::{Outward, SizesCounted, TickOutput};
use audience_kernel::worker::{MeasureText, WorkerState};
use audience_rules::ast::{Millis, SegmentId};
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use self::collector::Collector;
pub use self::error::{EngineError, EngineFailure, StartError};
pub use self::head::{Beginning, Head, TickItems, Time, told_time};
use self::workers::{Door, Give, Network, Started, Threads, WorkerOptions};
use crate::cluster::coordinator::Peers;
use crate::cluster::remote::Attached;

/// Between looks for a process that is lost while the end is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Between looks for a failure while events are waited for.
const FAILURE_LOOK: Duration = Duration::from_millis(100);
/// Parts of a checkpoint that wait to be taken, beside one of each worker.
const PARTS_WAITING: usize = 128;

/// How long threads may take to end once nothing more comes of them.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// How the engine runs.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Worker threads of each process.
    pub workers: usize,
    /// Users that a worker looks at for a scan before events get their turn.
    pub scan_slice_users: u32,
    /// Ticks of each worker that wait for the sink; then the workers do.
    pub ticks_outward: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { workers: 2, scan_slice_users: 16_384, ticks_outward: 16 }
    }
}

/// A tick of all workers.
#[derive(Debug)]
pub struct TickDone {
    /// Its number in this run.
    pub tick: u64,
    /// The progress of the change log that it leads to.
    pub progress: Progress,
    /// When its oldest event was accepted.
    pub oldest_accepted: Option<Instant>,
    /// What each worker gives.
    pub outputs: Vec<TickOutput>,
    /// Whether a part of a checkpoint is taken as of this tick: it is of use only once the tick is committed.
    pub is_captured: bool,
    /// Whether more ticks that are done stand right behind this one: a sink may keep what it writes until those come.
    pub has_more: bool,
}

/// A part of a checkpoint, as of one tick of one worker.
#[derive(Debug)]
pub struct CheckpointPart {
    /// Shards.
    pub shards: Vec<(u32, Vec<u8>)>,
    /// The measures that are computed.
    pub sources: Vec<MeasureText>,
    /// The aliases, in the first part.
    pub aliases: Option<Aliases>,
}

/// Takes every tick, in order. A tick counts as done once the next one without [`TickDone::has_more`] is taken.
pub type Sink = Box<dyn FnMut(TickDone) -> Result<(), EngineError> + Send>;

/// Makes the state of a worker (of so many), on its own thread: its users, and the aliases.
pub type Seed = Arc<dyn Fn(usize, usize) -> Result<(WorkerState, Aliases), EngineError> + Send + Sync>;

/// Writes a worker's changes down for the sink.
pub type Encode = fn(&mut WorkerState, &mut Vec<u8>);

/// What is known of the ticks done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Every tick below this is done.
    pub ticks: u64,
    /// Scans ended, over all workers.
    pub scans: u64,
    /// The clock of the last tick done.
    pub clock: Millis,
    /// When the next user may change by time alone, to the second below.
    pub next_due: Option<Millis>,
    /// The deepest rank.
    pub deepest_rank: u32,
    /// Users that are known, over all workers.
    pub users: u64,
    /// Users that the worker has a number for who has most.
    pub most_users: u64,
    /// What the last preview counted, over all workers.
    pub previewed: Option<Arc<PreviewResult>>,
    /// Why nothing more will be done.
    pub failure: Option<EngineFailure>,
}

#[derive(Default)]
pub(crate) struct Shared {
    done: Mutex<Done>,
    changed: Condvar,
    /// Per worker, what readers see already, whether the sink has it or not.
    seen: Mutex<Vec<Seen>>,
    seen_changed: Condvar,
    /// The sizes of the segments that have members, over all workers.
    sizes: RwLock<HashMap<SegmentId, u64>>,
}

/// The first tick of a worker that readers do not see yet.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// In the memberships.
    applied: u64,
    /// In the sizes of the segments that this worker counts.
    counted: u64,
}

impl Shared {
    pub fn fail(&self, failure: EngineFailure) {
        self.done.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
        drop(self.seen.lock());
        self.seen_changed.notify_all();
    }

    /// A tick of a worker is in the memberships.
    pub fn applied(&self, worker: usize, tick: u64) {
        self.seen.lock()[worker].applied = tick + 1;
        self.seen_changed.notify_all();
    }

    /// A worker has counted sizes.
    pub fn counted(&self, worker: usize, counted: &SizesCounted) {
        if !counted.sizes.is_empty() {
            let mut sizes = self.sizes.write();
            for (segment, size) in &counted.sizes {
                match size {
                    0 => sizes.remove(segment),
                    _ => sizes.insert(segment.clone(), *size),
                };
            }
        }
        self.seen.lock()[worker].counted = counted.below;
        self.seen_changed.notify_all();
    }

    /// Every tick below this one is in the sizes.
    fn counted_below(&self) -> u64 {
        self.seen.lock().iter().map(|seen| seen.counted).min().unwrap_or_default()
    }
}

/// What comes out of which worker.
pub(crate) type OutwardMessage = (usize, Outward);

/// The workers.
pub struct Engine {
    doors: Mutex<(u64, Vec<Door>)>,
    head: Mutex<Head>,
    head_moved: Condvar,
    time: Time,
    first_number: u64,
    started: Instant,
    parts: Mutex<Receiver<CheckpointPart>>,
    memberships: Vec<Arc<RwLock<Membership>>>,
    aliases: Arc<RwLock<Aliases>>,
    shared: Arc<Shared>,
    threads: Mutex<Option<(Threads, JoinHandle<()>)>>,
    peers: Option<Peers>,
}

impl Engine {
    /// Starts the workers: those of this process, and of the others that have joined it, if there are any.
    pub fn start(
        options: EngineOptions,
        mut peers: Option<Peers>,
        seed: Seed,
        encode: Encode,
        sink: Sink,
        beginning: Beginning,
    ) -> Result<Engine, EngineError> {
        let local = options.workers.max(1);
        let workers = local * peers.as_ref().map_or(1, Peers::processes);
        // A tick is two messages of each worker: its output, and the sizes that were counted.
        let (outward, taken) = sync_channel(2 * workers * options.ticks_outward);
        let shared = Arc::new(Shared { seen: Mutex::new(vec![Seen::default(); workers]), ..Shared::default() });
        let started_at = Instant::now();
        let (part_sender, parts) = sync_channel(PARTS_WAITING + workers);
        let collector = Collector { workers, shared: shared.clone(), sink, started: started_at, parts: part_sender };
        let thread = std::thread::Builder::new().name("collector".to_owned());
        let collector = thread.spawn(move || collector.run(&taken)).map_err(start_error)?;
        let network = match &mut peers {
            Some(peers) => Network::Cluster { workers: local, sockets: peers.take_sockets(), process: 0 },
            None => Network::Process(local),
        };
        let remote = peers.as_mut().map_or_else(|| Ok(Attached::default()), |peers| peers.attach(&shared, &outward))?;
        let aliases = Arc::new(RwLock::new(Aliases::default()));
        let gives = (shared.clone(), outward);
        let fails = shared.clone();
        let workers = WorkerOptions {
            seed,
            encode,
            scan_slice_users: options.scan_slice_users,
            gives_members: false,
            aliases: Some(aliases.clone()),
            outward: Arc::new(move |worker| give(worker, &gives.0, &gives.1)),
            fail: Arc::new(move |failure| fails.fail(failure)),
        };
        let (threads, mut started) = workers::start(network, workers)?;
        match remote.wait() {
            Ok(remote) => started.extend(remote),
            Err(error) => {
                workers::give_up(threads);
                return Err(error);
            }
        }
        let mut doors = Vec::new();
        let mut memberships = Vec::new();
        for Started { door, membership, .. } in started {
            doors.push(door);
            memberships.push(membership);
        }
        let threads = Mutex::new(Some((threads, collector)));
        let Beginning { head, first_number, time } = beginning;
        let (doors, head) = (Mutex::new((0, doors)), Mutex::new(head));
        let (started, parts) = (started_at, Mutex::new(parts));
        Ok(Engine {
            doors,
            head,
            head_moved: Condvar::new(),
            time,
            first_number,
            started,
            parts,
            memberships,
            aliases,
            shared,
            threads,
            peers,
        })
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.memberships.len()
    }

    /// Who is in what, by worker.
    pub fn memberships(&self) -> &[Arc<RwLock<Membership>>] {
        &self.memberships
    }

    /// Which ids are one user, as of the latest tick that was begun.
    pub fn aliases(&self) -> &Arc<RwLock<Aliases>> {
        &self.aliases
    }

    /// The end of the input.
    pub fn head(&self) -> Head {
        *self.head.lock()
    }

    /// Moves the head to a version of the catalogue that is in force without a tick of its own: ticks from here on are
    /// labelled with it.
    pub fn set_catalogue_version(&self, version: u64) {
        self.head.lock().catalogue_version = version;
    }

    /// The parts of checkpoints, of each capture before its tick is done. Whoever captures takes all of them.
    pub fn parts(&self) -> MutexGuard<'_, Receiver<CheckpointPart>> {
        self.parts.lock()
    }

    /// The number over all runs of a tick of this run.
    pub fn number_of(&self, tick: u64) -> u64 {
        self.first_number + tick
    }

    /// Submits a tick and returns its number in this run. `make` moves the head to where the tick ends, and gives the
    /// tick's content; ticks are made one at a time, in their order. Blocks while too many ticks wait.
    pub fn submit(&self, make: impl FnOnce(&mut Head) -> TickItems) -> Result<u64, EngineError> {
        let mut doors = self.doors.lock();
        let tick = doors.0;
        let stopped = || {
            let failure = self.shared.done.lock().failure.clone();
            EngineError::Stopped(failure.unwrap_or(EngineFailure::Told))
        };
        if doors.1.is_empty() {
            return Err(stopped());
        }
        let items = {
            let mut head = self.head.lock();
            head.clock = (self.time)(head.clock);
            let items = make(&mut head);
            let label = head.label(self.number_of(tick), self.started);
            items.by_worker(doors.1.len(), head.clock, label)
        };
        for (door, items) in doors.1.iter().zip(items) {
            door.give((tick, items)).map_err(|()| stopped())?;
        }
        doors.0 += 1;
        self.head_moved.notify_all();
        Ok(tick)
    }

    /// Submits a tick with these steps, and no events.
    pub fn submit_steps(&self, steps: Vec<Control>) -> Result<u64, EngineError> {
        self.submit(|_| TickItems::of(steps))
    }

    /// What is known of the ticks done.
    pub fn done(&self) -> Done {
        self.shared.done.lock().clone()
    }

    /// Waits until `is_met`, or until nothing more will be done.
    pub fn wait(&self, mut is_met: impl FnMut(&Done) -> bool) -> Result<Done, EngineError> {
        let mut done = self.shared.done.lock();
        loop {
            if is_met(&done) {
                return Ok(done.clone());
            }
            if let Some(failure) = &done.failure {
                return Err(EngineError::Stopped(failure.clone()));
            }
            self.shared.changed.wait(&mut done);
        }
    }

    /// Waits until all events below that sequence number are submitted.
    pub fn wait_submitted(&self, sequence: u64) -> Result<(), EngineError> {
        let mut head = self.head.lock();
        while head.sequence < sequence {
            if let Some(failure) = self.shared.done.lock().failure.clone() {
                return Err(EngineError::Stopped(failure));
            }
            // A failure wakes nobody here.
            self.head_moved.wait_for(&mut head, FAILURE_LOOK);
        }
        Ok(())
    }

    /// Waits until a tick is done.
    pub fn wait_for(&self, tick: u64) -> Result<Done, EngineError> {
        self.wait(|done| done.ticks > tick)
    }

    /// Waits until a tick is in the memberships and sizes that are read; the sink may yet have to write it.
    pub fn wait_applied(&self, tick: u64) -> Result<(), EngineError> {
        let mut seen = self.shared.seen.lock();
        while seen.iter().any(|seen| seen.applied <= tick || seen.counted <= tick) {
            if let Some(failure) = self.shared.done.lock().failure.clone() {
                return Err(EngineError::Stopped(failure));
            }
            self.shared.seen_changed.wait(&mut seen);
        }
        Ok(())
    }

    /// The size of a segment over all workers, as of the last tick that is counted. No tick is done before it is counted.
    pub fn size(&self, segment: &str) -> u64 {
        self.shared.sizes.read().get(segment).copied().unwrap_or_default()
    }

    /// The sizes of the segments that have members, as [`size`](Self::size) gives them.
    pub fn sizes(&self) -> RwLockReadGuard<'_, HashMap<SegmentId, u64>> {
        self.shared.sizes.read()
    }

    /// Lets the workers do what was submitted, and stops them.
    pub fn stop(&self) {
        self.doors.lock().1.drain(..).for_each(Door::close);
        let Some((threads, collector)) = self.threads.lock().take() else { return };
        let Some(peers) = &self.peers else { return join(threads, collector) };
        let (ended, wait) = sync_channel(1);
        let joiner = std::thread::Builder::new().name("engine-end".to_owned());
        let joined = joiner.spawn(move || {
            join(threads, collector);
            let _ = ended.send(());
        });
        if let Err(error) = joined {
            tracing::error!(%error, "the end of the workers is not waited for");
        }
        // Workers that wait for a process that is lost never end; the program does.
        while wait.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if self.shared.done.lock().failure.is_some() {
                // All that was asked for is done, or never will be.
                let _ = wait.recv_timeout(END_PATIENCE);
                break;
            }
        }
        peers.leave();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for the end of all threads.
fn join(threads: Threads, collector: JoinHandle<()>) {
    let died = threads.join().into_iter().filter_map(Result::err);
    died.for_each(|error| tracing::error!(%error, "a worker died"));
    if collector.join().is_err() {
        tracing::error!("the collector died");
    }
}

/// What comes out of a worker of this process is applied already, and goes to the collector.
fn give(worker: usize, shared: &Arc<Shared>, outward: &SyncSender<OutwardMessage>) -> Give {
    let (shared, outward) = (shared.clone(), outward.clone());
    Box::new(move |item| {
        match &item {
            Outward::Tick(output) => shared.applied(worker, output.tick),
            Outward::Sizes(counted) => shared.counted(worker, counted),
            Outward::Held(_) | Outward::Scanned | Outward::Failed(_) => {}
        }
        // Nobody listens any more only when the engine is given up.
        let _ = outward.send((worker, item));
    })
}

fn start_error(error: io::Error) -> EngineError {
    StartError::thread(error).into()
}
