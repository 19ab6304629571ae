//! The log of changes, as the engine gives it out: collected, and folded to members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use audience_dataflow::engine::{Encode, EngineError, Sink, TickDone};
use audience_operators::partition::Partition;
use audience_rules::ast::Millis;
use parking_lot::Mutex;

/// A change of one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tick that brought it.
    pub tick: u64,
    /// Who.
    pub user: String,
    /// Of what.
    pub segment: String,
    /// When.
    pub at: Millis,
    /// Entered, or left.
    pub entered: bool,
    /// The version of the segment.
    pub version: u64,
}

/// Changes that were given out and are yet to be looked at.
pub type Collected = Arc<Mutex<Vec<Change>>>;

/// Writes a worker's changes down, one a line.
fn encode(partition: &mut Partition, out: &mut Vec<u8>) {
    let membership = partition.membership();
    let membership = membership.read();
    for change in &partition.changes {
        let user = membership.users.id(change.user);
        let (segment, version) = (partition.segment(change.segment), partition.version(change.segment));
        out.extend(format!("{user}\t{segment}\t{}\t{}\t{version}\n", change.at, change.entered).into_bytes());
    }
}

fn decode(tick: u64, line: &str) -> Option<Change> {
    let parts: Vec<&str> = line.split('\t').collect();
    let [user, segment, at, entered, version] = parts[..] else { return None };
    Some(Change {
        tick,
        user: user.to_owned(),
        segment: segment.to_owned(),
        at: at.parse().ok()?,
        entered: entered.parse().ok()?,
        version: version.parse().ok()?,
    })
}

/// What an engine is started with so that its changes are collected.
pub fn collector() -> (Encode, Sink, Collected) {
    let collected = Collected::default();
    let into = collected.clone();
    let sink = move |done: TickDone| {
        for output in done.outputs {
            let text = String::from_utf8(output.changes).map_err(|error| EngineError::Stopped(error.to_string()))?;
            let changes: Vec<Change> = text.lines().filter_map(|line| decode(done.tick, line)).collect();
            if changes.len() as u64 != output.change_count {
                return Err(EngineError::Stopped("changes were lost".to_owned()));
            }
            into.lock().extend(changes);
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
