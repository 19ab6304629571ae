//! `audience serve --demo`: a generated shop in a data directory of its own, with segments of every kind, and customers who
//! come and go while it runs.
//!
//! A seed and the instant of filling give a shop. The instant is written to the directory before anything else, and every event
//! has a `messageId`: a filling that was interrupted is repeated, and counts once.

mod customers;
mod segments;
mod shop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, bail};
use audience_engine::service::{Service, clock};
use audience_protocol::PlatformError;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::time::parse_rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::shop::{SEED, Shop};
use crate::settings::OWN_CERTIFICATE;

/// The file that marks a data directory as a demo's.
const FILE: &str = "demo.json";
/// Events that are ingested at a time.
const AT_A_TIME: usize = 500;
/// The wait while the engine is busy, and how often it is repeated.
const WAIT: Duration = Duration::from_millis(50);
const TRIES: usize = 1_200;

/// The content of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DemoNote {
    /// The instant at which the customers' past ends.
    filled_at: i64,
    is_filled: bool,
}

/// A demo in its directory.
#[derive(Clone, Debug)]
pub(crate) struct Demo {
    path: PathBuf,
    note: DemoNote,
}

impl Demo {
    /// Opens a directory that is new or a demo's. Any other is refused and left as it is.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Demo> {
        if let Some(demo) = Demo::read(data)? {
            return Ok(demo);
        }
        // The certificate is made before everything else.
        let is_own = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == OWN_CERTIFICATE);
        let is_empty = !data.exists() || fs::read_dir(data).is_ok_and(|mut entries| entries.all(is_own));
        if !is_empty {
            bail!("{} has data that no demo made: name another directory with --data", data.display());
        }
        fs::create_dir_all(data).with_context(|| format!("making {}", data.display()))?;
        Demo::begin(data)
    }

    /// Begins a demo in the directory of a running platform, or goes on with the one that is there.
    pub(crate) fn begin(data: &Path) -> anyhow::Result<Demo> {
        if let Some(demo) = Demo::read(data)? {
            return Ok(demo);
        }
        let demo = Demo { path: data.join(FILE), note: DemoNote { filled_at: clock::now(), is_filled: false } };
        demo.write()?;
        Ok(demo)
    }

    /// The demo of a directory, if there is one.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Option<Demo>> {
        let path = data.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let note = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(Demo { path, note }))
    }

    /// Returns whether its past and its segments are there.
    pub(crate) fn is_filled(&self) -> bool {
        self.note.is_filled
    }

    fn write(&self) -> anyhow::Result<()> {
        let temporary = self.path.with_extension("tmp");
        fs::write(&temporary, serde_json::to_vec(&self.note)?)
            .and_then(|()| fs::rename(&temporary, &self.path))
            .with_context(|| format!("writing {}", self.path.display()))
    }

    /// Ingests the past and creates the segments, unless that is done.
    pub(crate) fn fill(&mut self, service: &Service) -> anyhow::Result<()> {
        if self.note.is_filled {
            return Ok(());
        }
        let events = Shop::new(SEED, self.note.filled_at).past();
        tracing::info!(events = events.len(), "The demo fills its shop");
        for events in events.chunks(AT_A_TIME) {
            if service.is_ending() {
                bail!("the platform ends");
            }
            accept(service, events)?;
        }
        segments::create(service)?;
        service.put_past_sizes(&in_their_time(&events)?)?;
        self.note.is_filled = true;
        self.write()
    }

    /// Goes on for as long as it is polled, at the pace of the past: charts show a shop, not the start of a demo.
    pub(crate) async fn live(self, service: Arc<Service>) {
        let started = tokio::task::spawn_blocking(move || {
            // Another run is another day in the shop.
            let mut shop = Shop::new(SEED ^ clock::now().unsigned_abs(), self.note.filled_at);
            shop.past();
            shop
        });
        let Ok(mut shop) = started.await else { return };
        let mut pace = tokio::time::interval(shop.pace());
        loop {
            pace.tick().await;
            if service.is_ending() {
                return;
            }
            let (event, service) = (shop.next_event(clock::now()), service.clone());
            let accepted = tokio::task::spawn_blocking(move || accept(&service, &[event])).await;
            if let Ok(Err(error)) = accepted {
                tracing::warn!(%error, "The engine refuses an event of the demo");
            }
        }
    }
}

/// Decodes events, each as if it had been accepted at its time.
fn in_their_time(events: &[Value]) -> anyhow::Result<Vec<u8>> {
    let (mut decoder, mut records) = (EventDecoder::new(), Vec::new());
    for event in events {
        let accepted_at = event["timestamp"].as_str().and_then(parse_rfc3339).context("an event without a time")?;
        let decoded = decoder.decode(event.to_string().as_bytes(), &EventDefaults { accepted_at }, &mut records);
        decoded.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    }
    Ok(records)
}

/// Ingests events; waits while the engine is busy.
fn accept(service: &Service, events: &[Value]) -> anyhow::Result<()> {
    let (mut decoder, mut records) = (EventDecoder::new(), Vec::new());
    let defaults = EventDefaults { accepted_at: clock::now() };
    for event in events {
        decoder
            .decode(event.to_string().as_bytes(), &defaults, &mut records)
            .map_err(|fault| anyhow::anyhow!("{fault}"))?;
    }
    for _ in 0..TRIES {
        match service.platform().events.ingest(records.clone(), events.len()) {
            Err(PlatformError::Busy { .. }) => std::thread::park_timeout(WAIT),
            other => return Ok(other?),
        }
    }
    bail!("the engine takes no events")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_its_own_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("new");
        let first = Demo::open(&new).expect("a new one");
        fs::write(new.join("events"), "x").expect("written");
        let again = Demo::open(&new).expect("its own");
        assert_eq!(first.note.filled_at, again.note.filled_at);
        let others = folder.path().join("others");
        fs::create_dir_all(others.join(OWN_CERTIFICATE)).expect("made");
        Demo::open(&others).expect("one with a certificate alone");
        fs::remove_file(others.join(FILE)).expect("removed");
        fs::write(others.join("events"), "x").expect("written");
        let error = Demo::open(&others).expect_err("it has other data").to_string();
        assert!(error.contains("--data"), "{error}");
    }
}
