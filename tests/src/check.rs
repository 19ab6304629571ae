//! One timeline against the oracle and the engine, line by line.
//!
//! Behind every line: both took it, or both refused it; every segment has the same members in both; and the changes that
//! the engine gave out, folded, give just these members. Behind a step of the clock, moreover, the changes folded up to the
//! end of each second give the members of the oracle then, and within a second nothing enters and leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use audience_engine::edit::ScanWatch;
use audience_engine::engine::{EngineError, EngineOptions};
use audience_engine::replay::logical::LogicalEngine;
use audience_engine::replay::timeline::EngineSubject;
use audience_kernel::message::{PreviewResult, SampledCount};
use audience_rules::ast::Millis;
use audience_rules::oracle::World;
use audience_rules::timeline::{Line, OracleSubject, SegmentDefinition, SegmentLine, Subject, parse_timeline};
use serde_json::Value;

use crate::case::Case;
use crate::changes::{Change, Collected, Folded, collector};
use crate::cluster::Cluster;
use crate::instants::Instants;

/// The longest time of a case before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// More users than a case has.
const EVERYBODY: u32 = u32::MAX;
/// At most so many instants of a clock step are looked at.
const MOST_INSTANTS: usize = 12;

/// The difference found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Behind which line, counted from 1.
    pub line: usize,
    /// For people.
    pub message: String,
}

/// Gives a subject a line.
pub fn step(subject: &mut impl Subject, line: &Line) -> Result<(), String> {
    match line {
        Line::Case(_) | Line::Expect(_) | Line::Refused { .. } => Ok(()),
        Line::At(now) => {
            subject.at(*now);
            Ok(())
        }
        Line::Event(json) => subject.event(json),
        Line::EraseUser(id) => subject.erase_user(id),
        Line::Timezone(name) => subject.set_timezone(name),
        Line::Trait(json) => subject.put_trait(json),
        Line::Segment(segment) => subject.put_segment(segment),
        Line::DeleteSegment(id) => subject.delete_segment(id),
    }
}

/// Runs a case; gives the first thing that is wrong. A case that hangs or panics is wrong too.
pub fn check(case: &Case) -> Result<(), Wrong> {
    let (sender, receiver) = sync_channel(1);
    let own = case.clone();
    let thread = std::thread::spawn(move || {
        let result = CheckedRun::start(&own).and_then(|mut run| {
            let result = run.lines(&own.lines);
            run.end().and(result)
        });
        let _ = sender.send(result);
    });
    let wrong = |message: &str| Err(Wrong { line: case.lines.len(), message: message.to_owned() });
    match receiver.recv_timeout(PATIENCE) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(RecvTimeoutError::Timeout) => wrong("it hangs"),
        Err(RecvTimeoutError::Disconnected) => wrong("it panicked"),
    }
}

struct CheckedRun {
    oracle: OracleSubject,
    engine: EngineSubject,
    collected: Collected,
    folded: Folded,
    instants: Instants,
    every_line: bool,
    /// The other processes.
    cluster: Option<Cluster>,
}

impl CheckedRun {
    fn start(case: &Case) -> Result<CheckedRun, Wrong> {
        let (encode, sink, collected) = collector();
        let wrong = |error: EngineError| Wrong { line: 0, message: error.to_string() };
        let cluster = (case.processes > 1).then(|| Cluster::start(case.processes)).transpose().map_err(wrong)?;
        let options = EngineOptions {
            workers: case.workers,
            scan_slice_users: case.scan_slice_users,
            ..EngineOptions::default()
        };
        let coordinator = cluster.as_ref().map(|cluster| &*cluster.coordinator);
        let engine = LogicalEngine::start(options, case.batch_events, encode, sink, coordinator).map_err(wrong)?;
        Ok(CheckedRun {
            oracle: OracleSubject::default(),
            engine: EngineSubject::new(engine),
            collected,
            folded: Folded::default(),
            instants: Instants::default(),
            every_line: case.every_line,
            cluster,
        })
    }

