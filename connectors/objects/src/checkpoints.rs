//! Checkpoints, as objects.
//!
//! `checkpoints/<number, 20 digits>/shard-<number, 5 digits>-<16 random digits>` and `manifest`. A shard has a name that
//! no other write has, so that nobody who goes on writing an unfinished checkpoint harms one that is finished. The manifest
//! is written last and names them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use audience_contract::{CheckpointStore, Result, StoreError};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::manifest::{ObjectManifest, Shard, checksum};
use crate::objects::{Objects, Write};

const FOLDER: &str = "checkpoints";
const MANIFEST: &str = "manifest";
const READING: &str = "reading a checkpoint";
const WRITING: &str = "writing a checkpoint";
const FINISHING: &str = "finishing a checkpoint";
const LISTING: &str = "listing checkpoints";
const DELETING: &str = "deleting a checkpoint";

/// Checkpoints. Writing a shard returns while it is being written, and the manifest waits for all of them.
pub(crate) struct ObjectCheckpoints {
    objects: Arc<Objects>,
    state: Mutex<CheckpointState>,
}

#[derive(Default)]
struct CheckpointState {
    writing: HashMap<u64, Writing>,
    /// The manifest that was read last: shards are read one after the other.
    read: Option<(u64, Arc<ObjectManifest>)>,
}

/// A checkpoint that is being written.
#[derive(Default)]
struct Writing {
    shards: BTreeMap<u32, Shard>,
    under_way: Vec<Write>,
}

impl ObjectCheckpoints {
    /// Under the URL of these objects.
    pub(crate) fn new(objects: Arc<Objects>) -> ObjectCheckpoints {
        ObjectCheckpoints { objects, state: Mutex::default() }
    }

    /// Every checkpoint that has a folder, newest first.
    fn all(&self) -> Result<Vec<u64>> {
        let folders = self.objects.folders(LISTING, FOLDER)?;
        let numbers = folders.iter().filter(|name| name.len() == 20).filter_map(|name| name.parse().ok());
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }

    /// The manifest, where there is one.
    fn find_manifest(&self, checkpoint: u64) -> Result<Option<ObjectManifest>> {
        let Some(bytes) = self.objects.get(READING, &manifest_name(checkpoint))? else { return Ok(None) };
        let decoded = ObjectManifest::decode(&bytes);
        decoded.map(Some).map_err(|detail| self.damaged(&manifest_name(checkpoint), &detail))
    }

    fn read_manifest(&self, checkpoint: u64) -> Result<ObjectManifest> {
        self.find_manifest(checkpoint)?.ok_or_else(|| StoreError::Unavailable {
            action: READING,
            detail: format!("{} has no finished checkpoint {checkpoint}", self.objects.name()),
        })
    }

    fn damaged(&self, name: &str, detail: &str) -> StoreError {
        StoreError::Corrupt { place: format!("{}/{name}", self.objects.name()), detail: detail.to_owned() }
    }

    fn refuse_finished(&self, checkpoint: u64) -> Result<()> {
        if !self.objects.exists(WRITING, &manifest_name(checkpoint))? {
            return Ok(());
        }
        let detail = format!("checkpoint {checkpoint} is finished");
        Err(StoreError::Unavailable { action: WRITING, detail })
    }

    fn put(&self, writing: &mut Writing, checkpoint: u64, number: u32, bytes: &[u8]) -> Result<()> {
        let object = format!("shard-{number:05}-{:016x}", fastrand::u64(..));
        let shard = Shard { number, object: object.clone(), bytes: bytes.len() as u64, checksum: checksum(bytes) };
        let name = format!("{}/{object}", folder(checkpoint));
        let write = self.objects.begin_put(WRITING, &name, Bytes::copy_from_slice(bytes))?;
        writing.under_way.push(write);
        writing.shards.insert(number, shard);
        // What failed is told soon, and not once everything has been tried.
        let (done, under_way) = std::mem::take(&mut writing.under_way).into_iter().partition(Write::is_done);
        writing.under_way = under_way;
        done.into_iter().try_for_each(|write| self.objects.finish_put(WRITING, write))
    }

    /// The manifest goes first, so that what is left of a deletion that was cut short is unfinished.
    fn delete(&self, checkpoint: u64) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.writing.remove(&checkpoint);
            state.read.take_if(|(read, _)| *read == checkpoint);
        }
        self.objects.delete(DELETING, &[manifest_name(checkpoint)])?;
        self.delete_shards(checkpoint)
    }

    fn delete_shards(&self, checkpoint: u64) -> Result<()> {
        let folder = folder(checkpoint);
        let rest = self.objects.list(DELETING, &folder)?;
        let rest: Vec<String> = rest.into_iter().map(|name| format!("{folder}/{name}")).collect();
        self.objects.delete(DELETING, &rest)?;
        self.objects.delete_remains(DELETING, &folder)
    }
}

