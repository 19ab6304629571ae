//! Seeds a worker with the state of a checkpoint, in this process or in another.

use std::sync::Arc;

use audience_contract::{Progress, StoreError};
use audience_kernel::aliases::Aliases;
use audience_kernel::membership::SHARDS;
use audience_kernel::worker::{OperatorError, WorkerState};

use super::manifest::{ALIASES_SHARD, Manifest};
use crate::cluster::protocol::Origin;
use crate::cluster::stores::RemoteStores;
use crate::engine::error::{EngineError, StartError};
use crate::engine::workers::Seed;
use crate::stores::PlatformStores;

/// A checkpoint that is whole.
#[derive(Clone)]
pub(crate) struct WholeCheckpoint {
    /// Its number.
    pub number: u64,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its aliases.
    pub(super) aliases: Aliases,
}

/// Makes the state of a worker from a checkpoint, or empty; in silence.
pub(crate) fn seed(stores: &PlatformStores, found: Option<WholeCheckpoint>, progress: Progress) -> Seed {
    let PlatformStores { events, messages, checkpoints: store, .. } = stores.clone();
    Arc::new(move |worker, peers| {
        let mut state = WorkerState::new(Arc::new(events.clone()), messages.clone());
        state.begin_silence(progress.clock);
        let Some(found) = &found else { return Ok((state, Aliases::default())) };
        restore(&mut state, &found.manifest, worker, peers, |shard| store.shard(found.number, shard))?;
        Ok((state, found.aliases.clone()))
    })
}

/// The same in another process.
pub(crate) fn seed_remotely(
    stores: &Arc<RemoteStores>,
    origin: &Origin,
    worker: usize,
    peers: usize,
) -> Result<(WorkerState, Aliases), EngineError> {
    let mut state = WorkerState::new(stores.clone(), stores.clone());
    let Some(progress) = origin.progress else { return Ok((state, Aliases::default())) };
    state.begin_silence(progress.clock);
    let Some((number, manifest)) = &origin.checkpoint else { return Ok((state, Aliases::default())) };
    restore(&mut state, manifest, worker, peers, |shard| stores.shard(*number, shard))?;
    let aliases = stores.shard(*number, ALIASES_SHARD)?.unwrap_or_default();
    let unreadable = |_| unusable(*number, "its aliases cannot be read".to_owned());
    Ok((state, bincode::deserialize(&aliases).map_err(unreadable)?))
}

/// Brings back the shards of a worker.
fn restore(
    state: &mut WorkerState,
    manifest: &Manifest,
    worker: usize,
    peers: usize,
    read: impl Fn(u32) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<(), EngineError> {
    // Also where this worker has no shard: a user who comes to it only behind the checkpoint is replayed into the same measures.
    let cannot = |error: OperatorError| EngineError::from(StartError::Worker(Arc::new(error)));
    state.restore_measures(&manifest.sources).map_err(cannot)?;
    let is_own = |shard: &&u32| **shard as usize % peers == worker && **shard < SHARDS as u32;
    for shard in manifest.shards.iter().filter(is_own) {
        let bytes = read(*shard)?.unwrap_or_default();
        state.restore(*shard, &bytes, &manifest.sources).map_err(cannot)?;
    }
    Ok(())
}

/// An error for a checkpoint that cannot be used.
pub(super) fn unusable(number: u64, fault: String) -> EngineError {
    StartError::Checkpoint { number, fault }.into()
}
