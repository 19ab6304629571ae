//! The worker threads of this process: each runs its part of the dataflow, is given ticks at its door, and gives what
//! comes out.

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use audience_kernel::aliases::Aliases;
use audience_kernel::dataflow::build;
use audience_kernel::membership::Membership;
use audience_kernel::operator::{Inward, Outward, STRIDE, WorkerParts};
use audience_kernel::worker::WorkerState;
use parking_lot::{Mutex, RwLock};
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::probe::{Handle as ProbeHandle, Probe};
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use super::error::{EngineError, EngineFailure, StartError};

/// Ticks that a worker takes in before the first of them is done.
const TICKS_UNDER_WAY: u64 = 8;
/// Ticks that wait at a worker's door.
pub(crate) const TICKS_AT_DOOR: usize = 8;
/// How long a worker sleeps when nothing happens; it is woken by what comes.
const IDLE: Duration = Duration::from_millis(100);

/// Makes the state of a worker (of so many), on its own thread: its users, and the aliases.
pub type Seed = Arc<dyn Fn(usize, usize) -> Result<(WorkerState, Aliases), EngineError> + Send + Sync>;

/// Writes a worker's changes down for the sink.
pub type EncodeChanges = fn(&mut WorkerState, &mut Vec<u8>);

/// A tick with what is in it for a worker.
pub(crate) type DoorMessage = (u64, Vec<Inward>);

/// The door at which a worker is given ticks; no more come once it is dropped.
pub(crate) struct TickDoor {
    sender: SyncSender<DoorMessage>,
    /// The worker's thread, which may be asleep.
    thread: Option<Thread>,
}

impl TickDoor {
    /// The door of a worker that wakes by itself when something comes.
    pub(crate) fn new(sender: SyncSender<DoorMessage>) -> TickDoor {
        TickDoor { sender, thread: None }
    }

    /// Gives a tick; waits while too many wait already. `Err` where the worker is gone.
    pub(crate) fn give(&self, message: DoorMessage) -> Result<(), ()> {
        self.sender.send(message).map_err(drop)?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        self.thread.iter().for_each(Thread::unpark);
    }

    /// No more ticks come.
    pub(crate) fn close(self) {
        let TickDoor { sender, thread } = self;
        drop(sender);
        thread.iter().for_each(Thread::unpark);
    }
}

/// A worker that has its state and waits for ticks.
pub(crate) struct Started {
    /// Which, over all processes.
    pub worker: usize,
    /// Its door.
    pub door: TickDoor,
    /// The memberships of its users.
    pub membership: Arc<RwLock<Membership>>,
}

/// The taker of a worker's messages.
pub(crate) type Give = Box<dyn FnMut(Outward)>;

/// Settings of a process's worker threads.
#[derive(Clone)]
pub(crate) struct WorkerOptions {
    /// Makes the state of each.
    pub seed: Seed,
    /// Writes its changes down.
    pub encode: EncodeChanges,
    /// Users that it looks at for a scan before events get their turn.
    pub scan_slice_users: u32,
    /// True if memberships are read in another process.
    pub gives_members: bool,
    /// The aliases for readers, kept up by the first worker of all.
    pub aliases: Option<Arc<RwLock<Aliases>>>,
    /// Makes who takes what comes out of a worker.
    pub outward: Arc<dyn Fn(usize) -> Give + Send + Sync>,
    /// Told why nothing more comes, where a thread ends by a fault of ours.
    pub fail: Arc<dyn Fn(EngineFailure) + Send + Sync>,
}

/// The workers of how many processes, and which this one is.
pub(crate) enum Network {
    /// This process alone, with so many workers.
    Process(usize),
    /// Several processes.
    Cluster {
        /// Worker threads of each.
        workers: usize,
        /// Connections to the others, by process; none to this one.
        sockets: Vec<Option<TcpStream>>,
        /// This one.
        process: usize,
    },
}

impl Network {
    fn workers(&self) -> usize {
        match self {
            Network::Process(workers) | Network::Cluster { workers, .. } => *workers,
        }
    }

    fn build(self) -> Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>), String> {
        match self {
            Network::Process(workers) => timely::CommunicationConfig::Process(workers).try_build(),
            Network::Cluster { workers, sockets, process } => {
                let Hooks { refill, spill, .. } = Hooks::default();
                let local = ProcessBuilder::new_typed_vector(workers, refill, spill);
                let built = initialize_networking_from_sockets(local, sockets, process, workers, Hooks::default());
                let (builders, guard) = built.map_err(|error| error.to_string())?;
                Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
            }
        }
    }
}

