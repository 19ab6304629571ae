//! The changes of a worker's tick, as the change log keeps them.

use std::sync::Arc;

use audience_contract::ChangeKind;
use audience_contract::changes::{self, ChangeNames, NumberedChange};
use audience_kernel::membership::Membership;
use audience_kernel::message::WorkerChange;
use audience_kernel::worker::WorkerState;

/// The names that a worker's numbers stand for.
struct WorkerNames<'a> {
    worker: &'a WorkerState,
    membership: &'a Membership,
}

impl ChangeNames for WorkerNames<'_> {
    fn user(&self, number: u32) -> &str {
        self.membership.users.id(number)
    }

    fn segment(&self, number: u32) -> (Arc<str>, u64) {
        (self.worker.segments().name(number).clone(), self.worker.segments().version(number))
    }
}

/// Appends the changes of a worker's tick as one block; nothing if there are none.
pub fn encode(worker: &mut WorkerState, out: &mut Vec<u8>) {
    if worker.output.changes.is_empty() {
        return;
    }
    let membership = worker.membership();
    let membership = membership.read();
    let names = WorkerNames { worker, membership: &membership };
    let numbered = |change: &WorkerChange| NumberedChange {
        user: change.user,
        segment: change.segment,
        change: if change.entered { ChangeKind::Entered } else { ChangeKind::Left },
        at: change.at,
        cause: change.cause,
    };
    changes::encode(worker.output.changes.iter().map(numbered), &names, out);
}
