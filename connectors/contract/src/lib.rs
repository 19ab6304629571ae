//! The demands of the engine on the stores and sources around it.
//!
//! The words MUST and MAY are meant as in RFC 2119. Every implementation passes the `suite` (a feature of this crate)
//! that is made from these sentences.
//!
//! - Every method MAY block; none is called on a thread that serves others.
//! - An error MUST leave the store as it was before the call, or as it is after it, never between.
//! - What a store gives back MUST be what was put into it: damage is noticed by checksum and is
//!   [`StoreError::Corrupt`], never a wrong answer.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod audit;
pub mod changes;
mod failpoint;
mod history;
mod identity;
mod last_changes;
mod lease;
mod mail;
mod notes;
mod profiles;
mod quota;
mod serving;
mod sink;
mod sizes;
mod source;
#[cfg(feature = "suite")]
pub mod suite;
mod webhook;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use access::{AccessChange, AccessDocument, AccessStore};
pub use audit::{Audit, AuditEntry, AuditFilter, AuditRecord};
pub use failpoint::{failpoint, failpoint_error};
pub use history::History;
pub use identity::{IdentityProvider, ProvidedIdentity, ProviderError, SignInEnd, SignInStart};
pub use last_changes::LastChanges;
pub use lease::{Lease, LeaseStore};
pub use mail::{HandOver, Mail, MailProvider, MailReply, Mailbox};
pub use notes::{ChangedNotes, Note, Notes, NotesMark, VisitNote};
pub use profiles::{Everyone, Profile, ProfileReach, ProfileStore, TraitValues};
pub use quota::{QuotaAnswer, QuotaCounter, QuotaPolicy, QuotaStore, SUB_WINDOWS};
pub use serving::{HeldMembership, ServingError, ServingState, ServingStore};
pub use sink::{Cause, ChangeKind, MembershipChange, Owns, Reach, SharedSink, Sink, SinkError, Writer, Writers};
pub use sizes::{SizeSample, SizeStore};
pub use source::{
    Batch, DeadLetter, DeadLetters, Gap, Header, Lag, Message, Share, Source, SourceError, SourcePosition,
};
pub use webhook::{KEPT_ATTEMPTS, WebhookAnswer, WebhookClient, WebhookMessage, WebhookStore};

/// A fault of a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is used by another process.
    #[error("{0} is in use by another process; stop it, or choose another data directory")]
    InUse(String),
    /// The stored data is damaged.
    #[error("{place} is damaged: {detail}")]
    Corrupt {
        /// Which file, table and key.
        place: String,
        /// The damage found.
        detail: String,
    },
    /// The store could not read or write just now (full disk, no permission, a fault of the device).
    #[error("{action} failed: {detail}")]
    Unavailable {
        /// The action that was tried.
        action: &'static str,
        /// The system's own words.
        detail: String,
    },
    /// A write or a sync failed on its way: the store cannot say whether it is there, and takes no more until it is opened
    /// again.
    #[error("{action} failed, and may have come to pass all the same: {detail}")]
    Unknown {
        /// The action that was tried.
        action: &'static str,
        /// The system's own words.
        detail: String,
    },
    /// The store takes no more until it is opened again. Nothing of this was written.
    #[error("{action} failed: {detail}")]
    Broken {
        /// The action that was tried.
        action: &'static str,
        /// The fault of the store.
        detail: String,
    },
    /// The data cannot be stored, now or later.
    #[error("{action} is refused: {detail}")]
    Refused {
        /// The action that was tried.
        action: &'static str,
        /// The fault of the data.
        detail: String,
    },
}

impl StoreError {
    /// Returns whether what was asked for may have come to pass all the same.
    pub fn leaves_open(&self) -> bool {
        matches!(self, StoreError::Unknown { .. })
    }

    /// Returns whether the store must be opened again before it takes more.
    pub fn needs_reopening(&self) -> bool {
        matches!(self, StoreError::Unknown { .. } | StoreError::Broken { .. })
    }
}

