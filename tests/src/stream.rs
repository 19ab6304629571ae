//! A client of `/api/stream` that keeps to the letter of server-sent events.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::client::Client;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The id last seen with it.
    pub id: String,
    /// `entered`, `left` or `reset`.
    pub event: String,
    /// Its data.
    pub data: Value,
}

/// A stream of events.
pub struct Stream {
    body: BufReader<Chunks>,
    /// The id to go on behind.
    pub id: String,
}

impl Stream {
    /// Follows what the query asks for, behind an id where there is one; the status where that is refused.
    pub fn open(client: Client, query: &str, after: Option<&str>) -> io::Result<Result<Stream, u16>> {
        Stream::of(client, &format!("/api/stream?{query}"), after)
    }

    /// The same of any path.
    pub fn of(client: Client, path: &str, after: Option<&str>) -> io::Result<Result<Stream, u16>> {
        let mut stream = client.connect()?;
        let last = after.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{last}\r\n")?;
        let mut head = BufReader::with_capacity(1, stream);
        let mut status = String::new();
        head.read_line(&mut status)?;
        let mut line = String::new();
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 200 {
            return Ok(Err(status));
        }
        let chunks = Chunks { stream: BufReader::new(head.into_inner()), left: 0 };
        Ok(Ok(Stream { body: BufReader::new(chunks), id: after.unwrap_or_default().to_owned() }))
    }

    /// The longest time that the next bytes may take.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.body.get_ref().stream.get_ref().set_read_timeout(Some(patience))
    }

    /// Waits for the next event; none at the end of the stream. Ids without data are taken over meanwhile.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        let (mut event, mut data, mut id) = (String::new(), String::new(), None);
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end_matches('\n');
            if line.is_empty() {
                self.id = id.take().unwrap_or_else(|| std::mem::take(&mut self.id));
                if !data.is_empty() {
                    let data = serde_json::from_str(&data).map_err(io::Error::other)?;
                    return Ok(Some(Event { id: self.id.clone(), event, data }));
                }
                event.clear();
                continue;
            }
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => value.clone_into(&mut event),
                Some(("data", value)) => data.push_str(value),
                Some(("" | "retry", _)) => {}
                _ => return Err(io::Error::other(format!("no line of an event: {line:?}"))),
            }
        }
    }
}

/// A body in chunks.
struct Chunks {
    stream: BufReader<TcpStream>,
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            // Behind each chunk is an empty line.
            while line.trim_end().is_empty() {
                line.clear();
                if self.stream.read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.left = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = out.len().min(self.left);
        let read = self.stream.read(&mut out[..most])?;
        self.left -= read;
        Ok(read)
    }
}
