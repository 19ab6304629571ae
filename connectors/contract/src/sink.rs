//! Sinks of membership changes: each follows the change log exactly once.
//!
//! Whoever feeds a sink does, on a thread of its own:
//!
//! 1. [`Sink::open`], which says how far it reaches;
//! 2. where it reaches everybody, reads the change log behind that tick and [`Sink::write`]s tick by tick, or several as
//!    the last of them;
//! 3. where it holds nothing and does not [keep history](Sink::keeps_history), or was [`clear`](Sink::clear)ed because the change log does not go back that far, is behind it, or
//!    is another than the one it holds the changes of: takes the memberships as of one progress, and writes them in pieces,
//!    user by user in the order of their ids, each reaching up to its last user ([`Reach::Users`]), the last one everybody;
//! 4. where such pieces were broken off: first writes the changes since then of the users that they reach, up to a newer
//!    progress, then the users behind as of that one;
//! 5. after any error, begins again at 1.
//!
//! If a write or a clearing may be broken off in the middle ([`Sink::is_transactional`]), what is half there must be known for
//! what it is. So before the first change a reach is written that nothing has come to yet (tick 0, or users up to the id
//! that is empty), before a clearing one that nobody goes on from, and with 4 whoever left among the users behind leaves,
//! as a piece that was broken off may have entered them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Progress, ServingStore};

/// Why a membership changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// An event.
    Event,
    /// Time alone.
    Time,
    /// An edit of a rule or a list.
    Rule,
    /// A merge of two users.
    Merge,
    /// The erasure of a user.
    Erasure,
}

/// Which way a membership changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The user is a member now.
    Entered,
    /// The user is no longer one.
    Left,
}

/// A change of one membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MembershipChange {
    /// The user.
    pub user_id: Arc<str>,
    /// The segment.
    pub segment_id: Arc<str>,
    /// Which way.
    pub change: ChangeKind,
    /// When, milliseconds.
    pub at: i64,
    /// The segment's version.
    pub version: u64,
    /// Why.
    pub cause: Cause,
}

/// How far a sink reaches: it holds every change up to `progress` of the users it speaks of, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// All changes of every user.
    All(Progress),
    /// All changes of users whose ids are at or below `up_to`, by bytes; nothing yet of the others.
    Users {
        /// Up to which tick.
        progress: Progress,
        /// The last user's id.
        up_to: String,
    },
}

impl Reach {
    /// A reach that nobody goes on from: it is ahead of every change log.
    pub fn nowhere() -> Reach {
        Reach::All(Progress { tick: u64::MAX, ..Progress::default() })
    }

    /// Up to which tick.
    pub fn progress(&self) -> Progress {
        match self {
            Reach::All(progress) | Reach::Users { progress, .. } => *progress,
        }
    }
}

/// A fault of a sink. After any of them the sink MUST be opened again, which says what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It cannot be written just now. Whether the last write is in it is not known before it is opened again.
    #[error("{0}; trying again")]
    Transient(String),
    /// It cannot be written, and will not be by trying again (no permission, wrong settings).
    #[error("{0}")]
    Fatal(String),
    /// Another process has opened the sink since: this one writes no more.
    #[error("{0} has been taken over by a later process; this one stops writing to it")]
    Fenced(String),
    /// The sink's progress cannot be read.
    #[error("what {sink} says of its progress cannot be read: {detail}")]
    Corrupt {
        /// The sink.
        sink: String,
        /// The text found.
        detail: String,
    },
}

/// A medium that membership changes are given out to.
///
/// One writer owns it: methods are called one at a time, and MAY block. [`open`](Self::open) is called first, and after
/// every error. Where users are dealt over several [writers](SharedSink), each has a sink of its own, and speaks only of its
/// users.
pub trait Sink: Send {
    /// The name in logs and figures.
    fn name(&self) -> &str;

    /// How many changes are best written at once where many are waiting. A sink that keeps what is, and not how it came to
    /// that, writes the [last](crate::LastChanges) of each membership alone: the more at once, the fewer are left.
    fn changes_at_once(&self) -> usize {
        10_000
    }

