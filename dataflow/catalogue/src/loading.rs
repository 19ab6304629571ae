//! The documents of one catalogue version, as they run: a faulty document leaves its last good version running.
//!
//! The result depends on nothing but the stored documents, so every process and every start gets the same:
//!
//! 1. If all documents of the version are good together, they run.
//! 2. If a document is faulty by itself, its newest earlier version that can be read takes its place.
//! 3. If documents do not fit together, the newest of those that refer to each other is the faulty one: the API would
//!    have refused that edit. Its version before takes its place, and everything is tried again.

use std::collections::BTreeMap;

use audience_contract::{CatalogueStore, Document, DocumentKind, Result};
use audience_protocol::{FaultyDocument, SegmentKind};
use audience_rules::catalogue::{ComputedTrait, Definition};
use audience_rules::fault::{Fault, code};
use audience_rules::json::{JsonFault, parse_json};
use audience_rules::parse::{NoTraits, parse_behaviour, parse_rules};
use audience_rules::unparse::node_to_json_with;
use audience_rules::value::Value;
use audience_rules::zone::ZoneId;
use serde_json::value::RawValue;

use crate::checks::{below, fault, id_fault, member_faults};
use crate::documents::{Documents, StoredSegment, StoredSetting, StoredTrait, VersionedSegment, list};
use crate::timezone::{SETTING, TIMEZONE, zone_of};

/// Reads every version of a document, oldest first, deletions included.
type VersionLookup<'a> = &'a dyn Fn(DocumentKind, &str) -> Result<Vec<Document>>;

/// The kind and id of a document.
type Key = (DocumentKind, String);

/// A version of a document that is good by itself.
#[derive(Clone)]
struct Candidate {
    catalogue_version: u64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Trait(StoredTrait, ComputedTrait),
    /// A segment, with its rules if it is dynamic.
    Segment(StoredSegment, Option<Value>),
    Members(Vec<String>),
    /// The platform's time zone.
    Timezone(StoredSetting, ZoneId),
}

/// Segments that do not fit the other documents, with the faults of each.
type Failures = BTreeMap<String, Vec<Fault>>;

impl Documents {
    /// Reads the newest documents of a store, as they run.
    pub fn newest(store: &dyn CatalogueStore) -> Result<Documents> {
        Documents::at(store, store.version()?)
    }

    /// Reads the documents of one catalogue version, as they run.
    pub fn at(store: &dyn CatalogueStore, version: u64) -> Result<Documents> {
        let documents = Documents::load(version, store.at(version)?, &|kind, id| store.history(kind, id))?;
        Ok(Documents { mark: store.mark(version)?, ..documents })
    }

    /// Makes the documents of a version run. It reads `history` only for documents that are faulty or do not fit.
    fn load(version: u64, stored: Vec<Document>, history: VersionLookup) -> Result<Documents> {
        let mut loading = Loading { version, history, candidates: BTreeMap::new(), faulty: BTreeMap::new() };
        for document in stored {
            loading.take(document)?;
        }
        loop {
            let (mut documents, failures) = loading.put_together();
            if failures.is_empty() {
                documents.faulty = loading.faulty();
                return Ok(documents);
            }
            for (key, faults) in loading.blamed(&failures)? {
                loading.fall_back(key, faults)?;
            }
        }
    }
}

/// A faulty document, whose earlier versions are tried in its place.
struct FallenBack {
    /// The catalogue version of the faulty document.
    faulty_at: u64,
    /// The catalogue version of the one that was tried last.
    tried_at: u64,
    faults: Vec<Fault>,
}

struct Loading<'a> {
    version: u64,
    history: VersionLookup<'a>,
    candidates: BTreeMap<Key, Candidate>,
    /// The documents that are faulty.
    faulty: BTreeMap<Key, FallenBack>,
}