/// A store's answer.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The log of accepted events, in the order of acceptance: the one truth that everything can be computed from again.
///
/// Records are flat bytes (`audience_rules::record`). The log sets their sequence numbers, consecutive from 0.
pub trait EventLog: Send + Sync {
    /// Appends `records` (one or more, one behind the other), sets their sequence numbers in place and gives the range
    /// they got. MUST be durable on return: it survives `kill -9` and loss of power.
    fn append(&self, records: &mut [u8]) -> Result<Range<u64>> {
        self.append_from(records, &[])
    }

    /// [`append`](Self::append)s records (none, perhaps) that come from sources, and notes up to where each partition
    /// is in the log with them: both or neither, at any crash. So each message counts once, however often it is read.
    ///
    /// A position is never taken back: MUST fail, and change nothing, where one is behind the newest of its partition,
    /// as it is when two read the same source. Where several calls run at once, they count in the order of their
    /// sequence numbers. May wait some milliseconds for other calls.
    fn append_from(&self, records: &mut [u8], positions: &[SourcePosition]) -> Result<Range<u64>>;

    /// The newest durable position of every partition of every source, by source and partition.
    fn positions(&self) -> Result<Vec<SourcePosition>>;

    /// A number at or below [`end`](Self::end), and where the sources were behind exactly the records below it. A log that
    /// is only read MAY refuse.
    fn reach(&self) -> Result<(u64, Vec<SourcePosition>)> {
        let detail = "this log does not say where sources were".to_owned();
        Err(StoreError::Refused { action: "reading positions", detail })
    }

    /// The sequence number behind the last durable record: each record below it can be read.
    fn end(&self) -> u64;

    /// Calls `visit` with runs of whole records of the range, in order, each run at most a few MiB. MUST visit every
    /// record of the range that was durable at the call, once; MAY visit records around it.
    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()>;

    /// The number of the first record that can be read. Those before it were [forgotten](Self::forget) here, and stand in the
    /// [`History`] alone.
    fn floor(&self) -> u64 {
        0
    }

    /// Forgets records below that number, run by run, so that it may keep some of them; returns the new floor. The numbers, the
    /// positions of sources, and [`naming`](Self::naming) stay as they are. MUST be durable on return; broken off, the log MUST
    /// go on from a floor that everything above can be read from. A scan that has begun goes on. The disk has the space
    /// back when more is forgotten or the log is opened again, at the latest.
    fn forget(&self, below: u64) -> Result<u64> {
        let detail = format!("this log keeps what is below event {below}");
        Err(StoreError::Refused { action: "forgetting events", detail })
    }

    /// The bytes of the records that can be read, about. Costs a look at some of them.
    fn bytes(&self) -> Result<u64> {
        Ok(0)
    }

    /// The numbers below `before`, in order, of every record that names one of the ids, and perhaps of others: also of records
    /// below the [`floor`](Self::floor).
    fn naming(&self, _ids: &[&str], before: u64) -> Result<Vec<u64>> {
        let detail = format!("this log does not say which of the events below {before} name somebody");
        Err(StoreError::Refused { action: "looking for events", detail })
    }

    /// Visits the records of these numbers, which are in order and none below the [`floor`](Self::floor), in runs of whole records.
    fn visit(&self, _sequences: &[u64], _visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let detail = "this log does not read single events".to_owned();
        Err(StoreError::Refused { action: "reading events", detail })
    }

    /// Cuts a range into at most `parts` ranges that take about as long to scan, so that they can be scanned in
    /// parallel.
    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>>;

    /// Calls `visit` with runs of whole records, each run at most a few MiB: every record whose user or other id is one of
    /// `ids`, with a sequence number below `before`, in order, and no other.
    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Returns of each id whether a record may name it: MUST be true of every one that
    /// [`visit_users`](Self::visit_users) would find something of, and MAY be of others. For many ids at once, of which most
    /// are named nowhere.
    fn may_name(&self, ids: &[&str]) -> Result<Vec<bool>> {
        Ok(vec![true; ids.len()])
    }

