//! The workers, and the two doors between them and everything else.
//!
//! The workers are threads of this process, and of others where they have joined it
//! ([`cluster`](crate::cluster)).
//!
//! Inward, a tick goes to every worker through a bounded channel; a full one holds back whoever submits. Outward, every
//! worker gives what a tick made into one bounded channel; the collector puts the workers' parts together and hands each
//! whole tick to the sink, in order. A slow sink fills the channel, and so holds back the workers.

mod collector;
pub(crate) mod error;
mod head;
mod input;
pub(crate) mod options;
pub(crate) mod progress;
mod tick;
pub(crate) mod workers;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_kernel::aliases::Aliases;
use audience_kernel::membership::Membership;
use audience_kernel::message::Control;
use audience_kernel::operator::Outward;
use audience_rules::ast::SegmentId;
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use self::collector::Collector;
pub use self::error::{EngineError, EngineFailure, StartError};
pub use self::head::{Beginning, Head, TickItems, Time, told_time};
use self::input::Input;
pub use self::options::EngineOptions;
pub use self::progress::DoneTicks;
use self::progress::{OutwardMessage, SharedProgress};
pub use self::tick::{CheckpointPart, TickDone, TickTaker};
pub use self::workers::{EncodeChanges, Seed};
use self::workers::{Give, Network, Threads, WorkerOptions};
use crate::cluster::coordinator::Peers;
use crate::cluster::remote::Attached;

/// Between looks for a process that is lost while the end is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Parts of a checkpoint that wait to be taken, beside one of each worker.
const PARTS_WAITING: usize = 128;

/// How long threads may take to end once nothing more comes of them.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The workers.
pub struct Engine {
    input: Input,
    parts: Mutex<Receiver<CheckpointPart>>,
    memberships: Vec<Arc<RwLock<Membership>>>,
    aliases: Arc<RwLock<Aliases>>,
    shared: Arc<SharedProgress>,
    threads: Mutex<Option<(Threads, JoinHandle<()>)>>,
    peers: Option<Peers>,
}

impl Engine {
    /// Starts the workers: those of this process, and of the others that have joined it, if there are any.
    pub fn start(
        options: EngineOptions,
        mut peers: Option<Peers>,
        seed: Seed,
        encode: EncodeChanges,
        sink: TickTaker,
        beginning: Beginning,
    ) -> Result<Engine, EngineError> {
        let local = options.workers.max(1);
        let workers = local * peers.as_ref().map_or(1, Peers::processes);
        // A tick is two messages of each worker: its output, and the sizes that were counted.
        let (outward, taken) = sync_channel(2 * workers * options.ticks_outward);
        let shared = Arc::new(SharedProgress::new(workers, beginning.failed.clone()));
        let begun = Instant::now();
        let (part_sender, parts) = sync_channel(PARTS_WAITING + workers);
        let collector = Collector { workers, shared: shared.clone(), sink, started: begun, parts: part_sender };
        let thread = std::thread::Builder::new().name("collector".to_owned());
        let collector = thread.spawn(move || collector.run(&taken)).map_err(EngineError::thread)?;
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
        let (doors, memberships) = started.into_iter().map(|started| (started.door, started.membership)).unzip();
        let (input, threads) = (Input::new(beginning, doors, begun), Mutex::new(Some((threads, collector))));
        Ok(Engine { input, parts: Mutex::new(parts), memberships, aliases, shared, threads, peers })
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.memberships.len()
    }

    /// The memberships, by worker.
    pub fn memberships(&self) -> &[Arc<RwLock<Membership>>] {
        &self.memberships
    }

    /// Which ids are one user, as of the latest tick that was begun.
    pub fn aliases(&self) -> &Arc<RwLock<Aliases>> {
        &self.aliases
    }

    /// The end of the input.
    pub fn head(&self) -> Head {
        self.input.head()
    }

    /// Moves the head to a version of the catalogue that is in force without a tick of its own: ticks from here on are
    /// labelled with it.
    pub fn set_catalogue_version(&self, version: u64) {
        self.input.set_catalogue_version(version);
    }