/// The running threads.
pub(crate) type Threads = WorkerGuards<()>;

/// Starts the worker threads of this process; gives them once all have their state, in their order.
pub(crate) fn start(network: Network, options: WorkerOptions) -> Result<(Threads, Vec<Started>), EngineError> {
    let workers = network.workers();
    let (builders, others) = network.build().map_err(StartError::Network)?;
    let (started_sender, started) = sync_channel(workers);
    let shells = Mutex::new(vec![Shell { options, started: started_sender }; workers]);
    let threads = timely::execute::execute_from(builders, others, timely::WorkerConfig::default(), move |worker| {
        // Not within the `if let`: that would hold the lock as long as the worker runs.
        let shell = shells.lock().pop();
        if let Some(shell) = shell {
            shell.run(worker);
        }
    })
    .map_err(StartError::Network)?;
    let died = || Err(StartError::WorkerDied.into());
    let all: Result<Vec<Started>, EngineError> =
        (0..workers).map(|_| started.recv().unwrap_or_else(|_| died())).collect();
    match all {
        Ok(mut all) => {
            all.sort_by_key(|started| started.worker);
            Ok((threads, all))
        }
        Err(error) => {
            give_up(threads);
            Err(error)
        }
    }
}

/// Leaves the threads to themselves: workers that wait for one that is gone never end, and would be waited for.
pub(crate) fn give_up(threads: Threads) {
    std::mem::forget(threads);
}

#[derive(Clone)]
struct Shell {
    options: WorkerOptions,
    started: SyncSender<Result<Started, EngineError>>,
}

/// Says so when a thread ends by a panic: a fault of ours, which must not leave others waiting.
pub(crate) struct PanicWatch(pub Arc<dyn Fn(EngineFailure) + Send + Sync>);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)(EngineFailure::Panicked);
        }
    }
}

impl Shell {
    fn run(self, worker: &mut Worker) {
        let Shell { options, started } = self;
        let _watch = PanicWatch(options.fail);
        let index = worker.index();
        let (state, aliases) = match (options.seed)(index, worker.peers()) {
            Ok(seeded) => seeded,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let (sender, ticks) = sync_channel::<DoorMessage>(TICKS_AT_DOOR);
        let door = TickDoor { sender, thread: Some(std::thread::current()) };
        let _ = started.send(Ok(Started { worker: index, door, membership: state.membership() }));
        drop(started);
        let encode = options.encode;
        let mirror = options.aliases.filter(|_| index == 0);
        let parts = WorkerParts {
            state,
            mirror: mirror.inspect(|mirror| *mirror.write() = aliases.clone()),
            aliases: Rc::new(RefCell::new(aliases)),
            encoder: Box::new(encode),
            scan_slice_users: options.scan_slice_users,
            gives_members: options.gives_members,
        };
        let give = (options.outward)(index);
        let mut input: InputHandle<u64, _> = InputHandle::new();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let stream = scope.input_from(&mut input);
            build(scope, stream, parts).give_to(give).probe_with(&probe);
        });
        run(worker, input, &probe, &ticks);
    }
}

fn run(
    worker: &mut Worker,
    mut input: InputHandle<u64, CapacityContainerBuilder<Vec<Inward>>>,
    probe: &ProbeHandle<u64>,
    ticks: &Receiver<DoorMessage>,
) {
    loop {
        let next = *input.time() / STRIDE;
        let is_full = next >= TICKS_UNDER_WAY && probe.less_than(&((next - TICKS_UNDER_WAY) * STRIDE + 1));
        match if is_full { Err(TryRecvError::Empty) } else { ticks.try_recv() } {
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

/// Gives the items of a stream away.
trait GiveTo {
    fn give_to(self, give: Give) -> Self;
}

impl GiveTo for timely::dataflow::StreamVec<'_, u64, Outward> {
    fn give_to(self, mut give: Give) -> Self {
        self.unary::<CapacityContainerBuilder<Vec<Outward>>, _, _, _>(Pipeline, "Outward", move |_, _| {
            move |input, _output| {
                input.for_each_time(|_, data| data.flat_map(|batch| batch.drain(..)).for_each(&mut give));
            }
        })
    }
}