    /// The records that [`visit_users`](Self::visit_users) visits, one after the other.
    fn of_users(&self, ids: &[&str], before: u64) -> Result<Vec<u8>> {
        let mut records = Vec::new();
        self.visit_users(ids, before, &mut |run| {
            records.extend_from_slice(run);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// Erases what names one of the ids and stands before the number that is with it, as
    /// [`Erased`](audience_rules::record::Erased) says: of a record of the id only its place is left, an `identify` of
    /// somebody else loses its other id. Other records stay as they are. MUST be
    /// durable on return; repeating a call MUST change nothing. What stood there MAY be on the disk until [`purge`](Self::purge).
    fn erase(&self, ids: &[(String, u64)]) -> Result<()>;

    /// Has every record that was accepted after `to` say that it was accepted at `to`, as
    /// [`take_back`](audience_rules::record::take_back) does; gives how many there were. MUST be durable on return; broken off, it
    /// MUST be possible to repeat it. For a log that nobody appends to meanwhile; others MAY refuse.
    fn take_back(&self, to: i64) -> Result<u64> {
        let detail = format!("this log cannot be taken back to {to}");
        Err(StoreError::Refused { action: "taking time back", detail })
    }

    /// Sees to it that nothing is on the disk any more of what was erased; also of what was erased before the store was last
    /// opened. May write all of the log anew, so that it takes as long as that. Gives whether there was anything.
    fn purge(&self) -> Result<bool>;
}

/// The accepted events of single users: all that a worker asks of the event log itself.
pub trait UserHistory: Send + Sync {
    /// As [`EventLog::of_users`].
    fn of_users(&self, ids: &[&str], before: u64) -> Result<Vec<u8>>;
}

impl<L: EventLog + ?Sized> UserHistory for Arc<L> {
    fn of_users(&self, ids: &[&str], before: u64) -> Result<Vec<u8>> {
        EventLog::of_users(&**self, ids, before)
    }
}

/// Which message of which user came first.
pub trait MessageIndex: Send + Sync {
    /// For each (key of user and message, sequence): notes the sequence where the key is new or noted with a greater
    /// one, and gives the least sequence noted so far, in order. Repeating a call MUST change nothing, so that a replay is harmless.
    /// MAY lose what was noted since the last [`flush`](Self::flush) on a crash: the log is replayed from there.
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>>;

    /// The least sequence noted for each key, if any.
    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>>;

    /// Forgets each key whose noted sequence is below `below`. Repeating a call MUST change nothing. MAY lose that on a
    /// crash like what was noted.
    fn forget(&self, keys: &[u128], below: u64) -> Result<()>;

    /// Makes durable what was noted and forgotten.
    fn flush(&self) -> Result<()>;
}

/// How far the given-out membership changes reach: everything at or below it has been given out, nothing above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Progress {
    /// The last tick given out.
    pub tick: u64,
    /// The clock at that tick, milliseconds.
    pub clock: i64,
    /// Events below this sequence number were in it. Those of them that were accepted behind the clock are still to count,
    /// as they are where a start has read them and has not moved the clock yet.
    pub sequence: u64,
    /// The version of the catalogue that was in force.
    pub catalogue_version: u64,
    /// The number of the run that emitted it, if a sink says it, since ticks of another data directory are others. 0: not
    /// known, as in a change log, which has only its own.
    #[serde(default)]
    pub run: u64,
}

/// The membership changes given out, with the progress that they bring.
pub trait ChangeLog: Send + Sync {
    /// Commits the changes of a tick and the progress, both or neither. Durable on return. Ticks with changes come in
    /// order: MUST fail where that tick or a later one has changes already. A tick without changes is not
    /// [`read`](Self::read).
    fn commit(&self, progress: Progress, changes: &[u8]) -> Result<()>;

    /// [`commit`](Self::commit)s ticks that another log has, each with its changes, and the progress after the last: all or
    /// nothing. A log that follows no other MAY refuse.
    fn commit_ticks(&self, _progress: Progress, _ticks: &[(u64, Vec<u8>)]) -> Result<()> {
        let detail = "this log follows no other".to_owned();
        Err(StoreError::Refused { action: "committing changes", detail })
    }

    /// The newest progress committed.
    fn progress(&self) -> Result<Option<Progress>>;

    /// Calls `visit` with each tick's number and changes, in order, from the tick `from` on (inclusive).
    fn read(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Forgets the changes of ticks below `tick`.
    fn forget(&self, tick: u64) -> Result<()>;

    /// Ticks below are forgotten.
    fn floor(&self) -> Result<u64>;
}

/// The kinds of documents in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DocumentKind {
    /// A segment.
    Segment,
    /// A computed trait.
    Trait,
    /// The members of a static segment, under the segment's id.
    Members,
    /// A setting of the platform, such as its time zone.
    Setting,
}

/// One version of a document. Every version is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The kind of document.
    pub kind: DocumentKind,
    /// Its id.
    pub id: String,
    /// The version of the whole catalogue that this change made.
    pub catalogue_version: u64,
    /// The text, in JSON; `None` is a deletion. Of members it is a list of texts. Of the others it is an object whose
    /// member `document` is an object that bears the document's id: a segment's `id`, a trait's or setting's `name`.
    pub body: Option<String>,
}

/// Segments, traits and settings with every version.
///
/// - A body MUST be given back as a text that says the same: an implementation MAY order members otherwise and write
///   numbers and spaces in another way, and MUST keep members that it does not know and every digit of a number.
/// - MUST take ids of 1 to 256 bytes and bodies of 4 MiB, in any characters; MAY refuse others, and NUL, with
///   [`StoreError::Refused`].
/// - Others MAY change the catalogue too, where the implementation lets them: each such change MUST take a version like
///   any other.
pub trait CatalogueStore: Send + Sync {
    /// The version of the whole catalogue; 0 is empty.
    fn version(&self) -> Result<u64>;

