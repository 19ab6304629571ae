//! Feeds the event log from a source: each message exactly once, since the log commits where the source stands with what
//! came from it.

use std::sync::Arc;
use std::time::Duration;

use audience_background::{Backoff, Stop, clock};
use audience_catalogue::Editor;
use audience_contract::{Batch, DeadLetter, DeadLetters, Message, Share, Source, SourceError, StoreError, failpoint};
use audience_protocol::{RECENT_EVENTS, RefusedEvent, SPANS};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use audience_rules::placeholders::Placeholders;
use audience_trace::{MOST_LINKS, TRACEPARENT, TraceContext};
use parking_lot::Mutex;
use tracing::Span;

use super::acceptance::Intake;
use super::source_metrics::SourceMetrics;
use crate::lookup::Refusals;
use crate::occurrence::{MessagesLost, SourceFailed};

/// How long a poll waits for messages.
const PATIENCE: Duration = Duration::from_millis(200);

/// The fault of a source that was not opened yet.
const UNOPENED: &str = "it has not answered yet";

/// The status of a source's readers.
#[derive(Debug)]
pub(crate) struct FeederStatus {
    /// The source.
    pub source: String,
    readers: Mutex<Vec<ReaderStatus>>,
    /// Ends all of them, with the platform or once one of them has found messages gone: what else there is may be of a log
    /// that was made anew.
    stop: Stop,
}

#[derive(Clone, Debug)]
struct ReaderStatus {
    fault: Option<String>,
    /// Partitions, and how many messages each is behind.
    lag: Vec<(u32, u64)>,
}

impl FeederStatus {
    /// The status of a source with so many readers that was not opened yet.
    pub(crate) fn new(source: &str, readers: usize, stop: Stop) -> Self {
        let unopened = ReaderStatus { fault: Some(UNOPENED.to_owned()), lag: Vec::new() };
        FeederStatus { source: source.to_owned(), readers: Mutex::new(vec![unopened; readers]), stop }
    }

    /// The fault that keeps it, or a part of it, from being read.
    pub(crate) fn fault(&self) -> Option<String> {
        self.readers.lock().iter().find_map(|reader| reader.fault.clone())
    }

    /// Partitions, and how many messages each is behind.
    pub(crate) fn lag(&self) -> Vec<(u32, u64)> {
        self.readers.lock().iter().flat_map(|reader| reader.lag.clone()).collect()
    }

    /// Notes something of a reader; gives what kept it from reading before.
    fn set(&self, share: Share, change: impl FnOnce(&mut ReaderStatus)) -> Option<String> {
        let mut readers = self.readers.lock();
        let reader = readers.get_mut(share.index as usize)?;
        let before = reader.fault.clone();
        change(reader);
        before
    }
}

/// Why feeding was broken off.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One that reads a share of a source, and where what it cannot take goes.
pub struct ShareReader {
    /// The source, not open yet.
    pub source: Box<dyn Source>,
    /// Its dead letters.
    pub dead_letters: Box<dyn DeadLetters>,
}

/// The parts of the platform that a source feeds.
#[derive(Clone)]
pub(crate) struct FeedContext {
    /// The way of events into the engine.
    pub intake: Arc<Intake>,
    /// The newest events that were refused.
    pub refusals: Arc<Refusals>,
    /// Figures of sources.
    pub metrics: SourceMetrics,
    /// Words that are no ids.
    pub placeholders: Arc<Placeholders>,
    /// The catalogue, for the platform's time zone.
    pub editor: Arc<Editor>,
}

/// Feeds the event log from a share of a source.
pub(crate) struct Feeder {
    context: FeedContext,
    status: Arc<FeederStatus>,
    share: Share,
    source: Box<dyn Source>,
    dead_letters: Box<dyn DeadLetters>,
    decoder: EventDecoder,
    backoff: Backoff,
}

impl Feeder {
    /// A feeder of that share of a source that is not open yet.
    pub(crate) fn new(context: FeedContext, status: Arc<FeederStatus>, share: Share, reader: ShareReader) -> Self {
        let ShareReader { source, dead_letters } = reader;
        let (mut decoder, backoff) = (EventDecoder::default(), Backoff::default());
        decoder.set_placeholders(&context.placeholders);
        Feeder { context, status, share, source, dead_letters, decoder, backoff }
    }

    /// Feeds until the platform ends. Whatever goes wrong is told and tried again from where the log stands, but for messages
    /// that are gone: a log that was made anew grows beyond where reading stopped, and then looks as if nothing had happened.
    pub(crate) fn run(mut self) {
        while let Err(error) = self.feed() {
            self.set_fault(Some(error.to_string()));
            SourceFailed { source: &self.status.source, error: &error }.emit(&self.context.metrics);
            if matches!(error, FeedError::Source(SourceError::OffsetGone { .. })) {
                self.status.stop.request();
            }
            if self.is_over() {
                return;
            }
            self.rest();
        }
    }

