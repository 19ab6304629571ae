//! How a change of the catalogue comes into force, while events go on flowing.
//!
//! 1. The new rules are installed in silence; measures that nobody computed begin to take events from that tick on.
//! 2. History up to that tick is scanned for those measures, on threads of its own, in parallel.
//! 3. Every user is looked at, for new ranks by depth and then for the rules, slice by slice between ticks.
//! 4. One tick publishes: the difference between the old and the new members of each segment is given out.
//!
//! A change of a few rules that need neither history nor ranks is all of that in one tick.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use audience_contract::EventLog;
use audience_kernel::message::Control;
use audience_kernel::operator::Inward;
use audience_kernel::program::MeasureKey;
use audience_kernel::question::UserQuestion;
use audience_rules::ast::{EventTypes, Filter};
use audience_rules::record::{EventRef, RecordKind, records};
use audience_rules::test::{filter_holds, filter_is_relative};
use parking_lot::Mutex;

use crate::engine::{Engine, EngineError, TickItems};
use crate::rule_set::Difference;

/// So many looks of a worker, a user for a rule each, take some 20 ms: events may wait as long.
const LOOKS_IN_A_TICK: usize = 500_000;
/// History goes to the workers in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;
/// Pieces of one scanning thread that the workers have not done: enough to keep both at work, few enough that events
/// come between.
const PIECES_UNDER_WAY: usize = 2;

/// A watcher of a scan of history.
pub trait ScanWatch: Sync {
    /// So many events are scanned, of so many. Gives whether to go on.
    fn scanned(&self, events: u64, of: u64) -> bool;
}

/// Nobody does.
impl ScanWatch for () {
    fn scanned(&self, _: u64, _: u64) -> bool {
        true
    }
}

/// Brings a difference into force, which leads to a version of the catalogue. Returns the tick with which it is in force,
/// once that is in the memberships.
pub fn apply(
    engine: &Engine,
    log: &dyn EventLog,
    difference: Difference,
    catalogue_version: u64,
) -> Result<u64, EngineError> {
    let mut steps = Vec::new();
    if is_small(engine, &difference) {
        steps.push(Control::Install { rules: difference.install, boundary: None });
        steps.push(Control::Scan { rank_depth: None });
    } else if !difference.install.is_empty() {
        install(engine, log, &difference, &())?;
        look_at_all(engine, &difference)?;
    }
    steps.push(Control::Publish(difference.publish));
    let tick = engine.submit(|head| {
        head.catalogue_version = catalogue_version;
        TickItems::of(steps)
    })?;
    engine.wait_applied(tick)?;
    Ok(tick)
}

/// Returns whether all of it can be done in one tick without keeping events waiting: nothing is lacking but a look at every user
/// for a few rules.
pub(crate) fn is_small(engine: &Engine, difference: &Difference) -> bool {
    let users = usize::try_from(engine.done().most_users).unwrap_or(usize::MAX);
    let is_complete = difference.new_measures.is_empty() && difference.new_rank_depth == 0;
    is_complete && !difference.install.is_empty() && difference.install.len().saturating_mul(users) <= LOOKS_IN_A_TICK
}

/// Installs the rules of a difference and brings their measures the history that they lack. Gives whether all of it is
/// there: `watch` may stop it on the way.
pub fn install(
    engine: &Engine,
    log: &dyn EventLog,
    difference: &Difference,
    watch: &dyn ScanWatch,
) -> Result<bool, EngineError> {
    let mut end = 0;
    let needs_history = !difference.new_measures.is_empty();
    let rules = difference.install.clone();
    let tick = engine.submit(|head| {
        end = head.sequence;
        let boundary = (needs_history && end > 0).then(|| head.boundary());
        TickItems::of(vec![Control::Install { rules, boundary }])
    })?;
    engine.wait_for(tick)?;
    if needs_history && end > 0 {
        let begun = Instant::now();
        if !backfill(engine, log, &difference.new_measures, end, watch)? {
            return Ok(false);
        }
        engine.submit_steps(vec![Control::BackfillDone])?;
        tracing::debug!(took = ?begun.elapsed(), "history scanned");
    }
    Ok(true)
}

/// Looks at every user: for the new ranks, depth by depth, and then for the rules.
pub(crate) fn look_at_all(engine: &Engine, difference: &Difference) -> Result<(), EngineError> {
    for depth in 1..=difference.new_rank_depth {
        scan(engine, Some(depth))?;
    }
    scan(engine, None)
}

fn scan(engine: &Engine, rank_depth: Option<u32>) -> Result<(), EngineError> {
    let before = engine.done().scans;
    engine.submit_steps(vec![Control::Scan { rank_depth }])?;
    let all = before + engine.workers() as u64;
    engine.wait(|done| done.scans >= all)?;
    if rank_depth.is_some() {
        // The ranks answer within this tick.
        let tick = engine.submit_steps(Vec::new())?;
        engine.wait_for(tick)?;
    }
    Ok(())
}

