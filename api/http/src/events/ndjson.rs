//! Events as NDJSON: an endless body in bounded memory. Every piece is durable before the next is taken in, so that a
//! platform that is slow slows the sender down.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use audience_protocol::PlatformError;
use audience_rules::event::EventDefaults;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt as _;
use hyper::StatusCode;
use tokio::time::{Instant, timeout};

use crate::api::Api;
use crate::body::{self, BodyStream};
use crate::body_memory::HeldMemory;
use crate::call_body::{CallBody, LAST_BODIES};
use crate::events::decoded::{DecodedEvents, accepted, conclude};
use crate::events::tracking;
use crate::limits::RequestLimits;
use crate::pace::Pace;
use crate::problem::{HandlerResult, Problem};
use crate::progress::{IngestProgress, RejectedEvent};
use crate::request::Call;

/// Events of a piece.
const PIECE_EVENTS: usize = 1_000;
/// Bytes of a piece, from which on it is handed over.
const PIECE_BYTES: usize = 1 << 20;
/// Packed bytes that are unpacked at once: gzip makes at most a thousand times as much of them.
const PACKED_STEP: usize = 2 << 10;
/// Faults that an answer names; the others are only counted in metrics.
const MAX_REJECTED: usize = 10_000;
/// Lines that wait are handed over when nothing came for so long.
const IDLE: Duration = Duration::from_millis(100);
/// Bytes of blank lines that a body may have beside as many as its events have: gzip packs them a thousand times.
const MAX_BLANK: usize = 1 << 20;
/// The time between two attempts of a piece that is beyond the quota of events.
const QUOTA_WAIT: Duration = Duration::from_secs(1);

/// Lines on their way into pieces.
struct Lines {
    /// Whole lines, and the begin of one.
    buffer: Vec<u8>,
    /// The place of that begin.
    open: usize,
    /// Whole lines in the buffer that are not blank.
    count: usize,
    /// Whole lines so far.
    closed: u64,
    /// Bytes of blank lines so far, and of the others.
    blank: usize,
    filled: usize,
}

impl Lines {
    fn new() -> Self {
        Lines { buffer: Vec::new(), open: 0, count: 0, closed: 0, blank: 0, filled: 0 }
    }

    fn is_full(&self) -> bool {
        self.count >= PIECE_EVENTS || self.open >= PIECE_BYTES
    }

    /// Takes bytes up to the end of the piece; gives how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_full() {
            let rest = &bytes[taken..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.buffer.extend_from_slice(rest);
                return bytes.len();
            };
            self.buffer.extend_from_slice(&rest[..=end]);
            taken += end + 1;
            self.close();
        }
        taken
    }

    /// Ends the line that is open.
    fn close(&mut self) {
        let line = &self.buffer[self.open..];
        match line.trim_ascii().is_empty() {
            true => self.blank += line.len(),
            false => (self.count, self.filled) = (self.count + 1, self.filled + line.len()),
        }
        self.closed += 1;
        self.open = self.buffer.len();
    }

    /// Returns whether a line has begun that has no end yet.
    fn is_open(&self) -> bool {
        self.buffer.len() > self.open
    }

    /// 400 for lines without end that hold nothing, 413 for one that is too long.
    fn check(&self, limit: usize) -> Result<(), Problem> {
        if self.buffer.len() - self.open > limit {
            return Err(Problem::too_large(format!("a line has at most {limit} bytes")));
        }
        if self.blank > MAX_BLANK + self.filled {
            let detail = format!("blank lines have at most {MAX_BLANK} bytes more than the events of a body");
            return Err(Problem::bad_request("blank_lines", detail));
        }
        Ok(())
    }

    /// The whole lines.
    fn piece(&mut self) -> (Vec<u8>, usize) {
        let rest = self.buffer.split_off(self.open);
        self.open = 0;
        (std::mem::replace(&mut self.buffer, rest), std::mem::take(&mut self.count))
    }
}

/// The outcome so far.
#[derive(Default)]
struct StreamOutcome {
    accepted: usize,
    rejected: Vec<RejectedEvent>,
    /// Events seen, for the index of the next.
    seen: usize,
}

