//! Several processes, one computation.
//!
//! The first process is the coordinator: it has the stores, gives ticks to all workers, and takes what comes out of them.
//! The others ([`host`]) only compute: their workers hold users as those of the coordinator do, exchange records with all
//! workers over timely's connections, and ask the coordinator's stores where they need history. So there is one order of
//! acceptance, one change log and one progress, however many processes there are; and any number of processes can go on
//! from what another number left.
//!
//! Nothing is saved of a process that is lost: the run ends in all of them, and the next one begins from the newest
//! checkpoint once all are there again. A process counts as lost when its connection breaks, or when nothing was heard of it
//! for [`SILENCE`](link::SILENCE): dead, stopped, or cut off.

pub mod coordinator;
mod frame;
pub mod host;
pub mod link;
mod mirror;
pub(crate) mod protocol;
pub(crate) mod remote;
pub mod status;
pub(crate) mod stores;

pub use protocol::Origin;
pub use stores::AskedStores;
