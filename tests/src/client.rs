//! A small HTTP client: one connection a request, and bytes as they are where a request is to be malformed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The longest time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200, for instance.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, as far as it is that.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `code` of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The address of the server.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

impl Client {
    /// A connection.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.0, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Asks, with a body of that media type where there is one.
    pub fn send(&self, method: &str, path: &str, media: &str, body: &[u8]) -> io::Result<Answer> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n",
            self.0
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// Sends bytes as they are, and reads the answer, also to one that was not read to its end.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        let sent = stream.write_all(bytes);
        read_answer(&mut stream).map_err(|error| sent.err().unwrap_or(error))
    }

    /// GET.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, "application/json", b"")
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, json: &str) -> io::Result<Answer> {
        self.send("POST", path, "application/json", json.as_bytes())
    }

    /// PUT of JSON.
    pub fn put(&self, path: &str, json: &str) -> io::Result<Answer> {
        self.send("PUT", path, "application/json", json.as_bytes())
    }

    /// The members of a segment, from all pages; `None` where there is no such segment.
    pub fn members(&self, segment: &str) -> io::Result<Option<Vec<String>>> {
        let mut members: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("/api/segments/{segment}/members?limit=7{cursor}"))?;
            if answer.status == 404 {
                return Ok(None);
            }
            let page = answer.json();
            let Some(items) = page["items"].as_array() else {
                return Err(io::Error::other(format!("no page of members: {}", answer.text())));
            };
            members.extend(items.iter().filter_map(|item| item.as_str().map(str::to_owned)));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(Some(members)),
            }
        }
    }
}

/// Reads one answer.
pub fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
}

/// The answer, once it is there as a whole.
fn parse(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer: {head}")))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding").is_some() {
        let Some(body) = unchunk(&answer.body) else { return Ok(None) };
        answer.body = body;
        return Ok(Some(answer));
    }
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    Ok((answer.body.len() >= length).then_some(answer))
}

/// The body in chunks, once the last one is there.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(end + 2..end + 2 + length)?);
        bytes = bytes.get(end + 4 + length..)?;
    }
}