    /// How long there is to be at least from the beginning of one write to that of the next where changes come one by one,
    /// so that several share a write where each costs the medium much.
    fn interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns whether a write or a clearing is there whole, with its reach, or not at all, whatever happens in the middle of it.
    fn is_transactional(&self) -> bool;

    /// Returns whether its readers read how memberships came about. Then a sink that holds nothing is written all changes, as
    /// long as the change log has them. Otherwise it is written those who are members, since earlier states of a user would be
    /// wrong while they last.
    fn keeps_history(&self) -> bool {
        true
    }

    /// The store as its readers find it, over a connection of its own, and with what this writer says alone. Whoever feeds the
    /// sink looks at its [state](ServingStore::state) all the while: so it is noticed within seconds that the store is away, or
    /// has lost what it held, though nothing is written to it.
    fn store(&self) -> Option<Box<dyn ServingStore>> {
        None
    }

    /// Why it could not be written if there were anything, as far as that is known; asked while there is nothing. MAY take a
    /// second where it is in doubt.
    fn fault(&self) -> Option<String> {
        None
    }

    /// A notice for operators though it is written: records that it could not take, and left out.
    fn notice(&self) -> Option<String> {
        None
    }

    /// Users whose records were not there before the last write, which has made them: they are new, or somebody has deleted
    /// them, and then the record is not whole. MAY leave out users where many were written.
    fn take_created(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Takes the sink over, and gives how far it reaches; `None` where it holds nothing. An earlier writer MUST NOT be
    /// able to add anything from then on, and its unfinished write MUST be either whole in what is given or never seen
    /// by readers: so it is shut out first, and the reach is read afterwards.
    fn open(&mut self) -> Result<Option<Reach>, SinkError>;

    /// Writes changes (none, perhaps), in their order, with the reach that they bring. Of any user's changes, readers
    /// MUST see the order of writing.
    ///
    /// If the medium can (a transaction), readers and the reach MUST get all or nothing. If it cannot, each change
    /// MUST be such that writing it twice is writing it once, and the reach MUST be written behind all of them, so that
    /// a write that was broken off is repeated whole.
    ///
    /// MUST be durable on return as far as the medium is.
    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError>;

    /// The changes that would let every user leave whom `owns` names, at the clock of `progress`, of all that readers find: so a
    /// sink whose position leads nowhere is written what differs, and goes on. `None` where it does not say what it holds; then
    /// it is [cleared](Self::clear) and filled. Reads all of the medium.
    fn leaves(
        &mut self,
        _progress: Progress,
        _owns: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<MembershipChange>>, SinkError> {
        Ok(None)
    }

    /// Lets every user leave that `owns` names, at the clock of `progress`, and forgets how far it reached: the sink holds
    /// nothing of them then. Where it is broken off, and the medium cannot take it back, the reach MUST still be the one
    /// from before, which says that nobody can go on from there; calling it again goes on.
    fn clear(&mut self, progress: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError>;
}

/// Says whose users a writer writes.
pub type Owns = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// One of several who write to a medium side by side.
pub struct Writer {
    /// The writers of the sink.
    pub sink: Box<dyn Sink>,
    /// Its users.
    pub owns: Owns,
}

/// The writers that users are dealt over: each user is one's.
pub enum Writers {
    /// As many as are wanted.
    AsWanted(Vec<Writer>),
    /// As they were before: they are to be brought to one progress, and then users are [dealt](SharedSink::deal) anew.
    AsBefore(Vec<Writer>),
}

/// A medium that several write to at once, each the changes of its users.
///
/// Whoever feeds it calls [`open`](Self::open), [`deal`](Self::deal)s where that is asked for, feeds each of the writers as a
/// [`Sink`], and begins again after any error of any of them.
pub trait SharedSink: Send {
    /// The name in logs and figures.
    fn name(&self) -> &str;

    /// Takes the medium over. Whoever opened it before MUST NOT be able to deal users from then on, and their writers MUST NOT
    /// be able to add anything once those given here are opened.
    fn open(&mut self) -> Result<Writers, SinkError>;

    /// Deals users over as many writers as are wanted, where those before have all been brought to `reach` and are not used any
    /// more. MUST be all or nothing, whenever it is broken off: the writers have that reach, or those before them have.
    fn deal(&mut self, reach: &Reach) -> Result<Vec<Writer>, SinkError>;
}