impl Loading<'_> {
    fn take(&mut self, document: Document) -> Result<()> {
        let Some(body) = &document.body else { return Ok(()) };
        let key = (document.kind, document.id.clone());
        let catalogue_version = document.catalogue_version;
        match read(document.kind, &document.id, body) {
            Ok(content) => {
                self.candidates.insert(key, Candidate { catalogue_version, content });
                Ok(())
            }
            Err(faults) => {
                let (faulty_at, tried_at) = (catalogue_version, catalogue_version);
                self.faulty.insert(key.clone(), FallenBack { faulty_at, tried_at, faults });
                self.find_before(key, catalogue_version)
            }
        }
    }

    /// Replaces the candidate for a document, or its deletion, by the version before; by nothing where there is none.
    fn fall_back(&mut self, key: Key, faults: Vec<Fault>) -> Result<()> {
        let tried = match (self.candidates.get(&key), self.faulty.get(&key)) {
            (Some(candidate), _) => candidate.catalogue_version,
            (None, Some(fallen_back)) => fallen_back.tried_at,
            (None, None) => self.deleted_at(&key)?.unwrap_or_default(),
        };
        let fallen_back = FallenBack { faulty_at: tried, tried_at: tried, faults };
        self.faulty.entry(key.clone()).or_insert(fallen_back);
        self.find_before(key, tried)
    }

    fn find_before(&mut self, key: Key, before: u64) -> Result<()> {
        self.candidates.remove(&key);
        let history = (self.history)(key.0, &key.1)?;
        for document in history.into_iter().rev().filter(|one| one.catalogue_version < before) {
            let catalogue_version = document.catalogue_version;
            if let Some(fallen_back) = self.faulty.get_mut(&key) {
                fallen_back.tried_at = catalogue_version;
            }
            // The document was deleted then.
            let Some(body) = &document.body else { break };
            if let Ok(content) = read(key.0, &key.1, body) {
                self.candidates.insert(key, Candidate { catalogue_version, content });
                break;
            }
        }
        Ok(())
    }

    /// The catalogue version that deleted a document, if the deletion is its last version and is not undone here.
    fn deleted_at(&self, key: &Key) -> Result<Option<u64>> {
        if self.faulty.contains_key(key) {
            return Ok(None);
        }
        let history = (self.history)(key.0, &key.1)?;
        let last = history.into_iter().rev().find(|document| document.catalogue_version <= self.version);
        Ok(last.filter(|document| document.body.is_none()).map(|document| document.catalogue_version))
    }

    /// Puts the candidates together. Returns the segments that do not fit beside the documents.
    fn put_together(&self) -> (Documents, Failures) {
        let mut documents = Documents { version: self.version, ..Documents::default() };
        let mut waiting = Vec::new();
        for ((_, id), candidate) in &self.candidates {
            match &candidate.content {
                Content::Trait(stored, computed) => {
                    documents.catalogue.put_trait(computed.clone());
                    documents.traits.insert(id.clone(), stored.clone());
                }
                Content::Segment(stored, rules) => waiting.push((id, candidate.catalogue_version, stored, rules)),
                Content::Timezone(stored, zone) => {
                    documents.catalogue.timezone = *zone;
                    documents.timezone = Some(stored.clone());
                }
                Content::Members(_) => {}
            }
        }
        // A segment may refer to one that comes after it. Each round puts those whose references are there.
        loop {
            let before = waiting.len();
            let mut failures = Failures::new();
            waiting.retain(|(id, catalogue_version, stored, rules)| {
                match self.definition(&documents, id, rules.as_ref()) {
                    Ok(definition) => {
                        let stored = canonical(stored, &definition, &documents);
                        let segment = VersionedSegment { stored, catalogue_version: *catalogue_version };
                        documents.put_segment(segment, definition);
                        false
                    }
                    Err(faults) => {
                        failures.insert((*id).clone(), faults);
                        true
                    }
                }
            });
            if waiting.is_empty() || waiting.len() == before {
                return (documents, failures);
            }
        }
    }

    fn definition(&self, documents: &Documents, id: &str, rules: Option<&Value>) -> Result<Definition, Vec<Fault>> {
        match rules {
            Some(rules) => documents.catalogue.check_rules(id, rules).map(|node| Definition::Dynamic(node.into())),
            None => match self.candidates.get(&(DocumentKind::Members, id.to_owned())).map(|found| &found.content) {
                Some(Content::Members(members)) => Ok(list(members.clone())),
                _ => Ok(list(Vec::new())),
            },
        }
    }

    /// The documents to blame for the segments that do not fit.
    fn blamed(&self, failures: &Failures) -> Result<BTreeMap<Key, Vec<Fault>>> {
        let references = |id: &String| self.rules(id).map(References::of).unwrap_or_default();
        // A segment that waits for another that fails too may be fine. On a cycle each waits for another.
        let waits =
            |id: &String| references(id).segments.iter().any(|other| other != id && failures.contains_key(other));
        let mut roots: Vec<&String> = failures.keys().filter(|id| !waits(id)).collect();
        if roots.is_empty() {
            roots = failures.keys().collect();
        }
        let mut blamed = BTreeMap::new();
        for id in roots {
            let faults = &failures[id];
            let (key, is_own) = self.newest_of(id, references(id), faults)?;
            if is_own {
                blamed.insert(key, below("/rules", faults.clone()));
            } else {
                let faults = faults.iter().map(|fault| breaks(&key, id, fault)).collect();
                blamed.entry(key).or_insert(faults);
            }
        }
        Ok(blamed)
    }

    fn rules(&self, id: &str) -> Option<&Value> {
        match &self.candidates.get(&(DocumentKind::Segment, id.to_owned()))?.content {
            Content::Segment(_, rules) => rules.as_ref(),
            _ => None,
        }
    }

    /// The newest of a segment and the documents that its rules refer to, and whether that is the segment itself. A
    /// segment that is faulty by itself is to blame however old it is.
    fn newest_of(&self, id: &str, references: References, faults: &[Fault]) -> Result<(Key, bool)> {
        let own = (DocumentKind::Segment, id.to_owned());
        let is_wrong_in_itself =
            self.rules(id).and_then(|rules| parse_rules(rules, &NoTraits).err()).is_some_and(|alone| {
                alone.iter().any(|fault| faults.iter().any(|f| f.pointer == fault.pointer && f.code == fault.code))
            });
        let mut newest = (self.candidates.get(&own).map_or(0, |found| found.catalogue_version), own.clone());
        if is_wrong_in_itself {
            return Ok((own, true));
        }
        let segments = references.segments.into_iter().map(|id| (DocumentKind::Segment, id));
        let traits = references.fields.into_iter().map(|name| (DocumentKind::Trait, name));
        for key in segments.chain(traits) {
            let changed = match self.candidates.get(&key) {
                Some(found) => Some(found.catalogue_version),
                None => self.deleted_at(&key)?,
            };
            if let Some(changed) = changed.filter(|changed| *changed > newest.0) {
                newest = (changed, key);
            }
        }
        let is_own = newest.1 == own;
        Ok((newest.1, is_own))
    }

    fn faulty(self) -> Vec<FaultyDocument> {
        let candidates = self.candidates;
        let faulty = self.faulty.into_iter().map(|(key, fallen_back)| FaultyDocument {
            running_version: candidates.get(&key).map(|found| found.catalogue_version),
            kind: kind_name(key.0),
            id: key.1,
            catalogue_version: fallen_back.faulty_at,
            faults: fallen_back.faults,
        });
        faulty.collect()
    }
}

