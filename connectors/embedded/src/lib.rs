//! Every store that Audience Manager needs, in one data directory of the machine it runs on.
//!
//! [`Stores::open`] takes a directory for itself alone and hands out the stores of `audience_contract`. What is in it:
//!
//! ```text
//! FORMAT        which version of this layout it is
//! LOCK          held while a process uses the directory
//! events/       the log of events and the index by user
//! messages/     which message came first; in a journal of its own, since it is written often and needs no fsync
//! ledger/       the changes given out, the catalogue, and what the platform notes beside them
//! checkpoints/  one directory for each checkpoint
//! ```
//!
//! The first three are fjall databases. Each carries a checksum in every value, numbers its durable commits, and keeps
//! the last number acknowledged in `durable.mark` beside it, so that commits that got lost are noticed: see `db` and
//! `verify` for what is checked when a directory is opened.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{
    AccessStore, CatalogueStore, ChangeLog, CheckpointStore, EventLog, MessageIndex, Notes, Result, WebhookStore,
};

mod access;
mod audit;
mod catalogue;
mod change_log;
mod checkpoints;
mod chunk;
mod db;
mod directory;
mod erase;
mod event_log;
mod forget;
mod group;
mod lease;
mod mark;
mod message_index;
mod notes;
mod positions;
mod repair;
mod seal;
mod take_back;
mod telling;
mod user_index;
mod verify;
mod webhooks;

pub use access::NotedAccess;
pub use catalogue::EmbeddedCatalogue;
pub use change_log::Changes;
pub use checkpoints::Checkpoints;
pub use event_log::Events;
pub use lease::FileLease;
pub use message_index::Messages;
pub use notes::LedgerNotes;
pub use repair::{DirectoryRepair, FillMessages, PartState, RepairedPart};
pub use webhooks::NotedWebhooks;

/// The options with which the stores are opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for blocks that were read, in bytes, over all stores.
    pub cache_bytes: u64,
    /// Bytes on the disk that stay free: a write that finds less is refused, and is accepted again once there is room.
    /// The stores need some to tidy up in the background; where that fails for want of room, only a restart helps.
    pub reserve_bytes: u64,
    /// Memory for what is written to a table until it goes into a file of its own, in bytes, for each of nine tables.
    /// Counts when the directory is made, and stays as it was then.
    pub buffer_bytes: u64,
    /// How long records of sources wait for each other, from the beginning of one write to that of the next. Nobody waits for an
    /// answer to them, and several readers would otherwise take an fsync each for every few of them.
    pub company: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 128 << 20,
            reserve_bytes: 256 << 20,
            buffer_bytes: 64 << 20,
            company: Duration::from_millis(10),
        }
    }
}

/// All stores of one data directory. Dropping it and every store that it handed out gives the directory free.
pub struct Stores {
    events: Arc<Events>,
    messages: Arc<Messages>,
    changes: Arc<Changes>,
    catalogue: Arc<EmbeddedCatalogue>,
    notes: Arc<LedgerNotes>,
    webhooks: Arc<NotedWebhooks>,
    access: Arc<NotedAccess>,
    checkpoints: Arc<Checkpoints>,
}

impl Stores {
    /// Opens the data directory, and makes it where there is none.
    ///
    /// Fails after a second with [`StoreError::InUse`](audience_contract::StoreError::InUse) where it is open already, in this
    /// process or another one. Takes a scan of the events since the last full block of 65,536.
    pub fn open(directory: &Path, options: &Options) -> Result<Stores> {
        let span = tracing::info_span!("open_stores", directory = %directory.display());
        let _entered = span.enter();
        let directory = directory::Directory::open(directory)?;
        let events = Arc::new(Events::open(&directory, options)?);
        let messages = Arc::new(Messages::open(&directory, options)?);
        let ledger = change_log::open_ledger(&directory, options)?;
        let changes = Arc::new(Changes::open(Arc::clone(&ledger))?);
        let catalogue = Arc::new(EmbeddedCatalogue::open(Arc::clone(&ledger))?);
        let notes = Arc::new(LedgerNotes::open(ledger));
        let webhooks = Arc::new(NotedWebhooks::open(Arc::clone(&notes)));
        let access = Arc::new(NotedAccess::open(Arc::clone(&notes)));
        let checkpoints = Arc::new(Checkpoints::open(&directory)?);
        directory.finish()?;
        Ok(Stores { events, messages, changes, catalogue, notes, webhooks, access, checkpoints })
    }

    /// Looks at the checkpoints of a data directory that another process may be using; writes nothing.
    pub fn look_at_checkpoints(directory: &Path) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(Checkpoints::look(directory)?))
    }

    /// The log of accepted events.
    pub fn events(&self) -> Arc<dyn EventLog> {
        self.events.clone()
    }

    /// Which message came first.
    pub fn messages(&self) -> Arc<dyn MessageIndex> {
        self.messages.clone()
    }

    /// The membership changes given out.
    pub fn changes(&self) -> Arc<dyn ChangeLog> {
        self.changes.clone()
    }

    /// Segments and traits.
    pub fn catalogue(&self) -> Arc<dyn CatalogueStore> {
        self.catalogue.clone()
    }

    /// The notes of the platform.
    pub fn notes(&self) -> Arc<dyn Notes> {
        self.notes.clone()
    }

    /// The webhooks.
    pub fn webhooks(&self) -> Arc<dyn WebhookStore> {
        self.webhooks.clone()
    }

    /// Members, keys and sessions.
    pub fn access(&self) -> Arc<dyn AccessStore> {
        self.access.clone()
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> Arc<dyn CheckpointStore> {
        self.checkpoints.clone()
    }
}
