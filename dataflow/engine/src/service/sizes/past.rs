//! Sizes over a past that was before the platform, computed from its events under a logical clock.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::Note;
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::record::records;
use parking_lot::Mutex;

use super::{BEGUN, LOOK, PREFIX, PREFIX_END, Service, each_change};
use crate::engine::{EngineError, EngineOptions};
use crate::replay::logical::LogicalEngine;
use crate::service::changes::{encode, visit};
use crate::service::{clock, pause};

/// The clock moves so far at a time; of segments that depend on ranks, sizes are right at its ends.
const STEP: Millis = 3_600_000;

impl Service {
    /// Puts sizes over the past in place of those that are counted: what they would have been, had the segments been there as
    /// they are now since before the first event. `events` are all that was accepted, in the order of their timestamps, each
    /// as if it had been accepted then.
    pub fn put_past_sizes(&self, events: &[u8]) -> Result<(), EngineError> {
        let Some(begun) = records(events).next().map(|record| record.accepted_at()) else { return Ok(()) };
        // What is behind it is in the change log, and all before it has been given out.
        let up_to = clock::now();
        while self.stores.changes.progress()?.is_none_or(|progress| progress.clock < up_to) && !self.is_ending() {
            pause(LOOK);
        }
        let past = replay(self.editor.read(|documents| documents.catalogue.clone()), events, up_to)?;
        let mut state = self.counted()?;
        let (counted, mut failed) = (state.reached, None);
        let mut notes: Vec<Note> = vec![(BEGUN.to_vec(), Some(begun.to_be_bytes().to_vec()))];
        self.stores.notes.visit(PREFIX, PREFIX_END, &mut |key, _| {
            notes.push((key.to_vec(), None));
            ControlFlow::Continue(())
        })?;
        self.stores.notes.write(&notes)?;
        state.segments.clear();
        (state.begun, state.at, state.unnoted) = (begun, Millis::MIN, BTreeMap::new());
        for changes in &past {
            visit(changes, &mut |change| {
                failed = failed.take().or(state.count_one(change, &*self.stores.notes).err());
                ControlFlow::Continue(())
            });
        }
        each_change(&*self.stores.changes, 0, counted, &mut |_, change| {
            if change.at > up_to {
                failed = failed.take().or(state.count_one(change, &*self.stores.notes).err());
            }
        })?;
        state.touch();
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The changes of these events up to an instant, tick by tick.
fn replay(catalogue: Catalogue, events: &[u8], up_to: Millis) -> Result<Vec<Vec<u8>>, EngineError> {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let taken = changes.clone();
    let sink = Box::new(move |done: crate::engine::TickDone| {
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
