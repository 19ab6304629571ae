//! What the APIs ask of the platform behind them: one trait, plain data, no engine and no HTTP.
//!
//! Every method MAY block (on a commit to disk, on a worker); an asynchronous caller runs it on a thread of its own.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod catalogue;
mod health;
mod live;
pub mod people;
mod preview;
mod segments;
mod sizes;
mod users;
mod webhooks;

use audience_rules::fault::Fault;
use serde_json::value::RawValue;

pub use catalogue::{AUDIT_ACTIONS, AUDIT_KINDS, AuditItem, AuditQuery, MembersChange, MembersMode, MembersOutcome};
pub use health::{ComponentHealth, Health};
pub use live::{ChangeFilter, ChangePlace, ChangesRead, GivenChange, VisitChange};
pub use people::{Explanation, Schema, SystemView, UserEventQuery, UserId, UserQuery};
pub use preview::{MissingOnly, Preview, PreviewInput, PreviewPhase, PreviewProgress};
pub use segments::{
    FaultyDocument, Page, SegmentDocument, SegmentInput, SegmentKind, SegmentQuery, SegmentView, TraitDocument,
    Transition,
};
pub use sizes::{Growth, GrowthSince, Overlap, Overlaps, SizeHistory, SizePoint, SizeQuery, SizesNow};
pub use users::{UserSegment, UserView};
pub use webhooks::{
    Webhook, WebhookAction, WebhookChange, WebhookDelivery, WebhookFigures, WebhookInput, WebhookStatus, WebhookView,
};

/// The target of the spans that are exported. Nobody else looks at them, and without an exporter they cost nothing.
pub const SPANS: &str = "audience::span";

