//! The documents of a version of the catalogue as they run: a faulty one leaves its last good version running.
//!
//! What runs depends on what is stored and on nothing else, so that every process, and every start, comes to the same:
//!
//! 1. If all documents of the version are good together, they run.
//! 2. Where one is faulty in itself, the newest version of it before that can be read takes its place.
//! 3. Where documents do not fit together, the newest of those that meet is the faulty one: an edit that would have been
//!    refused, had it come by the API. The version of it before takes its place, and all are tried again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use audience_contract::{Document, DocumentKind, Result};
use audience_protocol::{FaultyDocument, SegmentKind};
use audience_rules::catalogue::{ComputedTrait, Definition};
use audience_rules::fault::{Fault, code};
use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_behaviour, parse_rules};
use audience_rules::unparse::node_to_json_with;
use audience_rules::value::Value;
use serde_json::value::RawValue;

use super::documents::{Documents, KnownSegment, StoredSegment, StoredTrait, list};
use super::segments;

/// Every version of a document, oldest first, deletions included.
type History<'a> = &'a dyn Fn(DocumentKind, &str) -> Result<Vec<Document>>;

/// A document, among all.
type Key = (DocumentKind, String);

/// A version of a document that can be read by itself.
#[derive(Clone)]
struct Candidate {
    catalogue_version: u64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Trait(StoredTrait, ComputedTrait),
    /// With its rules, where it is dynamic.
    Segment(StoredSegment, Option<Value>),
    Members(Vec<String>),
}

/// Segments that do not fit what is there, with what is wrong of each.
type Failures = BTreeMap<String, Vec<Fault>>;

