//! The changes that the running platform emits, and the memberships that they add up to.

use std::ops::ControlFlow;

use audience_contract::changes::decode;
use audience_contract::{ChangeKind, MembershipChange};
use audience_engine::service::PlatformStores;

use crate::ledger::Members;

/// The memberships by these changes; panics where one changes nothing.
pub fn folded(changes: &[MembershipChange]) -> Members {
    let mut members = Members::new();
    for change in changes {
        let segment = members.entry(change.segment_id.to_string()).or_default();
        let user = change.user_id.to_string();
        let is_new = if change.change == ChangeKind::Entered { segment.insert(user) } else { segment.remove(&user) };
        assert!(is_new, "{change:?} changes nothing");
    }
    members.retain(|_, members| !members.is_empty());
    members
}

/// Every change in the change log.
pub fn given_out(stores: &PlatformStores) -> Vec<MembershipChange> {
    let mut all = Vec::new();
    let read = stores.changes.read(0, &mut |_, bytes| {
        all.extend(decode(bytes).expect("changes are decoded"));
        ControlFlow::Continue(())
    });
    read.expect("the change log is read");
    all
}