/// The names that rules refer to.
#[derive(Default)]
struct References {
    segments: Vec<String>,
    fields: Vec<String>,
}

impl References {
    /// Collects the names in rules, which may be faulty.
    fn of(rules: &Value) -> References {
        let mut references = References::default();
        references.walk(rules);
        references
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    match (&**key, value) {
                        ("segment", Value::Text(id)) => self.segments.push(id.to_string()),
                        ("field" | "by", Value::Text(name)) => self.fields.push(name.to_string()),
                        _ => self.walk(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            _ => {}
        }
    }
}

/// The API's name of a kind.
fn kind_name(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Segment => "segment",
        DocumentKind::Trait => "trait",
        DocumentKind::Members => "members",
        DocumentKind::Setting => SETTING,
    }
}

/// Reads a document by itself.
fn read(kind: DocumentKind, id: &str, body: &str) -> Result<Content, Vec<Fault>> {
    match kind {
        DocumentKind::Segment => read_segment(id, body),
        DocumentKind::Trait => read_trait(id, body),
        DocumentKind::Members => {
            let members: Vec<String> = serde_json::from_str(body).map_err(unreadable)?;
            let faults = member_faults(&members);
            if faults.is_empty() { Ok(Content::Members(members)) } else { Err(faults) }
        }
        DocumentKind::Setting => {
            let stored = StoredSetting::read(body).map_err(unreadable)?;
            if id != TIMEZONE {
                return Err(vec![fault("/name", code::UNKNOWN_WORD, "there is no setting of this name")]);
            }
            let zone = zone_of(&stored)?;
            Ok(Content::Timezone(stored, zone))
        }
    }
}