    /// The mark of a version: no other content has, or will have, that number with that mark. So a store that went back to an
    /// earlier state, and on from there, is known. `None` where there is no such version, and always where the store gives no
    /// marks, since no other process changes it. A store whose newest version does not have the mark that was seen MUST refuse
    /// to put after it with `Ok(false)`.
    fn mark(&self, _version: u64) -> Result<Option<u128>> {
        Ok(None)
    }

    /// Takes a version above `least` and above the newest, without documents; gives it. So numbers that were given out before
    /// the store went back are not given out again.
    fn raise(&self, least: u64) -> Result<u64> {
        loop {
            let version = self.version()?;
            if self.put(version, &[])? && version + 1 > least {
                return Ok(version + 1);
            }
        }
    }

    /// Puts documents, all or none, as the version `expected + 1`; `Ok(false)` where the catalogue is not at
    /// `expected`: of several that put at the same version exactly one succeeds. Durable on return. MUST fail where a
    /// document's `catalogue_version` is not `expected + 1`, or where a document is given twice. No documents are a version
    /// too, and so is the deletion of what is not there.
    fn put(&self, expected: u64, documents: &[Document]) -> Result<bool> {
        self.put_audited(expected, documents, None)
    }

    /// [`put`](Self::put)s, and adds to the audit log who did what: both or neither. An implementation that others can
    /// change by itself MUST have rows for their changes too, and MAY have rows for a put without an audit.
    fn put_audited(&self, expected: u64, documents: &[Document], audit: Option<&Audit>) -> Result<bool>;

    /// The rows of the audit log that the filter takes, newest first. Rows stand in the order of the versions of the
    /// catalogue, and within one in that of its entries; none is ever changed or taken out.
    fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>>;

    /// Rows of the audit log after the last that is [announced](Self::mark_announced), oldest first, at most `limit`. The
    /// caller has them for `lease`, or until they are announced: if several processes use the store, others MUST get none
    /// until then. Costs next to nothing if there is none.
    fn take_unannounced(&self, limit: usize, lease: Duration) -> Result<Vec<AuditRecord>>;

