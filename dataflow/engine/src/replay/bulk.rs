//! Files of events, replayed as fast as they can be read: *now* follows the greatest timestamp.
//!
//! Threads of their own read and decode the file, block by block; the blocks go in order to the workers, one each a
//! tick. Workers take whole seconds only, so that whatever comes and goes within a second leaves no trace, however the
//! file is cut.
//!
//! - Aliases need the history of the users that they join. It is kept in memory only where there are any: the first one
//!   in a file makes the replay begin anew.
//! - Who is first in a rank depends on all users at one instant, so that with ranks a tick is one second, and seconds in
//!   which anything may change by time alone get ticks of their own.

pub mod blocks;
pub mod changes;
pub mod decode;
pub mod definitions;
pub mod members;

use std::io::{self, Read, Write};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use audience_contract::{EventLog, MessageIndex};
use audience_kernel::aliases::Aliases;
use audience_kernel::message::TickClock;
use audience_kernel::worker::WorkerState;
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::record::records;
use parking_lot::Mutex;

use self::changes::WorkerChanges;
use self::decode::{Decoded, REFUSALS_TOLD, RefusedLine, decode};
use crate::edit;
use crate::engine::{
    Beginning, EncodeChanges, Engine, EngineError, EngineFailure, EngineOptions, TickDone, TickItems, TickTaker,
};
use crate::memory::{MemoryLog, MemoryMessages};
use crate::rule_set::RuleSet;

/// Settings of a replay.
#[derive(Clone, Copy, Debug)]
pub struct BulkOptions {
    /// Worker threads.
    pub workers: usize,
    /// Threads that read and decode.
    pub decoders: usize,
    /// Bytes of the file that a worker takes in a tick.
    pub block_bytes: usize,
}

impl BulkOptions {
    /// For so many workers, as many decoders: decoding a line takes about as long as all else that is done with it.
    pub fn new(workers: usize) -> Self {
        BulkOptions { workers, decoders: workers, block_bytes: 1 << 20 }
    }
}

/// A fault that stops a replay.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The file cannot be read.
    #[error("the events cannot be read: {0}")]
    Read(io::Error),
    /// The changes cannot be written.
    #[error("the changes cannot be written: {0}")]
    Write(io::Error),
    /// The engine has stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Opens something, from its beginning; for a file of aliases it is called twice.
pub type Open<'a, T> = &'a dyn Fn() -> io::Result<T>;

/// The input of a replay.
pub struct BulkInput<'a> {
    /// Segments and computed traits.
    pub catalogue: &'a Catalogue,
    /// Opens the events.
    pub events: Open<'a, Box<dyn Read + Send>>,
    /// Opens what takes the changes, where they are wanted.
    pub changes: Option<Open<'a, Box<dyn Write + Send>>>,
}

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events accepted.
    pub events: u64,
    /// Lines refused.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<RefusedLine>,
    /// Memberships that began.
    pub entered: u64,
    /// Memberships that ended.
    pub left: u64,
    /// Now: the greatest timestamp.
    pub clock: Millis,
}

/// A file replayed to its end.
pub struct Replayed {
    /// Its result.
    pub summary: Summary,
    engine: Engine,
}

impl Replayed {
    /// Writes who is in what: `user TAB segment`, sorted by bytes.
    pub fn write_members(&self, out: &mut dyn Write) -> io::Result<()> {
        members::write_members(self.engine.memberships(), out)
    }

    /// Stops the engine.
    pub fn stop(self) {
        self.engine.stop();
    }
}

/// Replays a file of events to its end.
pub fn replay(options: BulkOptions, input: &BulkInput<'_>) -> Result<Replayed, BulkError> {
    match replay_with(options, input, None)? {
        ControlFlow::Continue(replayed) => Ok(replayed),
        ControlFlow::Break(NeedsHistory) => {
            let log = Arc::new(MemoryLog::default());
            match replay_with(options, input, Some(log))? {
                ControlFlow::Continue(replayed) => Ok(replayed),
                ControlFlow::Break(NeedsHistory) => {
                    Err(EngineError::from(EngineFailure::Bug("it has no history")).into())
                }
            }
        }
    }
}

/// There are aliases, and nothing was kept of what came before.
struct NeedsHistory;

type ReplayOutcome = Result<ControlFlow<NeedsHistory, Replayed>, BulkError>;

fn replay_with(options: BulkOptions, input: &BulkInput<'_>, log: Option<Arc<MemoryLog>>) -> ReplayOutcome {
    let reader = (input.events)().map_err(BulkError::Read)?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let encode: EncodeChanges = match input.changes {
        Some(open) => {
            tally.lock().changes = Some(open().map_err(BulkError::Write)?);
            changes::encode
        }
        None => changes::count,
    };
    let engine = start(options.workers, log.clone().unwrap_or_default(), encode, tally.clone())?;
    let mut driver = Driver::new(&engine, log);
    driver.install(input.catalogue)?;
    let driven: Result<_, BulkError> =
        std::thread::scope(|scope| driver.take(decode(scope, reader, options.block_bytes, options.decoders)));
    if let ControlFlow::Break(needs) = driven? {
        return Ok(ControlFlow::Break(needs));
    }
    let mut summary = driver.summary;
    let mut tally = tally.lock();
    (summary.entered, summary.left) = (tally.entered, tally.left);
    if let Some(changes) = &mut tally.changes {
        changes.flush().map_err(BulkError::Write)?;
    }
    Ok(ControlFlow::Continue(Replayed { summary, engine }))
}

/// The output so far.
#[derive(Default)]
struct Tally {
    entered: u64,
    left: u64,
    changes: Option<Box<dyn Write + Send>>,
}

