//! Checkpoints while the stream flows: a few shards a tick, each as of that tick, written on a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::{
    AuditEntry, AuditFilter, AuditRecord, CatalogueStore, CheckpointStore, Document, DocumentKind, MessageIndex,
    Progress, StoreError,
};
use audience_kernel::aliases::{Aliases, IdSince};
use audience_kernel::membership::SHARDS;
use audience_kernel::message::Control;
use audience_kernel::registry::Boundary;
use audience_kernel::worker::MeasureText;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::metrics::Metrics;
use super::{PlatformStores, clock};
use crate::engine::{CheckpointPart, Engine, EngineError, TickItems};

/// The shard in which the aliases stand.
pub const ALIASES_SHARD: u32 = SHARDS as u32;
/// The shard in which a copy of the catalogue stands, where there is one.
pub const CATALOGUE_SHARD: u32 = ALIASES_SHARD + 1;
/// Shards that are taken in one tick: a pause of some milliseconds at a million users.
const SHARDS_A_TICK: u32 = 4;
/// Between such ticks, while events flow.
const PAUSE: Duration = Duration::from_millis(20);
/// Finished checkpoints that are kept.
const KEPT: usize = 3;

/// What the manifests of this program begin with, and the format that they have.
const MAGIC: [u8; 4] = *b"AMck";
const FORMAT: u32 = 1;

/// What a checkpoint says of itself.
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

    /// Whether nothing in the checkpoint is ahead of what was given out.
    pub fn is_within(&self, progress: Progress) -> bool {
        self.greatest.sequence <= progress.sequence && self.greatest.clock <= progress.clock
    }
}

/// The catalogue, for a data directory that is made anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogueCopy {
    /// Its version.
    pub version: u64,
    /// Every version of every segment and trait that there is then, and the newest of every list of members.
    pub documents: Vec<Document>,
    /// The audit log, oldest first.
    pub audit: Vec<AuditRecord>,
}

impl CatalogueCopy {
    fn of(store: &dyn CatalogueStore) -> Result<CatalogueCopy, StoreError> {
        let version = store.version()?;
        let mut documents = Vec::new();
        for newest in store.at(version)? {
            if newest.kind == DocumentKind::Members {
                documents.push(newest);
            } else {
                let history = store.history(newest.kind, &newest.id)?;
                documents.extend(history.into_iter().filter(|document| document.catalogue_version <= version));
            }
        }
        let mut audit = store.audit(&AuditFilter { limit: usize::MAX, ..AuditFilter::default() })?;
        audit.reverse();
        audit.retain(|record| record.catalogue_version <= version);
        Ok(CatalogueCopy { version, documents, audit })
    }

    /// Reads a copy. One that was written before there was an audit log ends before it, and entries of before they said what
    /// something was and is are shorter.
    pub fn decode(bytes: &[u8]) -> bincode::Result<CatalogueCopy> {
        bincode::deserialize(bytes)
            .or_else(|_| {
                let (version, documents, audit) =
                    bincode::deserialize::<(u64, Vec<Document>, Vec<ShortRecord>)>(bytes)?;
                Ok(CatalogueCopy { version, documents, audit: audit.into_iter().map(of_short).collect() })
            })
            .or_else(|_: bincode::Error| {
                let (version, documents) = bincode::deserialize(bytes)?;
                Ok(CatalogueCopy { version, documents, audit: Vec::new() })
            })
    }
}

/// A row of the audit log of before it said what something was and is: sequence, time, author, version of the catalogue, and
/// of the entry action, kind, id, version and note.
type ShortRecord = (u64, i64, String, u64, (String, String, String, Option<u64>, Option<String>));

fn of_short((sequence, at, author, catalogue_version, entry): ShortRecord) -> AuditRecord {
    let (action, kind, id, version, note) = entry;
    let entry = AuditEntry { action, kind, id, version, note, before: None, after: None };
    AuditRecord { sequence, at, author, catalogue_version, entry }
}

/// Reads everything of a checkpoint; gives what it says of itself, where that can be read, and every fault.
pub fn verify(store: &dyn CheckpointStore, number: u64) -> (Option<Manifest>, Vec<String>) {
    let manifest = store.manifest(number).map_err(|error| error.to_string());
    let manifest = match manifest.and_then(|bytes| Manifest::decode(&bytes)) {
        Ok(manifest) => manifest,
        Err(why) => return (None, vec![why]),
    };
    let shards = manifest.shards.iter().copied().chain([ALIASES_SHARD, CATALOGUE_SHARD]);
    let fault = |shard: u32| match store.shard(number, shard) {
        Ok(None) if shard == CATALOGUE_SHARD => None,
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("shard {shard} is missing")),
        Err(error) => Some(error.to_string()),
    };
    let faults = shards.filter_map(fault).collect();
    (Some(manifest), faults)
}

/// Takes checkpoints.
pub struct Checkpointer {
    store: Arc<dyn CheckpointStore>,
    messages: Arc<dyn MessageIndex>,
    metrics: Arc<Metrics>,
    /// What is copied into each checkpoint, if anything; with the newest copy, as it is stored.
    catalogue: Option<Arc<dyn CatalogueStore>>,
    copy: Mutex<(u64, Vec<u8>)>,
}

impl Checkpointer {
    /// Over these stores.
    pub fn new(stores: &PlatformStores, archive: Option<&Archive>, metrics: Arc<Metrics>) -> Self {
        let keeps_catalogue = archive.is_some_and(Archive::keeps_catalogue);
        let (store, messages) = (stores.checkpoints.clone(), stores.messages.clone());
        let (catalogue, copy) = (keeps_catalogue.then(|| stores.catalogue.clone()), Mutex::default());
        Checkpointer { store, messages, metrics, catalogue, copy }
    }