    /// The parts of checkpoints, of each capture before its tick is done. Whoever captures takes all of them.
    pub fn parts(&self) -> MutexGuard<'_, Receiver<CheckpointPart>> {
        self.parts.lock()
    }

    /// The number over all runs of a tick of this run.
    pub fn number_of(&self, tick: u64) -> u64 {
        self.input.number_of(tick)
    }

    /// Numbers the ticks from the next on as later ones than `first`: those before were another process' ticks, done again.
    pub fn number_from(&self, first: u64) {
        self.input.number_from(first);
    }

    /// Submits a tick and returns its number in this run. `make` moves the head to where the tick ends, and gives the
    /// tick's content; ticks are made one at a time, in their order. Blocks while too many ticks wait.
    pub fn submit(&self, make: impl FnOnce(&mut Head) -> TickItems) -> Result<u64, EngineError> {
        self.input.submit(&self.shared, |head, _| make(head))
    }

    /// Submits a tick with these steps, and no events.
    pub fn submit_steps(&self, steps: Vec<Control>) -> Result<u64, EngineError> {
        self.submit(|_| TickItems::of(steps))
    }

    /// Submits records as one tick, dealt over the workers: those of the log up to `end` that the engine has not had, in
    /// order. The oldest of them was accepted at `oldest`. `begin` is given the number over all runs before any worker has
    /// the tick.
    pub fn submit_records(
        &self,
        runs: Vec<Vec<u8>>,
        (end, oldest): (u64, Option<Instant>),
        begin: impl FnOnce(u64),
    ) -> Result<u64, EngineError> {
        let workers = self.workers();
        self.input.submit(&self.shared, |head, number| {
            begin(number);
            (head.sequence, head.oldest_accepted) = (end, oldest);
            TickItems::dealt(runs, workers)
        })
    }

    /// The ticks that are done.
    pub fn done(&self) -> DoneTicks {
        self.shared.done()
    }

    /// The failure after which nothing more is done, if there is one.
    pub fn failure(&self) -> Option<EngineFailure> {
        self.shared.failure()
    }

    /// Fails the engine: nothing more is done, and everyone who waits for it is told. The first failure stays.
    pub fn fail(&self, failure: EngineFailure) {
        self.shared.fail(failure);
    }

    /// Waits until `is_met`, or until nothing more will be done.
    pub fn wait(&self, is_met: impl FnMut(&DoneTicks) -> bool) -> Result<DoneTicks, EngineError> {
        self.shared.wait(is_met)
    }

    /// Waits until all events below that sequence number are submitted.
    pub fn wait_submitted(&self, sequence: u64) -> Result<(), EngineError> {
        self.input.wait_submitted(&self.shared, sequence)
    }

    /// Waits until a tick is done.
    pub fn wait_for(&self, tick: u64) -> Result<DoneTicks, EngineError> {
        self.wait(|done| done.ticks > tick)
    }

    /// Waits until a tick is in the memberships and sizes that are read; the sink may yet have to write it.
    pub fn wait_applied(&self, tick: u64) -> Result<(), EngineError> {
        self.shared.wait_applied(tick)
    }

    /// The size of a segment over all workers, as of the last tick that is counted. No tick is done before it is counted.
    pub fn size(&self, segment: &str) -> u64 {
        self.shared.sizes().get(segment).copied().unwrap_or_default()
    }

    /// The sizes of the segments that have members, as [`size`](Self::size) gives them.
    pub fn sizes(&self) -> RwLockReadGuard<'_, HashMap<SegmentId, u64>> {
        self.shared.sizes()
    }

    /// Lets the workers do what was submitted, and stops them.
    pub fn stop(&self) {
        self.input.close();
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
            if self.shared.failure().is_some() {
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

/// Makes the taker of a worker's messages in this process: they are applied already, and go to the collector.
fn give(worker: usize, shared: &Arc<SharedProgress>, outward: &SyncSender<OutwardMessage>) -> Give {
    let (shared, outward) = (shared.clone(), outward.clone());
    Box::new(move |item| {
        match &item {
            Outward::Tick(output) => shared.applied(worker, output.tick),
            Outward::Sizes(counted) => {
                let is_last = shared.counted(worker, counted);
                // Ticks wait for the sizes of another worker: nobody is woken for nothing.
                if !is_last {
                    return;
                }
            }
            Outward::Held(_) | Outward::Scanned | Outward::Failed(_) => {}
        }
        // Nobody listens any more only when the engine is given up.
        let _ = outward.send((worker, item));
    })
}
