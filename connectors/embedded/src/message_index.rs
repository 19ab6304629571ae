//! Which message came first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use audience_contract::{MessageIndex, Result};
use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy, PinningPolicy};
use fjall::{Keyspace, KeyspaceCreateOptions};

use crate::Options;
use crate::db::{Db, Layout};
use crate::directory::Directory;
use crate::seal::{self, Kind};

/// Looking through a larger buffer takes longer than writing it to a file earlier.
const BUFFER_BYTES: u64 = 16 << 20;

/// The least sequence of each message.
///
/// A new key costs one lookup that the filters mostly answer from memory, and a share of a write that is not synced.
pub struct Messages {
    least: Keyspace,
    db: Arc<Db>,
}

impl Messages {
    /// Opens the index.
    pub(crate) fn open(directory: &Directory, options: &Options) -> Result<Messages> {
        Messages::open_as("messages", directory, options)
    }

    /// Opens the index that is under that name.
    pub(crate) fn open_as(name: &'static str, directory: &Directory, options: &Options) -> Result<Messages> {
        let db = Arc::new(Db::open(directory, &Messages::layout(name, options), options.reserve_bytes)?);
        Ok(Messages { least: db.keyspace("messages")?, db })
    }

    /// The database, under that name.
    pub(crate) fn layout(name: &'static str, options: &Options) -> Layout {
        Layout {
            name,
            keyspaces: &[("messages", message_options)],
            cache_bytes: options.cache_bytes / 2,
            buffer_bytes: options.buffer_bytes.min(BUFFER_BYTES),
            workers: 2,
        }
    }

    /// Reads every row, and looks each up, which reads the filters too.
    pub(crate) fn check(&self) -> Result<()> {
        for row in self.least.iter() {
            let key = row.key().map_err(|e| self.db.error("reading messages", e))?;
            let known = key.as_ref().try_into().map(u128::from_be_bytes);
            let known = known.map_err(|_| seal::damaged(Kind::Message, &key, "its key has another length"))?;
            if self.get(known)?.is_none() {
                return Err(seal::damaged(Kind::Message, &key, "it is not found where it is"));
            }
        }
        Ok(())
    }

    fn get(&self, key: u128) -> Result<Option<u64>> {
        let key = key.to_be_bytes();
        let value = self.least.get(key).map_err(|e| self.db.error("reading messages", e))?;
        let Some(value) = value else { return Ok(None) };
        let payload = seal::open(Kind::Message, &key, &value)?;
        match seal::read_u64(&payload) {
            Some((sequence, [])) => Ok(Some(sequence)),
            _ => Err(seal::damaged(Kind::Message, &key, "it has another length")),
        }
    }
}

impl MessageIndex for Messages {
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>> {
        let mut known: HashMap<u128, KnownKey> = HashMap::with_capacity(messages.len());
        let mut least = Vec::with_capacity(messages.len());
        for &(key, sequence) in messages {
            let known = match known.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let stored = self.get(key)?;
                    place.insert(KnownKey { least: stored.unwrap_or(sequence), fresh: stored.is_none() })
                }
            };
            if sequence < known.least {
                *known = KnownKey { least: sequence, fresh: true };
            }
            least.push(known.least);
        }
        if known.values().any(|known| known.fresh) {
            self.db.write("noting messages", |batch| {
                for (key, known) in known.iter().filter(|(_, known)| known.fresh) {
                    let key = key.to_be_bytes();
                    batch.insert(&self.least, key, seal::seal(Kind::Message, &key, &known.least.to_be_bytes()));
                }
            })?;
        }
        Ok(least)
    }

    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>> {
        keys.iter().map(|key| self.get(*key)).collect()
    }

    fn forget(&self, keys: &[u128], below: u64) -> Result<()> {
        let mut gone = Vec::new();
        for key in keys {
            if self.get(*key)?.is_some_and(|sequence| sequence < below) {
                gone.push(key.to_be_bytes());
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.db.write("forgetting messages", |batch| gone.iter().for_each(|key| batch.remove(&self.least, *key)))
    }

    fn flush(&self) -> Result<()> {
        self.db.commit("making messages durable", |_| {})
    }
}

/// The knowledge of a call about a key.
struct KnownKey {
    least: u64,
    /// Set if it is to be written.
    fresh: bool,
}

/// Most keys that are looked up are not there, which the filters answer: they are kept in parts that the cache can hold.
/// By default those of the upper levels are in one piece and not pinned, also when they move down: too large for the
/// cache, they would be read anew, megabytes, for each lookup.
fn message_options() -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(12.0));
    KeyspaceCreateOptions::default()
        .filter_policy(FilterPolicy::all(filter))
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(true))
}
