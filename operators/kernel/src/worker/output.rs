//! The changes that a worker gives out.

use audience_rules::ast::Millis;
use roaring::RoaringBitmap;

use crate::message::{Cause, RankInput, WorkerChange};
use crate::registry::Registry;

/// Membership changes and messages to the ranks since they were last taken.
#[derive(Default)]
pub struct WorkerOutput {
    /// Membership changes.
    pub changes: Vec<WorkerChange>,
    /// True if there was a merge since changes were last netted: a merge gives them out one by one.
    pub has_merged: bool,
    pub(super) rank_inputs: Vec<RankInput>,
}

impl WorkerOutput {
    /// Takes out what the ranks up to a depth are to be told.
    pub(super) fn take_rank_inputs(&mut self, registry: &Registry, depth: u32) -> Vec<RankInput> {
        if self.rank_inputs.is_empty() {
            return Vec::new();
        }
        let is_due = |input: &RankInput| match input {
            RankInput::Define { .. } | RankInput::Drop { .. } => true,
            RankInput::Entry { rank, .. } => registry.ranks.get(*rank).is_none_or(|entry| entry.depth <= depth),
        };
        let (due, later) = std::mem::take(&mut self.rank_inputs).into_iter().partition(is_due);
        self.rank_inputs = later;
        due
    }

    /// Notes the change of every member of a bitmap by a rule.
    pub(super) fn note(&mut self, users: &RoaringBitmap, segment: u32, entered: impl Fn(u32) -> bool, at: Millis) {
        self.changes.extend(users.iter().map(|user| WorkerChange {
            user,
            segment,
            at,
            entered: entered(user),
            cause: Cause::Rule,
        }));
    }

    /// Takes out changes that came and went within a second, for ticks in which ranks, edits or merges were settled in
    /// steps.
    pub fn net(&mut self) {
        self.has_merged = false;
        // Stable, so that of equal keys the order in which they came about is kept.
        self.changes.sort_by_key(|change| (change.user, change.segment));
        let mut kept: Vec<WorkerChange> = Vec::with_capacity(self.changes.len());
        for change in self.changes.drain(..) {
            match kept.last() {
                Some(last)
                    if (last.user, last.segment) == (change.user, change.segment)
                        && last.entered != change.entered
                        && last.at.div_euclid(1000) == change.at.div_euclid(1000) =>
                {
                    kept.pop();
                }
                _ => kept.push(change),
            }
        }
        self.changes = kept;
    }
}