    fn lines(&mut self, lines: &[Value]) -> Result<(), Wrong> {
        for (number, json) in (1..).zip(lines) {
            let wrong = |message: String| Wrong { line: number, message };
            // What is no line at all comes from shrinking; it fails nobody.
            let Ok(parsed) = parse_timeline(&json.to_string()) else { continue };
            for (_, line) in &parsed {
                self.line(json, line).map_err(wrong)?;
            }
        }
        self.compare().map_err(|message| Wrong { line: lines.len(), message: format!("at the end: {message}") })
    }

    /// Ends the engine, and with it the other processes.
    fn end(self) -> Result<(), Wrong> {
        drop(self.engine);
        let ended = self.cluster.map_or(Ok(()), Cluster::wait);
        ended.map_err(|message| Wrong { line: 0, message })
    }

    fn line(&mut self, json: &Value, line: &Line) -> Result<(), String> {
        let before = self.oracle.now;
        if matches!(line, Line::At(now) if *now < before) {
            return Ok(());
        }
        if !matches!(line, Line::Event(_) | Line::EraseUser(_)) {
            self.look()?;
        }
        if let Line::Segment(segment) = line {
            self.preview(segment)?;
        }
        let (expected, found) = (step(&mut self.oracle, line), step(&mut self.engine, line));
        if let Some(failure) = &self.engine.failure {
            return Err(failure.to_string());
        }
        if expected != found {
            return Err(format!("the oracle says {expected:?}, the engine {found:?}"));
        }
        self.instants.note(json, self.oracle.now);
        match line {
            Line::At(now) => self.check_step(before, *now),
            Line::Event(_) | Line::EraseUser(_) if !self.every_line => Ok(()),
            _ => self.compare(),
        }
    }

    /// Compares what the engine says of rules before they are put in force with what the oracle would say behind that. The
    /// change that follows is then compared as any other.
    fn preview(&mut self, segment: &SegmentLine) -> Result<(), String> {
        let SegmentDefinition::Dynamic(json) = &segment.definition else { return Ok(()) };
        let Ok(rules) = self.oracle.world.catalogue.check_rules(&segment.id, json) else { return Ok(()) };
        let engine = &mut self.engine.engine;
        let mut preview = |watch: &dyn ScanWatch| {
            engine.preview(&segment.id, &rules, EVERYBODY, watch).map_err(|error| error.to_string())
        };
        // What was begun and stopped leaves nothing behind.
        preview(&PreviewStop)?;
        let found = preview(&())?.ok_or("a preview came to no end")?;
        let moment = self.oracle.world.at(self.oracle.now);
        let (before, behind) = (moment.members(&segment.id), moment.satisfying(&rules));
        let expected = PreviewResult {
            users: moment.histories().len() as u64,
            members: behind.len() as u64,
            entered: counted(behind.difference(&before)),
            left: counted(before.difference(&behind)),
            by_missing: counted(&moment.satisfying_by_missing(&rules)),
            values: None,
        };
        let found = sorted(found);
        if found == expected {
            return Ok(());
        }
        Err(format!("of the rules to come of `{}` the oracle says {expected:?}, the preview {found:?}", segment.id))
    }

    /// Takes in changes so far, all of which came about at the clock's instant.
    fn look(&mut self) -> Result<(), String> {
        self.engine.engine.settle().map_err(|error| error.to_string())?;
        let changes = std::mem::take(&mut *self.collected.lock());
        net_within_a_second(&changes)?;
        for change in changes {
            if change.at != self.oracle.now {
                return Err(format!("{change:?}, while the clock is at {}", self.oracle.now));
            }
            self.take(&change)?;
        }
        Ok(())
    }

    fn take(&mut self, change: &Change) -> Result<(), String> {
        let known = self.oracle.world.catalogue.segments.get(change.segment.as_str());
        if known.is_some_and(|segment| segment.version != change.version) {
            return Err(format!("{change:?} is of another version than that in force"));
        }
        self.folded.take(change)
    }