impl StreamOutcome {
    fn add(&mut self, progress: IngestProgress, count: usize) {
        self.accepted += progress.accepted;
        self.seen += count;
        let room = MAX_REJECTED - self.rejected.len();
        self.rejected.extend(progress.rejected.into_iter().take(room));
    }

    fn answer(self) -> Result<IngestProgress, Problem> {
        if self.seen == 0 {
            return Err(Problem::bad_request("no_events", "there is no event in the body"));
        }
        let progress = IngestProgress { accepted: self.accepted, rejected: self.rejected };
        conclude(progress, |rejected| format!("/{}{}", rejected.index, rejected.pointer))
    }
}

/// A body on its way in.
struct StreamIntake {
    api: Arc<Api>,
    lines: Lines,
    unpacker: Option<MultiGzDecoder<Vec<u8>>>,
    done: StreamOutcome,
    memory: HeldMemory,
    /// The pace of a line that is not there as a whole.
    pace: Pace,
    /// Bytes came after the last whole line.
    is_amid: bool,
    heard: Instant,
    /// When it was noticed that the server ends.
    ending_since: Option<Instant>,
}

/// Carries out a body that streams in. It has no place among the requests that are worked on: each of its pieces has a thread
/// in turn, and its sender may be as slow as its events are rare.
pub(crate) async fn stream(api: Arc<Api>, call: Call) -> HandlerResult {
    let unpacker = body::is_gzip(&call.headers)?.then(|| MultiGzDecoder::new(Vec::new()));
    let CallBody { mut parts, place } = call.body;
    place.leave();
    let now = Instant::now();
    let mut intake = StreamIntake {
        unpacker,
        lines: Lines::new(),
        done: StreamOutcome::default(),
        memory: api.memory.hold(),
        pace: Pace::new(api.options.request_timeout, api.options.min_body_rate, now),
        is_amid: false,
        heard: now,
        ending_since: None,
        api,
    };
    let ended = intake.read(&mut parts).await;
    let StreamIntake { done, .. } = intake;
    match ended {
        Ok(()) => done.answer().map(|progress| accepted(&progress)),
        Err(problem) => Err(problem.after(done.accepted, done.rejected)),
    }
}

impl StreamIntake {
    /// Takes the body in to its end.
    async fn read(&mut self, parts: &mut BodyStream) -> Result<(), Problem> {
        loop {
            match timeout(IDLE, parts.next()).await {
                Ok(None) => return self.finish().await,
                Ok(Some(Ok(part))) => self.feed(&part).await?,
                Ok(Some(Err(error))) => return Err(body::broken(&error)),
                Err(_) => self.flush().await?,
            }
            self.check_pace()?;
        }
    }

    /// 408 where nothing came for too long, or a line comes too slowly; 503 a while after the server began to end.
    fn check_pace(&mut self) -> Result<(), Problem> {
        if self.api.is_draining() && self.ending_since.get_or_insert_with(Instant::now).elapsed() >= LAST_BODIES {
            return Err(body::stopping());
        }
        match self.is_amid {
            true => self.pace.check(Instant::now()),
            false if self.heard.elapsed() >= self.api.options.request_timeout => Err(body::too_slow()),
            false => Ok(()),
        }
    }

    /// Takes a part of the body in.
    async fn feed(&mut self, part: &[u8]) -> Result<(), Problem> {
        if !std::mem::replace(&mut self.is_amid, true) {
            self.pace.restart(Instant::now());
        }
        self.pace.count(part.len());
        let closed = self.lines.closed;
        if self.unpacker.is_none() {
            self.take(part).await?;
        } else {
            for step in part.chunks(PACKED_STEP) {
                let bytes = self.unpack(step)?;
                self.take(&bytes).await?;
            }
        }
        self.heard = Instant::now();
        if self.lines.closed > closed {
            self.is_amid = self.lines.is_open();
            self.pace.restart(self.heard);
        }
        Ok(())
    }

    fn unpack(&mut self, packed: &[u8]) -> Result<Vec<u8>, Problem> {
        let Some(unpacker) = &mut self.unpacker else { return Ok(Vec::new()) };
        unpacker.write_all(packed).map_err(|error| body::bad_gzip(&error))?;
        Ok(std::mem::take(unpacker.get_mut()))
    }

