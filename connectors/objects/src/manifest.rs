//! The manifest of a checkpoint: one object, written last, that lists the shards.
//!
//! Three parts, one behind the other: a line `audience-checkpoint 1 <checksum of the rest>`, a line of JSON, and what the
//! caller says of the checkpoint.

use audience_contract::StoreError;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &str = "audience-checkpoint";
const FORMAT: u32 = 1;

/// A shard as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Its number.
    pub number: u32,
    /// The name of its object, within the folder of the checkpoint.
    pub object: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum (xxh3), in hexadecimal digits.
    pub checksum: String,
}

/// The content of the manifest.
#[derive(Serialize, Deserialize)]
struct Listing {
    shards: Vec<Shard>,
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectManifest {
    /// The shards, by number.
    pub shards: Vec<Shard>,
    /// The caller's description of the checkpoint.
    pub says: Vec<u8>,
}

impl ObjectManifest {
    /// As it is stored.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let listing = serde_json::to_vec(&Listing { shards: self.shards.clone() });
        let mut rest = listing
            .map_err(|error| StoreError::Unavailable { action: "finishing a checkpoint", detail: error.to_string() })?;
        rest.push(b'\n');
        rest.extend_from_slice(&self.says);
        let mut all = format!("{MAGIC} {FORMAT} {}\n", checksum(&rest)).into_bytes();
        all.append(&mut rest);
        Ok(all)
    }

    /// Reads what is stored; or says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<ObjectManifest, String> {
        let (head, rest) = split_line(bytes).ok_or("it is cut short")?;
        let head = std::str::from_utf8(head).map_err(|_| "it begins with something else")?;
        let mut words = head.split(' ');
        if words.next() != Some(MAGIC) {
            return Err("it begins with something else".to_owned());
        }
        if words.next().and_then(|format| format.parse().ok()) != Some(FORMAT) {
            return Err(format!("it says `{head}`, and this program knows format {FORMAT}"));
        }
        if words.next() != Some(&checksum(rest)) {
            return Err("its checksum does not hold".to_owned());
        }
        let (listing, says) = split_line(rest).ok_or("it is cut short")?;
        let listing: Listing = serde_json::from_slice(listing).map_err(|error| error.to_string())?;
        Ok(ObjectManifest { shards: listing.shards, says: says.to_vec() })
    }
}

/// The checksum of an object, as manifests have it.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_byte_is_changed_is_noticed() {
        let shard = Shard { number: 3, object: "shard-00003-x".to_owned(), bytes: 7, checksum: checksum(b"1234567") };
        let manifest = ObjectManifest { shards: vec![shard], says: b"line\nand \0more".to_vec() };
        let whole = manifest.encode().expect("encoded");
        assert_eq!(ObjectManifest::decode(&whole), Ok(manifest));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(ObjectManifest::decode(&damaged).is_err(), "byte {at}");
            assert!(ObjectManifest::decode(&whole[..at]).is_err(), "cut at {at}");
        }
    }
}