fn read_segment(id: &str, body: &str) -> Result<Content, Vec<Fault>> {
    let stored = StoredSegment::read(body).map_err(unreadable)?;
    if let Some(fault) = id_fault(id) {
        return Err(vec![fault]);
    }
    if stored.document.id != *id {
        return Err(vec![fault("/id", code::DOES_NOT_FIT, format!("it is stored as {id:?}"))]);
    }
    let rules = match (stored.document.kind, &stored.document.rules) {
        (SegmentKind::Static, _) => None,
        (SegmentKind::Dynamic, Some(rules)) => {
            let malformed = |error: JsonFault| vec![fault("/rules", error.code, error.message)];
            Some(parse_json(rules.get().as_bytes()).map_err(malformed)?)
        }
        (SegmentKind::Dynamic, None) => {
            return Err(vec![fault("", code::MISSING_MEMBER, "a dynamic segment needs `rules`")]);
        }
    };
    Ok(Content::Segment(stored, rules))
}

fn read_trait(name: &str, body: &str) -> Result<Content, Vec<Fault>> {
    let stored = StoredTrait::read(body).map_err(unreadable)?;
    let malformed = |error: JsonFault| vec![fault("/definition", error.code, error.message)];
    let json = parse_json(stored.document.definition.get().as_bytes()).map_err(malformed)?;
    let (defined, behaviour) = parse_behaviour(&json).map_err(|faults| below("/definition", faults))?;
    if *defined != *name {
        return Err(vec![fault("/definition/name", code::DOES_NOT_FIT, format!("it is stored as {name:?}"))]);
    }
    Ok(Content::Trait(stored, ComputedTrait { name: defined, behaviour: behaviour.into() }))
}

fn unreadable(error: serde_json::Error) -> Vec<Fault> {
    vec![fault("", code::DOES_NOT_FIT, error.to_string())]
}

/// The fault of a document that makes the rules of a segment invalid.
fn breaks(key: &Key, segment: &str, of_rules: &Fault) -> Fault {
    let pointer = if key.0 == DocumentKind::Trait { "/definition" } else { "" };
    let message = format!("it makes the rules of segment `{segment}` invalid: {of_rules}");
    fault(pointer, code::BREAKS_RULE, message)
}

/// The segment with its rules as the API writes them, however they are stored.
fn canonical(stored: &StoredSegment, definition: &Definition, documents: &Documents) -> StoredSegment {
    let mut stored = stored.clone();
    if let Definition::Dynamic(node) = definition
        && let Ok(rules) = RawValue::from_string(node_to_json_with(node, &documents.catalogue))
    {
        stored.document.rules = Some(rules);
    }
    stored
}

#[cfg(test)]
mod tests;
