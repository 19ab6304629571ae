//! The size that a rule would have had over the past: an engine of its own, with all events in memory and a clock that is
//! moved from point to point.
//!
//! Law: the size at a point is the number of users whom the rule, with the segments and traits that it refers to as they are
//! now, holds for at that instant, given every event accepted so far: what an explanation as of that instant says. Events
//! with a later timestamp wait in the engine until their time comes. Cost: one pass over all events, which are in memory
//! meanwhile, so that it is refused where there are more than [`MOST_EVENTS`].

use std::ops::ControlFlow;
use std::time::Instant;

use audience_background::clock;
use audience_catalogue::unavailable;
use audience_protocol::{ConflictKind, CurveInput, CurvePoint, PlatformError, Result, SizeCurve};
use audience_rules::ast::Millis;
use audience_rules::fault::{Fault, code};
use audience_rules::record::{EventRef, RecordKind, records, set_accepted_at};
use audience_rules::time::format_time;

use super::Lookup;
use crate::engine::{EngineError, EngineOptions, TickDone};
use crate::replay::logical::LogicalEngine;

/// Events that are held in memory at most.
const MOST_EVENTS: u64 = 500_000;
/// Events of a tick of the engine.
const BATCH_EVENTS: u64 = 4_096;
/// Points of a curve.
const POINTS: u32 = 60;
const MOST_POINTS: u32 = 400;
/// From the first point to the last, where the caller does not say.
const SPAN: Millis = 30 * 86_400_000;

impl Lookup {
    /// The sizes that a rule would have had over the past. `is_wanted` is asked meanwhile.
    pub(crate) fn curve(&self, input: &CurveInput, is_wanted: &dyn Fn() -> bool) -> Result<SizeCurve> {
        let begun = Instant::now();
        let instants = instants(input)?;
        // No segment's id is as long.
        let name = "c".repeat(300);
        let catalogue = self.editor.rule_alone(&name, &input.rules)?;
        let events = self.events.end();
        if events > MOST_EVENTS {
            let message = format!("there are {events} events, and a curve is computed over at most {MOST_EVENTS}");
            return Err(PlatformError::Conflict { kind: ConflictKind::TooManyEvents, message });
        }
        let _alone = self.all_users.lock();
        let mut engine = start().map_err(failed)?;
        engine.advance(instants[0]).map_err(failed)?;
        engine.edit(|running| *running = catalogue).map_err(failed)?;
        self.feed(&mut engine, (events, instants[0]), is_wanted)?;
        let mut points = Vec::with_capacity(instants.len());
        for at in instants.iter().take_while(|_| is_wanted()) {
            engine.leap(*at).map_err(failed)?;
            points.push(CurvePoint { at: format_time(*at), size: engine.size(&name).map_err(failed)? });
        }
        engine.stop();
        if points.len() < instants.len() {
            return Err(PlatformError::Unavailable("the curve was given up".to_owned()));
        }
        let took_milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(SizeCurve { points, events, took_milliseconds })
    }

    /// Gives the engine every event, in the order of acceptance, each as if it had been accepted at the first point.
    fn feed(
        &self,
        engine: &mut LogicalEngine,
        (events, accepted_at): (u64, Millis),
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<()> {
        let (mut record, mut fed) = (Vec::new(), Ok(()));
        self.events
            .scan(0..events, &mut |run| {
                let kept = |event: &EventRef<'_>| event.sequence() < events && event.kind() != RecordKind::Blank;
                fed = records(run).filter(kept).try_for_each(|event| {
                    record.clear();
                    record.extend_from_slice(event.bytes());
                    set_accepted_at(&mut record, accepted_at);
                    engine.accept(&record)
                });
                if fed.is_err() || !is_wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .map_err(unavailable)?;
        fed.map_err(failed)
    }
}

/// The instants of the points, at equal distances.
fn instants(input: &CurveInput) -> Result<Vec<Millis>> {
    let refuse = |pointer: &str, message: String| {
        Err(PlatformError::Invalid(vec![Fault { pointer: pointer.to_owned(), code: code::OUT_OF_RANGE, message }]))
    };
    let points = input.points.unwrap_or(POINTS);
    if !(2..=MOST_POINTS).contains(&points) {
        return refuse("/points", format!("a curve has 2 to {MOST_POINTS} points"));
    }
    let now = clock::now();
    let to = input.to.unwrap_or(now).min(now);
    let from = input.from.unwrap_or(to - SPAN);
    if !(0..to).contains(&from) {
        return refuse("/from", "the first point is before the last, and not before 1970".to_owned());
    }
    let steps = i64::from(points) - 1;
    Ok((0..=steps).map(|step| from + (to - from) * step / steps).collect())
}

fn start() -> std::result::Result<LogicalEngine, EngineError> {
    let options = EngineOptions { workers: 1, ..EngineOptions::default() };
    LogicalEngine::start(options, BATCH_EVENTS, |_, _| {}, Box::new(|_: TickDone| Ok(())), None)
}

fn failed(error: EngineError) -> PlatformError {
    PlatformError::Unavailable(format!("the curve cannot be computed: {error}"))
}