    /// Before it is tried again, unless the platform ends.
    fn rest(&mut self) {
        self.status.stop.wait(self.backoff.next());
    }

    /// Returns whether nothing is to be read any more.
    fn is_over(&self) -> bool {
        self.status.stop.is_requested()
    }

    /// Notes what keeps it from reading, if anything does; gives what did before.
    fn set_fault(&self, fault: Option<String>) -> Option<String> {
        self.status.set(self.share, |reader| reader.fault = fault)
    }

    /// Opens the share. Where nobody has read any of the source, the first reader notes for all of them where each partition
    /// begins: `latest` is an instant of the whole source, and a partition without a position beside others is a new one.
    fn begin(&mut self) -> Result<(), FeedError> {
        loop {
            let positions = self.context.intake.events().positions()?;
            if self.share.of == 1 || positions.iter().any(|position| position.source == self.status.source) {
                return Ok(self.source.open(&positions, self.share)?);
            }
            if self.share.index == 0 {
                self.source.open(&positions, Share::ALL)?;
                let batch = self.source.poll(PATIENCE)?;
                self.take(&batch)?;
            } else {
                self.status.stop.wait(PATIENCE);
            }
            if self.is_over() {
                return Ok(());
            }
        }
    }

    fn feed(&mut self) -> Result<(), FeedError> {
        self.begin()?;
        self.set_fault(None);
        while !self.is_over() {
            if !self.context.intake.wait_for_room(PATIENCE) {
                continue;
            }
            let batch = match self.source.poll(PATIENCE) {
                Ok(batch) => batch,
                // Polling again goes on where it was.
                Err(SourceError::Transient(fault)) => {
                    if self.set_fault(Some(fault.clone())).as_ref() != Some(&fault) {
                        tracing::warn!(
                            source = self.status.source,
                            fault,
                            "The source does not answer, and the reader retries"
                        );
                    }
                    self.rest();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if self.is_over() {
                break;
            }
            self.take(&batch)?;
            let lag = self.source.lag().iter().map(|lag| (lag.partition, lag.messages)).collect();
            self.status.set(self.share, |reader| *reader = ReaderStatus { fault: None, lag });
            self.backoff.reset();
        }
        Ok(())
    }

    /// The span in which messages are taken, if any has a `traceparent`: below the first of them, and linked to all.
    fn span_of(&self, messages: &[Message]) -> Span {
        if !audience_trace::is_on() {
            return Span::none();
        }
        let headers = messages.iter().flat_map(|message| &message.headers);
        let traced = headers.filter(|header| header.name == TRACEPARENT);
        let contexts = traced.filter_map(|header| TraceContext::parse(header.value.as_deref()?));
        let contexts: Vec<TraceContext> = contexts.take(MOST_LINKS).collect();
        if contexts.is_empty() {
            return Span::none();
        }
        let (source, messages) = (&*self.status.source, messages.len());
        let span = tracing::info_span!(target: SPANS, "source.take", otel.kind = "consumer", source, messages);
        audience_trace::carry_on(&span, &contexts);
        span
    }

    /// Makes a batch durable, and lets it flow.
    fn take(&mut self, batch: &Batch) -> Result<(), FeedError> {
        if batch.is_empty() {
            return Ok(());
        }
        for gap in &batch.gaps {
            MessagesLost { source: &self.status.source, gap }.emit(&self.context.metrics);
        }
        let defaults = EventDefaults { accepted_at: clock::now() };
        self.decoder.set_zone(self.context.editor.read(|documents| documents.catalogue.timezone));
        let mut records = Vec::new();
        let mut refused: Vec<(&Message, Fault)> = Vec::new();
        for message in &batch.messages {
            if let Err(fault) = self.decoder.decode(&message.value, &defaults, &mut records) {
                refused.push((message, fault));
            }
        }
        if !refused.is_empty() {
            let newest = refused.iter().rev().take(RECENT_EVENTS).rev();
            let newest = newest.map(|(message, fault)| {
                RefusedEvent::new(defaults.accepted_at, &self.status.source, &message.value, fault.clone())
            });
            self.context.refusals.note(newest.collect(), refused.len());
        }
        let letters: Vec<DeadLetter<'_>> = refused
            .iter()
            .map(|(message, fault)| DeadLetter {
                source: &self.status.source,
                message,
                code: fault.code,
                reason: &fault.message,
            })
            .collect();
        if !letters.is_empty() {
            self.dead_letters.put(&letters)?;
        }
        let span = self.span_of(&batch.messages);
        span.in_scope(|| self.context.intake.accept_from(records, &batch.positions))?;
        failpoint("source_appended");
        self.source.acknowledge(&batch.positions);
        let reasons = letters.iter().map(|letter| letter.code);
        self.context.metrics.read(&self.status.source, batch.messages.len(), reasons);
        Ok(())
    }
}