    /// Takes lines in, and hands pieces over as they fill up.
    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Problem> {
        while !bytes.is_empty() {
            self.memory.set(self.lines.buffer.len() + bytes.len())?;
            bytes = &bytes[self.lines.take(bytes)..];
            self.lines.check(self.api.options.max_body_bytes)?;
            if self.lines.is_full() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Takes the end of the body in.
    async fn finish(&mut self) -> Result<(), Problem> {
        if let Some(mut unpacker) = self.unpacker.take() {
            let ended = unpacker.try_finish();
            let bytes = std::mem::take(unpacker.get_mut());
            self.take(&bytes).await?;
            ended.map_err(|error| body::bad_gzip(&error))?;
        }
        self.lines.close();
        self.flush().await
    }

    /// Hands the whole lines over.
    async fn flush(&mut self) -> Result<(), Problem> {
        let (piece, count) = self.lines.piece();
        if count > 0 {
            let first = self.done.seen;
            let progress = self.api.blocking(move |api| ingest(api, decode(api, &piece, first))).await?;
            self.done.add(progress, count);
        }
        self.memory.set(self.lines.buffer.len())
    }
}

fn decode(api: &Api, piece: &[u8], first: usize) -> DecodedEvents {
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let mut decoded = DecodedEvents::with_capacity(api, piece.len());
    let lines = piece.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        tracking::push_event(&mut decoded, line, first + index, &defaults);
    }
    decoded
}

/// Hands events over, and waits while the platform is busy: the sender cannot repeat a part of its stream.
fn ingest(api: &Api, decoded: DecodedEvents) -> Result<IngestProgress, Problem> {
    let deadline = Instant::now() + api.options.request_timeout / 2;
    loop {
        match RequestLimits::of_events(api, decoded.count) {
            Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS && Instant::now() < deadline => {
                std::thread::park_timeout(QUOTA_WAIT);
            }
            counted => break counted?,
        }
    }
    decoded.ingest_by(api, |records, count| {
        loop {
            match api.platform.events.ingest(records.clone(), count) {
                Err(PlatformError::Busy { .. }) if Instant::now() < deadline => {
                    // The limit may be that of a server elsewhere, as Kafka is, which does not tell that it has room.
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                outcome => return outcome,
            }
        }
    })
}

/// Carries out a body that is there as a whole.
pub(crate) fn accept(api: &Api, body: &Bytes) -> Result<IngestProgress, Problem> {
    let decoded = decode(api, body, 0);
    if decoded.count + decoded.rejected.len() == 0 {
        return Err(Problem::bad_request("no_events", "there is no event in the body"));
    }
    let progress = decoded.ingest(api)?;
    conclude(progress, |rejected| format!("/{}{}", rejected.index, rejected.pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_across_parts() {
        let mut lines = Lines::new();
        for part in ["a\n\n", "b", "", "c\r\n  \nd"] {
            assert_eq!(lines.take(part.as_bytes()), part.len());
        }
        assert_eq!(lines.piece(), (b"a\n\nbc\r\n  \n".to_vec(), 2));
        lines.close();
        assert_eq!(lines.piece(), (b"d".to_vec(), 1));
        assert_eq!(lines.piece(), (Vec::new(), 0));
    }

    #[test]
    fn a_piece_ends_when_full() {
        let mut lines = Lines::new();
        let many = "x\n".repeat(PIECE_EVENTS + 5);
        let taken = lines.take(many.as_bytes());
        assert_eq!((taken, lines.count, lines.is_full()), (PIECE_EVENTS * 2, PIECE_EVENTS, true));
        lines.piece();
        assert_eq!(lines.take(&many.as_bytes()[taken..]), 10);
    }

    #[test]
    fn blank_lines_end_a_body_unless_it_has_as_many_events() {
        let (mut lines, blank) = (Lines::new(), "\n".repeat(MAX_BLANK / 2));
        for _ in 0..2 {
            lines.take(blank.as_bytes());
            lines.piece();
        }
        assert!(lines.check(100).is_ok());
        lines.take(b"\n");
        assert_eq!(lines.check(100).unwrap_err().code, "blank_lines");
        lines.take(b"x\n");
        assert!(lines.check(100).is_ok());
    }
}
