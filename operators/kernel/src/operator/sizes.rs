//! The size of every segment over all workers: the one count of the memberships.
//!
//! Law: the sizes below a tick are exact once every worker has reported them up to that tick.
//! Cost: a tick's changed segments, not its changes or the population.

use std::collections::BTreeMap;

use audience_rules::ast::SegmentId;
use differential_dataflow::operators::CountTotal;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use super::memberships::MembershipCollections;
use super::{Outward, STRIDE, SizesCounted};
use crate::worker::SegmentNames;

/// Counts the memberships by segment. Reports after every tick, whether a size changed or not.
pub fn sizes<'scope>(
    memberships: MembershipCollections<'scope>,
    names: SegmentNames,
) -> StreamVec<'scope, u64, Outward> {
    let sizes = memberships.by_segment().map(move |segment| names.borrow()[segment as usize].clone()).count_total();
    sizes.inner.unary_frontier(Pipeline, "Sizes", |capability, _| {
        let mut capability = Some(capability);
        let mut waiting: BTreeMap<(u64, SegmentId), u64> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each_time(|_, batches| {
                for ((segment, size), at, difference) in batches.flat_map(|batch| batch.drain(..)) {
                    let known = waiting.entry((at, segment)).or_default();
                    // A retraction without a new size leaves the segment empty.
                    if difference > 0 {
                        *known = u64::try_from(size).unwrap_or(0);
                    }
                }
            });
            let Some(held) = &mut capability else { return };
            let end = frontier.frontier().first().copied();
            if end == Some(*held.time()) {
                return;
            }
            let later = match end {
                Some(end) => waiting.split_off(&(end, SegmentId::from(""))),
                None => BTreeMap::new(),
            };
            let counted = std::mem::replace(&mut waiting, later);
            let sizes = counted.into_iter().map(|((_, segment), size)| (segment, size)).collect();
            let below = end.map_or(u64::MAX, |end| end.div_ceil(STRIDE));
            output.session(&*held).give(Outward::Sizes(SizesCounted { below, sizes }));
            match end {
                Some(end) => held.downgrade(&end),
                None => capability = None,
            }
        }
    })
}
