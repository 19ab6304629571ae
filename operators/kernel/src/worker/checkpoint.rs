//! Shards of user rows, encoded for a checkpoint and restored from one.
//!
//! Law: a shard names the first event that is not in it, so shards of one checkpoint may be taken at different moments.
//! Users are independent of each other, and each is replayed from where its shard ends. Memberships are not written: they
//! follow from the rows and the rules in force, and computing them costs no more than reading them.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_rules::ast::{Node, Sequence};
use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_behaviour, parse_rules};
use audience_rules::unparse::{behaviour_to_json, node_to_json};
use audience_rules::zone::ZoneId;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::membership::SHARDS;
use crate::program::MeasureKey;
use crate::question::{Asks, UserQuestion};
use crate::registry::Boundary;

use super::rows::PendingEvent;
use super::{OperatorError, WorkerState};

/// A measure's key in the rule language.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MeasureText {
    /// The path of a trait.
    Trait(Vec<String>),
    /// A behaviour.
    Behaviour(String),
    /// A sequence.
    Sequence(String),
    /// A question: its node, what it asks, and the platform's zone.
    Asked(String, Asks, String),
}

impl MeasureText {
    /// The text of a key.
    pub fn of(key: &MeasureKey) -> MeasureText {
        match key {
            MeasureKey::Trait(path) => MeasureText::Trait(path.iter().map(|key| key.to_string()).collect()),
            MeasureKey::Behaviour(behaviour) => MeasureText::Behaviour(behaviour_to_json("measure", behaviour)),
            MeasureKey::Sequence(sequence) => MeasureText::Sequence(node_to_json(&Node::Sequence(sequence.clone()))),
            MeasureKey::Asked(question) => {
                MeasureText::Asked(node_to_json(&question.node), question.asks, question.platform.name().into())
            }
        }
    }

    /// The key of a text; `None` where it is not of this version's language.
    pub fn to_key(&self) -> Option<MeasureKey> {
        Some(match self {
            MeasureText::Trait(path) => MeasureKey::Trait(path.iter().map(|key| Arc::from(key.as_str())).collect()),
            MeasureText::Behaviour(text) => {
                let (_, behaviour) = parse_behaviour(&parse_json(text.as_bytes()).ok()?).ok()?;
                MeasureKey::Behaviour(Arc::new(behaviour))
            }
            MeasureText::Sequence(text) => MeasureKey::Sequence(parse_sequence(text)?),
            MeasureText::Asked(text, asks, zone) => {
                let node = parse_rules(&parse_json(text.as_bytes()).ok()?, &NoTraits).ok()?;
                let platform = ZoneId::named(zone)?;
                MeasureKey::Asked(Arc::new(UserQuestion { node, asks: *asks, platform }))
            }
        })
    }
}

fn parse_sequence(text: &str) -> Option<Arc<Sequence>> {
    match parse_rules(&parse_json(text.as_bytes()).ok()?, &NoTraits).ok()? {
        Node::Sequence(sequence) => Some(sequence),
        _ => None,
    }
}

/// A fault of a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFault {
    /// A shard cannot be encoded.
    #[error(transparent)]
    Writing(bincode::Error),
    /// A shard cannot be decoded.
    #[error("shard {shard}: {cause}")]
    Shard {
        /// Its number.
        shard: u32,
        /// The decoder's error.
        cause: bincode::Error,
    },
    /// A measure is not of this version's language.
    #[error("unknown measure {0:?}")]
    Measure(MeasureText),
    /// The same, in a shard.
    #[error("shard {shard}: unknown measure {measure:?}")]
    MeasureOfShard {
        /// The number of the shard.
        shard: u32,
        /// The measure.
        measure: MeasureText,
    },
}

impl From<CheckpointFault> for OperatorError {
    fn from(fault: CheckpointFault) -> Self {
        OperatorError::Checkpoint(fault)
    }
}

#[derive(Serialize, Deserialize)]
struct UserState {
    id: String,
    known: bool,
    cells: Vec<Cell>,
    pending: Vec<PendingEvent>,
}