impl Documents {
    /// Reads what is stored as of a version; `history` is asked for only where something is faulty.
    pub fn load(version: u64, stored: Vec<Document>, history: History) -> Result<Documents> {
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

struct Loading<'a> {
    version: u64,
    history: History<'a>,
    candidates: BTreeMap<Key, Candidate>,
    /// Those that fell back, with the version that is faulty, the one that was tried last, and what is wrong.
    faulty: BTreeMap<Key, (u64, u64, Vec<Fault>)>,
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
                self.faulty.insert(key.clone(), (catalogue_version, catalogue_version, faults));
                self.find_before(key, catalogue_version)
            }
        }
    }

    /// Puts the version before in the place of what runs of a document, or of its deletion; none where there is none.
    fn fall_back(&mut self, key: Key, faults: Vec<Fault>) -> Result<()> {
        let tried = match (self.candidates.get(&key), self.faulty.get(&key)) {
            (Some(candidate), _) => candidate.catalogue_version,
            (None, Some((_, tried, _))) => *tried,
            (None, None) => self.deleted_at(&key)?.unwrap_or_default(),
        };
        self.faulty.entry(key.clone()).or_insert((tried, tried, faults));
        self.find_before(key, tried)
    }

    fn find_before(&mut self, key: Key, before: u64) -> Result<()> {
        self.candidates.remove(&key);
        let history = (self.history)(key.0, &key.1)?;
        for document in history.into_iter().rev().filter(|one| one.catalogue_version < before) {
            let catalogue_version = document.catalogue_version;
            if let Some((_, tried, _)) = self.faulty.get_mut(&key) {
                *tried = catalogue_version;
            }
            // Nothing was running then.
            let Some(body) = &document.body else { break };
            if let Ok(content) = read(key.0, &key.1, body) {
                self.candidates.insert(key, Candidate { catalogue_version, content });
                break;
            }
        }
        Ok(())
    }

    /// When a document was deleted, where that is the last that was done to it and has not been undone here.
    fn deleted_at(&self, key: &Key) -> Result<Option<u64>> {
        if self.faulty.contains_key(key) {
            return Ok(None);
        }
        let history = (self.history)(key.0, &key.1)?;
        let last = history.into_iter().rev().find(|document| document.catalogue_version <= self.version);
        Ok(last.filter(|document| document.body.is_none()).map(|document| document.catalogue_version))
    }

    /// The catalogue of the candidates, and those that do not fit.
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
                Content::Members(_) => {}
            }
        }
        // Segments may refer to others that stand behind them: those that can be put are, until none is left.
        loop {
            let before = waiting.len();
            let mut failures = Failures::new();
            waiting.retain(|(id, catalogue_version, stored, rules)| {
                match self.definition(&documents, id, rules.as_ref()) {
                    Ok(definition) => {
                        let stored = canonical(stored, &definition, &documents);
                        let known = KnownSegment { stored, catalogue_version: *catalogue_version };
                        documents.put_segment(known, definition);
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

    /// Which documents are at fault for what does not fit.
    fn blamed(&self, failures: &Failures) -> Result<BTreeMap<Key, Vec<Fault>>> {
        let met = |id: &String| self.rules(id).map(Met::of).unwrap_or_default();
        // A segment that waits for another that fails too may be fine; on a cycle each waits for another.
        let waits = |id: &String| met(id).segments.iter().any(|other| other != id && failures.contains_key(other));
        let mut roots: Vec<&String> = failures.keys().filter(|id| !waits(id)).collect();
        if roots.is_empty() {
            roots = failures.keys().collect();
        }
        let mut blamed = BTreeMap::new();
        for id in roots {
            let faults = &failures[id];
            let (key, at_fault) = self.newest_met(id, met(id), faults)?;
            if at_fault {
                blamed.insert(key, faults.iter().map(below_rules).collect());
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

    /// The newest of a segment and what its rules meet, and whether that is the segment.
    fn newest_met(&self, id: &str, met: Met, faults: &[Fault]) -> Result<(Key, bool)> {
        let own = (DocumentKind::Segment, id.to_owned());
        let is_wrong_in_itself =
            self.rules(id).and_then(|rules| parse_rules(rules, &NoTraits).err()).is_some_and(|alone| {
                alone.iter().any(|fault| faults.iter().any(|f| f.pointer == fault.pointer && f.code == fault.code))
            });
        let mut newest = (self.candidates.get(&own).map_or(0, |found| found.catalogue_version), own.clone());
        if is_wrong_in_itself {
            return Ok((own, true));
        }
        let segments = met.segments.into_iter().map(|id| (DocumentKind::Segment, id));
        let traits = met.fields.into_iter().map(|name| (DocumentKind::Trait, name));
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
        let faulty = self.faulty.into_iter().map(|(key, (catalogue_version, _, faults))| FaultyDocument {
            running_version: candidates.get(&key).map(|found| found.catalogue_version),
            kind: kind_name(key.0),
            id: key.1,
            catalogue_version,
            faults,
        });
        faulty.collect()
    }
}

/// The names that rules speak of.
#[derive(Default)]
struct Met {
    segments: Vec<String>,
    fields: Vec<String>,
}

impl Met {
    /// Of rules that need not be right.
    fn of(rules: &Value) -> Met {
        let mut met = Met::default();
        met.walk(rules);
        met
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

/// The kind as the API names it.
fn kind_name(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Segment => "segment",
        DocumentKind::Trait => "trait",
        DocumentKind::Members => "members",
    }
}

/// Reads a document by itself.
fn read(kind: DocumentKind, id: &str, body: &str) -> Result<Content, Vec<Fault>> {
    match kind {
        DocumentKind::Segment => read_segment(id, body),
        DocumentKind::Trait => read_trait(id, body),
        DocumentKind::Members => {
            let members: Vec<String> = serde_json::from_str(body).map_err(unreadable)?;
            let faults = segments::member_faults(&members);
            if faults.is_empty() { Ok(Content::Members(members)) } else { Err(faults) }
        }
    }
}

fn read_segment(id: &str, body: &str) -> Result<Content, Vec<Fault>> {
    let stored = StoredSegment::read(body).map_err(unreadable)?;
    if let Some(fault) = segments::id_fault(id) {
        return Err(vec![fault]);
    }
    if stored.document.id != *id {
        return Err(vec![fault("/id", code::DOES_NOT_FIT, format!("it is stored as {id:?}"))]);
    }
    let rules = match (stored.document.kind, &stored.document.rules) {
        (SegmentKind::Static, _) => None,
        (SegmentKind::Dynamic, Some(rules)) => {
            let malformed = |error: audience_rules::json::JsonFault| vec![fault("/rules", error.code, error.message)];
            Some(parse_json(rules.get().as_bytes()).map_err(malformed)?)
        }
        (SegmentKind::Dynamic, None) => {
            return Err(vec![fault("", code::MISSING_MEMBER, "a dynamic segment needs `rules`")]);
        }
    };
    Ok(Content::Segment(stored, rules))
}

fn read_trait(name: &str, body: &str) -> Result<Content, Vec<Fault>> {
    let below = |faults: Vec<Fault>| {
        faults
            .into_iter()
            .map(|fault| Fault { pointer: format!("/definition{}", fault.pointer), ..fault })
            .collect::<Vec<_>>()
    };
    let stored: StoredTrait = serde_json::from_str(body).map_err(unreadable)?;
    let malformed = |error: audience_rules::json::JsonFault| vec![fault("/definition", error.code, error.message)];
    let json = parse_json(stored.document.definition.get().as_bytes()).map_err(malformed)?;
    let (defined, behaviour) = parse_behaviour(&json).map_err(below)?;
    if *defined != *name {
        return Err(vec![fault("/definition/name", code::DOES_NOT_FIT, format!("it is stored as {name:?}"))]);
    }
    Ok(Content::Trait(stored, ComputedTrait { name: defined, behaviour: behaviour.into() }))
}

fn fault(pointer: &str, code: &'static str, message: impl Into<String>) -> Fault {
    Fault { pointer: pointer.to_owned(), code, message: message.into() }
}

fn unreadable(error: serde_json::Error) -> Vec<Fault> {
    vec![fault("", code::DOES_NOT_FIT, error.to_string())]
}

fn below_rules(fault: &Fault) -> Fault {
    Fault { pointer: format!("/rules{}", fault.pointer), ..fault.clone() }
}

/// What another document does to a segment's rules.
fn breaks(key: &Key, segment: &str, of_rules: &Fault) -> Fault {
    let pointer = if key.0 == DocumentKind::Trait { "/definition" } else { "" };
    let message = format!("it makes the rules of segment `{segment}` invalid: {of_rules}");
    fault(pointer, code::BREAKS_RULE, message)
}

/// The segment with its rules as the API shows them, however they are written.
fn canonical(stored: &StoredSegment, definition: &Definition, documents: &Documents) -> StoredSegment {
    let mut stored = stored.clone();
    if let Definition::Dynamic(node) = definition
        && let Ok(rules) = RawValue::from_string(node_to_json_with(node, &documents.catalogue))
    {
        stored.document.rules = Some(rules);
    }
    stored
}