impl CheckpointStore for ObjectCheckpoints {
    fn put_shard(&self, checkpoint: u64, shard: u32, bytes: &[u8]) -> Result<()> {
        let known = self.state.lock().writing.remove(&checkpoint);
        let mut writing = match known {
            Some(writing) => writing,
            None => {
                self.refuse_finished(checkpoint)?;
                // What an attempt that failed has left takes room.
                self.delete_shards(checkpoint)?;
                Writing::default()
            }
        };
        // After a failure it is begun anew.
        self.put(&mut writing, checkpoint, shard, bytes)?;
        self.state.lock().writing.insert(checkpoint, writing);
        Ok(())
    }

    fn finish(&self, checkpoint: u64, manifest: &[u8]) -> Result<()> {
        let writing = self.state.lock().writing.remove(&checkpoint).unwrap_or_default();
        self.refuse_finished(checkpoint)?;
        writing.under_way.into_iter().try_for_each(|write| self.objects.finish_put(WRITING, write))?;
        let manifest = ObjectManifest { shards: writing.shards.into_values().collect(), says: manifest.to_vec() };
        self.objects.refuse_others(FINISHING)?;
        self.objects.put(FINISHING, &manifest_name(checkpoint), manifest.encode()?.into())
    }

    fn list(&self) -> Result<Vec<u64>> {
        let mut finished = Vec::new();
        for number in self.all()? {
            match self.find_manifest(number) {
                Ok(Some(_)) => finished.push(number),
                Ok(None) => {}
                Err(StoreError::Corrupt { place, detail }) => {
                    tracing::warn!(checkpoint = number, place, detail, "A checkpoint is damaged and left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(finished)
    }

    fn found(&self) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        for number in self.all()? {
            if self.objects.exists(LISTING, &manifest_name(number))? {
                found.push(number);
            }
        }
        Ok(found)
    }

    fn manifest(&self, checkpoint: u64) -> Result<Vec<u8>> {
        Ok(self.read_manifest(checkpoint)?.says)
    }

    fn size(&self, checkpoint: u64) -> Result<Option<u64>> {
        Ok(Some(self.read_manifest(checkpoint)?.shards.iter().map(|shard| shard.bytes).sum()))
    }

    fn shard(&self, checkpoint: u64, shard: u32) -> Result<Option<Vec<u8>>> {
        let known = self.state.lock().read.clone().filter(|(number, _)| *number == checkpoint);
        let manifest = match known {
            Some((_, manifest)) => manifest,
            None => {
                let manifest = Arc::new(self.read_manifest(checkpoint)?);
                self.state.lock().read = Some((checkpoint, manifest.clone()));
                manifest
            }
        };
        let Ok(at) = manifest.shards.binary_search_by_key(&shard, |shard| shard.number) else { return Ok(None) };
        let listed = &manifest.shards[at];
        let name = format!("{}/{}", folder(checkpoint), listed.object);
        let bytes = self.objects.get(READING, &name)?.ok_or_else(|| self.damaged(&name, "it is missing"))?;
        if bytes.len() as u64 != listed.bytes || checksum(&bytes) != listed.checksum {
            return Err(self.damaged(&name, "it is not the one that the manifest lists"));
        }
        Ok(Some(bytes.into()))
    }

    fn remove(&self, checkpoint: u64) -> Result<()> {
        self.objects.refuse_others(DELETING)?;
        self.delete(checkpoint)
    }

    fn prune(&self, keep: usize) -> Result<()> {
        self.objects.refuse_others(DELETING)?;
        let kept: Vec<u64> = self.list()?.into_iter().take(keep).collect();
        for number in self.all()? {
            // One that is newer than all finished ones may be being written.
            let may_be_written = kept.first().is_some_and(|newest| number > *newest);
            if kept.contains(&number) || may_be_written {
                continue;
            }
            self.delete(number)?;
        }
        Ok(())
    }
}

fn folder(checkpoint: u64) -> String {
    format!("{FOLDER}/{checkpoint:020}")
}

fn manifest_name(checkpoint: u64) -> String {
    format!("{}/{MANIFEST}", folder(checkpoint))
}
