//! An engine with history in memory and a clock that moves when told: for timelines and tests.

use std::sync::Arc;

use audience_contract::{EventLog, MessageIndex};
use audience_kernel::aliases::Aliases;
use audience_kernel::message::PreviewResult;
use audience_kernel::operator::Inward;
use audience_kernel::program::Program;
use audience_kernel::worker::WorkerState;
use audience_rules::ast::{Millis, Node};
use audience_rules::catalogue::Catalogue;

use crate::advance::advance;
use crate::cluster::coordinator::Coordinator;
use crate::cluster::protocol::Origin;
use crate::cluster::stores::AskedStores;
use crate::edit::{self, ScanWatch};
use crate::engine::{Beginning, EncodeChanges, Engine, EngineError, EngineOptions, TickItems, TickTaker};
use crate::memory::{MemoryLog, MemoryMessages};
use crate::preview::{PreviewQuestion, Previews};
use crate::rule_set::RuleSet;

/// An engine with history in memory and a clock that moves when told.
pub struct LogicalEngine {
    engine: Engine,
    log: Arc<MemoryLog>,
    catalogue: Catalogue,
    in_force: RuleSet,
    previews: Previews,
    waiting: Vec<u8>,
    waiting_count: u64,
    /// Events that go into one tick at most.
    batch_events: u64,
    last_tick: Option<u64>,
}

impl LogicalEngine {
    /// Starts it, with the processes that join, if any; `encode` and `sink` take what changes.
    pub fn start(
        options: EngineOptions,
        batch_events: u64,
        encode: EncodeChanges,
        sink: TickTaker,
        cluster: Option<&Coordinator>,
    ) -> Result<LogicalEngine, EngineError> {
        let log = Arc::new(MemoryLog::default());
        let messages: Arc<dyn MessageIndex> = Arc::new(MemoryMessages::default());
        let asked = AskedStores { events: log.clone(), messages: messages.clone(), checkpoints: None };
        let peers = cluster.map(|cluster| cluster.gather(options, Origin::default(), asked)).transpose()?;
        let history = log.clone();
        let seed = Arc::new(move |_, _| {
            Ok((WorkerState::new(Arc::new(history.clone()), messages.clone()), Aliases::default()))
        });
        Ok(LogicalEngine {
            engine: Engine::start(options, peers, seed, encode, sink, Beginning::at(0))?,
            log,
            catalogue: Catalogue::with_shipped_traits(),
            in_force: RuleSet::default(),
            previews: Previews::default(),
            waiting: Vec::new(),
            waiting_count: 0,
            batch_events: batch_events.max(1),
            last_tick: None,
        })
    }

    /// Now.
    pub fn clock(&self) -> Millis {
        self.engine.head().clock
    }

    /// The catalogue in force.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Takes a record, accepted now.
    pub fn accept(&mut self, record: &[u8]) -> Result<(), EngineError> {
        self.waiting.extend_from_slice(record);
        self.waiting_count += 1;
        if self.waiting_count >= self.batch_events { self.flush() } else { Ok(()) }
    }

    /// Submits what was taken.
    fn flush(&mut self) -> Result<(), EngineError> {
        if self.waiting.is_empty() { Ok(()) } else { self.submit(self.clock()) }
    }

    /// Does what was taken, and moves the clock, in one tick: of segments that depend on ranks only the net change of that span
    /// comes out.
    pub fn leap(&mut self, to: Millis) -> Result<(), EngineError> {
        self.submit(to)?;
        self.settle()
    }

    fn submit(&mut self, now: Millis) -> Result<(), EngineError> {
        let mut records = std::mem::take(&mut self.waiting);
        self.waiting_count = 0;
        let range = self.log.append(&mut records)?;
        let workers = self.engine.workers();
        // On one worker, which is another each time: where an event comes in must not matter.
        let target = (range.start as usize) % workers;
        let tick = self.engine.submit(|head| {
            (head.sequence, head.clock) = (range.end, now);
            TickItems { parts: vec![(target, Inward::Records(records))], ..TickItems::default() }
        })?;
        self.last_tick = Some(tick);
        Ok(())
    }

    /// Moves the clock: what was taken is done first.
    pub fn advance(&mut self, to: Millis) -> Result<(), EngineError> {
        self.settle()?;
        advance(&self.engine, to)
    }

    /// Does all that was taken, and waits for it.
    pub fn settle(&mut self) -> Result<(), EngineError> {
        self.flush()?;
        if let Some(tick) = self.last_tick.take() {
            self.engine.wait_for(tick)?;
        }
        Ok(())
    }

    /// Changes the catalogue, at this instant.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Catalogue)) -> Result<(), EngineError> {
        self.settle()?;
        edit(&mut self.catalogue);
        let next = self.in_force.followed_by(&self.catalogue);
        let mut difference = self.in_force.difference(&next, &self.catalogue);
        difference.new_measures.retain(|measure| !self.previews.kept_measures().contains(measure));
        if !difference.is_empty() {
            let tick = edit::apply(&self.engine, &*self.log, difference, 0)?;
            self.engine.wait_for(tick)?;
        }
        self.in_force = next;
        Ok(())
    }

    /// The members of a segment now, in order.
    pub fn members(&mut self, segment: &str) -> Result<Vec<String>, EngineError> {
        self.settle()?;
        let mut members = Vec::new();
        for membership in self.engine.memberships() {
            members.extend(membership.read().members(segment).map(str::to_owned));
        }
        members.sort_unstable();
        Ok(members)
    }

    /// The size of a segment now.
    pub fn size(&mut self, segment: &str) -> Result<u64, EngineError> {
        self.settle()?;
        Ok(self.engine.size(segment))
    }

    /// Counts what rules would change of a segment if they came into force at this instant, with `samples` users of each kind from
    /// every worker. `None` where `watch` stopped it.
    pub fn preview(
        &mut self,
        segment: &str,
        rules: &Node,
        samples: u32,
        watch: &dyn ScanWatch,
    ) -> Result<Option<PreviewResult>, EngineError> {
        self.settle()?;
        let program = Arc::new(Program::compile(rules, &self.catalogue));
        let asked = PreviewQuestion { program, against: Some(segment.into()), samples, breakdown: None };
        let LogicalEngine { engine, log, in_force, previews, .. } = self;
        let lacking = previews.lacking(in_force, &asked);
        let outcome = previews.run(engine, &**log, &asked, lacking, watch)?;
        Ok(outcome.map(|outcome| outcome.previewed))
    }

    /// Stops it.
    pub fn stop(self) {
        self.engine.stop();
    }
}
