//! Checkpoints while the stream flows: a few shards a tick, each as of that tick, written on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use audience_contract::{CheckpointStore, MessageIndex, Progress};
use audience_operators::aliases::{Aliases, IdSince};
use audience_operators::membership::SHARDS;
use audience_operators::message::{Clock, Control};
use audience_operators::partition::SourceText;
use audience_operators::registry::Boundary;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::clock;
use super::metrics::Metrics;
use super::standing::Standing;
use crate::edit::Position;
use crate::engine::{Engine, EngineError, items_of_tick};

/// The shard in which the aliases stand.
pub const ALIASES_SHARD: u32 = SHARDS as u32;
/// Shards that are taken in one tick: a pause of some milliseconds at a million users.
const SHARDS_A_TICK: u32 = 4;
/// Between such ticks, while events flow.
pub const PAUSE: Duration = Duration::from_millis(20);
/// Finished checkpoints that are kept.
const KEPT: usize = 3;

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
    pub sources: Vec<SourceText>,
    /// When it was begun, milliseconds.
    pub begun_at: i64,
}

impl Manifest {
    /// Whether nothing in the checkpoint is ahead of what was given out.
    pub fn is_within(&self, progress: Progress) -> bool {
        self.greatest.sequence <= progress.sequence && self.greatest.clock <= progress.clock
    }
}

/// A part of the checkpoint being taken.
pub struct Part {
    /// Shards.
    pub shards: Vec<(u32, Vec<u8>)>,
    /// The measures that are computed.
    pub sources: Vec<SourceText>,
    /// The aliases, in the first part.
    pub aliases: Option<Aliases>,
}

/// Takes checkpoints.
pub struct Checkpointer {
    store: Arc<dyn CheckpointStore>,
    messages: Arc<dyn MessageIndex>,
    metrics: Arc<Metrics>,
    sender: SyncSender<Part>,
    receiver: Mutex<Receiver<Part>>,
}

impl Checkpointer {
    /// Over these stores.
    pub fn new(store: Arc<dyn CheckpointStore>, messages: Arc<dyn MessageIndex>, metrics: Arc<Metrics>) -> Self {
        let (sender, receiver) = sync_channel(2 * (SHARDS as u32 / SHARDS_A_TICK) as usize);
        Checkpointer { store, messages, metrics, sender, receiver: Mutex::new(receiver) }
    }

    /// Where the sink gives the parts.
    pub fn parts(&self) -> SyncSender<Part> {
        self.sender.clone()
    }

    /// Takes a checkpoint, with `pause` between its parts; edits that bring new measures must not come into force
    /// meanwhile, others may. Gives the ids that were erased before it, and of which records may be left.
    pub fn take(&self, engine: &Engine, standing: &Standing, pause: Duration) -> Result<Vec<IdSince>, EngineError> {
        let begun = Instant::now();
        let receiver = self.receiver.lock();
        while receiver.try_recv().is_ok() {}
        let number = self.store.list()?.first().map_or(1, |newest| newest + 1);
        let mut manifest: Option<Manifest> = None;
        let mut sources: Option<Vec<SourceText>> = None;
        let mut bytes = 0;
        let mut erased = Vec::new();
        for first in (0..SHARDS as u32).step_by(SHARDS_A_TICK as usize) {
            let boundary = self.capture(engine, standing, first)?;
            let manifest = manifest.get_or_insert_with(|| Manifest {
                least: boundary,
                greatest: boundary,
                shards: Vec::new(),
                sources: Vec::new(),
                begun_at: clock::now(),
            });
            manifest.greatest = boundary;
            // Every worker's part has been given to the channel before the tick was done.
            while let Ok(part) = receiver.try_recv() {
                sources.get_or_insert_with(|| part.sources.clone()).retain(|source| part.sources.contains(source));
                erased.extend(part.aliases.iter().flat_map(Aliases::erased));
                bytes += self.write(number, part, manifest)?;
            }
            super::pause(pause);
        }
        let Some(mut manifest) = manifest else { return Ok(erased) };
        manifest.sources = sources.unwrap_or_default();
        self.messages.flush()?;
        let text = bincode::serialize(&manifest).map_err(|error| EngineError::Stopped(error.to_string()))?;
        self.store.finish(number, &text)?;
        self.store.prune(KEPT)?;
        self.metrics.checkpoint_done(bytes, begun.elapsed());
        tracing::info!(checkpoint = number, bytes, sequence = manifest.least.sequence, "checkpoint taken");
        Ok(erased)
    }

    fn capture(&self, engine: &Engine, standing: &Standing, first: u32) -> Result<Boundary, EngineError> {
        let workers = engine.workers();
        let mut taken = standing.boundary();
        let tick = engine.submit(|_| {
            taken = standing.boundary();
            let shards = first..first + SHARDS_A_TICK;
            let capture = Arc::new(Control::Capture { shards, boundary: taken });
            items_of_tick(workers, Clock::at(taken.clock), &[capture])
        })?;
        engine.wait_for(tick)?;
        Ok(taken)
    }

    fn write(&self, number: u64, part: Part, manifest: &mut Manifest) -> Result<u64, EngineError> {
        let mut bytes = 0;
        if let Some(aliases) = part.aliases {
            let text = bincode::serialize(&aliases).map_err(|error| EngineError::Stopped(error.to_string()))?;
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
