//! How a change of the catalogue comes into force, while events go on flowing.
//!
//! 1. The new rules are installed in silence; measures that nobody computed begin to take events from that tick on.
//! 2. History up to that tick is scanned for those measures, on threads of its own, in parallel.
//! 3. Every user is looked at, for new ranks by depth and then for the rules, slice by slice between ticks.
//! 4. One tick publishes: the difference between the old and the new members of each segment is given out.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use audience_contract::EventLog;
use audience_operators::message::{Clock, Control};
use audience_operators::operator::Inward;
use audience_operators::program::Source;
use audience_operators::registry::Boundary;
use audience_rules::ast::{Events, Millis};
use audience_rules::record::{EventRef, RecordKind, records};

use crate::engine::{Engine, EngineError, controls};
use crate::rule_set::Difference;

/// History goes to the workers in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

/// Where the events submitted so far end, and the clock.
pub trait Position: Sync {
    /// As of the tick being made: see [`Engine::submit`].
    fn boundary(&self) -> Boundary;

    /// Called as the tick that publishes an edit is made.
    fn publishing(&self) {}
}

/// Brings a difference into force; returns when it is.
pub fn apply(
    engine: &Engine,
    log: &dyn EventLog,
    position: &dyn Position,
    difference: Difference,
) -> Result<u64, EngineError> {
    if !difference.install.is_empty() {
        install(engine, log, position, &difference)?;
        for depth in 1..=difference.new_rank_depth {
            scan(engine, position, Some(depth))?;
        }
        scan(engine, position, None)?;
    }
    let tick = control(engine, position, |_| {
        position.publishing();
        Control::Publish(difference.publish)
    })?;
    engine.wait_for(tick)?;
    Ok(tick)
}

fn control(
    engine: &Engine,
    position: &dyn Position,
    make: impl FnOnce(Boundary) -> Control,
) -> Result<u64, EngineError> {
    let workers = engine.workers();
    engine.submit(|_| {
        let boundary = position.boundary();
        let control = Arc::new(make(boundary));
        let clock = Clock { now: boundary.clock, limit: boundary.clock };
        (0..workers).map(|_| controls(clock, Some(&control))).collect()
    })
}

/// Installs the rules of a difference and brings their measures the history that they lack.
pub fn install(
    engine: &Engine,
    log: &dyn EventLog,
    position: &dyn Position,
    difference: &Difference,
) -> Result<(), EngineError> {
    let mut end = 0;
    let needs_history = !difference.new_sources.is_empty();
    let rules = difference.install.clone();
    let tick = control(engine, position, |boundary| {
        end = boundary.sequence;
        Control::Install { rules, boundary: (needs_history && end > 0).then_some(boundary) }
    })?;
    engine.wait_for(tick)?;
    if needs_history && end > 0 {
        backfill(engine, log, position, &difference.new_sources, end)?;
        control(engine, position, |_| Control::BackfillDone)?;
    }
    Ok(())
}

fn scan(engine: &Engine, position: &dyn Position, rank_depth: Option<u32>) -> Result<(), EngineError> {
    let before = engine.done().scans;
    control(engine, position, |_| Control::Scan { rank_depth })?;
    let all = before + engine.workers() as u64;
    engine.wait(|done| done.scans >= all)?;
    if rank_depth.is_some() {
        // The ranks answer within this tick.
        let boundary = position.boundary();
        let tick = engine.submit_control(boundary.clock, None)?;
        engine.wait_for(tick)?;
    }
    Ok(())
}

/// Which events a measure may want: everything, those of some types, or `identify` with some trait.
struct Wanted {
    any: bool,
    types: Vec<Arc<str>>,
}

impl Wanted {
    fn of(sources: &[Source]) -> Wanted {
        let mut wanted = Wanted { any: false, types: Vec::new() };
        for source in sources {
            match source {
                Source::Trait(_) => wanted.types.push(Arc::from("identify")),
                Source::Behaviour(behaviour) => wanted.add(&behaviour.events),
                Source::Sequence(sequence) => sequence.steps.iter().for_each(|step| wanted.add(&step.events)),
            }
        }
        wanted.types.sort_unstable();
        wanted.types.dedup();
        wanted
    }

    fn add(&mut self, events: &Events) {
        match events {
            Events::Any => self.any = true,
            Events::Named(names) => self.types.extend(names.iter().cloned()),
        }
    }

    fn wants(&self, event: &EventRef<'_>) -> bool {
        event.kind() != RecordKind::Alias
            && (self.any || self.types.iter().any(|event_type| **event_type == *event.event_type()))
    }
}

/// Scans history up to `end` for what the measures want and sends it to the workers.
fn backfill(
    engine: &Engine,
    log: &dyn EventLog,
    position: &dyn Position,
    sources: &[Source],
    end: u64,
) -> Result<(), EngineError> {
    let wanted = Wanted::of(sources);
    let failed = AtomicBool::new(false);
    let failure: Mutex<Option<EngineError>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for (index, range) in log.split(0..end, engine.workers()).into_iter().enumerate() {
            let (wanted, failed, failure) = (&wanted, &failed, &failure);
            scope.spawn(move || {
                let mut piece = Piece { engine, position, worker: index % engine.workers(), bytes: Vec::new() };
                let mut result = Ok(());
                let scanned = log.scan(range.clone(), &mut |run| {
                    for event in records(run).filter(|event| range.contains(&event.sequence()) && wanted.wants(event)) {
                        piece.bytes.extend_from_slice(event.bytes());
                    }
                    if piece.bytes.len() >= PIECE_BYTES {
                        result = piece.send();
                    }
                    let stop = result.is_err() || failed.load(Ordering::Relaxed);
                    if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let result = result.and(scanned.map_err(EngineError::from)).and_then(|()| piece.send());
                if let Err(error) = result {
                    failed.store(true, Ordering::Relaxed);
                    if let Ok(mut failure) = failure.lock() {
                        failure.get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

/// History on its way to a worker.
struct Piece<'a> {
    engine: &'a Engine,
    position: &'a dyn Position,
    worker: usize,
    bytes: Vec<u8>,
}

impl Piece<'_> {
    fn send(&mut self) -> Result<(), EngineError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (workers, worker) = (self.engine.workers(), self.worker);
        let tick = self.engine.submit(|_| {
            let now: Millis = self.position.boundary().clock;
            let mut bytes = Some(bytes);
            (0..workers)
                .map(|index| {
                    let mut items = controls(Clock { now, limit: now }, None);
                    if index == worker {
                        items.extend(bytes.take().map(Inward::Backfill));
                    }
                    items
                })
                .collect()
        })?;
        self.engine.wait_for(tick).map(drop)
    }
}
