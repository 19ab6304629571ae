//! Checkpoints, as files.
//!
//! `checkpoints/<id, 20 digits>/shard-<number, 5 digits>.bin` and `manifest`, each in the frame of [`seal`]. The manifest
//! is written last and lists the shards with their checksums.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audience_contract::{CheckpointStore, Result, StoreError};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::directory::{Directory, DirectoryLock, sync_directory, unavailable, write_file};
use crate::seal::{self, Kind};

const MANIFEST: &str = "manifest";
const READING: &str = "reading a checkpoint";
const WRITING: &str = "writing a checkpoint";
const LISTING: &str = "listing checkpoints";

/// The checkpoints of a data directory. Writing a shard costs two fsyncs.
pub struct Checkpoints {
    path: PathBuf,
    /// Held while directories come and go.
    changing: Mutex<()>,
    /// None where it is only looked at.
    lock: Option<Arc<DirectoryLock>>,
}

/// The content of a manifest file.
struct ManifestFile {
    /// Number and checksum of each shard.
    shards: Vec<(u32, u64)>,
    bytes: Vec<u8>,
}

impl Checkpoints {
    /// Opens the checkpoints, and deletes what a run that stopped left of an unfinished one.
    pub(crate) fn open(directory: &Directory) -> Result<Checkpoints> {
        let path = directory.path().join("checkpoints");
        let made = fs::create_dir_all(&path).and_then(|()| sync_directory(directory.path()));
        made.map_err(|e| unavailable("making the checkpoints", &path, &e))?;
        let checkpoints = Checkpoints { path, changing: Mutex::new(()), lock: Some(directory.lock()) };
        for (id, finished) in checkpoints.all()? {
            if !finished {
                checkpoints.delete(id)?;
            }
        }
        Ok(checkpoints)
    }

    /// Looks at the checkpoints of a data directory that another process may be using; writes nothing.
    pub(crate) fn look(data: &Path) -> Result<Checkpoints> {
        let path = data.join("checkpoints");
        fs::metadata(&path).map_err(|e| unavailable(LISTING, &path, &e))?;
        Ok(Checkpoints { path, changing: Mutex::new(()), lock: None })
    }

    fn refuse_looking(&self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let detail = "the checkpoints are only looked at".to_owned();
        Err(StoreError::Refused { action: WRITING, detail })
    }

    fn directory(&self, checkpoint: u64) -> PathBuf {
        self.path.join(format!("{checkpoint:020}"))
    }

    /// Every checkpoint, newest first, and whether it has a manifest, be it a damaged one.
    fn all(&self) -> Result<Vec<(u64, bool)>> {
        let read = || -> io::Result<Vec<(u64, bool)>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let name = entry?.file_name();
                let Some(id) = name.to_str().filter(|name| name.len() == 20).and_then(|name| name.parse().ok()) else {
                    continue;
                };
                found.push((id, self.path.join(name).join(MANIFEST).try_exists()?));
            }
            found.sort_unstable_by(|a, b| b.cmp(a));
            Ok(found)
        };
        read().map_err(|e| unavailable(LISTING, &self.path, &e))
    }

    /// The manifest goes first, so that what is left of a deletion that was cut short is unfinished.
    fn delete(&self, checkpoint: u64) -> Result<()> {
        let path = self.directory(checkpoint);
        let delete = || {
            match fs::remove_file(path.join(MANIFEST)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => sync_directory(&path)?,
            }
            fs::remove_dir_all(&path)?;
            sync_directory(&self.path)
        };
        delete().map_err(|e| unavailable("deleting a checkpoint", &path, &e))
    }

    fn read_manifest(&self, checkpoint: u64) -> Result<ManifestFile> {
        let path = self.directory(checkpoint).join(MANIFEST);
        let key = checkpoint.to_be_bytes();
        let Some(value) = read_file(&path)? else {
            return Err(StoreError::Unavailable {
                action: READING,
                detail: format!("there is no finished checkpoint {checkpoint}"),
            });
        };
        let payload = seal::open(Kind::Manifest, &key, &value)?;
        ManifestFile::decode(&payload).ok_or_else(|| seal::damaged(Kind::Manifest, &key, "it is cut short"))
    }

    /// The shards that were written, with their checksums.
    fn written_shards(&self, checkpoint: u64) -> Result<Vec<(u32, u64)>> {
        let path = self.directory(checkpoint);
        let names = || fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
        let names = match names() {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(unavailable(WRITING, &path, &e)),
        };
        let mut shards = Vec::new();
        for name in names {
            let number = name.to_str().and_then(|name| name.strip_prefix("shard-")?.strip_suffix(".bin")?.parse().ok());
            let Some(number) = number else { continue };
            let Some(value) = read_file(&path.join(&name))? else { continue };
            seal::open(Kind::Shard, &shard_key(checkpoint, number), &value)?;
            shards.push((number, xxh3_64(&value)));
        }
        shards.sort_unstable();
        Ok(shards)
    }
}

