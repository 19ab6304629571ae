//! The manifest of a checkpoint: its boundary, its shards and its measures.

use audience_contract::{CheckpointStore, Progress};
use audience_kernel::membership::SHARDS;
use audience_kernel::registry::Boundary;
use audience_kernel::worker::MeasureText;
use serde::{Deserialize, Serialize};

use crate::engine::error::EngineError;

/// The shard in which the aliases stand.
pub(crate) const ALIASES_SHARD: u32 = SHARDS as u32;
/// The shard in which a copy of the catalogue stands, where there is one.
pub(crate) const CATALOGUE_SHARD: u32 = ALIASES_SHARD + 1;
/// The shard in which the chain of the audit log stands.
pub(crate) const AUDIT_SHARD: u32 = CATALOGUE_SHARD + 1;

/// The mark that manifests of this program begin with, and their format.
const MAGIC: [u8; 4] = *b"AMck";
const FORMAT: u32 = 1;

/// The manifest of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The log is to be replayed from here: the aliases, taken first, are as of here.
    pub least: Boundary,
    /// No shard goes beyond this.
    pub greatest: Boundary,
    /// The shards that have users.
    pub shards: Vec<u32>,
    /// The measures that stand in all of them.
    pub sources: Vec<MeasureText>,
    /// When it was begun, milliseconds.
    pub begun_at: i64,
}

impl Manifest {
    /// As it is stored: a mark, the format, and the rest in that format.
    pub fn encode(&self) -> Result<Vec<u8>, EngineError> {
        let mut bytes = [&MAGIC[..], &FORMAT.to_be_bytes()].concat();
        bincode::serialize_into(&mut bytes, self).map_err(|error| EngineError::write("the manifest", error))?;
        Ok(bytes)
    }

    /// Reads what is stored; or says why it cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, String> {
        let head = bytes.split_first_chunk::<4>().filter(|(magic, _)| **magic == MAGIC);
        let head = head.and_then(|(_, rest)| rest.split_first_chunk::<4>());
        let Some((format, rest)) = head else {
            return Err("its manifest says no format, as those of older versions of this program".to_owned());
        };
        match u32::from_be_bytes(*format) {
            FORMAT => bincode::deserialize(rest).map_err(|error| format!("its manifest cannot be read: {error}")),
            other => Err(format!("it has format {other}, and this program knows {FORMAT}: another version wrote it")),
        }
    }

    /// Returns whether nothing in the checkpoint is ahead of what was given out.
    pub fn is_within(&self, progress: Progress) -> bool {
        self.greatest.sequence <= progress.sequence && self.greatest.clock <= progress.clock
    }
}

/// Reads everything of a checkpoint; gives what it says of itself, where that can be read, and every fault.
pub fn verify(store: &dyn CheckpointStore, number: u64) -> (Option<Manifest>, Vec<String>) {
    let manifest = store.manifest(number).map_err(|error| error.to_string());
    let manifest = match manifest.and_then(|bytes| Manifest::decode(&bytes)) {
        Ok(manifest) => manifest,
        Err(why) => return (None, vec![why]),
    };
    let shards = manifest.shards.iter().copied().chain([ALIASES_SHARD, CATALOGUE_SHARD, AUDIT_SHARD]);
    let fault = |shard: u32| match store.shard(number, shard) {
        Ok(None) if matches!(shard, CATALOGUE_SHARD | AUDIT_SHARD) => None,
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("shard {shard} is missing")),
        Err(error) => Some(error.to_string()),
    };
    let faults = shards.filter_map(fault).collect();
    (Some(manifest), faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_another_format_is_told() {
        let at = Boundary { sequence: 7, clock: 9 };
        let manifest = Manifest { least: at, greatest: at, shards: vec![3], sources: Vec::new(), begun_at: 11 };
        let mut bytes = manifest.encode().expect("encoded");
        let read = Manifest::decode(&bytes).expect("its own format");
        assert_eq!((read.least, read.shards, read.begun_at), (at, vec![3], 11));
        assert!(Manifest::decode(&bytes[..20]).is_err_and(|why| why.contains("cannot be read")));
        bytes[7] = 2;
        assert!(Manifest::decode(&bytes).is_err_and(|why| why.contains("format 2")));
        assert!(Manifest::decode(&bytes[8..]).is_err_and(|why| why.contains("no format")));
        assert!(Manifest::decode(b"").is_err());
    }
}
