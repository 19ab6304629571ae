//! The body of a call: read at a least pace, within the memory of all bodies, while others have the place of its request.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::header::{CONTENT_LENGTH, EXPECT, HeaderMap};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::body::{self, BodyStream, too_large};
use crate::body_memory::HeldMemory;
use crate::pace::Pace;
use crate::problem::Problem;
use crate::subscribers::long_after_closing;
use crate::work_place::WorkPlace;

/// The room for the first part that is unpacked, and the least step by which it grows.
const STEP: usize = 64 << 10;

/// Bytes beyond its bound that are read of a body: many clients look at no answer before all of the body is sent.
const DRAINED: usize = 16 << 20;

/// The time that this may take.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The time for which a server that ends waits for bodies.
pub(crate) const LAST_BODIES: Duration = Duration::from_secs(5);

/// A body that was not read yet.
pub(crate) struct CallBody {
    pub(crate) parts: BodyStream,
    /// The place of the call among those that are worked on.
    pub(crate) place: Arc<WorkPlace>,
}

/// The bounds of a body that is read as a whole.
pub(crate) struct BodyBounds {
    /// Bytes, as sent and as unpacked.
    pub(crate) limit: usize,
    pub(crate) pace: Pace,
    pub(crate) memory: HeldMemory,
    /// Tells of the end of the server.
    pub(crate) closing: watch::Receiver<bool>,
}

/// A body with the memory that it takes.
struct HeldBody {
    bytes: Bytes,
    _memory: HeldMemory,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body as a whole, unpacked. It gives its memory back when it is dropped.
pub(crate) async fn whole(headers: &HeaderMap, body: CallBody, bounds: BodyBounds) -> Result<Bytes, Problem> {
    let BodyBounds { limit, mut pace, mut memory, closing } = bounds;
    let gzip = body::is_gzip(headers)?;
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let beyond = declared.map_or(0, |length| length.saturating_sub(limit as u64));
    // Who asks first is answered first.
    if beyond > DRAINED as u64 || (beyond > 0 && headers.contains_key(EXPECT)) {
        return Err(too_large(limit));
    }
    body.place.leave();
    let mut parts = body.parts;
    let read = async {
        if beyond > 0 {
            drain(&mut parts, limit + DRAINED, &mut pace).await;
            return Err(too_large(limit));
        }
        collect(&mut parts, limit, &mut pace, &mut memory).await
    };
    let sent = tokio::select! {
        sent = read => sent?,
        () = long_after_closing(closing, LAST_BODIES) => return Err(body::stopping()),
    };
    body.place.come_back().await?;
    if !gzip {
        return Ok(Bytes::from_owner(HeldBody { bytes: sent, _memory: memory }));
    }
    let unpack = tokio::task::spawn_blocking(move || {
        let (unpacked, sent_bytes) = (unpack(&sent, limit, &mut memory)?, sent.len());
        drop(sent);
        memory.set(memory.bytes().saturating_sub(sent_bytes))?;
        Ok(Bytes::from_owner(HeldBody { bytes: unpacked.into(), _memory: memory }))
    });
    unpack.await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// Reads on, at most so many bytes, and keeps nothing.
async fn drain(parts: &mut BodyStream, most: usize, pace: &mut Pace) {
    let reading = async {
        let mut left = most;
        while let Ok(Some(part)) = pace.next(parts).await {
            match left.checked_sub(part.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // What did not come in time is not waited for.
    let _ = timeout(DRAIN_TIME, reading).await;
}

async fn collect(
    parts: &mut BodyStream,
    limit: usize,
    pace: &mut Pace,
    memory: &mut HeldMemory,
) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut body = Vec::new();
    while let Some(part) = pace.next(parts).await? {
        let length = first.len() + body.len() + part.len();
        if length > limit {
            drain(parts, DRAINED, pace).await;
            return Err(too_large(limit));
        }
        // Most bodies come in one part, which is then not copied.
        if first.is_empty() && body.is_empty() {
            memory.cover(part.len())?;
            first = part;
            continue;
        }
        grow(&mut body, length, limit, 0, memory)?;
        body.extend_from_slice(&std::mem::take(&mut first));
        body.extend_from_slice(&part);
    }
    Ok(if body.is_empty() { first } else { body.into() })
}

/// Unpacks, beside what was sent.
fn unpack(sent: &[u8], limit: usize, memory: &mut HeldMemory) -> Result<Vec<u8>, Problem> {
    let (mut body, beside) = (Vec::new(), memory.bytes());
    let mut unpacker = MultiGzDecoder::new(sent);
    loop {
        let length = body.len() + STEP;
        grow(&mut body, length, limit + STEP, beside, memory)?;
        let read = (&mut unpacker).take(STEP as u64).read_to_end(&mut body);
        if body.len() > limit {
            return Err(too_large(limit));
        }
        if read.map_err(|error| body::bad_gzip(&error))? == 0 {
            return Ok(body);
        }
    }
}

/// Makes room for so many bytes, and takes the memory before it does. Room doubles, as far as the limit permits.
fn grow(body: &mut Vec<u8>, bytes: usize, limit: usize, beside: usize, memory: &mut HeldMemory) -> Result<(), Problem> {
    if bytes > body.capacity() {
        let capacity = bytes.max(body.capacity() * 2).min(limit.max(bytes));
        memory.cover(beside + capacity)?;
        body.reserve_exact(capacity - body.len());
    }
    Ok(())
}
