//! The collector: puts the workers' parts of each tick together and hands whole ticks to the sink, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Instant;

use audience_contract::Progress;
use audience_kernel::message::{Leader, MembersByValue, PreviewResult, TickLabel};
use audience_kernel::operator::{Outward, TickOutput};
use audience_rules::ast::Millis;
use hashbrown::HashMap;

use super::error::{EngineError, EngineFailure};
use super::head::oldest_accepted;
use super::progress::{OutwardMessage, SharedProgress};
use super::tick::{CheckpointPart, TickDone, TickTaker};
use super::workers::PanicWatch;

/// Puts the workers' parts of ticks together.
pub(super) struct Collector {
    /// The number of workers.
    pub(super) workers: usize,
    /// The progress that is shared with callers.
    pub(super) shared: Arc<SharedProgress>,
    /// The taker of each whole tick.
    pub(super) sink: TickTaker,
    /// The start of the engine, which labels count from.
    pub(super) started: Instant,
    /// Takes the parts of checkpoints.
    pub(super) parts: SyncSender<CheckpointPart>,
}

impl Collector {
    /// Until nobody gives anything any more.
    pub(super) fn run(mut self, outward: &Receiver<OutwardMessage>) {
        let shared = self.shared.clone();
        let _watch = PanicWatch(Arc::new(move |failure| shared.fail(failure)));
        let mut waiting = BTreeMap::new();
        while let Ok((_, item)) = outward.recv() {
            self.take(item, &mut waiting);
            // What has come meanwhile is committed together.
            while let Ok((_, item)) = outward.try_recv() {
                self.take(item, &mut waiting);
            }
            let (mut whole, counted) = (Vec::new(), self.shared.counted_below());
            let is_whole = |tick: u64, outputs: &[TickOutput]| outputs.len() == self.workers && tick < counted;
            while let Some(first) = waiting.first_entry().filter(|first| is_whole(*first.key(), first.get())) {
                let (tick, outputs) = first.remove_entry();
                whole.push(self.whole(tick, outputs));
            }
            if let Some(last) = whole.last_mut() {
                last.has_more = false;
                self.finish(whole);
            }
        }
        self.shared.fail(EngineFailure::Told);
    }

    fn whole(&self, tick: u64, outputs: Vec<TickOutput>) -> TickDone {
        let label = outputs.first().map(|output| output.label).unwrap_or_default();
        let clock = outputs.iter().map(|output| output.clock).max().unwrap_or_default();
        let TickLabel { number, sequence, catalogue_version, .. } = label;
        let progress = Progress { tick: number, clock, sequence, catalogue_version, run: 0 };
        TickDone {
            tick,
            progress,
            oldest_accepted: oldest_accepted(&label, self.started),
            is_captured: outputs.iter().any(TickOutput::has_part),
            outputs,
            has_more: true,
        }
    }

    fn give_parts(&self, parts: Vec<CheckpointPart>) -> Result<(), EngineError> {
        for part in parts {
            // Nobody takes parts any more only when the engine is given up.
            if let Err(TrySendError::Full(_)) = self.parts.try_send(part) {
                return Err(EngineFailure::Bug("parts of a checkpoint are not taken").into());
            }
        }
        Ok(())
    }

    fn take(&self, item: Outward, waiting: &mut BTreeMap<u64, Vec<TickOutput>>) {
        match item {
            Outward::Tick(output) => waiting.entry(output.tick).or_default().push(*output),
            Outward::Scanned => self.shared.update(|done| done.scans += 1),
            // Whoever gave them has put them in the sizes; ticks that waited for that are whole now.
            Outward::Sizes(_) => {}
            // Read in place in this process, mirrored already where it comes from another.
            Outward::Held(_) => {}
            Outward::Failed(reason) => self.shared.fail(EngineFailure::Worker(reason)),
        }
    }

    fn finish(&mut self, whole: Vec<TickDone>) {
        if self.shared.failure().is_some() {
            return;
        }
        let mut known = KnownState::default();
        for mut done in whole {
            let (previewed, leaders) = (previewed(&mut done), leaders(&mut done));
            let (previewed, leaders) = (previewed.or(known.previewed), leaders.or(known.leaders));
            known = KnownState { previewed, leaders, ..KnownState::of(&done) };
            let parts = take_parts(&mut done);
            if let Err(error) = (self.sink)(done).and_then(|()| self.give_parts(parts)) {
                return self.shared.fail(error.into());
            }
        }
        self.shared.update(|done| {
            done.ticks = known.ticks;
            done.clock = known.clock;
            done.next_due = known.next_due;
            done.deepest_rank = known.deepest_rank;
            done.users = known.users;
            done.most_users = known.most_users;
            if let Some(previewed) = known.previewed {
                done.previewed = Some(Arc::new(previewed));
            }
            if let Some(leaders) = known.leaders {
                done.leaders = Some(Arc::new(leaders));
            }
        });
    }
}

/// Takes the parts of a checkpoint out of a tick.
fn take_parts(done: &mut TickDone) -> Vec<CheckpointPart> {
    let outputs = done.outputs.iter_mut().filter(|output| output.has_part());
    let parts = outputs.map(|output| CheckpointPart {
        shards: std::mem::take(&mut output.shards),
        sources: std::mem::take(&mut output.sources),
        aliases: output.aliases.take(),
    });
    parts.collect()
}

/// The state that a tick led to.
#[derive(Default)]
struct KnownState {
    ticks: u64,
    clock: Millis,
    next_due: Option<Millis>,
    deepest_rank: u32,
    users: u64,
    most_users: u64,
    previewed: Option<PreviewResult>,
    leaders: Option<(Vec<Leader>, Millis)>,
}

impl KnownState {
    fn of(done: &TickDone) -> KnownState {
        KnownState {
            ticks: done.tick + 1,
            clock: done.progress.clock,
            next_due: done.outputs.iter().filter_map(|output| output.next_due).min(),
            deepest_rank: done.outputs.iter().map(|output| output.deepest_rank).max().unwrap_or(0),
            users: done.outputs.iter().map(|output| output.known_users).sum(),
            most_users: done.outputs.iter().map(|output| output.users).max().unwrap_or(0),
            previewed: None,
            leaders: None,
        }
    }
}

/// The members that were found in this tick, if that was asked for, with its clock.
fn leaders(done: &mut TickDone) -> Option<(Vec<Leader>, Millis)> {
    let parts: Vec<Vec<Leader>> = done.outputs.iter_mut().filter_map(|output| output.leaders.take()).collect();
    (!parts.is_empty()).then(|| (parts.concat(), done.progress.clock))
}

/// The counts of a preview in this tick, if there was one.
fn previewed(done: &mut TickDone) -> Option<PreviewResult> {
    let parts = done.outputs.iter_mut().filter_map(|output| output.previewed.take());
    parts.reduce(|mut all, part| {
        all.users += part.users;
        all.members += part.members;
        for (all, part) in
            [(&mut all.entered, part.entered), (&mut all.left, part.left), (&mut all.by_missing, part.by_missing)]
        {
            all.count += part.count;
            all.sample.extend(part.sample);
        }
        if let Some(part) = part.values {
            add_values(all.values.get_or_insert_default(), part);
        }
        all
    })
}

/// Adds what another worker counted; the same value is there once.
fn add_values(all: &mut MembersByValue, part: MembersByValue) {
    all.missing += part.missing;
    all.other += part.other;
    let mut values: HashMap<String, u64> = std::mem::take(&mut all.values).into_iter().collect();
    part.values.into_iter().for_each(|(value, count)| *values.entry(value).or_default() += count);
    all.values = values.into_iter().collect();
}
