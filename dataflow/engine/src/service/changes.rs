//! The membership changes of a tick as the change log keeps them.
//!
//! A tick is one block a worker; a block is a header with the segments it names, then the changes user by user. The form
//! is made for writing millions a second: numbers instead of names within a block.

use std::sync::Arc;

use audience_operators::message::{Cause, Change};
use audience_operators::partition::Partition;
use audience_rules::ast::Millis;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// The changes of a worker's tick.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Block {
    /// Segments, with the version in force.
    segments: Vec<(String, u64)>,
    users: Vec<String>,
    /// (user, segment, at, entered, cause)
    changes: Vec<(u32, u32, Millis, bool, Cause)>,
}

/// A membership change given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenChange {
    /// The user.
    pub user: Arc<str>,
    /// The segment.
    pub segment: Arc<str>,
    /// Entered, or left.
    pub entered: bool,
    /// When, milliseconds.
    pub at: Millis,
    /// The segment's version.
    pub version: u64,
    /// Why.
    pub cause: Cause,
}

/// Appends the changes of a worker's tick; nothing where there are none.
pub fn encode(partition: &mut Partition, out: &mut Vec<u8>) {
    if partition.changes.is_empty() {
        return;
    }
    let membership = partition.membership();
    let membership = membership.read();
    let mut block = Block::default();
    let mut segments: HashMap<u32, u32> = HashMap::new();
    let mut users: HashMap<u32, u32> = HashMap::new();
    for Change { user, segment, at, entered, cause } in &partition.changes {
        let segment = *segments.entry(*segment).or_insert_with(|| {
            block.segments.push((partition.segment(*segment).to_string(), partition.version(*segment)));
            block.segments.len() as u32 - 1
        });
        let user = *users.entry(*user).or_insert_with(|| {
            block.users.push(membership.users.id(*user).to_owned());
            block.users.len() as u32 - 1
        });
        block.changes.push((user, segment, *at, *entered, *cause));
    }
    match bincode::serialize(&block) {
        Ok(bytes) => {
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
        // Plain data in memory always serializes.
        Err(error) => tracing::error!(%error, "changes could not be written down"),
    }
}

/// Reads the changes of a tick; `None` where the bytes are none.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<GivenChange>> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (block, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        bytes = rest;
        let block: Block = bincode::deserialize(block).ok()?;
        let users: Vec<Arc<str>> = block.users.into_iter().map(Arc::from).collect();
        let segments: Vec<(Arc<str>, u64)> =
            block.segments.into_iter().map(|(id, version)| (Arc::from(id), version)).collect();
        for (user, segment, at, entered, cause) in block.changes {
            let (segment, version) = segments.get(segment as usize)?.clone();
            let user = users.get(user as usize)?.clone();
            changes.push(GivenChange { user, segment, entered, at, version, cause });
        }
    }
    Some(changes)
}
