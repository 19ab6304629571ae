//! The primary of a standby, over one HTTP connection that stays open.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use audience_api::Door;
use audience_engine::standby::PrimaryLog;
use parking_lot::Mutex;

use crate::asking::{CaFlag, ServerAddress, ServerConnection};
use crate::settings::{StandbySettings, named};

/// The path of the log.
const PATH: &str = "/api/standby/log";
/// Bytes of an answer, at most: records, changes, and all notes there are.
const MOST: u64 = 1 << 30;
/// Bytes of a line of the head, at most.
const MOST_LINE: u64 = 16 << 10;

/// A primary, as its standby asks it.
pub(crate) struct RemotePrimary {
    server: ServerAddress,
    key: Option<String>,
    door: Door,
    connection: Mutex<Option<BufReader<Box<dyn ServerConnection>>>>,
}

impl RemotePrimary {
    /// The primary at a URL, by the settings. `door` tells what the standby does.
    pub(crate) fn new(url: &str, settings: &StandbySettings, door: &Door) -> anyhow::Result<RemotePrimary> {
        let ca = CaFlag { ca_file: settings.standby_ca_file.clone() };
        let server = ServerAddress::parse(url, "--standby-of", &ca)?;
        let key = settings.standby_key_file.as_deref().map(read_key).transpose()?;
        Ok(RemotePrimary { server, key, door: door.clone(), connection: Mutex::new(None) })
    }

    fn try_ask(&self, held: &[u8], patience: Duration) -> anyhow::Result<Vec<u8>> {
        let mut kept = self.connection.lock();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => BufReader::new(self.server.connect(patience)?),
        };
        let key = self.key.as_ref().map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {}\r\n{key}content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            self.server.authority,
            held.len()
        );
        connection.get_mut().write_all(&[head.as_bytes(), held].concat())?;
        connection.get_mut().flush()?;
        let (status, body) = read_answer(&mut connection)?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        *kept = Some(connection);
        Ok(body)
    }
}

impl PrimaryLog for RemotePrimary {
    fn ask(&self, held: &[u8], patience: Duration) -> Result<Vec<u8>, String> {
        self.try_ask(held, patience).map_err(|error| format!("{error:#}"))
    }

    fn tell(&self, what: String) {
        self.door.wait_for(what);
    }
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let place = || format!("{}: {}", named("standby_key_file"), path.display());
    Ok(std::fs::read_to_string(path).with_context(place)?.trim().to_owned())
}

/// Reads the status and the body of an answer whose length is told.
fn read_answer(connection: &mut BufReader<Box<dyn ServerConnection>>) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut line = || -> anyhow::Result<String> {
        let mut line = String::new();
        let read = connection.by_ref().take(MOST_LINE).read_line(&mut line)?;
        ensure!(read > 0, "the connection ended");
        Ok(line.trim_end().to_ascii_lowercase())
    };
    let first = line()?;
    let status = first.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let Some(status) = status else { bail!("it does not speak HTTP") };
    let mut length = None;
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length:").and_then(|length| length.trim().parse().ok()).or(length);
    }
    let length = length.filter(|length| *length <= MOST).context("the answer says no length that can be taken")?;
    let mut body = Vec::new();
    let begun = Instant::now();
    connection.by_ref().take(length).read_to_end(&mut body)?;
    ensure!(body.len() as u64 == length, "the answer was cut off after {:?}", begun.elapsed());
    Ok((status, body))
}
