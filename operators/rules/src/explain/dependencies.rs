//! The dependencies of a segment.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ast::{Node, SegmentId};
use crate::catalogue::{Catalogue, Segment};

/// The dependencies of a segment, through any number of references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// The segments, itself among them.
    pub segments: BTreeSet<SegmentId>,
    /// The computed traits.
    pub traits: BTreeSet<Arc<str>>,
    /// The references in the longest row of them.
    pub depth: usize,
    /// True if users are ranked anywhere.
    pub has_rank: bool,
}

impl Dependencies {
    /// Returns the dependencies of the segment of that id.
    pub fn of(catalogue: &Catalogue, id: &str) -> Dependencies {
        let mut dependencies = Dependencies::default();
        let mut level: BTreeSet<SegmentId> = BTreeSet::from([id.into()]);
        // A row of references has no segment twice, so there are at most as many levels as segments.
        while !level.is_empty() && dependencies.depth <= catalogue.segments.len() {
            let mut next = BTreeSet::new();
            for rules in level.iter().filter_map(|id| catalogue.segments.get(id)).filter_map(Segment::rules) {
                next.extend(rules.segments().into_iter().cloned());
                let computed = rules.fields().into_iter().filter(|field| catalogue.traits.contains_key(*field));
                dependencies.traits.extend(computed.cloned());
                rules.walk(&mut |node| dependencies.has_rank |= matches!(node, Node::Rank(_)));
            }
            dependencies.segments.append(&mut level);
            dependencies.depth += usize::from(!next.is_empty());
            level = next;
        }
        dependencies
    }
}