/// Which events the measures may want.
#[derive(Default)]
struct Wanted<'a> {
    /// Event types, each with the filter that must hold of an event, where that does not depend on the clock.
    events: Vec<(&'a EventTypes, Option<&'a Filter>)>,
    /// `identify` events with any of these traits.
    traits: Vec<String>,
    /// Events that matter to any of these.
    questions: Vec<&'a UserQuestion>,
}

impl<'a> Wanted<'a> {
    fn of(measures: &'a [MeasureKey]) -> Wanted<'a> {
        let mut wanted = Wanted::default();
        for measure in measures {
            match measure {
                // The whole path may be a trait's name, too.
                MeasureKey::Trait(path) => {
                    wanted.traits.extend(path.first().map(|name| name.to_string()).into_iter().chain([path.join(".")]));
                }
                MeasureKey::Asked(question) => wanted.questions.push(question),
                MeasureKey::Behaviour(behaviour) => wanted.add(&behaviour.events, behaviour.filter.as_ref()),
                MeasureKey::Sequence(sequence) => {
                    sequence.steps.iter().for_each(|step| wanted.add(&step.events, step.filter.as_ref()));
                }
            }
        }
        wanted
    }

    fn add(&mut self, events: &'a EventTypes, filter: Option<&'a Filter>) {
        self.events.push((events, filter.filter(|filter| !filter_is_relative(filter))));
    }

    fn wants(&self, event: &EventRef<'_>) -> bool {
        if !event.kind().counts() {
            return false;
        }
        let is_wanted = |(events, filter): &(&EventTypes, Option<&Filter>)| {
            events.contains(event.event_type()) && filter.is_none_or(|filter| filter_holds(filter, event, 0))
        };
        self.events.iter().any(is_wanted)
            || (event.kind() == RecordKind::Identify
                && !self.traits.is_empty()
                && event.traits().any(|(name, _)| self.traits.iter().any(|wanted| wanted == name)))
            || self.questions.iter().any(|question| question.concerns(event))
    }
}

/// Scans history up to `end` for what the measures want and sends it to the workers. Gives whether it came to the end.
fn backfill(
    engine: &Engine,
    log: &dyn EventLog,
    measures: &[MeasureKey],
    end: u64,
    watch: &dyn ScanWatch,
) -> Result<bool, EngineError> {
    let wanted = Wanted::of(measures);
    let (scanned, is_stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let failure: Mutex<Option<EngineError>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for range in log.split(0..end, engine.workers()) {
            let (wanted, scanned, is_stopped, failure) = (&wanted, &scanned, &is_stopped, &failure);
            scope.spawn(move || {
                let mut piece = HistoryPiece::new(engine);
                let mut result = Ok(());
                let all = log.scan(range.clone(), &mut |run| {
                    let mut seen = 0;
                    for event in records(run).filter(|event| range.contains(&event.sequence())) {
                        seen += 1;
                        if wanted.wants(&event) {
                            piece.push(event.bytes());
                        }
                    }
                    if !watch.scanned(scanned.fetch_add(seen, Ordering::Relaxed) + seen, end) {
                        is_stopped.store(true, Ordering::Relaxed);
                    }
                    if piece.length >= PIECE_BYTES {
                        result = piece.send();
                    }
                    let stop = result.is_err() || is_stopped.load(Ordering::Relaxed);
                    if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let result = result.and(all.map_err(EngineError::from)).and_then(|()| piece.send());
                if let Err(error) = result {
                    is_stopped.store(true, Ordering::Relaxed);
                    failure.lock().get_or_insert(error);
                }
            });
        }
    });
    match failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(!is_stopped.into_inner()),
    }
}

/// History on its way to the workers.
struct HistoryPiece<'a> {
    engine: &'a Engine,
    /// A part for each worker, who routes it.
    parts: Vec<Vec<u8>>,
    length: usize,
    under_way: VecDeque<u64>,
}

impl<'a> HistoryPiece<'a> {
    fn new(engine: &'a Engine) -> Self {
        let parts = vec![Vec::new(); engine.workers()];
        HistoryPiece { engine, parts, length: 0, under_way: VecDeque::new() }
    }

    fn push(&mut self, record: &[u8]) {
        let workers = self.parts.len();
        // One part behind the other is filled.
        let part = (self.length * workers / PIECE_BYTES).min(workers - 1);
        self.parts[part].extend_from_slice(record);
        self.length += record.len();
    }

    fn send(&mut self) -> Result<(), EngineError> {
        if self.length == 0 {
            return Ok(());
        }
        self.length = 0;
        let workers = self.parts.len();
        let parts = std::mem::replace(&mut self.parts, vec![Vec::new(); workers]);
        let parts = parts.into_iter().map(Inward::Backfill).enumerate().collect();
        let tick = self.engine.submit(|_| TickItems { parts, ..TickItems::default() })?;
        self.under_way.push_back(tick);
        match self.under_way.pop_front() {
            Some(oldest) if self.under_way.len() >= PIECES_UNDER_WAY => self.engine.wait_for(oldest).map(drop),
            Some(oldest) => {
                self.under_way.push_front(oldest);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
