//! The workers of this process, and the two doors between them and everything else.
//!
//! Inward, a tick goes to every worker through a bounded channel; a full one holds back whoever submits. Outward, every
//! worker gives what a tick made into one bounded channel; the collector puts the workers' parts together and hands each
//! whole tick to the sink, in order. A slow sink fills the channel, and so holds back the workers.

mod collector;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use audience_operators::aliases::Aliases;
use audience_operators::membership::Membership;
use audience_operators::message::{Clock, Control};
use audience_operators::operator::{Inward, Outward, STRIDE, TickOutput, WorkerParts, build};
use audience_operators::partition::Partition;
use audience_rules::ast::Millis;
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex, RwLock};
use timely::communication::WorkerGuards;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::probe::{Handle as ProbeHandle, Probe};
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use self::collector::Collector;

/// Ticks that a worker takes in before the first of them is done.
const TICKS_UNDER_WAY: u64 = 8;
/// Ticks that wait at a worker's door.
const TICKS_AT_DOOR: usize = 8;
/// How long a worker sleeps when nothing happens; it is woken by what comes.
const IDLE: Duration = Duration::from_millis(100);

/// How the engine runs.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Worker threads.
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

/// What stops the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// A worker or a sink has failed.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
    /// It could not be started.
    #[error("the engine cannot start: {0}")]
    Start(String),
}

impl From<audience_contract::StoreError> for EngineError {
    fn from(error: audience_contract::StoreError) -> Self {
        EngineError::Stopped(error.to_string())
    }
}

/// A tick of all workers.
#[derive(Debug)]
pub struct TickDone {
    /// Its number.
    pub tick: u64,
    /// What each worker gives.
    pub outputs: Vec<TickOutput>,
    /// Whether more ticks that are done stand right behind this one: a sink may keep what it writes until those come.
    pub has_more: bool,
}

/// Takes every tick, in order. A tick counts as done once the next one without [`TickDone::has_more`] is taken.
pub type Sink = Box<dyn FnMut(TickDone) -> Result<(), EngineError> + Send>;

/// Makes the state of a worker (of so many), on its own thread: its users, and the aliases.
pub type Seed = Arc<dyn Fn(usize, usize) -> Result<(Partition, Aliases), EngineError> + Send + Sync>;

/// Called as each tick is made, in order, before the workers have it.
pub type OnSubmit = Box<dyn Fn(u64) + Send + Sync>;

/// Writes a worker's changes down for the sink.
pub type Encode = fn(&mut Partition, &mut Vec<u8>);

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
    /// The sizes of the segments that have members, over all workers.
    pub sizes: Arc<RwLock<HashMap<String, u64>>>,
    /// Why nothing more will be done.
    pub failure: Option<String>,
}

#[derive(Default)]
struct Shared {
    done: Mutex<Done>,
    changed: Condvar,
    /// Of each worker, the ticks below which everything is in the memberships, whether the sink has it or not.
    applied: Mutex<Vec<u64>>,
    applied_changed: Condvar,
}

impl Shared {
    fn fail(&self, reason: String) {
        self.done.lock().failure.get_or_insert(reason);
        self.changed.notify_all();
        drop(self.applied.lock());
        self.applied_changed.notify_all();
    }

    fn applied(&self, worker: usize, tick: u64) {
        self.applied.lock()[worker] = tick + 1;
        self.applied_changed.notify_all();
    }
}

type DoorMessage = (u64, Vec<Inward>);

struct Door {
    sender: SyncSender<DoorMessage>,
    thread: Thread,
}

/// The workers of this process.
pub struct Engine {
    doors: Mutex<(u64, Vec<Door>)>,
    on_submit: OnSubmit,
    memberships: Vec<Arc<RwLock<Membership>>>,
    aliases: Arc<RwLock<Aliases>>,
    shared: Arc<Shared>,
    threads: Mutex<Option<(WorkerGuards<()>, JoinHandle<()>)>>,
}