impl Tally {
    fn take(&mut self, done: &TickDone) -> Result<(), EngineError> {
        let runs: Result<Vec<WorkerChanges<'_>>, EngineError> =
            done.outputs.iter().map(|output| WorkerChanges::of(&output.changes)).collect();
        let mut runs = runs?;
        for run in &runs {
            self.entered += run.entered;
            self.left += run.left;
        }
        match &mut self.changes {
            Some(out) => changes::merge(&mut runs, out),
            None => Ok(()),
        }
    }
}

fn start(
    workers: usize,
    log: Arc<MemoryLog>,
    encode: EncodeChanges,
    tally: Arc<Mutex<Tally>>,
) -> Result<Engine, EngineError> {
    let messages: Arc<dyn MessageIndex> = Arc::new(MemoryMessages::default());
    let seed: crate::engine::Seed =
        Arc::new(move |_, _| Ok((WorkerState::new(Arc::new(log.clone()), messages.clone()), Aliases::default())));
    let sink: TickTaker = Box::new(move |done| tally.lock().take(&done));
    Engine::start(EngineOptions { workers, ..EngineOptions::default() }, None, seed, encode, sink, Beginning::at(0))
}

/// Feeds the engine.
struct Driver<'a> {
    engine: &'a Engine,
    log: Option<Arc<MemoryLog>>,
    has_ranks: bool,
    summary: Summary,
    /// Records for the next tick, by worker.
    waiting: Vec<Vec<u8>>,
    last_tick: u64,
    /// With ranks: the clock of the last tick.
    settled: Millis,
}

impl<'a> Driver<'a> {
    fn new(engine: &'a Engine, log: Option<Arc<MemoryLog>>) -> Self {
        let summary = Summary::default();
        Driver { engine, log, has_ranks: false, summary, waiting: Vec::new(), last_tick: 0, settled: 0 }
    }

    fn install(&mut self, catalogue: &Catalogue) -> Result<(), EngineError> {
        let difference = RuleSet::default().difference(&RuleSet::of(catalogue), catalogue);
        self.has_ranks = difference.new_rank_depth > 0;
        if difference.is_empty() {
            return Ok(());
        }
        self.last_tick = edit::apply(self.engine, &MemoryLog::default(), difference, 0)?;
        Ok(())
    }

    /// Takes the blocks to their end, and does all that is due then.
    fn take(
        &mut self,
        blocks: Receiver<io::Result<Receiver<Decoded>>>,
    ) -> Result<ControlFlow<NeedsHistory>, BulkError> {
        for promise in blocks {
            let died = || EngineError::from(EngineFailure::Bug("a decoder died"));
            let block = promise.map_err(BulkError::Read)?.recv().map_err(|_| died())?;
            if block.has_alias && self.log.is_none() {
                return Ok(ControlFlow::Break(NeedsHistory));
            }
            self.take_block(block)?;
        }
        let clock = self.summary.clock;
        if self.has_ranks {
            self.take_second(clock)?;
        } else {
            self.submit(TickClock::at(clock))?;
        }
        self.engine.wait_for(self.last_tick)?;
        Ok(ControlFlow::Continue(()))
    }

    fn take_block(&mut self, mut block: Decoded) -> Result<(), EngineError> {
        let told = REFUSALS_TOLD.saturating_sub(self.summary.refusals.len());
        self.summary.refusals.extend(block.refusals.drain(..).take(told));
        self.summary.refused += block.refused;
        self.summary.events += block.count;
        self.summary.clock = block.raise(self.summary.clock);
        if let Some(log) = &self.log {
            log.append(&mut block.records)?;
        }
        if self.has_ranks {
            return self.take_by_second(&block.records);
        }
        self.waiting.push(block.records);
        if self.waiting.len() < self.engine.workers() {
            return Ok(());
        }
        let now = self.summary.clock;
        // What happens in the last second may yet be joined by more of that second.
        self.submit(TickClock { now, limit: now.div_euclid(1000) * 1000 - 1 })
    }

    /// Submits what waits.
    fn submit(&mut self, clock: TickClock) -> Result<(), EngineError> {
        let waiting = std::mem::take(&mut self.waiting);
        let workers = self.engine.workers();
        self.last_tick = self.engine.submit(|head| {
            head.clock = clock.now;
            TickItems { limit: Some(clock.limit), ..TickItems::dealt(waiting, workers) }
        })?;
        Ok(())
    }

    /// Takes records second by second.
    fn take_by_second(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let second = |at: Millis| at.div_euclid(1000);
        let mut open = Range { start: 0, end: 0 };
        for record in records(bytes) {
            if second(record.accepted_at()) != second(self.settled) {
                self.wait_with(&bytes[open.clone()]);
                open.start = open.end;
                self.take_second(second(self.settled) * 1000 + 999)?;
                self.settled = record.accepted_at();
            }
            open.end += record.bytes().len();
        }
        self.wait_with(&bytes[open]);
        Ok(())
    }

    fn wait_with(&mut self, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        match self.waiting.first_mut() {
            Some(waiting) => waiting.extend_from_slice(records),
            None => self.waiting.push(records.to_vec()),
        }
    }

    /// Does the second that ends at `end`; before it, those in which anything is due.
    fn take_second(&mut self, end: Millis) -> Result<(), EngineError> {
        let begin = end.div_euclid(1000) * 1000;
        let waiting = std::mem::take(&mut self.waiting);
        loop {
            let done = self.engine.wait_for(self.last_tick)?;
            let Some(due) = done.next_due.filter(|due| *due < begin) else { break };
            self.submit(TickClock::at(due + 999))?;
        }
        self.waiting = waiting;
        self.submit(TickClock::at(end))
    }
}