    /// The number of the next checkpoint. Asks the store, so that one that is away is found before anything waits for it.
    pub fn next_number(&self) -> Result<u64, EngineError> {
        Ok(self.store.found()?.first().map_or(1, |newest| newest + 1))
    }

    /// Takes the checkpoint of that number, with pauses between its parts until the stop; edits that bring new measures must not come into force
    /// meanwhile, others may. Gives the ids that were erased before it, and of which records may be left.
    pub fn take(&self, number: u64, engine: &Engine, stop: &Stop) -> Result<Vec<IdSince>, EngineError> {
        let begun = Instant::now();
        let receiver = engine.parts();
        while receiver.try_recv().is_ok() {}
        let mut manifest: Option<Manifest> = None;
        let mut sources: Option<Vec<MeasureText>> = None;
        let mut bytes = 0;
        let mut erased = Vec::new();
        for first in (0..SHARDS as u32).step_by(SHARDS_A_TICK as usize) {
            let boundary = capture(engine, first)?;
            let manifest = manifest.get_or_insert_with(|| Manifest {
                least: boundary,
                greatest: boundary,
                shards: Vec::new(),
                sources: Vec::new(),
                begun_at: clock::now(),
            });
            // Every worker's part has been given to the channel before the tick was done.
            while let Ok(part) = receiver.try_recv() {
                // A tick without a part is perhaps not given out: nothing of the checkpoint is of it.
                manifest.greatest = boundary;
                sources.get_or_insert_with(|| part.sources.clone()).retain(|source| part.sources.contains(source));
                erased.extend(part.aliases.iter().flat_map(Aliases::erased));
                bytes += self.write(number, part, manifest)?;
            }
            stop.wait(PAUSE);
        }
        let Some(mut manifest) = manifest else { return Ok(erased) };
        manifest.sources = sources.unwrap_or_default();
        self.write_catalogue(number)?;
        self.messages.flush()?;
        self.store.finish(number, &manifest.encode()?)?;
        self.store.prune(KEPT)?;
        self.metrics.checkpoint_done(bytes, begun.elapsed());
        tracing::info!(checkpoint = number, bytes, sequence = manifest.least.sequence, "checkpoint taken");
        Ok(erased)
    }

    fn write_catalogue(&self, number: u64) -> Result<(), EngineError> {
        let Some(catalogue) = &self.catalogue else { return Ok(()) };
        let mut copy = self.copy.lock();
        let version = catalogue.version()?;
        if copy.0 != version || copy.1.is_empty() {
            let new = CatalogueCopy::of(&**catalogue)?;
            let text = bincode::serialize(&new).map_err(|error| EngineError::write("the catalogue", error))?;
            *copy = (new.version, text);
        }
        Ok(self.store.put_shard(number, CATALOGUE_SHARD, &copy.1)?)
    }

    fn write(&self, number: u64, part: CheckpointPart, manifest: &mut Manifest) -> Result<u64, EngineError> {
        let mut bytes = 0;
        if let Some(aliases) = part.aliases {
            let text = bincode::serialize(&aliases).map_err(|error| EngineError::write("the aliases", error))?;
            self.store.put_shard(number, ALIASES_SHARD, &text)?;
        }
        for (shard, text) in part.shards {
            bytes += text.len() as u64;
            self.store.put_shard(number, shard, &text)?;
            manifest.shards.push(shard);
        }
        Ok(bytes)
    }
}

/// Takes the shards from `first` on in one tick; returns where that tick ends.
fn capture(engine: &Engine, first: u32) -> Result<Boundary, EngineError> {
    let mut boundary = engine.head().boundary();
    let tick = engine.submit(|head| {
        boundary = head.boundary();
        TickItems::of(vec![Control::Capture { shards: first..first + SHARDS_A_TICK, boundary }])
    })?;
    engine.wait_for(tick)?;
    Ok(boundary)
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

    #[test]
    fn copies_of_before_there_was_an_audit_log_are_read() {
        let body = Some("{}".to_owned());
        let document = Document { kind: DocumentKind::Segment, id: "a".to_owned(), catalogue_version: 7, body };
        let old = bincode::serialize(&(7_u64, vec![document.clone()])).unwrap();
        let copy = CatalogueCopy::decode(&old).unwrap();
        assert_eq!(copy, CatalogueCopy { version: 7, documents: vec![document], audit: Vec::new() });
        let entry = AuditEntry { action: "created".to_owned(), version: Some(1), ..AuditEntry::default() };
        let (text, short) = (|text: &str| text.to_owned(), copy.documents.clone());
        let row = |sequence: u64| {
            (sequence, 5_i64, text("ann"), 7_u64, (text("created"), text(""), text(""), Some(1_u64), None))
        };
        let short: (u64, Vec<Document>, Vec<ShortRecord>) = (7, short, vec![row(1), row(2), row(3)]);
        let read = CatalogueCopy::decode(&bincode::serialize(&short).unwrap()).unwrap();
        assert_eq!((read.audit.len(), &read.audit[2].entry), (3, &entry), "rows of before");
        let record = AuditRecord { sequence: 1, at: 5, author: "ann".to_owned(), catalogue_version: 7, entry };
        let new = CatalogueCopy { audit: vec![record], ..copy };
        assert_eq!(CatalogueCopy::decode(&bincode::serialize(&new).unwrap()).unwrap(), new);
        assert!(CatalogueCopy::decode(&old[..old.len() - 1]).is_err());
    }
}
