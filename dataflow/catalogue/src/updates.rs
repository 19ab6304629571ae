//! Changes of segments, sent to whoever follows them: each at least once, after it is durable, by whichever process
//! comes first.
//!
//! The rows of the audit log after the last one that was sent are still to be sent; the store keeps that place. So
//! nothing is lost while the receiver is away or this process is down, and edits made by hand in a database are sent
//! too.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Failure, Job, JobHandle, Outcome, Runner};
use audience_contract::{AuditRecord, DocumentKind};
use audience_rules::time::format_time;
use parking_lot::Mutex;
use serde::Serialize;

use crate::documents::StoredSegment;
use crate::editor::Editor;

/// Rows that are taken at once.
const ROWS: usize = 1_000;
/// How long other processes leave the taken rows alone. If this process ends before it has sent them, another sends them
/// afterwards.
const LEASE: Duration = Duration::from_secs(30);
/// How long a stop waits for updates that are being sent, counted from its begin.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A change of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentUpdate {
    /// The segment.
    pub segment_id: String,
    /// The version that the change made; for a deletion, the last version.
    pub version: u64,
    /// created, updated, activated, deactivated, archived, rolledBack or deleted; a change of its list updates it
    pub action: String,
    /// RFC 3339.
    pub at: String,
}

/// A receiver of changes of segments.
pub trait SegmentUpdates: Send + Sync {
    /// Sends changes, in this order. The receiver keeps them once this returns; after an error all are sent again.
    fn send(&self, updates: &[SegmentUpdate]) -> Result<(), String>;
}

/// The job that sends changes of segments, once it is started.
#[derive(Default)]
pub struct UpdateSender {
    runner: Runner,
    job: Mutex<Option<JobHandle>>,
}

impl UpdateSender {
    /// Starts to send what the editor's audit log says.
    pub fn start(&self, receiver: Arc<dyn SegmentUpdates>, editor: Arc<Editor>) -> io::Result<()> {
        let job = Job::new("segment-updates", Duration::ZERO)
            .complaint("Changes of segments cannot be sent; they are sent later")
            .with_last_pass();
        let job = self.runner.start(job, move |pass| {
            let is_last = pass.is_last || editor.is_closed();
            match send_some(&editor, &*receiver) {
                Ok(true) if is_last => return Ok(Outcome::Ended),
                Ok(true) => editor.wait_for_change(),
                Ok(false) => {}
                Err(fault) if is_last => return Err(Failure::Final(fault)),
                Err(fault) => return Err(Failure::Retry(fault)),
            }
            Ok(Outcome::Busy)
        })?;
        *self.job.lock() = Some(job);
        Ok(())
    }

    /// The fault that keeps updates from being sent, if there is one; `None` where there is no receiver.
    pub fn fault(&self) -> Option<Option<String>> {
        self.job.lock().as_ref().map(JobHandle::fault)
    }

    /// Waits a while for the updates that are being sent. The editor was closed at `begun`. The next start sends the
    /// rest.
    pub fn finish(&self, begun: Instant) {
        self.runner.stop().request();
        self.runner.wait_ended(Some(begun + STOP_PATIENCE));
    }
}

/// Sends some changes. Returns whether these were all.
fn send_some(editor: &Editor, receiver: &dyn SegmentUpdates) -> Result<bool, String> {
    let rows = editor.take_unannounced(ROWS, LEASE).map_err(|error| error.to_string())?;
    let Some(last) = rows.last() else { return Ok(true) };
    let sent = updates(editor, &rows)
        .map_err(|error| error.to_string())
        .and_then(|updates| if updates.is_empty() { Ok(()) } else { receiver.send(&updates) });
    // After a failure the rows are given back, so that another process may try.
    let noted = editor.mark_announced(if sent.is_ok() { last.sequence } else { 0 });
    sent.and(noted.map_err(|error| error.to_string()))?;
    Ok(rows.len() < ROWS)
}

/// The changes of segments in rows of the audit log.
fn updates(editor: &Editor, rows: &[AuditRecord]) -> audience_contract::Result<Vec<SegmentUpdate>> {
    let mut updates = Vec::new();
    for AuditRecord { at, catalogue_version, entry, .. } in rows {
        let action = match &*entry.kind {
            "segment" => entry.action.clone(),
            "members" => "updated".to_owned(),
            _ => continue,
        };
        let version = match entry.version {
            Some(version) => version,
            None => version_before(editor, &entry.id, *catalogue_version)?,
        };
        updates.push(SegmentUpdate { segment_id: entry.id.clone(), version, action, at: format_time(*at) });
    }
    Ok(updates)
}

/// The last version of a segment at or before a catalogue version. A row for a deletion by hand does not name it.
fn version_before(editor: &Editor, id: &str, catalogue_version: u64) -> audience_contract::Result<u64> {
    let history = editor.history(DocumentKind::Segment, id)?;
    let before = history.iter().rev().filter(|document| document.catalogue_version <= catalogue_version);
    let body = before.filter_map(|document| document.body.as_deref()).next();
    Ok(body.and_then(|body| StoredSegment::read(body).ok()).map_or(0, |stored| stored.document.version))
}

#[cfg(test)]
mod tests;
