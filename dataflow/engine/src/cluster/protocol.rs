//! The messages between the processes of a cluster.
//!
//! A connection begins with a [`Hello`]. Of the first process, the coordinator, every other one has: one connection for
//! signs of life, and for each of its workers one for ticks and one for questions to the stores. Among all processes stand
//! the connections of timely.

use audience_contract::Progress;
use audience_kernel::operator::{Inward, Outward};
use serde::{Deserialize, Serialize};

use crate::durability::manifest::Manifest;

/// Processes of different versions do not understand each other; nor do builds of one version between which a message was changed,
/// which is what is counted behind it.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/3");

/// The purpose of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// A process is there and waits for a run; the connection carries [`ToHost`] and [`FromHost`].
    Join {
        /// Its place among the processes.
        process: usize,
        /// The address at which the others reach it.
        address: String,
        /// The version of the program.
        version: String,
    },
    /// Timely's, of a run, from that process.
    Mesh {
        /// The run.
        run: u64,
        /// The process.
        process: usize,
    },
    /// Ticks of a worker: [`ToWorker`] and [`FromWorker`].
    Ticks {
        /// The run.
        run: u64,
        /// The worker, over all processes.
        worker: usize,
    },
    /// Questions to the stores: [`Question`] and [`StoreAnswer`].
    Stores {
        /// The run.
        run: u64,
    },
}

/// A message of the coordinator to a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToHost {
    /// A sign of life.
    Beat,
    /// A run begins.
    Begin(Box<Begin>),
    /// The process cannot be part of the cluster.
    Refused(String),
}

/// A message of a process to the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromHost {
    /// A sign of life.
    Beat,
    /// The process was told to stop: the run is to end in order.
    Leaving,
}

/// A run: everything from one start of the computation to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// Tells it from any other.
    pub run: u64,
    /// The address of each process.
    pub addresses: Vec<String>,
    /// Worker threads of each process.
    pub workers: usize,
    /// Users that a worker looks at for a scan before events get their turn.
    pub scan_slice_users: u32,
    /// Ticks of each worker that wait for the sink.
    pub ticks_outward: usize,
    /// The state that the workers begin with.
    pub origin: Origin,
}

/// The state that workers begin with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The last progress: up to there the state is restored in silence. `None`: there is nothing to restore.
    pub progress: Option<Progress>,
    /// The checkpoint from which.
    pub checkpoint: Option<(u64, Manifest)>,
}

/// A message to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// A tick.
    Tick(u64, Vec<Inward>),
    /// No more ticks.
    End,
}

/// A message of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// Its state is there, or why it cannot be.
    Started(Result<(), String>),
    /// An output of it.
    Outward(Outward),
    /// It has done all that it was given.
    Ended,
}

/// A question of a worker to the stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// `UserHistory::of_users`
    OfUsers(Vec<String>, u64),
    /// `MessageIndex::note`
    Note(Vec<(u128, u64)>),
    /// `MessageIndex::first`
    First(Vec<u128>),
    /// `MessageIndex::forget`
    Forget(Vec<u128>, u64),
    /// `CheckpointStore::shard`
    Shard(u64, u32),
}

/// An answer of the stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StoreAnswer {
    /// Records.
    Records(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Sequence numbers.
    Noted(Vec<u64>),
    /// Sequence numbers, where there are.
    First(Vec<Option<u64>>),
    /// It is done.
    Done,
    /// A shard, if it is there.
    Shard(Option<serde_bytes::ByteBuf>),
    /// It failed.
    Failed(String),
}