    /// Notes that the rows up to that sequence are announced to followers of changes; whoever had taken them gives them
    /// back. Durable on return. A sequence that is not after those announced before changes nothing else.
    fn mark_announced(&self, sequence: u64) -> Result<()>;

    /// The documents as of that version: of each, the newest at or below it that is no deletion.
    fn at(&self, version: u64) -> Result<Vec<Document>>;

    /// Every version of every document after that version of the catalogue, deletions too, without lists that are forgotten.
    /// An implementation that is not copied MAY refuse.
    fn changed_after(&self, _version: u64) -> Result<Vec<Document>> {
        let detail = "this catalogue is not copied".to_owned();
        Err(StoreError::Refused { action: "reading the catalogue", detail })
    }

    /// Every version of one document, oldest first.
    fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>>;

    /// Forgets who was in the lists of members that stand before that version of the catalogue and that a newer one at or
    /// below it has replaced: lists name users, and old ones are of no use. MUST leave [`at`](Self::at) and
    /// [`history`](Self::history) of everything else as they were; those of a forgotten list leave it out. What stood there MAY be
    /// on the disk until [`purge`](Self::purge).
    fn forget_replaced_members(&self, version: u64) -> Result<()>;

    /// Sees to it that nothing is on the disk any more of what was forgotten; also of what was before the store was last opened.
    /// Gives whether there was anything.
    fn purge(&self) -> Result<bool>;

    /// Waits until the version of the catalogue is another than `known`, at most `patience`; gives the version. MAY
    /// return early. As it stands here it is for stores that no other process changes, whose caller knows of each change.
    fn wait_for_change(&self, known: u64, patience: Duration) -> Result<u64> {
        let version = self.version()?;
        if version == known {
            std::thread::park_timeout(patience);
        }
        self.version()
    }

    /// Another process says that there is a change: looks for it at once, and wakes who [waits](Self::wait_for_change). For
    /// stores that others change.
    fn look(&self) -> Result<()> {
        Ok(())
    }

    /// The fault of the store just now, if it keeps watch on that.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// Checkpoints: each a set of shards and a manifest that makes it whole.
pub trait CheckpointStore: Send + Sync {
    /// Writes a shard of a checkpoint; MUST fail where it is finished. Shards of one that was not finished when the store
    /// was last closed are gone.
    fn put_shard(&self, checkpoint: u64, shard: u32, bytes: &[u8]) -> Result<()>;

    /// Finishes a checkpoint: it MUST NOT be listed before this returns, nor in part after a crash.
    fn finish(&self, checkpoint: u64, manifest: &[u8]) -> Result<()>;

    /// The finished checkpoints, newest first.
    fn list(&self) -> Result<Vec<u64>>;

    /// The same with those that are damaged, which [`list`](Self::list) MAY leave out.
    fn found(&self) -> Result<Vec<u64>> {
        self.list()
    }

    /// The bytes of all shards of a finished checkpoint, where that is known without reading them.
    fn size(&self, checkpoint: u64) -> Result<Option<u64>> {
        self.manifest(checkpoint).map(|_| None)
    }

    /// The manifest of a finished checkpoint.
    fn manifest(&self, checkpoint: u64) -> Result<Vec<u8>>;

    /// A shard of a finished checkpoint; `None` where it has none of that number.
    fn shard(&self, checkpoint: u64, shard: u32) -> Result<Option<Vec<u8>>>;

    /// Deletes one checkpoint, finished or not; one that is not there is deleted already.
    fn remove(&self, checkpoint: u64) -> Result<()> {
        let detail = format!("checkpoint {checkpoint} cannot be removed by itself");
        Err(StoreError::Refused { action: "deleting a checkpoint", detail })
    }

    /// Deletes all but the newest `keep` finished checkpoints, and what unfinished ones left that are older than the
    /// newest finished one; a newer one may be being written.
    fn prune(&self, keep: usize) -> Result<()>;
}
