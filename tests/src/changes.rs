//! The log of changes, as the engine gives it out: collected, and folded to members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use audience_contract::changes::decode;
use audience_contract::{ChangeKind, MembershipChange};
use audience_engine::emission::encode;
use audience_engine::engine::{EncodeChanges, EngineFailure, TickDone, TickTaker};
use audience_rules::ast::Millis;
use parking_lot::Mutex;

/// A change of one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tick that brought it.
    pub tick: u64,
    /// Who.
    pub user: String,
    /// The segment.
    pub segment: String,
    /// When.
    pub at: Millis,
    /// Entered, or left.
    pub entered: bool,
    /// The version of the segment.
    pub version: u64,
}

impl Change {
    fn of(tick: u64, change: MembershipChange) -> Change {
        Change {
            tick,
            user: change.user_id.to_string(),
            segment: change.segment_id.to_string(),
            at: change.at,
            entered: change.change == ChangeKind::Entered,
            version: change.version,
        }
    }
}

/// Changes that were given out and are yet to be looked at.
pub type Collected = Arc<Mutex<Vec<Change>>>;

/// The sink that collects the changes of an engine.
pub fn collector() -> (EncodeChanges, TickTaker, Collected) {
    let collected = Collected::default();
    let into = collected.clone();
    let sink = move |done: TickDone| {
        for output in done.outputs {
            let changes = decode(&output.changes).ok().filter(|changes| changes.len() as u64 == output.change_count);
            let changes = changes.ok_or_else(|| EngineFailure::Bug("changes were lost"))?;
            into.lock().extend(changes.into_iter().map(|change| Change::of(done.tick, change)));
        }
        Ok(())
    };
    (encode, Box::new(sink), collected)
}

/// The members that follow from the changes so far.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    members: BTreeMap<String, BTreeSet<String>>,
}

impl Folded {
    /// Takes a change; or says why it cannot follow on those before.
    pub fn take(&mut self, change: &Change) -> Result<(), String> {
        let members = self.members.entry(change.segment.clone()).or_default();
        let is_new = if change.entered { members.insert(change.user.clone()) } else { members.remove(&change.user) };
        if is_new { Ok(()) } else { Err(format!("{change:?} changes nothing")) }
    }

    /// The members of a segment.
    pub fn members(&self, segment: &str) -> BTreeSet<String> {
        self.members.get(segment).cloned().unwrap_or_default()
    }

    /// The segments that anybody is in.
    pub fn segments(&self) -> impl Iterator<Item = &String> {
        self.members.iter().filter(|(_, members)| !members.is_empty()).map(|(segment, _)| segment)
    }
}