impl Engine {
    /// Starts the workers.
    pub fn start(
        options: EngineOptions,
        seed: Seed,
        encode: Encode,
        sink: Sink,
        on_submit: OnSubmit,
    ) -> Result<Engine, EngineError> {
        let workers = options.workers.max(1);
        let (started_sender, started) = sync_channel(workers);
        let (outward_sender, outward) = sync_channel(workers * options.ticks_outward);
        let shared = Arc::new(Shared { applied: Mutex::new(vec![0; workers]), ..Shared::default() });
        let (builders, others) =
            timely::CommunicationConfig::Process(workers).try_build().map_err(EngineError::Start)?;
        let aliases = Arc::new(RwLock::new(Aliases::default()));
        let shell = WorkerThread {
            options,
            seed,
            encode,
            aliases: aliases.clone(),
            started: started_sender,
            outward: outward_sender,
            shared: shared.clone(),
        };
        let shell = Mutex::new(vec![shell; workers]);
        let guards = timely::execute::execute_from(builders, others, timely::WorkerConfig::default(), move |worker| {
            // Not within the `if let`: that would hold the lock as long as the worker runs.
            let thread = shell.lock().pop();
            if let Some(thread) = thread {
                thread.run(worker);
            }
        })
        .map_err(EngineError::Start)?;
        let collector = Collector { workers, shared: shared.clone(), sink };
        let thread = std::thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || collector.run(&outward))
            .map_err(|error| EngineError::Start(error.to_string()))?;
        let mut parts = Vec::with_capacity(workers);
        for _ in 0..workers {
            let part = started.recv().map_err(|_| EngineError::Start("a worker died".to_owned()))??;
            parts.push(part);
        }
        parts.sort_by_key(|(index, ..)| *index);
        let mut doors = Vec::new();
        let mut memberships = Vec::new();
        for (_, door, membership) in parts {
            doors.push(door);
            memberships.push(membership);
        }
        let threads = Mutex::new(Some((guards, thread)));
        Ok(Engine { doors: Mutex::new((0, doors)), on_submit, memberships, aliases, shared, threads })
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

    /// Submits a tick and gives its number: `make` gives what goes to each worker. One tick at a time is made, so that
    /// what it reads of shared state is as of its place among the ticks. Blocks while too many ticks wait.
    pub fn submit(&self, make: impl FnOnce(u64) -> Vec<Vec<Inward>>) -> Result<u64, EngineError> {
        let mut doors = self.doors.lock();
        let tick = doors.0;
        let stopped = || {
            let failure = self.shared.done.lock().failure.clone();
            EngineError::Stopped(failure.unwrap_or_else(|| "it was told to".to_owned()))
        };
        if doors.1.is_empty() {
            return Err(stopped());
        }
        let items = make(tick);
        (self.on_submit)(tick);
        for (door, items) in doors.1.iter().zip(items) {
            door.sender.send((tick, items)).map_err(|_| stopped())?;
            door.thread.unpark();
        }
        doors.0 += 1;
        Ok(tick)
    }