/// Why the platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// segment, trait, user
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// One of that id exists.
    #[error("a {kind} {id:?} exists already; use PUT to replace it")]
    Exists {
        /// segment, trait
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The version that the caller named is not the current one.
    #[error("the current version is {current}, not {expected}; read it again and repeat the change")]
    VersionMismatch {
        /// What the caller named.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// The request is faulty, in these places.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// It would break what refers to it, or is not possible in this state.
    #[error("{message}")]
    Conflict {
        /// A stable word.
        code: &'static str,
        /// What is in the way, and the way out.
        message: String,
    },
    /// Too much is waiting; try again.
    #[error("the platform is busy; try again in {retry_after_seconds} s")]
    Busy {
        /// When.
        retry_after_seconds: u64,
    },
    /// A store or the engine is not able to answer now.
    #[error("{0}")]
    Unavailable(String),
    /// Only a process with an engine can answer, which this one is not.
    #[error("{0} is known where the engine runs: ask there, or start this process with --engine URL")]
    NeedsEngine(&'static str),
}

/// The platform's answer.
pub type Result<T, E = PlatformError> = std::result::Result<T, E>;

/// What the APIs ask of the platform.
///
/// One that is a part of the whole only implements what it can do; the rest is refused with
/// [`PlatformError::NeedsEngine`].
pub trait Platform: Send + Sync + 'static {
    /// Accepts events (flat records, one behind the other; `count` of them); returns when they are durable. The
    /// platform sets their sequence numbers. [`PlatformError::Busy`] where too much is waiting.
    fn ingest(&self, records: Vec<u8>, count: usize) -> Result<()> {
        without_engine("events", (records, count))
    }

    /// Creates a segment; with the rules' faults below `/rules`. Returns when it is in force and wholly served, or,
    /// where history must be scanned for longer than two seconds, with `effective: false`.
    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        without_engine("segments", (input, author))
    }

    /// Replaces a segment. `expected` is the version that the caller read.
    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        without_engine("segments", (id, input, expected, author))
    }

    /// A lifecycle step.
    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        without_engine("segments", (id, to, note, expected, author))
    }

    /// Makes a new version with the content of an earlier one: everything but the status, which stays. What is archived
    /// or deleted comes back as INACTIVE, so that nobody enters before it is looked at.
    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        without_engine("segments", (id, version, note, expected, author))
    }

    /// Deletes a segment.
    fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        without_engine("segments", (id, expected, author))
    }

    /// A segment.
    fn segment(&self, id: &str) -> Result<SegmentView> {
        without_engine("segments", id)
    }

    /// Segments in order of their ids.
    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        without_engine("segments", query)
    }

    /// What rules would change if they were in force: exact, as of one instant of the running engine; nothing is saved or given
    /// out. Calls `watch` every now and then; stops where that gives false.
    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        without_engine("what a rule would change", (input, watch))
    }

    /// Every version of a segment since it was created last, oldest first; also of one that is deleted.
    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        without_engine("segments", id)
    }

    /// Members in order of their ids by bytes, after `after`, at most `limit`.
    fn members(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Page<String>> {
        without_engine("who the members of a segment are", (id, after, limit))
    }

    /// Changes the members of a static segment.
    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        without_engine("lists of members", (id, change, expected, author))
    }

    /// Who changed what, newest first. The cursor is a sequence.
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        without_engine("the audit log", query)
    }

    /// Creates (`expected` = Some(0)) or replaces a computed trait, from its definition.
    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        without_engine("computed traits", (definition, expected, author))
    }

    /// Deletes a computed trait.
    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        without_engine("computed traits", (name, expected, author))
    }

    /// A computed trait.
    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        without_engine("computed traits", name)
    }

    /// All computed traits in order of their names.
    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        without_engine("computed traits", ())
    }

    /// Documents that were stored by other ways than this API, and do not run.
    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        without_engine("segments and traits", ())
    }

    /// The segments that a user is in now; none for an unknown user. Fast: reads memory only, unless
    /// [`reads_block`](Self::reads_block).
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        without_engine("which segments a user is in", id)
    }

    /// Whether [`user_segments`](Self::user_segments) asks a store and may wait for it.
    fn reads_block(&self) -> bool {
        false
    }

    /// What is known of a user; reads the user's history.
    fn user(&self, id: &str) -> Result<UserView> {
        without_engine("a user's history", id)
    }

    /// Writes all that is held of a user as one JSON document (a [`UserView`] with `events`: every event under any of
    /// the user's ids, in the order of acceptance, also those that count for nothing) and gives it to `take` in pieces of at
    /// most a few MiB; stops early where that gives false. An error behind the first piece leaves the document unfinished.
    /// What stands before the events is computed from the user's history, which is in memory as long as that takes.
    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        without_engine("a user's history", (id, take))
    }

    /// Erases a user: everything accepted under any of the ids that are this user, and their entries in lists. When this
    /// returns the user is unknown, in no segment, and each of the ids is one by itself; nothing of what was accepted
    /// counts any more. Their data leaves log and checkpoints with the next two checkpoints, and the files within a day. A user
    /// of whom nothing is held is erased already.
    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        without_engine("what is held of a user", (id, author))
    }

    /// Why a user is in a segment, or is not, now or at an instant: by the rules in force then, or where it is older than
    /// the segment, by the first version. Reads the user's history; where the rules rank users, that of all users, unless
    /// they are too many.
    fn explain(&self, user: &str, segment: &str, at: Option<i64>) -> Result<Explanation> {
        without_engine("why a user is in a segment", (user, segment, at))
    }

    /// Known users in order of their ids by bytes.
    fn users(&self, query: &UserQuery) -> Result<Page<UserId>> {
        without_engine("which users there are", query)
    }

    /// A user's events as an export has them: by timestamp, the newest first, then by acceptance.
    fn user_events(&self, id: &str, query: &UserEventQuery) -> Result<Page<Box<RawValue>>> {
        without_engine("a user's history", (id, query))
    }

    /// What events and traits look like.
    fn schema(&self) -> Result<Schema> {
        without_engine("what events look like", ())
    }

    /// How the system is.
    fn system(&self) -> Result<SystemView> {
        without_engine("how the engine is", ())
    }

    /// Where the changes given out end now.
    fn newest_change(&self) -> Result<ChangePlace> {
        without_engine("which memberships change", ())
    }

    /// Has `wake` called whenever more changes are given out, for as long as the platform lives. It must be quick.
    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<()> {
        without_engine("which memberships change", wake)
    }

    /// Visits the changes from that place on that are wanted, until `visit` breaks off or all are visited. Those of
    /// recent ticks are in memory; others are read from the log, only where the call may wait for that.
    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        let _ = visit;
        without_engine("which memberships change", (from, filter, may_wait))
    }

    /// How large all segments are.
    fn sizes_now(&self) -> Result<SizesNow> {
        without_engine("sizes as they change", ())
    }

    /// How large a segment was over time, as finely as is kept of that age.
    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        without_engine("how large segments were", (id, query))
    }

    /// How many are in a segment and in each of the others.
    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        without_engine("who the members of a segment are", (id, others))
    }

    /// Gives all members of a segment as of one moment, in no order, to `take` in pieces of a few thousand; stops early
    /// where that gives false.
    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        without_engine("who the members of a segment are", (id, take))
    }

    /// Creates a target that changes are posted to from now on; shows its key, once.
    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        without_engine("webhooks", (input, author))
    }

    /// Replaces what is asked for. `expected` is the version that the caller read.
    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        without_engine("webhooks", (id, input, expected, author))
    }

    /// Does something with a target.
    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        without_engine("webhooks", (id, action, expected, author))
    }

    /// Deletes a target: nothing more is posted to it.
    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        without_engine("webhooks", (id, expected, author))
    }

    /// A target.
    fn webhook(&self, id: &str) -> Result<WebhookView> {
        without_engine("webhooks", id)
    }

    /// All targets, in order of their ids.
    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        without_engine("webhooks", ())
    }

    /// The latest attempts to post to a target, newest first.
    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        without_engine("webhooks", id)
    }

    /// Posts a message to a target that says nothing but that it is a test.
    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        without_engine("webhooks", id)
    }

    /// Health.
    fn health(&self) -> Health;

    /// Metrics of the platform in the OpenMetrics text form, without the closing `# EOF`.
    fn metrics(&self) -> String;
}

fn without_engine<T, Asked>(what: &'static str, _: Asked) -> Result<T> {
    Err(PlatformError::NeedsEngine(what))
}
