//! The bytes of a connection on their way to and from the HTTP server: heads that say two lengths are noticed, and so is a
//! client that takes nothing.
//!
//! hyper takes `Transfer-Encoding` for the length and drops a `Content-Length` beside it. A proxy before this server may do
//! the opposite, and then sees another request in the bytes after it. So the head is looked at before hyper reads it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes of a line of a head that are looked at; names and values of lengths are shorter.
const MAX_LINE: usize = 256;

/// The state of a connection, shared with those who serve it.
pub(crate) struct Framing {
    /// A head had a length and chunks.
    is_ambiguous: AtomicBool,
    begun: Instant,
    /// When the client took nothing any more, in milliseconds since the beginning, and one; 0 where it takes what it is sent.
    stuck: AtomicU64,
}

impl Framing {
    /// Returns whether a head had a length and chunks; the connection is of no use any more.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous.load(Ordering::Relaxed)
    }

    /// Returns whether the client has taken nothing for so long while something waits for it.
    pub(crate) fn is_stuck(&self, patience: Duration) -> bool {
        match self.stuck.load(Ordering::Relaxed) {
            0 => false,
            since => self.begun.elapsed() >= Duration::from_millis(since - 1) + patience,
        }
    }

    fn note_write(&self, is_pending: bool) {
        let waits = self.stuck.load(Ordering::Relaxed) != 0;
        if is_pending != waits {
            let since = if is_pending { self.begun.elapsed().as_millis() as u64 + 1 } else { 0 };
            self.stuck.store(since, Ordering::Relaxed);
        }
    }
}

/// A connection whose bytes are looked at.
pub(crate) struct Framed<Io> {
    io: Io,
    scanner: Scanner,
    framing: Arc<Framing>,
}

impl<Io> Framed<Io> {
    /// A connection, and what will be known of it.
    pub(crate) fn new(io: Io) -> (Self, Arc<Framing>) {
        let (is_ambiguous, stuck) = (AtomicBool::new(false), AtomicU64::new(0));
        let framing = Arc::new(Framing { is_ambiguous, begun: Instant::now(), stuck });
        (Framed { io, scanner: Scanner::default(), framing: Arc::clone(&framing) }, framing)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Framed<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read
            && self.scanner.scan(&buffer.filled()[before..])
        {
            self.framing.is_ambiguous.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Framed<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.framing.note_write(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, parts);
        self.framing.note_write(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// The place in the bytes of a connection.
enum ScanPlace {
    /// In the head of a request.
    Head,
    /// In a body; so many bytes of it, or of its chunk, are to come.
    Sized { left: u64, is_chunk: bool },
    /// In the line that has the length of a chunk, or at the end of one.
    ChunkLine,
    /// In the lines after the last chunk.
    Trailers,
    /// Nothing more is looked at: hyper refuses what is not understood, too.
    Opaque,
}

/// Follows requests through the bytes of a connection.
struct Scanner {
    place: ScanPlace,
    /// The line that has begun, cut off at [`MAX_LINE`].
    line: Vec<u8>,
    is_first_line: bool,
    length: Option<u64>,
    has_chunks: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner { place: ScanPlace::Head, line: Vec::new(), is_first_line: true, length: None, has_chunks: false }
    }
}

impl Scanner {
    /// Takes bytes; returns whether a head ended in them that has a length and chunks.
    fn scan(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_ambiguous = false;
        while !bytes.is_empty() {
            match &mut self.place {
                ScanPlace::Opaque => break,
                ScanPlace::Sized { left, is_chunk } => {
                    let taken = (*left).min(bytes.len() as u64);
                    *left -= taken;
                    bytes = &bytes[taken as usize..];
                    if *left == 0 {
                        self.place = if *is_chunk { ScanPlace::ChunkLine } else { ScanPlace::Head };
                    }
                }
                ScanPlace::Head | ScanPlace::ChunkLine | ScanPlace::Trailers => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    self.line.extend_from_slice(&part[..part.len().min(MAX_LINE.saturating_sub(self.line.len()))]);
                    bytes = &bytes[(part.len() + 1).min(bytes.len())..];
                    if end.is_some() {
                        is_ambiguous |= self.end_line();
                        self.line.clear();
                    }
                }
            }
        }
        is_ambiguous
    }

    fn end_line(&mut self) -> bool {
        let line = self.line.trim_ascii();
        match self.place {
            ScanPlace::ChunkLine if line.is_empty() => {}
            ScanPlace::ChunkLine => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let length = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
                self.place = match length {
                    Some(0) => ScanPlace::Trailers,
                    Some(left) => ScanPlace::Sized { left, is_chunk: true },
                    None => ScanPlace::Opaque,
                };
            }
            ScanPlace::Trailers if line.is_empty() => self.place = ScanPlace::Head,
            ScanPlace::Head if line.is_empty() && !self.is_first_line => return self.end_head(),
            ScanPlace::Head if !line.is_empty() => {
                let is_header = !std::mem::replace(&mut self.is_first_line, false);
                let line = std::mem::take(&mut self.line);
                if is_header {
                    self.header(&line);
                }
            }
            _ => {}
        }
        false
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|length| length.parse().ok());
            self.length = Some(length.unwrap_or_default());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.has_chunks = true;
        }
    }

    fn end_head(&mut self) -> bool {
        let Scanner { length, has_chunks, .. } = std::mem::take(self);
        let is_ambiguous = has_chunks && length.is_some();
        self.place = match length {
            _ if is_ambiguous => ScanPlace::Opaque,
            _ if has_chunks => ScanPlace::ChunkLine,
            Some(left) if left > 0 => ScanPlace::Sized { left, is_chunk: false },
            _ => ScanPlace::Head,
        };
        is_ambiguous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// Returns whether it is noticed, in whatever parts it comes.
    fn is_noticed(text: &str) -> bool {
        let whole = Scanner::default().scan(text.as_bytes());
        for length in [1, 7] {
            let mut scanner = Scanner::default();
            let parts: Vec<bool> = text.as_bytes().chunks(length).map(|part| scanner.scan(part)).collect();
            assert_eq!(parts.contains(&true), whole, "{text}");
        }
        whole
    }

    #[test]
    fn a_length_beside_chunks_is_noticed_in_any_request_of_a_connection() {
        let two = "POST / HTTP/1.1\r\nContent-Length: 5\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        let turned = "\r\nPOST / HTTP/1.1\nTransfer-Encoding: chunked\nCONTENT-LENGTH : 5\n\n";
        let sized = "POST / HTTP/1.1\r\ncontent-length: 40\r\n\r\n";
        let body = "x\r\ncontent-length: 1\r\ntransfer-encoding:";
        let chunked =
            format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n28;x=y\r\n{body}\r\n0\r\nx: y\r\n\r\n");
        assert_eq!(body.len(), 40);
        for text in [two, turned, &format!("{GET}{two}"), &format!("{sized}{body}{two}"), &format!("{chunked}{two}")] {
            assert!(is_noticed(text), "{text}");
        }
        for text in [GET, &format!("{sized}{body}{GET}"), &format!("{chunked}{GET}{chunked}")] {
            assert!(!is_noticed(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_to_hyper() {
        let two = "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(!is_noticed(&format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{two}")));
        assert!(!is_noticed(&"x".repeat(100_000)));
    }
}
