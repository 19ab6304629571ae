//! The ranks, each on one worker.

use std::collections::BTreeMap;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::message::{RankChange, RankInput};
use crate::rank::Ranks;

/// The operator: takes users' places, gives who came in and who fell out.
pub fn ranks<'scope>(inputs: StreamVec<'scope, u64, RankInput>) -> StreamVec<'scope, u64, RankChange> {
    inputs.unary_frontier(Exchange::new(|input: &RankInput| u64::from(input.rank())), "Ranks", |_, _| {
        let mut ranks = Ranks::default();
        let mut waiting: BTreeMap<u64, (Capability<u64>, Vec<RankInput>)> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each_time(|time, data| {
                let entry = waiting.entry(*time.time()).or_insert_with(|| (time.retain(0), Vec::new()));
                data.for_each(|batch| entry.1.append(batch));
            });
            while let Some(first) = waiting.first_entry() {
                if frontier.less_equal(first.key()) {
                    break;
                }
                let (capability, inputs) = first.remove();
                output.session(&capability).give_iterator(ranks.apply(inputs).into_iter());
            }
        }
    })
}
