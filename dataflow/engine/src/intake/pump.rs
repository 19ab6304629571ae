//! The pump: accepted events, and the clock, become ticks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use audience_protocol::SPANS;
use audience_trace::{MOST_LINKS, TickTraces, TraceContext};
use parking_lot::{Condvar, Mutex};
use tracing::Span;

use crate::engine::{Engine, EngineError};

/// Ticks under way at most: so many that events take effect while a large change is being written, which may take
/// hundreds of milliseconds.
pub(crate) const TICKS_UNDER_WAY: usize = 64;
/// Bytes of records in ticks under way, beside the newest: enough to keep all parts at work, few enough that an event is
/// not kept waiting behind them.
const BYTES_UNDER_WAY: usize = 12 << 20;
/// Bytes of records in one tick at most.
const TICK_BYTES: usize = 4 << 20;
/// Bytes of accepted events that wait for a tick at most; more are refused for a while.
const WAITING_BYTES: usize = 128 << 20;
/// How often the clock moves where no event moves it.
const IDLE_TICK: Duration = Duration::from_millis(250);

struct PumpState {
    records: Vec<u8>,
    end: u64,
    taken: Instant,
    /// The request or message that they came with, if its spans are exported.
    trace: Option<TraceContext>,
}

#[derive(Default)]
struct Inbox {
    /// Durable runs of records by their first sequence number: commits may end in another order than they began.
    runs: BTreeMap<u64, PumpState>,
    bytes: usize,
    is_closed: bool,
}

/// Accepted events on their way into ticks.
#[derive(Default)]
pub(crate) struct Pump {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    drained: Condvar,
}

impl Pump {
    /// Returns whether more may be accepted.
    pub(crate) fn has_room(&self) -> bool {
        let inbox = self.inbox.lock();
        !inbox.is_closed && inbox.bytes < WAITING_BYTES
    }

    /// Waits until more may be accepted, at most for that long; returns whether it may.
    pub(crate) fn wait_for_room(&self, patience: Duration) -> bool {
        let mut inbox = self.inbox.lock();
        if !inbox.is_closed && inbox.bytes >= WAITING_BYTES {
            self.drained.wait_for(&mut inbox, patience);
        }
        !inbox.is_closed && inbox.bytes < WAITING_BYTES
    }

    /// Takes records that are durable.
    pub(crate) fn take(&self, range: std::ops::Range<u64>, records: Vec<u8>) {
        let mut inbox = self.inbox.lock();
        inbox.bytes += records.len();
        let trace = audience_trace::current();
        inbox.runs.insert(range.start, PumpState { records, end: range.end, taken: now(), trace });
        drop(inbox);
        self.arrived.notify_one();
    }

    /// Ends [`run`](Self::run) once what was taken is submitted.
    pub(crate) fn close(&self) {
        self.inbox.lock().is_closed = true;
        self.arrived.notify_one();
        self.drained.notify_all();
    }

    /// Makes ticks until closed, and notes the spans of those that carry traced requests.
    pub(crate) fn run(&self, engine: &Engine, traces: &TickTraces) -> Result<(), EngineError> {
        let mut under_way: VecDeque<(u64, usize)> = VecDeque::new();
        loop {
            while under_way.len() >= TICKS_UNDER_WAY || bytes_of(&under_way) > BYTES_UNDER_WAY {
                if let Some((tick, _)) = under_way.pop_front() {
                    engine.wait_for(tick)?;
                }
            }
            let done = engine.done().ticks;
            under_way.retain(|(tick, _)| *tick >= done);
            let (runs, is_closed) = self.next_runs(engine.head().sequence);
            if runs.is_empty() && is_closed {
                return Ok(());
            }
            let bytes = runs.iter().map(|run| run.records.len()).sum();
            let end = runs.last().map_or_else(|| engine.head().sequence, |run| run.end);
            let oldest = runs.iter().map(|run| run.taken).min();
            let span = span_of(&runs);
            let records = runs.into_iter().map(|run| run.records).collect();
            let begin = |tick: u64| {
                if let Some(span) = span {
                    span.record("tick", tick);
                    traces.begin(tick, span);
                }
            };
            let tick = engine.submit_records(records, (end, oldest), begin)?;
            under_way.push_back((tick, bytes));
        }
    }

    /// Waits for the runs that come next in order, or until the clock is to move.
    fn next_runs(&self, mut next: u64) -> (Vec<PumpState>, bool) {
        let deadline = now() + IDLE_TICK;
        let mut inbox = self.inbox.lock();
        while !inbox.runs.contains_key(&next) && !inbox.is_closed {
            if self.arrived.wait_until(&mut inbox, deadline).timed_out() {
                break;
            }
        }
        let mut runs = Vec::new();
        let mut bytes = 0;
        while bytes < TICK_BYTES
            && let Some(run) = inbox.runs.remove(&next)
        {
            next = run.end;
            bytes += run.records.len();
            runs.push(run);
        }
        inbox.bytes -= bytes;
        self.drained.notify_all();
        (runs, inbox.is_closed)
    }
}

/// The span of a tick with these runs, if any is traced: it is below the first of their requests, and linked to all.
fn span_of(runs: &[PumpState]) -> Option<Span> {
    let traced: Vec<TraceContext> = runs.iter().filter_map(|run| run.trace).take(MOST_LINKS).collect();
    if traced.is_empty() {
        return None;
    }
    let span = tracing::info_span!(target: SPANS, "tick", tick = tracing::field::Empty, runs = runs.len());
    audience_trace::carry_on(&span, &traced);
    Some(span)
}

fn bytes_of(under_way: &VecDeque<(u64, usize)>) -> usize {
    under_way.iter().map(|(_, bytes)| bytes).sum()
}

fn now() -> Instant {
    Instant::now()
}
