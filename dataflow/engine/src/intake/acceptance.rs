//! Accepts records: they are durable, and flow into ticks, once this returns.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use audience_catalogue::unavailable;
use audience_contract::{EventLog, SourcePosition, StoreError};
use audience_protocol::{PlatformError, SPANS};
use audience_trace::TickTraces;

use super::pump::Pump;
use crate::engine::{Engine, EngineError};
use crate::fault::PartFault;
use crate::health::{ReportedParts, Reports};
use crate::standby::shipping::Shipping;

/// The way of events into the engine.
pub(crate) struct Intake {
    engine: Arc<Engine>,
    events: Arc<dyn EventLog>,
    pump: Pump,
    /// The spans of ticks.
    traces: Arc<TickTraces>,
    /// The way of the log to a standby, where there may be one.
    shipping: Option<Arc<Shipping>>,
    /// The fault of the event log, if the newest append failed.
    fault: PartFault,
}

impl Intake {
    /// The intake of an engine that has all events of the log, which may be shipped.
    pub(crate) fn new(
        engine: Arc<Engine>,
        events: Arc<dyn EventLog>,
        traces: Arc<TickTraces>,
        shipping: Option<Arc<Shipping>>,
    ) -> Intake {
        Intake { engine, events, pump: Pump::default(), traces, shipping, fault: PartFault::default() }
    }

    /// The log of accepted events.
    pub(crate) fn events(&self) -> &dyn EventLog {
        &*self.events
    }

    /// Accepts records; returns their numbers. They are durable when this returns.
    pub(crate) fn accept(&self, mut records: Vec<u8>) -> Result<Range<u64>, PlatformError> {
        if !self.pump.has_room() {
            return Err(PlatformError::Busy { retry_after_seconds: 1 });
        }
        if let Some(failure) = self.engine.failure() {
            return Err(PlatformError::Unavailable(format!("the engine has stopped: {failure}")));
        }
        self.check_lease().map_err(unavailable)?;
        let bytes = records.len();
        let appended = {
            let _span = tracing::info_span!(target: SPANS, "events.append", bytes).entered();
            self.events.append(&mut records)
        };
        self.fault.set(appended.as_ref().err().map(StoreError::to_string));
        let range = appended.inspect_err(|error| self.end_by(error)).map_err(unavailable)?;
        self.pump.take(range.clone(), records);
        if let Some(shipping) = &self.shipping {
            shipping.appended(range.end, bytes);
            shipping.wait_held(range.end)?;
        }
        Ok(range)
    }

    /// Accepts records of a source together with the positions that the source has reached.
    pub(crate) fn accept_from(&self, mut records: Vec<u8>, positions: &[SourcePosition]) -> Result<(), StoreError> {
        self.check_lease()?;
        let bytes = records.len();
        let range = self.events.append_from(&mut records, positions).inspect_err(|error| self.end_by(error))?;
        if !range.is_empty() {
            let end = range.end;
            self.pump.take(range, records);
            self.shipping.iter().for_each(|shipping| shipping.appended(end, bytes));
        }
        Ok(())
    }

    /// Refuses where another process may accept by now.
    fn check_lease(&self) -> Result<(), StoreError> {
        self.shipping.as_ref().map_or(Ok(()), |shipping| shipping.check())
    }

    /// Ends the engine where the log takes no more until it is opened again: the next start does that.
    fn end_by(&self, error: &StoreError) {
        if error.needs_reopening() {
            self.engine.fail(error.clone().into());
        }
    }

    /// Waits until more may be accepted, at most for that long; returns whether it may.
    pub(crate) fn wait_for_room(&self, patience: Duration) -> bool {
        self.pump.wait_for_room(patience)
    }

    /// Waits until all events below `end` are processed.
    pub(crate) fn settle(&self, end: u64) -> Result<(), PlatformError> {
        // A tick in which only the clock moves is done once all before it are.
        let submitted = self.engine.wait_submitted(end).and_then(|()| self.engine.submit_steps(Vec::new()));
        let settled = submitted.and_then(|tick| self.engine.wait_for(tick));
        settled.map(drop).map_err(|error| PlatformError::Unavailable(error.to_string()))
    }

    /// Makes ticks until [`close`](Self::close).
    pub(crate) fn run(&self) -> Result<(), EngineError> {
        self.pump.run(&self.engine, &self.traces)
    }

    /// Accepts nothing more, and ends [`run`](Self::run) once all that was accepted is submitted.
    pub(crate) fn close(&self) {
        self.pump.close();
    }
}

impl Reports for Intake {
    fn report(&self, report: &mut ReportedParts) {
        report.needs("stores", self.fault.get());
    }
}
