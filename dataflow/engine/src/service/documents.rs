//! Segments and traits as they are stored, and the catalogue that they make.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_contract::{Document, DocumentKind};
use audience_protocol::{SegmentDocument, SegmentKind, TraitDocument};
use audience_rules::catalogue::{Catalogue, Definition, Segment};
use audience_rules::json::parse_json;
use audience_rules::unparse::behaviour_to_json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A segment as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSegment {
    /// What the API shows.
    pub document: SegmentDocument,
    /// Who made this version.
    pub author: String,
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
    /// Segments by id.
    pub segments: BTreeMap<String, KnownSegment>,
    /// Traits by name.
    pub traits: BTreeMap<String, StoredTrait>,
}

/// A stored document that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the stored {kind:?} {id:?} cannot be used: {detail}")]
pub struct DocumentError {
    kind: DocumentKind,
    id: String,
    detail: String,
}

impl Documents {
    /// Reads what is stored.
    pub fn load(version: u64, stored: Vec<Document>) -> Result<Documents, DocumentError> {
        let mut documents = Documents { version, ..Documents::default() };
        let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut waiting = Vec::new();
        for document in stored {
            let Document { kind, id, catalogue_version, body: Some(body) } = document else { continue };
            let fail = |detail: String| DocumentError { kind, id: id.clone(), detail };
            match kind {
                DocumentKind::Trait => {
                    let stored: StoredTrait = serde_json::from_str(&body).map_err(|error| fail(error.to_string()))?;
                    let json = parse_json(stored.document.definition.get().as_bytes())
                        .map_err(|fault| fail(fault.to_string()))?;
                    let computed =
                        documents.catalogue.check_trait(&json).map_err(|faults| fail(format!("{faults:?}")))?;
                    documents.catalogue.put_trait(computed);
                    documents.traits.insert(id, stored);
                }
                DocumentKind::Segment => {
                    let stored: StoredSegment = serde_json::from_str(&body).map_err(|error| fail(error.to_string()))?;
                    waiting.push((id, KnownSegment { stored, catalogue_version }));
                }
                DocumentKind::Members => {
                    let list = serde_json::from_str(&body).map_err(|error| fail(error.to_string()))?;
                    members.insert(id, list);
                }
            }
        }
        documents.load_segments(waiting, &mut members)?;
        Ok(documents)
    }

    /// Segments may refer to others that stand behind them: those that can be read are, until none is left.
    fn load_segments(
        &mut self,
        mut waiting: Vec<(String, KnownSegment)>,
        members: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<(), DocumentError> {
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            let mut first_fault = None;
            for (id, known) in waiting {
                let list = members.get(&id).cloned().unwrap_or_default();
                match self.definition(&known.stored.document, list) {
                    Ok(definition) => self.put_segment(known, definition),
                    Err(detail) => {
                        let kind = DocumentKind::Segment;
                        first_fault.get_or_insert(DocumentError { kind, id: id.clone(), detail });
                        still.push((id, known));
                    }
                }
            }
            if let (true, Some(fault)) = (still.len() == before, first_fault) {
                return Err(fault);
            }
            waiting = still;
        }
        Ok(())
    }

    fn definition(&self, document: &SegmentDocument, members: Vec<String>) -> Result<Definition, String> {
        match (document.kind, &document.rules) {
            (SegmentKind::Static, _) => Ok(list(members)),
            (SegmentKind::Dynamic, Some(rules)) => {
                let json = parse_json(rules.get().as_bytes()).map_err(|fault| fault.to_string())?;
                let node = self.catalogue.check_rules(&document.id, &json).map_err(|faults| format!("{faults:?}"))?;
                Ok(Definition::Dynamic(node))
            }
            (SegmentKind::Dynamic, None) => Err("it has no rules".to_owned()),
        }
    }

    /// Puts a segment whose definition is checked.
    pub fn put_segment(&mut self, known: KnownSegment, definition: Definition) {
        let document = &known.stored.document;
        let id: Arc<str> = document.id.as_str().into();
        self.catalogue.put_segment(Segment { id, version: document.version, status: document.status, definition });
        self.segments.insert(document.id.clone(), known);
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
