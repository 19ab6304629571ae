//! Events as NDJSON: an endless body in bounded memory. Every piece is durable before the next is taken in, so that a
//! platform that is slow slows the sender down.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_protocol::PlatformError;
use audience_rules::event::EventDefaults;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt as _;

use crate::api::Api;
use crate::body;
use crate::events::decoded::{DecodedEvents, accepted, conclude};
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

/// Lines on their way into pieces.
struct Lines {
    /// Whole lines, and the begin of one.
    buffer: Vec<u8>,
    /// The place of that begin.
    open: usize,
    /// Whole lines in the buffer that are not blank.
    count: usize,
}

impl Lines {
    fn new() -> Self {
        Lines { buffer: Vec::new(), open: 0, count: 0 }
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
        self.count += usize::from(!self.buffer[self.open..].trim_ascii().is_empty());
        self.open = self.buffer.len();
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

/// Carries out a body that streams in.
pub(crate) async fn stream(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let mut unpacker = body::is_gzip(&call.headers)?.then(|| MultiGzDecoder::new(Vec::new()));
    let mut lines = Lines::new();
    let mut done = StreamOutcome::default();
    let mut heard = Instant::now();
    let ended = loop {
        let part = match tokio::time::timeout(IDLE, call.body.next()).await {
            Ok(None) => break Ok(()),
            Ok(Some(Ok(part))) => part,
            Ok(Some(Err(error))) => break Err(body::broken(&error)),
            Err(_) if heard.elapsed() >= api.options.request_timeout => break Err(body::too_slow()),
            Err(_) => {
                let flushed = flush(&api, &mut lines, &mut done).await;
                if flushed.is_err() {
                    break flushed;
                }
                continue;
            }
        };
        let fed = feed(&api, &part, unpacker.as_mut(), &mut lines, &mut done).await;
        if fed.is_err() {
            break fed;
        }
        heard = Instant::now();
    };
    let ended = match ended {
        Ok(()) => finish(&api, unpacker, &mut lines, &mut done).await,
        failed => failed,
    };
    match ended {
        Ok(()) => done.answer().map(|progress| accepted(&progress)),
        Err(problem) => Err(problem.after(done.accepted, done.rejected)),
    }
}

/// Takes a part of the body in.
async fn feed(
    api: &Arc<Api>,
    part: &[u8],
    unpacker: Option<&mut MultiGzDecoder<Vec<u8>>>,
    lines: &mut Lines,
    done: &mut StreamOutcome,
) -> Result<(), Problem> {
    let Some(unpacker) = unpacker else { return take(api, part, lines, done).await };
    for step in part.chunks(PACKED_STEP) {
        unpacker.write_all(step).map_err(|error| body::bad_gzip(&error))?;
        let bytes = std::mem::take(unpacker.get_mut());
        take(api, &bytes, lines, done).await?;
    }
    Ok(())
}

/// Takes lines in, and hands pieces over as they fill up.
async fn take(api: &Arc<Api>, mut bytes: &[u8], lines: &mut Lines, done: &mut StreamOutcome) -> Result<(), Problem> {
    while !bytes.is_empty() {
        bytes = &bytes[lines.take(bytes)..];
        if lines.buffer.len() - lines.open > api.options.max_body_bytes {
            return Err(Problem::too_large(format!("a line has at most {} bytes", api.options.max_body_bytes)));
        }
        if lines.is_full() {
            flush(api, lines, done).await?;
        }
    }
    Ok(())
}

/// Takes the end of the body in.
async fn finish(
    api: &Arc<Api>,
    unpacker: Option<MultiGzDecoder<Vec<u8>>>,
    lines: &mut Lines,
    done: &mut StreamOutcome,
) -> Result<(), Problem> {
    if let Some(mut unpacker) = unpacker {
        let ended = unpacker.try_finish();
        let bytes = std::mem::take(unpacker.get_mut());
        take(api, &bytes, lines, done).await?;
        ended.map_err(|error| body::bad_gzip(&error))?;
    }
    lines.close();
    flush(api, lines, done).await
}

/// Hands the whole lines over.
async fn flush(api: &Arc<Api>, lines: &mut Lines, done: &mut StreamOutcome) -> Result<(), Problem> {
    let (piece, count) = lines.piece();
    if count == 0 {
        return Ok(());
    }
    let first = done.seen;
    let progress = api.blocking(move |api| ingest(api, decode(api, &piece, first))).await?;
    done.add(progress, count);
    Ok(())
}

fn decode(api: &Api, piece: &[u8], first: usize) -> DecodedEvents {
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let mut decoded = DecodedEvents::with_capacity(piece.len());
    let lines = piece.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        decoded.push(line, first + index, &defaults);
    }
    decoded
}

/// Hands events over, and waits while the platform is busy: the sender cannot repeat a part of its stream.
fn ingest(api: &Api, decoded: DecodedEvents) -> Result<IngestProgress, Problem> {
    decoded.ingest_by(api, |records, count| {
        let deadline = Instant::now() + api.options.request_timeout / 2;
        loop {
            match api.platform.events.ingest(records.clone(), count) {
                Err(PlatformError::Busy { .. }) if Instant::now() < deadline => {
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
}