impl CheckpointStore for Checkpoints {
    fn put_shard(&self, checkpoint: u64, shard: u32, bytes: &[u8]) -> Result<()> {
        self.refuse_looking()?;
        let path = self.directory(checkpoint);
        let value = seal::seal(Kind::Shard, &shard_key(checkpoint, shard), bytes);
        {
            let _changing = self.changing.lock();
            refuse_finished(&path, checkpoint)?;
            let made = fs::create_dir_all(&path).and_then(|()| sync_directory(&self.path));
            made.map_err(|e| unavailable(WRITING, &path, &e))?;
        }
        write_file(&path, &shard_name(shard), &value).map_err(|e| unavailable(WRITING, &path, &e))
    }

    fn finish(&self, checkpoint: u64, manifest: &[u8]) -> Result<()> {
        self.refuse_looking()?;
        let path = self.directory(checkpoint);
        let _changing = self.changing.lock();
        refuse_finished(&path, checkpoint)?;
        let manifest = ManifestFile { shards: self.written_shards(checkpoint)?, bytes: manifest.to_vec() };
        let value = seal::seal(Kind::Manifest, &checkpoint.to_be_bytes(), &manifest.encode());
        let written = fs::create_dir_all(&path)
            .and_then(|()| sync_directory(&self.path))
            .and_then(|()| write_file(&path, MANIFEST, &value));
        written.map_err(|e| unavailable("finishing a checkpoint", &path, &e))
    }

    fn list(&self) -> Result<Vec<u64>> {
        let mut finished = Vec::new();
        for (id, _) in self.all()?.into_iter().filter(|(_, finished)| *finished) {
            match self.read_manifest(id) {
                Ok(_) => finished.push(id),
                Err(StoreError::Corrupt { place, detail }) => {
                    tracing::warn!(checkpoint = id, place, detail, "A checkpoint is damaged and left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(finished)
    }

    fn found(&self) -> Result<Vec<u64>> {
        Ok(self.all()?.into_iter().filter_map(|(id, finished)| finished.then_some(id)).collect())
    }

    fn size(&self, checkpoint: u64) -> Result<Option<u64>> {
        let mut bytes = 0;
        for (number, _) in self.read_manifest(checkpoint)?.shards {
            let path = self.directory(checkpoint).join(shard_name(number));
            let length = fs::metadata(&path).map_err(|e| unavailable(READING, &path, &e))?.len();
            bytes += seal::payload_size(length);
        }
        Ok(Some(bytes))
    }

    fn manifest(&self, checkpoint: u64) -> Result<Vec<u8>> {
        Ok(self.read_manifest(checkpoint)?.bytes)
    }

    fn shard(&self, checkpoint: u64, shard: u32) -> Result<Option<Vec<u8>>> {
        let manifest = self.read_manifest(checkpoint)?;
        let Ok(at) = manifest.shards.binary_search_by_key(&shard, |(number, _)| *number) else { return Ok(None) };
        let key = shard_key(checkpoint, shard);
        let value = read_file(&self.directory(checkpoint).join(shard_name(shard)))?;
        let value = value.ok_or_else(|| seal::damaged(Kind::Shard, &key, "it is missing"))?;
        let checksum = xxh3_64(&value);
        let payload = seal::open_vec(Kind::Shard, &key, value)?;
        if checksum != manifest.shards[at].1 {
            return Err(seal::damaged(Kind::Shard, &key, "it is not the one that the manifest lists"));
        }
        Ok(Some(payload))
    }

    fn remove(&self, checkpoint: u64) -> Result<()> {
        self.refuse_looking()?;
        let _changing = self.changing.lock();
        if self.directory(checkpoint).exists() { self.delete(checkpoint) } else { Ok(()) }
    }

    fn prune(&self, keep: usize) -> Result<()> {
        self.refuse_looking()?;
        let _changing = self.changing.lock();
        let kept: Vec<u64> = self.list()?.into_iter().take(keep).collect();
        for (id, _) in self.all()? {
            // One that is newer than all finished ones may be being written.
            let may_be_written = kept.first().is_some_and(|newest| id > *newest);
            if !kept.contains(&id) && !may_be_written {
                self.delete(id)?;
            }
        }
        Ok(())
    }
}

impl ManifestFile {
    fn encode(&self) -> Vec<u8> {
        let mut out = (self.shards.len() as u32).to_be_bytes().to_vec();
        for (number, checksum) in &self.shards {
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&checksum.to_be_bytes());
        }
        out.extend_from_slice(&self.bytes);
        out
    }

    fn decode(bytes: &[u8]) -> Option<ManifestFile> {
        let (count, mut rest) = bytes.split_first_chunk::<4>()?;
        let mut shards = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (number, after) = rest.split_first_chunk::<4>()?;
            let (checksum, after) = seal::read_u64(after)?;
            shards.push((u32::from_be_bytes(*number), checksum));
            rest = after;
        }
        Some(ManifestFile { shards, bytes: rest.to_vec() })
    }
}

fn refuse_finished(path: &Path, checkpoint: u64) -> Result<()> {
    if path.join(MANIFEST).exists() {
        let detail = format!("checkpoint {checkpoint} is finished");
        return Err(StoreError::Unavailable { action: WRITING, detail });
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unavailable(READING, path, &e)),
    }
}

fn shard_name(shard: u32) -> String {
    format!("shard-{shard:05}.bin")
}

fn shard_key(checkpoint: u64, shard: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&checkpoint.to_be_bytes());
    key[8..].copy_from_slice(&shard.to_be_bytes());
    key
}
