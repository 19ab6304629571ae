//! Segments, traits and settings as they are stored, and all of them as of one catalogue version.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_background::clock;
use audience_contract::{Document, DocumentKind};
use audience_protocol::{FaultyDocument, NamedSegment, SegmentDocument, TraitDocument};
use audience_rules::ast::SegmentId;
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::fault::Fault;
use audience_rules::time::format_time;
use serde::{Deserialize, Serialize};

/// A segment's stored body. The author stands beside the document, which shows it as `updatedBy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSegment {
    /// The document that the API shows.
    pub document: SegmentDocument,
    /// The author of this version.
    pub author: String,
}

impl StoredSegment {
    /// Reads a stored body.
    pub fn read(body: &str) -> serde_json::Result<StoredSegment> {
        let mut stored: StoredSegment = serde_json::from_str(body)?;
        stored.document.updated_by.clone_from(&stored.author);
        Ok(stored)
    }

    /// The body to store. It holds the author once, so that a row edited by hand cannot name two.
    pub fn body(&self) -> serde_json::Result<String> {
        let mut stored = self.clone();
        stored.document.updated_by.clear();
        serde_json::to_string(&stored)
    }
}

/// A trait's stored body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredTrait {
    /// The document that the API shows.
    pub document: TraitDocument,
    /// The author of this version.
    pub author: String,
}

impl StoredTrait {
    /// Reads a stored body.
    pub fn read(body: &str) -> serde_json::Result<StoredTrait> {
        let mut stored: StoredTrait = serde_json::from_str(body)?;
        stored.document.updated_by.clone_from(&stored.author);
        Ok(stored)
    }

    /// The body to store. It holds the author once, as that of a segment does.
    pub fn body(&self) -> serde_json::Result<String> {
        let mut stored = self.clone();
        stored.document.updated_by.clear();
        serde_json::to_string(&stored)
    }
}

/// A setting's stored body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSetting {
    /// The setting itself.
    pub document: SettingDocument,
    /// The author of this version.
    pub author: String,
}

impl StoredSetting {
    /// Reads a stored body.
    pub fn read(body: &str) -> serde_json::Result<StoredSetting> {
        serde_json::from_str(body)
    }
}

/// A version of a setting of the platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingDocument {
    /// Its name, such as `timezone`.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
    /// 1 at first, one more with every change.
    pub version: u64,
    /// RFC 3339: the instant of this version.
    pub updated_at: String,
    /// The author's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A segment with the catalogue version that brought it.
#[derive(Clone, Debug)]
pub struct VersionedSegment {
    /// The segment.
    pub stored: StoredSegment,
    /// The catalogue version that brought it.
    pub catalogue_version: u64,
}

/// All segments, traits and settings as of one catalogue version.
#[derive(Clone, Default)]
pub struct Documents {
    /// The catalogue version.
    pub version: u64,
    /// Its mark in the store, where the store gives marks.
    pub mark: Option<u128>,
    /// The checked definitions, which the engine runs.
    pub catalogue: Catalogue,
    /// Segments by id. Copies share them.
    pub segments: BTreeMap<String, Arc<VersionedSegment>>,
    /// Traits by name.
    pub traits: BTreeMap<String, StoredTrait>,
    /// The platform's time zone, where one was set.
    pub timezone: Option<StoredSetting>,
    /// Documents that are stored but do not run.
    pub faulty: Vec<FaultyDocument>,
}

impl Documents {
    /// Puts a segment whose definition is checked.
    pub fn put_segment(&mut self, segment: VersionedSegment, definition: Definition) {
        let document = &segment.stored.document;
        let id: Arc<str> = document.id.as_str().into();
        self.catalogue.put_segment(Segment { id, version: document.version, status: document.status, definition });
        self.segments.insert(document.id.clone(), Arc::new(segment));
    }

    /// Returns whether the engine runs a document: it runs every trait and setting, and a segment while it is active.
    pub(crate) fn runs(&self, document: &Document) -> bool {
        let is_active = |segment: &Arc<VersionedSegment>| segment.stored.document.status == SegmentStatus::Active;
        matches!(document.kind, DocumentKind::Trait | DocumentKind::Setting)
            || self.segments.get(&document.id).is_some_and(is_active)
    }

    /// The name of a segment, or its id if the segment is gone.
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.segments.get(id).map_or(id, |segment| &segment.stored.document.name)
    }

    /// The segments whose rules use a segment, in order of their ids.
    pub fn users_of_segment(&self, id: &str) -> Vec<NamedSegment> {
        self.named(self.catalogue.users_of_segment(id))
    }

    /// The segments whose rules use a computed trait, in order of their ids.
    pub fn users_of_trait(&self, name: &str) -> Vec<NamedSegment> {
        self.named(self.catalogue.users_of_trait(name))
    }

    fn named(&self, ids: Vec<&SegmentId>) -> Vec<NamedSegment> {
        let named = ids.into_iter().map(|id| NamedSegment { id: id.to_string(), name: self.name_of(id).to_owned() });
        named.collect()
    }

    /// The faults of a newer version of a segment than the one that runs, or of its list.
    pub fn faults_of_segment(&self, id: &str) -> Vec<Fault> {
        let faulty =
            self.faulty.iter().filter(|faulty| ["segment", "members"].contains(&faulty.kind) && faulty.id == id);
        faulty.flat_map(|faulty| faulty.faults.clone()).collect()
    }
}

/// A static definition.
pub(crate) fn list(members: Vec<String>) -> Definition {
    Definition::Static(Arc::new(members.into_iter().map(Arc::from).collect()))
}

/// The present instant as documents write it.
pub fn timestamp() -> String {
    format_time(clock::now())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_segment_names_its_author_once() {
        let document = json!({"id": "s", "name": "s", "type": "STATIC", "status": "ACTIVE", "version": 1,
            "createdAt": "", "updatedAt": "", "updatedBy": "somebody by hand"});
        let stored = StoredSegment::read(&json!({"document": document, "author": "ann"}).to_string()).unwrap();
        assert_eq!(stored.document.updated_by, "ann");
        let body = stored.body().unwrap();
        assert_eq!(body.matches("ann").count(), 1, "{body}");
        assert_eq!(StoredSegment::read(&body).unwrap().document.updated_by, "ann");
    }

    #[test]
    fn a_segment_that_is_gone_goes_by_its_id() {
        assert_eq!(Documents::default().name_of("s"), "s");
    }
}
