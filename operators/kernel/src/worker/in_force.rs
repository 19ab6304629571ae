//! The rules and lists that are in force on one worker, or about to be.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_rules::ast::SegmentId;
use hashbrown::HashMap;

use crate::registry::RuleId;

/// A published segment.
pub(super) struct PublishedSegment {
    /// Its number.
    pub(super) index: u32,
    pub(super) rule: Option<RuleId>,
}

/// Segments that are published, and rules that are installed for them.
#[derive(Default)]
pub(super) struct RulesInForce {
    pub(super) published: HashMap<SegmentId, PublishedSegment>,
    /// The rules of those that have one.
    pub(super) rules: HashMap<SegmentId, RuleId>,
    /// The ids that those which are lists name.
    pub(super) lists: HashMap<SegmentId, Arc<BTreeSet<Arc<str>>>>,
    /// Rules that are computed and not yet published.
    pub(super) installed: HashMap<SegmentId, RuleId>,
}
