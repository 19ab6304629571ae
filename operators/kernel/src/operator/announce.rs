//! Keeps what came in on its worker, and tells every worker of the aliases among it.
//!
//! An `identify` merges only an id that nobody is named by. The event log knows; it is asked here, once for all workers.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use audience_contract::UserHistory;
use audience_rules::ast::Millis;
use audience_rules::record::{EventRef, RecordKind, records_of};
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::Inward;
use crate::aliases::{Aliases, newest_naming};

/// The effect of a record on who a user is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AliasAction {
    /// This id is merged into the user.
    Merge(String),
    /// This id is merged into the user unless whom it stands for is named.
    Identify {
        /// The id.
        anonymous: String,
        /// The newest place before at which it stood as `userId` itself, if it did. `None`: that was not looked up.
        stood_at: Option<Option<u64>>,
    },
    /// The user is erased.
    Erase,
}

/// An id to be merged into another, or a user to be erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AliasNote {
    /// The place in the order of acceptance.
    pub sequence: u64,
    /// The clock then.
    pub at: Millis,
    /// The user.
    pub user: String,
    /// The effect on them.
    pub action: AliasAction,
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
    known: Rc<RefCell<Aliases>>,
    history: Arc<dyn UserHistory>,
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
                    let aliases = aliases_of(&inward, &known.borrow(), &*history);
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

fn aliases_of(inward: &Inward, known: &Aliases, history: &dyn UserHistory) -> Vec<AliasNote> {
    let Inward::Records(bytes) = inward else { return Vec::new() };
    records_of(bytes, |kind| !matches!(kind, RecordKind::Event | RecordKind::Blank))
        .filter_map(|record| {
            let action = match record.kind() {
                RecordKind::Erasure => AliasAction::Erase,
                _ if record.merges_named() => AliasAction::Merge(record.other()?.to_owned()),
                _ => {
                    let anonymous = record.other()?.to_owned();
                    let stood_at = stood_at(&anonymous, &record, known, history);
                    AliasAction::Identify { anonymous, stood_at }
                }
            };
            let (sequence, at) = (record.sequence(), record.accepted_at());
            Some(AliasNote { sequence, at, user: record.user().to_owned(), action })
        })
        .collect()
}

/// The newest place before a record at which an id stood as `userId`. It is not looked up where the ids are one user as far
/// as is known, since that is mostly so when it matters; nor where the log does not answer: who needs it asks again.
fn stood_at(anonymous: &str, record: &EventRef<'_>, known: &Aliases, history: &dyn UserHistory) -> Option<Option<u64>> {
    let root = |id: &str| known.root(id).map_or_else(|| id.to_owned(), |root| root.to_string());
    if root(anonymous) == root(record.user()) {
        return None;
    }
    let found = history.of_users(&[anonymous], record.sequence()).ok()?;
    Some(newest_naming(&found, &[(anonymous.to_owned(), 0)], record.sequence()))
}