    /// Submits a tick that moves the clock to `now` and does one edit, if any.
    pub fn submit_control(&self, now: Millis, control: Option<Control>) -> Result<u64, EngineError> {
        let workers = self.workers();
        self.submit(|_| {
            let steps: Vec<Arc<Control>> = control.map(Arc::new).into_iter().collect();
            items_of_tick(workers, Clock::at(now), &steps)
        })
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

    /// Waits until a tick is done.
    pub fn wait_for(&self, tick: u64) -> Result<Done, EngineError> {
        self.wait(|done| done.ticks > tick)
    }

    /// Waits until a tick is in the memberships that are read; the sink may yet have to write it.
    pub fn wait_applied(&self, tick: u64) -> Result<(), EngineError> {
        let mut applied = self.shared.applied.lock();
        while applied.iter().any(|below| *below <= tick) {
            if let Some(failure) = self.shared.done.lock().failure.clone() {
                return Err(EngineError::Stopped(failure));
            }
            self.shared.applied_changed.wait(&mut applied);
        }
        Ok(())
    }

    /// Lets the workers do what was submitted, and stops them.
    pub fn stop(&self) {
        self.doors.lock().1.drain(..).for_each(|door| {
            drop(door.sender);
            door.thread.unpark();
        });
        let Some((guards, collector)) = self.threads.lock().take() else { return };
        let died = guards.join().into_iter().filter_map(Result::err);
        died.for_each(|error| tracing::error!(%error, "a worker died"));
        if collector.join().is_err() {
            tracing::error!("the collector died");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A tick of this clock for each worker, with the same steps of an edit behind it.
pub fn items_of_tick(workers: usize, clock: Clock, steps: &[Arc<Control>]) -> Vec<Vec<Inward>> {
    let clock = Arc::new(Control::Clock(clock));
    let items: Vec<Inward> = std::iter::once(&clock).chain(steps).cloned().map(Inward::Control).collect();
    vec![items; workers]
}

type Started = Result<(usize, Door, Arc<RwLock<Membership>>), EngineError>;

#[derive(Clone)]
struct WorkerThread {
    options: EngineOptions,
    seed: Seed,
    encode: Encode,
    aliases: Arc<RwLock<Aliases>>,
    started: SyncSender<Started>,
    outward: SyncSender<(usize, Outward)>,
    shared: Arc<Shared>,
}

/// Says so when a thread ends by a panic: a fault of ours, which must not leave others waiting.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a worker panicked; this is a fault of the program".to_owned());
        }
    }
}

impl WorkerThread {
    fn run(self, worker: &mut Worker) {
        let _watch = Watch(self.shared.clone());
        let index = worker.index();
        let (partition, aliases) = match (self.seed)(index, worker.peers()) {
            Ok(seeded) => seeded,
            Err(error) => {
                let _ = self.started.send(Err(error));
                return;
            }
        };
        let (sender, door) = sync_channel::<DoorMessage>(TICKS_AT_DOOR);
        let door_in = Door { sender, thread: std::thread::current() };
        let _ = self.started.send(Ok((index, door_in, partition.membership())));
        drop(self.started);
        let encode = self.encode;
        let parts = WorkerParts {
            partition,
            mirror: (index == 0).then(|| {
                *self.aliases.write() = aliases.clone();
                self.aliases.clone()
            }),
            aliases: std::rc::Rc::new(std::cell::RefCell::new(aliases)),
            encoder: Box::new(encode),
            scan_slice_users: self.options.scan_slice_users,
        };
        let outward = self.outward;
        let mut input: InputHandle<u64, _> = InputHandle::new();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let stream = scope.input_from(&mut input);
            build(scope, stream, parts).sink_to(index, outward, self.shared.clone()).probe_with(&probe);
        });
        run_worker(worker, input, &probe, &door);
    }
}

fn run_worker(
    worker: &mut Worker,
    mut input: InputHandle<u64, CapacityContainerBuilder<Vec<Inward>>>,
    probe: &ProbeHandle<u64>,
    door: &Receiver<DoorMessage>,
) {
    loop {
        let next = *input.time() / STRIDE;
        let is_full = next >= TICKS_UNDER_WAY && probe.less_than(&((next - TICKS_UNDER_WAY) * STRIDE + 1));
        match if is_full { Err(TryRecvError::Empty) } else { door.try_recv() } {
            Ok((tick, items)) => {
                for item in items {
                    input.send(item);
                }
                input.advance_to((tick + 1) * STRIDE);
                worker.step();
            }
            Err(TryRecvError::Empty) => {
                worker.step_or_park(Some(IDLE));
            }
            Err(TryRecvError::Disconnected) => break,
        }
    }
    input.close();
    while worker.step_or_park(Some(IDLE)) {}
}

/// Gives the items of a stream to the outward door.
trait SinkTo {
    fn sink_to(self, worker: usize, outward: SyncSender<(usize, Outward)>, shared: Arc<Shared>) -> Self;
}

impl SinkTo for timely::dataflow::StreamVec<'_, u64, Outward> {
    fn sink_to(self, worker: usize, outward: SyncSender<(usize, Outward)>, shared: Arc<Shared>) -> Self {
        use timely::dataflow::channels::pact::Pipeline;
        self.unary::<CapacityContainerBuilder<Vec<Outward>>, _, _, _>(Pipeline, "Outward", move |_, _| {
            move |input, _output| {
                input.for_each_time(|_, data| {
                    for item in data.flat_map(|batch| batch.drain(..)) {
                        if let Outward::Tick(output) = &item {
                            shared.applied(worker, output.tick);
                        }
                        // Nobody listens any more only when the engine is given up.
                        let _ = outward.send((worker, item));
                    }
                });
            }
        })
    }
}
