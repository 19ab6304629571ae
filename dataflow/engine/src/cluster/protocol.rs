//! What the processes of a cluster say to each other.
//!
//! A connection begins with a [`Hello`]. Of the first process, the coordinator, every other one has: one connection for
//! signs of life, and for each of its workers one for ticks and one for questions to the stores. Among all processes stand
//! the connections of timely.

use audience_contract::Progress;
use audience_kernel::operator::{Inward, Outward};
use serde::{Deserialize, Serialize};

use crate::service::checkpoint::Manifest;

/// Processes of different versions do not understand each other; nor do builds of one version between which a message was changed,
/// which is what is counted behind it.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/3");

/// What a connection is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Hello {
    /// A process is there and waits for a run; the connection carries [`ToHost`] and [`FromHost`].
    Join {
        /// Its place among the processes.
        process: usize,
        /// Where the others reach it.
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
    /// Questions to the stores: [`Question`] and [`Answer`].
    Stores {
        /// The run.
        run: u64,
    },
}

/// What the coordinator tells a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToHost {
    /// A sign of life.
    Beat,
    /// A run begins.
    Begin(Box<Begin>),
    /// The process cannot be part of the cluster.
    Refused(String),
}

/// What a process tells the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromHost {
    /// A sign of life.
    Beat,
    /// The process was told to stop: the run is to end in order.
    Leaving,
}

/// A run: everything from one start of the computation to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// Tells it from any other.
    pub run: u64,
    /// Where each process is reached.
    pub addresses: Vec<String>,
    /// Worker threads of each process.
    pub workers: usize,
    /// Users that a worker looks at for a scan before events get their turn.
    pub scan_slice_users: u32,
    /// Ticks of each worker that wait for the sink.
    pub ticks_outward: usize,
    /// What the workers begin with.
    pub origin: Origin,
}

/// What workers begin with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// What was given out: up to there the state is brought back in silence. `None`: there is nothing to bring back.
    pub progress: Option<Progress>,
    /// The checkpoint from which.
    pub checkpoint: Option<(u64, Manifest)>,
}

/// What a worker is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// A tick.
    Tick(u64, Vec<Inward>),
    /// No more ticks.
    End,
}

/// What a worker gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// Its state is there, or why it cannot be.
    Started(Result<(), String>),
    /// What comes out of it.
    Outward(Outward),
    /// It has done all that it was given.
    Ended,
}

/// What a worker asks of the stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
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

/// What the stores answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
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