    /// Compares the members of every segment, and what the changes say of them.
    fn compare(&mut self) -> Result<(), String> {
        self.look()?;
        let moment = self.oracle.world.at(self.oracle.now);
        for id in self.oracle.world.catalogue.segments.keys() {
            let expected: BTreeSet<String> = moment.members(id).iter().map(|user| user.to_string()).collect();
            let found: BTreeSet<String> = self.engine.members(id).into_iter().collect();
            same(id, "the engine has", &expected, &found)?;
            let size = self.engine.engine.size(id).map_err(|error| error.to_string())?;
            if size != found.len() as u64 {
                return Err(format!("`{id}`: the engine counts {size} members and has {}", found.len()));
            }
        }
        if let Some(failure) = &self.engine.failure {
            return Err(failure.to_string());
        }
        same_folded(&self.oracle.world, self.oracle.now, &self.folded)
    }

    /// Checks the changes of a clock step, second by second.
    fn check_step(&mut self, from: Millis, to: Millis) -> Result<(), String> {
        let mut changes = std::mem::take(&mut *self.collected.lock());
        net_within_a_second(&changes)?;
        // Stable: those of one instant stay in their order.
        changes.sort_by_key(|change| change.at);
        let mut ends: BTreeSet<Millis> =
            self.instants.within(from, to).into_iter().map(|instant| end_of_second(instant).min(to)).collect();
        thin_out(&mut ends);
        ends.extend(changes.iter().map(|change| end_of_second(change.at).min(to)));
        ends.insert(to);
        let mut waiting = changes.iter().peekable();
        for end in ends {
            while let Some(change) = waiting.next_if(|change| change.at <= end) {
                if change.at <= from && change.at != to {
                    return Err(format!("{change:?}, but the clock was at {from} before"));
                }
                self.take(change)?;
            }
            same_folded(&self.oracle.world, end, &self.folded)?;
        }
        match waiting.next() {
            Some(change) => Err(format!("{change:?}, but the clock is at {to} only")),
            None => self.compare(),
        }
    }
}

/// Stops a preview as soon as history is scanned for it.
struct PreviewStop;

impl ScanWatch for PreviewStop {
    fn scanned(&self, _: u64, _: u64) -> bool {
        false
    }
}

fn counted<'a>(users: impl IntoIterator<Item = &'a Arc<str>>) -> SampledCount {
    let sample: Vec<String> = users.into_iter().map(|user| user.to_string()).collect();
    SampledCount { count: sample.len() as u64, sample }
}

fn sorted(mut previewed: PreviewResult) -> PreviewResult {
    for counted in [&mut previewed.entered, &mut previewed.left, &mut previewed.by_missing] {
        counted.sample.sort_unstable();
    }
    previewed
}

fn end_of_second(instant: Millis) -> Millis {
    instant.div_euclid(1000) * 1000 + 999
}

/// Leaves at most [`MOST_INSTANTS`], evenly.
fn thin_out(instants: &mut BTreeSet<Millis>) {
    let every = instants.len().div_ceil(MOST_INSTANTS).max(1);
    let mut index = 0;
    instants.retain(|_| {
        index += 1;
        index % every == 0
    });
}

fn same(segment: &str, who: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("segment `{segment}`: the oracle has {expected:?}, {who} {found:?}"))
}

/// Returns whether the changes so far give the oracle's members at an instant.
fn same_folded(world: &World, at: Millis, folded: &Folded) -> Result<(), String> {
    let moment = world.at(at);
    for id in world.catalogue.segments.keys() {
        let expected: BTreeSet<String> = moment.members(id).iter().map(|user| user.to_string()).collect();
        same(id, &format!("the changes up to {at} say"), &expected, &folded.members(id))?;
    }
    let gone = folded.segments().find(|id| !world.catalogue.segments.contains_key(id.as_str()));
    gone.map_or(Ok(()), |id| Err(format!("by the changes somebody is in `{id}`, which is gone")))
}

/// No membership changes twice within one second of one tick, nor of one step of the clock.
fn net_within_a_second(changes: &[Change]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for change in changes {
        if !seen.insert((change.tick, change.at.div_euclid(1000), &change.user, &change.segment)) {
            return Err(format!("{change:?} is the second within one second"));
        }
    }
    Ok(())
}
