//! Errors of a platform.

use std::fmt;

use audience_rules::fault::Fault;

/// A reason why the platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The named thing does not exist.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// The kind of thing.
        kind: ResourceKind,
        /// Its id.
        id: String,
    },
    /// A thing of that id exists already.
    #[error("a {kind} {id:?} exists already; replace it, or choose another id")]
    Exists {
        /// The kind of thing.
        kind: ResourceKind,
        /// Its id.
        id: String,
    },
    /// The version that the caller named is not the current one.
    #[error("the current version is {current}, not {expected}; read it again and repeat the change")]
    VersionMismatch {
        /// The version that the caller named.
        expected: u64,
        /// The current version.
        current: u64,
    },
    /// The request is faulty, in these places.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// The change would break what refers to the thing, or is not possible in this state.
    #[error("{message}")]
    Conflict {
        /// The kind of obstacle.
        kind: ConflictKind,
        /// The obstacle, and the way round it.
        message: String,
    },
    /// Too much is waiting.
    #[error("the platform is busy; try again in {retry_after_seconds} s")]
    Busy {
        /// Seconds until another attempt makes sense.
        retry_after_seconds: u64,
    },
    /// A store or the engine cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// A store failed while it wrote: what was asked may have come to pass, or may not.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// Only a process with an engine can answer, which this one is not.
    #[error("only a server with an engine knows {0}, and this one has none; ask one that has, or let this one ask it")]
    NeedsEngine(&'static str),
}

/// A kind of thing that has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A segment.
    Segment,
    /// A computed trait.
    Trait,
    /// A user.
    User,
    /// A webhook.
    Webhook,
    /// A content.
    Content,
    /// A campaign.
    Campaign,
    /// A link that unsubscribes.
    UnsubscribeLink,
    /// A sink whose store can be compared with the memberships.
    Sink,
    /// An earlier version of a segment or a trait.
    Version,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ResourceKind::Segment => "segment",
            ResourceKind::Trait => "trait",
            ResourceKind::User => "user",
            ResourceKind::Webhook => "webhook",
            ResourceKind::Content => "content",
            ResourceKind::Campaign => "campaign",
            ResourceKind::UnsubscribeLink => "link that unsubscribes",
            ResourceKind::Sink => "sink that can be compared",
            ResourceKind::Version => "version",
        })
    }
}

/// A kind of obstacle to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// The segment is archived.
    Archived,
    /// The segment's lifecycle has no such step.
    WrongStatus,
    /// The earlier version is of another type.
    OtherType,
    /// The earlier version's list is forgotten.
    ListForgotten,
    /// The segment has rules, not a list.
    NotStatic,
    /// Segments or rules refer to it.
    Referenced,
    /// There are as many of them as there may be.
    TooMany,
    /// More references in a row than are followed.
    TooDeep,
    /// The instance has data of its own.
    NotEmpty,
    /// There are more events than may be gone through.
    TooManyEvents,
    /// The segment's rule has no rank, or has no members to be ranked.
    NoRank,
}

impl ConflictKind {
    /// The stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            ConflictKind::Archived => "archived",
            ConflictKind::WrongStatus => "wrong_status",
            ConflictKind::OtherType => "other_type",
            ConflictKind::ListForgotten => "list_forgotten",
            ConflictKind::NotStatic => "not_static",
            ConflictKind::Referenced => audience_rules::fault::code::REFERENCED,
            ConflictKind::TooMany => "too_many",
            ConflictKind::TooDeep => audience_rules::fault::code::TOO_DEEP,
            ConflictKind::NotEmpty => "not_empty",
            ConflictKind::TooManyEvents => "too_many_events",
            ConflictKind::NoRank => "no_rank",
        }
    }
}

/// The platform's answer.
pub type Result<T, E = PlatformError> = std::result::Result<T, E>;

/// Refuses what only a process with an engine can answer: `subject` is the topic of the sentence that says so.
pub(crate) fn needs_engine<T, Asked>(subject: &'static str, _: Asked) -> Result<T> {
    Err(PlatformError::NeedsEngine(subject))
}
