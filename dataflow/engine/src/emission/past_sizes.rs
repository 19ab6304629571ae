//! Sizes over a past before the platform, computed from its events under a logical clock.

use std::sync::Arc;
use std::time::Duration;

use audience_background::{Stop, clock};
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::record::records;
use parking_lot::Mutex;

use super::encode::encode;
use super::followers::Followers;
use crate::engine::{EngineError, EngineOptions, TickDone};
use crate::replay::logical::LogicalEngine;

/// The clock moves so far at a time; the sizes of segments that depend on ranks are right at its ends.
const STEP: Millis = 3_600_000;
/// Between checks whether the run ends.
const PATIENCE: Duration = Duration::from_millis(200);

/// Replaces the sizes that are counted by sizes over the past: those that there would have been if the segments of
/// `catalogue` had been there since before the first event. `events` are all that was accepted, in the order of their
/// timestamps, each as if it had been accepted then.
pub(crate) fn put_past_sizes(
    followers: &Followers,
    catalogue: Catalogue,
    events: &[u8],
    stop: &Stop,
) -> Result<(), EngineError> {
    let Some(begun) = records(events).next().map(|record| record.accepted_at()) else { return Ok(()) };
    // Whatever comes after it is in the change log, and everything before it has been emitted.
    let up_to = clock::now();
    let mut newest = followers.emitted.newest();
    while newest.clock < up_to && !stop.is_requested() {
        newest = followers.emitted.wait_beyond(newest.tick, PATIENCE);
    }
    let past = replay(catalogue, events, up_to)?;
    Ok(followers.sizes.put_past(begun, up_to, &past)?)
}

/// Returns the changes of these events up to an instant, tick by tick.
fn replay(catalogue: Catalogue, events: &[u8], up_to: Millis) -> Result<Vec<Vec<u8>>, EngineError> {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let taken = changes.clone();
    let sink = Box::new(move |done: TickDone| {
        taken.lock().extend(done.outputs.into_iter().map(|output| output.changes));
        Ok(())
    });
    let mut engine = LogicalEngine::start(EngineOptions::default(), u64::MAX, encode, sink, None)?;
    engine.edit(|running| *running = catalogue)?;
    let mut end = Millis::MIN;
    for record in records(events).take_while(|record| record.accepted_at() <= up_to) {
        while record.accepted_at() > end {
            if end > Millis::MIN {
                engine.leap(end)?;
            }
            // The first step begins with the first event.
            end = if end == Millis::MIN { record.accepted_at().div_euclid(STEP) * STEP + STEP - 1 } else { end + STEP };
            end = end.min(up_to);
        }
        engine.accept(record.bytes())?;
    }
    while end < up_to {
        engine.leap(end)?;
        end = (end + STEP).min(up_to);
    }
    engine.leap(up_to)?;
    engine.stop();
    let changes = std::mem::take(&mut *changes.lock());
    Ok(changes)
}
