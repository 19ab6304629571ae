//! Segments and traits as they are stored, and the catalogue that they make.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_contract::{Document, DocumentKind};
use audience_protocol::{FaultyDocument, SegmentDocument, TraitDocument};
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::fault::Fault;
use audience_rules::unparse::behaviour_to_json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A segment as it is stored: who made it stands beside the document, which shows it as `updatedBy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSegment {
    /// What the API shows.
    pub document: SegmentDocument,
    /// Who made this version.
    pub author: String,
}

impl StoredSegment {
    /// Reads a body.
    pub fn read(body: &str) -> serde_json::Result<StoredSegment> {
        let mut stored: StoredSegment = serde_json::from_str(body)?;
        stored.document.updated_by.clone_from(&stored.author);
        Ok(stored)
    }

    /// The body to store: the author is in it once, so that a row edited by hand cannot say two.
    pub fn body(&self) -> serde_json::Result<String> {
        let mut stored = self.clone();
        stored.document.updated_by.clear();
        serde_json::to_string(&stored)
    }
}

/// A trait as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredTrait {
    /// What the API shows.
    pub document: TraitDocument,
    /// Who made this version.
    pub author: String,
}

/// A segment, and the version of the whole catalogue that brought it.
#[derive(Clone, Debug)]
pub struct KnownSegment {
    /// The segment.
    pub stored: StoredSegment,
    /// The version of the whole catalogue.
    pub catalogue_version: u64,
}

/// Everything as of one version of the catalogue.
#[derive(Clone, Default)]
pub struct Documents {
    /// The version.
    pub version: u64,
    /// What the engine runs.
    pub catalogue: Catalogue,
    /// Segments by id; shared with the copies that edits work on.
    pub segments: BTreeMap<String, Arc<KnownSegment>>,
    /// Traits by name.
    pub traits: BTreeMap<String, StoredTrait>,
    /// What is stored but does not run.
    pub faulty: Vec<FaultyDocument>,
}

impl Documents {
    /// Puts a segment whose definition is checked.
    pub fn put_segment(&mut self, known: KnownSegment, definition: Definition) {
        let document = &known.stored.document;
        let id: Arc<str> = document.id.as_str().into();
        self.catalogue.put_segment(Segment { id, version: document.version, status: document.status, definition });
        self.segments.insert(document.id.clone(), Arc::new(known));
    }

    /// Whether the engine runs a document: a segment only while it is active.
    pub fn runs(&self, document: &Document) -> bool {
        let is_active = |known: &Arc<KnownSegment>| known.stored.document.status == SegmentStatus::Active;
        document.kind == DocumentKind::Trait || self.segments.get(&document.id).is_some_and(is_active)
    }

    /// The name of a segment; its id where it has none any more.
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.segments.get(id).map_or(id, |known| &known.stored.document.name)
    }

    /// What is wrong with a newer version of a segment than runs, or of its list.
    pub fn faults_of_segment(&self, id: &str) -> Vec<Fault> {
        let faulty = self.faulty.iter().filter(|faulty| faulty.kind != "trait" && faulty.id == id);
        faulty.flat_map(|faulty| faulty.faults.clone()).collect()
    }

    /// The documents that a new data directory begins with: the traits that are shipped.
    pub fn shipped(now: &str) -> Vec<StoredTrait> {
        let catalogue = Catalogue::with_shipped_traits();
        let traits = catalogue.traits.values().filter_map(|computed| {
            let definition = RawValue::from_string(behaviour_to_json(&computed.name, &computed.behaviour)).ok()?;
            let document =
                TraitDocument { name: computed.name.to_string(), definition, version: 1, updated_at: now.to_owned() };
            Some(StoredTrait { document, author: "audience".to_owned() })
        });
        traits.collect()
    }
}

/// A static definition.
pub fn list(members: Vec<String>) -> Definition {
    Definition::Static(Arc::new(members.into_iter().map(Arc::from).collect()))
}
