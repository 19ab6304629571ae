//! The size of every segment over all workers: a differential count of the membership collection.
//!
//! Each worker gives, a tick, by how much each of its segments grew or shrank; the count of that collection is exact at
//! every tick, whichever workers hold the members. Cost: what changed, not what is.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::CountTotal;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use super::Outward;

/// A segment's growth in a tick, as a differential update.
pub type Growth = (String, u64, isize);

/// The operator.
pub fn sizes<'scope>(growth: StreamVec<'scope, u64, Growth>) -> StreamVec<'scope, u64, Outward> {
    let counted = growth.as_collection().count_total();
    counted.inner.unary(Pipeline, "Sizes", |_, _| {
        move |input, output| {
            input.for_each_time(|time, data| {
                let mut latest: BTreeMap<(u64, String), i64> = BTreeMap::new();
                for ((segment, size), at, difference) in data.flat_map(|batch| batch.drain(..)) {
                    let known = latest.entry((at, segment)).or_default();
                    // The old size is taken back in the same tick, or the segment is empty now.
                    if difference > 0 {
                        *known = size as i64;
                    }
                }
                let sizes = latest.into_iter().map(|((_, segment), size)| (segment, size)).collect();
                output.session(&time).give(Outward::Sizes(sizes));
            });
        }
    })
}
