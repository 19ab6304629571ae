//! Changes of segments, told to whoever follows them: each at least once, after it is durable, by whichever process comes
//! first.
//!
//! What is to be told is the audit log behind the last row that was told, a place that is kept with it. So nothing is lost
//! while those who are told are away or this process is, and what is edited by hand in a database is told too.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{AuditRecord, DocumentKind};
use audience_rules::time::format_time;
use parking_lot::Mutex;
use serde::Serialize;

use super::documents::StoredSegment;
use super::editor::Editor;
use super::{named, pause};
use crate::engine::EngineError;

/// Rows that are taken at once.
const ROWS: usize = 1_000;
/// For how long they are kept from other processes; where this one ends before it has told them, another does then.
const LEASE: Duration = Duration::from_secs(30);
/// Between looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long an end waits for what is being told, from its begin.
const LAST: Duration = Duration::from_secs(5);

/// A change of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentUpdate {
    /// The segment.
    pub segment_id: String,
    /// The version that came about; of one that was deleted, the last.
    pub version: u64,
    /// created, updated, activated, deactivated, archived, rolledBack or deleted; a change of its list updates it
    pub action: String,
    /// RFC 3339.
    pub at: String,
}

/// Who is told of changes of segments.
pub trait SegmentUpdates: Send + Sync {
    /// Tells of changes in this order; they are kept there when this returns. Repeated as a whole where it fails.
    fn tell(&self, updates: &[SegmentUpdate]) -> Result<(), String>;
}

/// Tells of changes on a thread of its own, once it has begun.
#[derive(Default)]
pub struct Announcing(Mutex<Option<(Arc<Announcer>, JoinHandle<()>)>>);

impl Announcing {
    /// Begins to tell of what that editor's catalogue says.
    pub fn begin(&self, outlet: Arc<dyn SegmentUpdates>, editor: Arc<Editor>) -> Result<(), EngineError> {
        let announcer = Arc::new(Announcer { outlet, fault: Mutex::default() });
        let running = announcer.clone();
        let thread = named("segment-updates", move || {
            running.run(&editor);
            Ok(())
        })?;
        *self.0.lock() = Some((announcer, thread));
        Ok(())
    }

    /// What keeps it from telling, if anything does; nothing where nobody is told.
    pub fn fault(&self) -> Option<Option<String>> {
        self.0.lock().as_ref().map(|(announcer, _)| announcer.fault.lock().clone())
    }

    /// Waits a while for what is being told; the editor is closed since `begun`. What is not told then is at the next start.
    pub fn finish(&self, begun: Instant) {
        let Some((_, thread)) = self.0.lock().take() else { return };
        let deadline = begun + LAST;
        while !thread.is_finished() && Instant::now() < deadline {
            pause(LOOK);
        }
    }
}

struct Announcer {
    outlet: Arc<dyn SegmentUpdates>,
    /// What keeps it from telling, if anything does.
    fault: Mutex<Option<String>>,
}

impl Announcer {
    /// Until the editor is closed, and everything is told or cannot be just now.
    fn run(&self, editor: &Editor) {
        let mut backoff = Backoff::default();
        loop {
            let is_last = editor.is_closed();
            match self.tell_some(editor) {
                Ok(is_all) => {
                    *self.fault.lock() = None;
                    backoff.reset();
                    if is_all && is_last {
                        return;
                    }
                    if is_all {
                        editor.wait_for_change();
                    }
                }
                Err(fault) => {
                    if self.fault.lock().replace(fault.clone()).is_none() {
                        tracing::warn!(fault, "changes of segments cannot be told; they are later");
                    }
                    if is_last {
                        return;
                    }
                    pause(backoff.next());
                }
            }
        }
    }

    /// Tells of some changes; gives whether these were all.
    fn tell_some(&self, editor: &Editor) -> Result<bool, String> {
        let rows = editor.take_untold(ROWS, LEASE).map_err(|error| error.to_string())?;
        let Some(last) = rows.last() else { return Ok(true) };
        let told = updates(editor, &rows)
            .map_err(|error| error.to_string())
            .and_then(|updates| if updates.is_empty() { Ok(()) } else { self.outlet.tell(&updates) });
        // Given back where it failed, so that another process may try.
        let noted = editor.told(if told.is_ok() { last.sequence } else { 0 });
        told.and(noted.map_err(|error| error.to_string()))?;
        Ok(rows.len() < ROWS)
    }
}

/// What rows of the audit log say of segments.
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

/// The last version of a segment that was there before that version of the catalogue: a deletion by hand does not say it.
fn version_before(editor: &Editor, id: &str, catalogue_version: u64) -> audience_contract::Result<u64> {
    let history = editor.stored_history(DocumentKind::Segment, id)?;
    let before = history.iter().rev().filter(|document| document.catalogue_version <= catalogue_version);
    let body = before.filter_map(|document| document.body.as_deref()).next();
    Ok(body.and_then(|body| StoredSegment::read(body).ok()).map_or(0, |stored| stored.document.version))
}
