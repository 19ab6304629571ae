//! A store that comes back older than it was: a failover to a replica that lagged, or a backup.
//!
//! The version that was known is lost, or its number has other content by now, which its mark shows. The store is then read
//! whole and taken as new, under a version above every one that was given out. So whatever compares versions goes on to be
//! right, and no number means two things. Segments, traits and the zone whose newest versions were lost are stored once more, each under
//! a version of its own above those.

use audience_background::clock;
use audience_contract::{Audit, AuditEntry, Document, DocumentKind, Result};
use audience_protocol::SegmentDocument;
use audience_rules::time::format_time;

use crate::audit::entry;
use crate::changeset::Stamp;
use crate::documents::{Documents, SettingDocument, StoredTrait, timestamp};
use crate::editor::Editor;
use crate::timezone::{SETTING, TIMEZONE};
use crate::{segments, timezone};

/// The author of what the program stores by itself.
const AUTHOR: &str = "audience";
/// How often lost versions are stored while other processes edit in between.
const ATTEMPTS: usize = 5;

impl Editor {
    /// Reads the newest documents of the store, which follow those that are known, or take their place where it went back.
    pub(crate) fn newest_after(&self, known: &Documents) -> Result<Documents> {
        let found = self.store.version()?;
        let is_there = |mark| -> Result<bool> { Ok(self.store.mark(known.version)? == Some(mark)) };
        if found >= known.version && known.mark.map_or(Ok(true), is_there)? {
            return Documents::newest(&*self.store);
        }
        // Where it is higher, another process was faster, or the store has moved on by itself.
        let taken = if found <= known.version { self.store.raise(known.version)? } else { found };
        let at = format_time(clock::now());
        let known_version = known.version;
        let how = format!(
            "at {at} it came back with version {found} where {known_version} was known; it was taken as new, as version {taken}"
        );
        tracing::error!(
            known_version,
            found,
            taken,
            "The catalogue came back older than it was, or as another one; it is taken as new, and the edits that it lacks are lost"
        );
        self.went_back.note(how);
        for _ in 0..ATTEMPTS {
            let documents = Documents::newest(&*self.store)?;
            if self.store_lost_versions(known, &documents)? {
                break;
            }
        }
        Documents::newest(&*self.store)
    }

    /// Stores segments, traits and the zone, as they are, under versions above those that the store has lost. Returns false where
    /// another process was faster.
    fn store_lost_versions(&self, known: &Documents, found: &Documents) -> Result<bool> {
        let catalogue_version = found.version + 1;
        let stamp = Stamp { author: AUTHOR, catalogue_version };
        let (segments, mut entries) = lost_segments(known, found, stamp);
        let (traits, of_traits) = lost_traits(known, found, stamp);
        let (zone, of_zone) = lost_timezone(known, found, stamp).unzip();
        entries.extend(of_traits.into_iter().chain(of_zone));
        if entries.is_empty() {
            return Ok(true);
        }
        let audit = Audit { author: AUTHOR.to_owned(), at: clock::now(), entries };
        self.store.put_audited(found.version, &[segments, traits, zone.into_iter().collect()].concat(), Some(&audit))
    }
}

fn lost_segments(known: &Documents, found: &Documents, stamp: Stamp<'_>) -> (Vec<Document>, Vec<AuditEntry>) {
    let (mut stored, mut entries, mut next) = (Vec::new(), Vec::new(), found.clone());
    for (id, known) in &known.segments {
        let Some(segment) = found.segments.get(id) else { continue };
        let (lost, kept) = (&known.stored.document, &segment.stored.document);
        let is_same = lost.version == kept.version && known.stored.body().ok() == segment.stored.body().ok();
        if lost.version < kept.version || is_same || !found.faults_of_segment(id).is_empty() {
            continue;
        }
        let note = note(kept.version, lost.version);
        let document = SegmentDocument {
            version: lost.version + 1,
            updated_at: timestamp(),
            note: Some(note.clone()),
            ..kept.clone()
        };
        let version = document.version;
        let Ok(definition) = segments::running_definition(found, id) else { continue };
        let Ok((documents, _)) = segments::put(&mut next, document, definition, None, stamp) else { continue };
        stored.extend(documents);
        entries.push(entry("updated", "segment", id, Some(version), Some(&note)));
    }
    (stored, entries)
}

fn lost_traits(known: &Documents, found: &Documents, stamp: Stamp<'_>) -> (Vec<Document>, Vec<AuditEntry>) {
    let (mut stored, mut entries) = (Vec::new(), Vec::new());
    for (name, known) in &known.traits {
        let Some(StoredTrait { document: kept, .. }) = found.traits.get(name) else { continue };
        let lost = &known.document;
        let is_same = lost.version == kept.version && lost.definition.get() == kept.definition.get();
        if lost.version < kept.version || is_same {
            continue;
        }
        let (note, mut document) = (note(kept.version, lost.version), kept.clone());
        (document.version, document.updated_at) = (lost.version + 1, timestamp());
        let entry = entry("updated", "trait", name, Some(document.version), Some(&note));
        let Ok(body) = serde_json::to_string(&StoredTrait { document, author: stamp.author.to_owned() }) else {
            continue;
        };
        let (kind, id, catalogue_version) = (DocumentKind::Trait, name.clone(), stamp.catalogue_version);
        stored.push(Document { kind, id, catalogue_version, body: Some(body) });
        entries.push(entry);
    }
    (stored, entries)
}

/// The zone that there is, where a newer version of it was lost. One that was lost whole is UTC again, as version 0.
fn lost_timezone(known: &Documents, found: &Documents, stamp: Stamp<'_>) -> Option<(Document, AuditEntry)> {
    let (lost, kept) = (&known.timezone.as_ref()?.document, &found.timezone.as_ref()?.document);
    if lost.version < kept.version || (lost.version == kept.version && lost.value == kept.value) {
        return None;
    }
    let (version, note) = (lost.version + 1, note(kept.version, lost.version));
    let document = SettingDocument { version, updated_at: timestamp(), note: Some(note.clone()), ..kept.clone() };
    let stored = timezone::put(&mut found.clone(), document, found.catalogue.timezone, stamp).ok()?;
    Some((stored, entry("updated", SETTING, TIMEZONE, Some(version), Some(&note))))
}

fn note(kept: u64, lost: u64) -> String {
    format!("The catalogue came back older: this is version {kept} again, since version {lost} was lost")
}
