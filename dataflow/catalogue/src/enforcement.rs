//! The boundary to the engine: the catalogue decides which version is to be in force, an [`Enforcement`] brings it
//! about.

use std::sync::Arc;

use audience_protocol::ValueCounts;
use audience_rules::ast::{Node, SegmentId};

use crate::documents::Documents;

/// The side that makes memberships follow the catalogue: the running engine.
///
/// One thread calls it, by [`Editor::reconcile`](crate::Editor::reconcile), one call at a time. An error ends that
/// thread: nothing comes into force afterwards.
pub trait Enforcement {
    /// A failure of the engine.
    type Error;

    /// Brings a catalogue version into force. Returns once memberships follow it.
    fn enforce(&mut self, documents: &Documents) -> Result<(), Self::Error>;

    /// Counts what a rule would change; publishes nothing. While it scans history it calls `watch` with the events
    /// scanned and the events to scan, and returns `None` where that says to stop.
    fn preview(
        &mut self,
        rule: &PreviewedRule,
        watch: &(dyn Fn(u64, u64) -> bool + Sync),
    ) -> Result<Option<PreviewCounts>, Self::Error>;

    /// Frees what the last preview left for the next one, if that is old. Returns whether it freed anything. Called
    /// while nothing waits.
    fn free_preview(&mut self) -> Result<bool, Self::Error>;
}

/// A checked rule whose effect is asked for.
pub struct PreviewedRule {
    /// The rule.
    pub rule: Node,
    /// The documents that it was checked against.
    pub documents: Arc<Documents>,
    /// The active segment whose members it is compared with, if there is one.
    pub against: Option<SegmentId>,
    /// The most users of each kind that a worker names.
    pub samples: u32,
    /// The segment whose members are counted by their value of what the rule tests, if that is asked for.
    pub break_down: Option<SegmentId>,
}

/// The effect that a rule would have.
#[derive(Clone, Debug, Default)]
pub struct PreviewCounts {
    /// Users who are known.
    pub users: u64,
    /// Users for whom the rule holds.
    pub members: u64,
    /// Users who would enter.
    pub entered: CountedUsers,
    /// Users who would leave.
    pub left: CountedUsers,
    /// Members who are so only since a value is missing.
    pub by_missing: CountedUsers,
    /// The members of a segment by value, if that was asked for.
    pub values: Option<ValueCounts>,
    /// True if history was scanned for it.
    pub is_history_scanned: bool,
}

/// A number of users, with some of them by name.
#[derive(Clone, Debug, Default)]
pub struct CountedUsers {
    /// The number.
    pub count: u64,
    /// Some of them, worker by worker.
    pub sample: Vec<String>,
}