#[derive(Serialize, Deserialize)]
struct ShardState {
    boundary: Boundary,
    measures: Vec<(u32, MeasureText)>,
    users: Vec<UserState>,
}

impl WorkerState {
    /// Writes down these shards as they are now; events below the boundary are in them.
    pub fn capture(
        &self,
        shards: std::ops::Range<u32>,
        boundary: Boundary,
    ) -> Result<Vec<(u32, Vec<u8>)>, OperatorError> {
        let membership = self.membership.read();
        let mut by_shard: HashMap<u32, Vec<UserState>> = HashMap::new();
        for (slot, user) in self.rows.users.iter().enumerate() {
            let shard = u32::from(membership.users.shard(slot as u32));
            let is_kept = user.known || !user.cells.is_empty() || !user.pending.is_empty();
            if shards.contains(&shard) && is_kept {
                let id = membership.users.id(slot as u32);
                let (cells, pending) = (user.cells.clone(), user.pending.clone());
                by_shard.entry(shard).or_default().push(UserState { id: id.into(), known: user.known, cells, pending });
            }
        }
        let measures: Vec<_> =
            self.rows.registry.measures.iter().map(|(id, measure)| (id, MeasureText::of(&measure.key))).collect();
        by_shard
            .into_iter()
            .map(|(shard, users)| {
                let state = ShardState { boundary, measures: measures.clone(), users };
                let bytes = bincode::serialize(&state).map_err(CheckpointFault::Writing)?;
                Ok((shard, bytes))
            })
            .collect()
    }

    /// The measures that are computed.
    pub fn measures(&self) -> Vec<MeasureText> {
        self.rows.registry.measures.iter().map(|(_, measure)| MeasureText::of(&measure.key)).collect()
    }

    /// Brings back the measures that stand in every shard of a checkpoint, for users who are yet to come.
    pub fn restore_measures(&mut self, in_all: &[MeasureText]) -> Result<(), OperatorError> {
        for text in in_all {
            let key = text.to_key().ok_or_else(|| CheckpointFault::Measure(text.clone()))?;
            self.rows.registry.require_measure(&key, None);
        }
        Ok(())
    }

    /// Brings back a shard: of the measures in it those that stand in every shard of the checkpoint, since an edit may have
    /// come between two of them. Only before any event, in silence.
    ///
    /// Events that waited in the checkpoint and have happened since are applied here, so that a measure that is yet to be
    /// backfilled has them from history alone.
    pub fn restore(&mut self, shard: u32, bytes: &[u8], in_all: &[MeasureText]) -> Result<(), OperatorError> {
        let state: ShardState = bincode::deserialize(bytes).map_err(|cause| CheckpointFault::Shard { shard, cause })?;
        let mut numbers = HashMap::new();
        for (number, text) in state.measures.iter().filter(|(_, text)| in_all.contains(text)) {
            let key = text.to_key().ok_or_else(|| CheckpointFault::MeasureOfShard { shard, measure: text.clone() })?;
            numbers.insert(*number, self.rows.registry.require_measure(&key, None));
        }
        let membership = self.membership();
        let mut guard = membership.write();
        for user in state.users {
            let slot = self.rows.slot_of(&user.id, &mut guard) as usize;
            let mut cells = user.cells;
            cells.retain_mut(|cell| match numbers.get(&cell.measure()) {
                Some(number) => {
                    cell.renumber(*number);
                    true
                }
                None => false,
            });
            cells.sort_by_key(Cell::measure);
            cells.shrink_to_fit();
            let mut shared = BTreeMap::new();
            cells.iter_mut().for_each(|cell| cell.share_records(&mut shared));
            if user.known {
                self.rows.become_known(slot as u32);
            }
            self.rows.users[slot].cells = cells;
            self.rows.users[slot].pending = user.pending;
            self.rows.apply_pending(slot as u32, self.time.clock);
        }
        if self.intake.floors.is_empty() {
            self.intake.floors = vec![0; SHARDS as usize];
        }
        self.intake.floors[shard as usize] = state.boundary.sequence;
        Ok(())
    }
}
