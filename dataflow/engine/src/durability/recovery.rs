//! A start: the state of the newest good checkpoint, and the log behind it.
//!
//! 1. Up to the progress that was given out, in silence: checkpoint, then the log, under the rules and the clock of then.
//!    Memberships follow from the state; since they are a function of it, they are those that were given out.
//! 2. From there on as ever: what was accepted behind that progress, then the clock, then the newest catalogue.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use audience_contract::{CheckpointStore, EventLog, Progress, StoreError};
use audience_kernel::message::Control;
use audience_kernel::program::MeasureKey;
use audience_kernel::worker::MeasureText;
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::record::records;

use super::manifest::{ALIASES_SHARD, Manifest};
use super::seed::{WholeCheckpoint, unusable};
use crate::edit;
use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::occurrence::{CheckpointPassedOver, CheckpointsUnreadable};
use crate::rule_set::RuleSet;
use crate::start::StartProgress;

/// Bytes of history in one tick.
const TICK_BYTES: usize = 8 << 20;

/// Threads that read a checkpoint to find out whether it is whole.
const READERS: usize = 8;

/// Finds the newest checkpoint whose every part is good and that does not reach beyond the progress, neither in events nor
/// in time: what is in it must be what was given out, under the rules of then. Damaged ones are
/// told and passed over: the log has everything.
pub(crate) fn newest_good(
    store: &dyn CheckpointStore,
    progress: Option<Progress>,
    metrics: &Metrics,
) -> Option<WholeCheckpoint> {
    let progress = progress?;
    let numbers = store.found().unwrap_or_else(|error| {
        CheckpointsUnreadable { error: &error }.emit(metrics);
        Vec::new()
    });
    let found = numbers.into_iter().find_map(|number| usable(store, number, progress, metrics));
    tracing::info!(from_checkpoint = found.is_some(), "The platform starts");
    found
}

fn usable(store: &dyn CheckpointStore, number: u64, progress: Progress, metrics: &Metrics) -> Option<WholeCheckpoint> {
    match check(store, number) {
        Ok(found) if found.manifest.is_within(progress) => return Some(found),
        Ok(_) => tracing::warn!(
            checkpoint = number,
            "The checkpoint is ahead of the last progress, and the start uses an older one"
        ),
        Err(error) => CheckpointPassedOver { number, error: &error }.emit(metrics),
    }
    None
}

fn check(store: &dyn CheckpointStore, number: u64) -> Result<WholeCheckpoint, EngineError> {
    let unreadable = |what: &str| unusable(number, format!("{what} cannot be read"));
    let manifest = Manifest::decode(&store.manifest(number)?);
    let manifest = manifest.map_err(|why| unusable(number, why))?;
    // Several at once, for a store that is far away.
    std::thread::scope(|threads| {
        let all = |shards: &[u32]| -> Result<(), EngineError> {
            shards.iter().try_for_each(|shard| {
                let read = store.shard(number, *shard)?;
                read.map(drop).ok_or_else(|| unreadable(&format!("shard {shard}")))
            })
        };
        let parts = manifest.shards.chunks(manifest.shards.len().div_ceil(READERS).max(1));
        let readers: Vec<_> = parts.map(|shards| threads.spawn(move || all(shards))).collect();
        readers.into_iter().try_for_each(|reader| reader.join().unwrap_or_else(|_| Err(unreadable("a shard"))))
    })?;
    let aliases = store.shard(number, ALIASES_SHARD)?.ok_or_else(|| unreadable("its aliases"))?;
    let aliases = bincode::deserialize(&aliases).map_err(|_| unreadable("its aliases"))?;
    Ok(WholeCheckpoint { number, manifest, aliases })
}

/// Brings the engine to the progress that was given out, in silence, and from there to the end of the log.
pub(crate) fn catch_up(
    engine: &Arc<Engine>,
    log: &dyn EventLog,
    progress: Progress,
    found: Option<&WholeCheckpoint>,
    catalogue: &Catalogue,
    start: &StartProgress,
) -> Result<RuleSet, EngineError> {
    let in_force = RuleSet::of(catalogue);
    let mut difference = RuleSet::default().difference(&in_force, catalogue);
    let from = found.map_or(0, |found| found.manifest.least.sequence);
    // Without a checkpoint every measure takes the whole log as it is replayed; with one, measures that it lacks need
    // what lies before it too.
    difference.new_measures = match found {
        Some(found) => missing(&found.manifest, difference.new_measures),
        None => Vec::new(),
    };
    if difference.new_measures.is_empty() {
        edit::install(engine, log, &difference, &())?;
        replay(engine, log, from..progress.sequence, start)?;
    } else {
        replay(engine, log, from..progress.sequence, start)?;
        edit::install(engine, log, &difference, &())?;
    }
    engine.submit_steps(vec![Control::Publish(difference.publish)])?;
    let tick = engine.submit_steps(vec![Control::Activate])?;
    engine.wait_for(tick)?;
    Ok(in_force)
}

fn missing(manifest: &Manifest, needed: Vec<MeasureKey>) -> Vec<MeasureKey> {
    needed.into_iter().filter(|source| !manifest.sources.contains(&MeasureText::of(source))).collect()
}

/// When the last event below `end` was accepted.
pub(crate) fn newest_acceptance(log: &dyn EventLog, end: u64) -> Result<Option<Millis>, StoreError> {
    let mut newest = None;
    log.scan(end.saturating_sub(1)..end, &mut |run| {
        newest = newest.max(records(run).map(|record| record.accepted_at()).max());
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}

/// Submits a range of the log.
pub(crate) fn replay(
    engine: &Arc<Engine>,
    log: &dyn EventLog,
    range: Range<u64>,
    start: &StartProgress,
) -> Result<(), EngineError> {
    if range.is_empty() {
        return Ok(());
    }
    start.expect(range.end - range.start);
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    let (mut next, mut told) = (range.start, range.start);
    let mut result = Ok(0);
    log.scan(range.clone(), &mut |run| {
        let mut piece = Vec::with_capacity(run.len());
        for record in records(run).filter(|record| range.contains(&record.sequence())) {
            piece.extend_from_slice(record.bytes());
            next = record.sequence() + 1;
        }
        bytes += piece.len();
        pieces.push(piece);
        if bytes >= TICK_BYTES {
            bytes = 0;
            result = engine.submit_records(std::mem::take(&mut pieces), (next, None), drop);
            start.advance(next - told);
            told = next;
        }
        if result.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    result?;
    let tick = engine.submit_records(pieces, (range.end, None), drop)?;
    engine.wait_for(tick)?;
    start.advance(range.end - told);
    Ok(())
}
