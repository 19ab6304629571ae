//! Keeps what came in on its worker, and tells every worker of the aliases among it.

use audience_rules::ast::Millis;
use audience_rules::record::{RecordKind, records};
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::Inward;

/// An id to be merged into another, or a user to be erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AliasNote {
    /// The place in the order of acceptance.
    pub sequence: u64,
    /// The clock then.
    pub at: Millis,
    /// Who is merged into the user; `None`: the user is erased.
    pub previous: Option<String>,
    /// The user.
    pub user: String,
}

/// The news of one input that every worker gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// The worker that it is for.
    pub worker: u64,
    /// The aliases in it.
    pub aliases: Vec<AliasNote>,
}

/// The operator.
pub fn announce<'scope>(
    input: StreamVec<'scope, u64, Inward>,
) -> (StreamVec<'scope, u64, Inward>, StreamVec<'scope, u64, Announcement>) {
    let scope = input.scope();
    let peers = scope.peers() as u64;
    let mut builder = OperatorBuilder::new("Announce".to_owned(), scope);
    let mut input = builder.new_input(input, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (local, local_stream) = builder.new_output();
    let (told, told_stream) = builder.new_output();
    let mut local = OutputBuilder::from(local);
    let mut told = OutputBuilder::from(told);
    builder.build(move |_| {
        move |_| {
            let mut local = local.activate();
            let mut told = told.activate();
            input.for_each_time(|time, data| {
                let mut local = local.session(&time);
                let mut told = told.session(&time);
                for inward in data.flat_map(|batch| batch.drain(..)) {
                    let aliases = aliases_of(&inward);
                    if !aliases.is_empty() {
                        let telling = |worker| Announcement { worker, aliases: aliases.clone() };
                        told.give_iterator((0..peers).map(telling));
                    }
                    local.give(inward);
                }
            });
        }
    });
    (local_stream, told_stream)
}

fn aliases_of(inward: &Inward) -> Vec<AliasNote> {
    let Inward::Records(bytes) = inward else { return Vec::new() };
    records(bytes)
        .filter(|record| record.kind() != RecordKind::Event)
        .filter_map(|record| {
            let previous = match record.kind() {
                RecordKind::Erasure => None,
                _ => Some(record.other()?.to_owned()),
            };
            let (sequence, at) = (record.sequence(), record.accepted_at());
            Some(AliasNote { sequence, at, previous, user: record.user().to_owned() })
        })
        .collect()
}
