//! A small HTTP/1.1 client: one connection, kept open, one request after the other.
//!
//! It shares the machine with what it measures, so it does as little as can be done.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Servers close connections that are idle for long; one that was idle for so long is made again.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// A connection.
pub struct BenchClient {
    address: SocketAddr,
    stream: TcpStream,
    used: Instant,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// An answer; its body is in the client's buffer until the next request.
#[derive(Debug)]
pub struct HttpAnswer<'a> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl BenchClient {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<BenchClient> {
        Ok(BenchClient {
            address,
            stream: open(address)?,
            used: Instant::now(),
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// GET.
    pub fn get(&mut self, path: &str) -> Result<HttpAnswer<'_>> {
        self.send("GET", path, b"")
    }

    /// Sends a request and waits for its answer.
    pub fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<HttpAnswer<'_>> {
        if self.used.elapsed() > MAX_IDLE {
            self.stream = open(self.address)?;
        }
        self.request.clear();
        write!(self.request, "{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address)?;
        if !body.is_empty() {
            write!(self.request, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
        }
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request)?;
        let (status, start, length) = self.read_head()?;
        while self.answer.len() < start + length {
            self.read_more()?;
        }
        self.used = Instant::now();
        Ok(HttpAnswer { status, body: &self.answer[start..start + length] })
    }

    /// Reads up to the end of the head: status, where the body begins, and its length.
    fn read_head(&mut self) -> Result<(u16, usize, usize)> {
        self.answer.clear();
        let end = loop {
            self.read_more()?;
            if let Some(at) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
        };
        let head = String::from_utf8_lossy(&self.answer[..end]).to_ascii_lowercase();
        let invalid = || Error::new(ErrorKind::InvalidData, format!("no HTTP answer: {head}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        match length {
            Some(length) => Ok((status, end + 4, length)),
            None if status == 204 => Ok((status, end + 4, 0)),
            None => Err(invalid()),
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let start = self.answer.len();
        self.answer.resize(start + 16_384, 0);
        let read = self.stream.read(&mut self.answer[start..]);
        self.answer.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn answers_are_read_whole_and_one_by_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            for parts in [
                &[&b"HTTP/1.1 200 OK\r\nContent-Le"[..], b"ngth: 5\r\n\r\nab", b"cde"][..],
                &[b"HTTP/1.1 204 No Content\r\n\r\n"],
            ] {
                assert!(stream.read(&mut request).unwrap() > 0);
                for part in parts {
                    stream.write_all(part).unwrap();
                    stream.flush().unwrap();
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }
        });
        let mut client = BenchClient::connect(address).unwrap();
        let answer = client.send("POST", "/x", b"{}").unwrap();
        assert_eq!((answer.status, answer.body), (200, &b"abcde"[..]));
        assert_eq!(client.get("/x").unwrap().status, 204);
        assert!(client.get("/x").is_err());
        server.join().unwrap();
    }
}
