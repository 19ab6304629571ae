//! Takes checkpoints while the stream flows: a few shards a tick, each as of that tick.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Stop, clock};
use audience_contract::{CatalogueStore, CheckpointStore, MessageIndex, failpoint};
use audience_kernel::aliases::{Aliases, IdSince};
use audience_kernel::membership::SHARDS;
use audience_kernel::message::Control;
use audience_kernel::registry::Boundary;
use audience_kernel::worker::MeasureText;
use parking_lot::Mutex;

use super::audit_trail::FollowedTrail;
use super::catalogue_copy::CatalogueCopy;
use super::manifest::{ALIASES_SHARD, CATALOGUE_SHARD, Manifest};
use crate::engine::{CheckpointPart, Engine, EngineError, TickItems};
use crate::metrics::Metrics;
use crate::occurrence::CheckpointTaken;
use crate::stores::PlatformStores;

/// Shards that are taken in one tick: a pause of some milliseconds at a million users.
const SHARDS_A_TICK: u32 = 4;
/// Between such ticks, while events flow.
const PAUSE: Duration = Duration::from_millis(20);
/// Finished checkpoints that are kept.
const KEPT: usize = 3;

/// The consequences of a checkpoint that was taken.
pub(super) struct FinishedCheckpoint {
    /// The ids that were erased before it, and of which records may be left.
    pub erased: Vec<IdSince>,
    /// The number of the first event that a start from it replays.
    pub replay_from: u64,
}

/// Takes checkpoints.
pub(super) struct Checkpointer {
    store: Arc<dyn CheckpointStore>,
    messages: Arc<dyn MessageIndex>,
    metrics: Arc<Metrics>,
    /// The catalogue that is copied into each checkpoint, if it is.
    catalogue: Option<Arc<dyn CatalogueStore>>,
    copy: Mutex<(u64, Vec<u8>)>,
    audited: Arc<dyn CatalogueStore>,
    trail: FollowedTrail,
}

impl Checkpointer {
    /// A checkpointer of these stores. Checkpoints have a copy of the catalogue if it `keeps_catalogue`.
    pub(super) fn new(stores: &PlatformStores, keeps_catalogue: bool, metrics: Arc<Metrics>) -> Self {
        let (store, messages) = (stores.checkpoints.clone(), stores.messages.clone());
        let (catalogue, copy) = (keeps_catalogue.then(|| stores.catalogue.clone()), Mutex::default());
        let (audited, trail) = (stores.catalogue.clone(), FollowedTrail::default());
        Checkpointer { store, messages, metrics, catalogue, copy, audited, trail }
    }

    /// The number of the next checkpoint. Asks the store, so that one that is away is found before anything waits for it.
    pub(super) fn next_number(&self) -> Result<u64, EngineError> {
        Ok(self.store.found()?.first().map_or(1, |newest| newest + 1))
    }

    /// Takes the checkpoint of that number, with pauses between its parts until the stop; edits that bring new measures must not come into force
    /// meanwhile, others may.
    pub(super) fn take(&self, number: u64, engine: &Engine, stop: &Stop) -> Result<FinishedCheckpoint, EngineError> {
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
        let Some(mut manifest) = manifest else { return Ok(FinishedCheckpoint { erased, replay_from: 0 }) };
        manifest.sources = sources.unwrap_or_default();
        // Before the catalogue, so that a start from its copy has every row that the trail has.
        let audit_fault = self.trail.put(&*self.audited, &*self.store, number)?;
        self.metrics.audit_fault_found(audit_fault);
        self.write_catalogue(number)?;
        self.messages.flush()?;
        self.store.finish(number, &manifest.encode()?)?;
        failpoint("checkpoint_finished");
        self.store.prune(KEPT)?;
        let (sequence, took) = (manifest.least.sequence, begun.elapsed());
        CheckpointTaken { number, bytes, sequence, took }.emit(&self.metrics);
        Ok(FinishedCheckpoint { erased, replay_from: sequence })
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
            failpoint("checkpoint_part");
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
