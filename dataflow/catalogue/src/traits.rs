//! Edits of computed traits.

use audience_contract::{Document, DocumentKind};
use audience_protocol::{PlatformError, ResourceKind, Result, TraitDocument, TraitInput};
use audience_rules::catalogue::ComputedTrait;
use audience_rules::json::parse_json;
use audience_rules::unparse::behaviour_to_json;
use serde_json::value::RawValue;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::{conflict, invalid, unwritable};
use crate::documents::{Documents, StoredTrait, timestamp};

/// Refusal: there is no such trait.
pub(crate) fn trait_not_found(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: ResourceKind::Trait, id: name.to_owned() }
}

/// The current version of a trait, 0 where there is none. Refuses where the caller expects another version.
fn current_version(documents: &Documents, name: &str, expected: Option<u64>) -> Result<u64> {
    let current = documents.traits.get(name).map_or(0, |stored| stored.document.version);
    match expected {
        Some(expected) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        None if current == 0 => Err(trait_not_found(name)),
        _ => Ok(current),
    }
}

/// Creates or replaces a trait.
pub(crate) fn put(
    documents: &mut Documents,
    input: &TraitInput,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<TraitDocument>> {
    let computed = checked(documents, &input.definition)?;
    let current = match expected {
        None => documents.traits.get(&*computed.name).map_or(0, |stored| stored.document.version),
        Some(_) => current_version(documents, &computed.name, expected)?,
    };
    let action = if current == 0 { "created" } else { "updated" };
    store(documents, computed, Version { number: current + 1, note: input.note.clone(), action }, stamp)
}

/// The earlier version that a rollback leads back to.
pub(crate) struct EarlierTrait {
    document: TraitDocument,
    /// The newest version number that the trait ever had.
    newest: u64,
}

impl EarlierTrait {
    /// Finds a version among those of a trait.
    pub(crate) fn find(name: &str, wanted: u64, versions: Vec<TraitDocument>) -> Result<EarlierTrait> {
        let newest = versions.last().map(|document| document.version).ok_or_else(|| trait_not_found(name))?;
        let found = versions.into_iter().find(|document| document.version == wanted);
        let missing = || PlatformError::NotFound { kind: ResourceKind::Version, id: format!("{name} {wanted}") };
        Ok(EarlierTrait { document: found.ok_or_else(missing)?, newest })
    }
}

/// The versions since a trait was last created, oldest first. A trait that was deleted and rolled back continues its
/// version numbers; one that is created again starts at 1.
pub(crate) fn versions_since_creation(history: &[Document]) -> Vec<TraitDocument> {
    let versions = history.iter().filter_map(|stored| Some(StoredTrait::read(stored.body.as_deref()?).ok()?.document));
    let mut versions: Vec<TraitDocument> = versions.collect();
    let creation = versions.iter().rposition(|document| document.version == 1).unwrap_or_default();
    versions.drain(..creation);
    versions
}

/// Makes a new version with the definition of an earlier one.
pub(crate) fn rollback(
    documents: &mut Documents,
    earlier: EarlierTrait,
    note: Option<String>,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<TraitDocument>> {
    let EarlierTrait { document, newest } = earlier;
    let current = documents.traits.get(&document.name).map_or(0, |stored| stored.document.version);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        return Err(PlatformError::VersionMismatch { expected, current });
    }
    let computed = checked(documents, &document.definition)?;
    let note = note.or(Some(format!("back to version {}", document.version)));
    store(documents, computed, Version { number: newest.max(current) + 1, note, action: "rolledBack" }, stamp)
}

/// A definition that fits the rules that use it.
pub(crate) fn checked(documents: &Documents, definition: &RawValue) -> Result<ComputedTrait> {
    let json = parse_json(definition.get().as_bytes()).map_err(|fault| malformed(&fault))?;
    documents.catalogue.check_trait(&json).map_err(PlatformError::Invalid)
}

fn malformed(error: &dyn std::error::Error) -> PlatformError {
    invalid("", "malformed_json", error.to_string())
}

/// A version that an edit makes, and the word of the audit log for the edit.
struct Version {
    number: u64,
    note: Option<String>,
    action: &'static str,
}

/// Puts a checked trait among the documents.
fn store(
    documents: &mut Documents,
    computed: ComputedTrait,
    version: Version,
    stamp: Stamp<'_>,
) -> Result<Changeset<TraitDocument>> {
    let (name, Version { number, note, action }) = (computed.name.to_string(), version);
    let text = behaviour_to_json(&name, &computed.behaviour);
    let document = TraitDocument {
        definition: RawValue::from_string(text).map_err(|error| malformed(&error))?,
        name: name.clone(),
        version: number,
        updated_at: timestamp(),
        updated_by: stamp.author.to_owned(),
        note,
    };
    let stored = StoredTrait { document: document.clone(), author: stamp.author.to_owned() };
    let body = Some(stored.body().map_err(unwritable)?);
    documents.catalogue.put_trait(computed);
    documents.traits.insert(name.clone(), stored);
    let entries = vec![entry(action, "trait", &name, Some(number), document.note.as_deref())];
    let to_store = Document { kind: DocumentKind::Trait, id: name, catalogue_version: stamp.catalogue_version, body };
    Ok(Changeset { documents: vec![to_store], entries, answer: document })
}

/// Deletes a trait that no segment refers to.
pub(crate) fn delete(
    documents: &mut Documents,
    name: &str,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<()>> {
    let current = current_version(documents, name, expected)?;
    documents.catalogue.check_delete_trait(name).map_err(conflict)?;
    documents.catalogue.delete_trait(name);
    documents.traits.remove(name);
    let (kind, id) = (DocumentKind::Trait, name.to_owned());
    let deletion = Document { kind, id, catalogue_version: stamp.catalogue_version, body: None };
    let entries = vec![entry("deleted", "trait", name, Some(current), None)];
    Ok(Changeset { documents: vec![deletion], entries, answer: () })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STAMP: Stamp<'_> = Stamp { author: "ann", catalogue_version: 9 };

    fn version(version: u64, event: &str) -> Document {
        let definition = json!({"name": "t", "event": event});
        let document = json!({"name": "t", "definition": definition, "version": version, "updatedAt": ""});
        stored(Some(json!({"document": document, "author": "bob"})))
    }

    fn stored(body: Option<Value>) -> Document {
        let body = body.map(|body| body.to_string());
        Document { kind: DocumentKind::Trait, id: "t".to_owned(), catalogue_version: 1, body }
    }

    #[test]
    fn versions_count_from_the_last_creation_and_name_their_authors() {
        let history = [version(1, "a"), version(2, "b"), stored(None), version(1, "c")];
        let numbers = |history| versions_since_creation(history).into_iter().map(|one| one.version).collect::<Vec<_>>();
        assert_eq!((numbers(&history), numbers(&history[..3])), (vec![1], vec![1, 2]));
        assert_eq!(versions_since_creation(&history)[0].updated_by, "bob");
    }

    #[test]
    fn a_deleted_trait_comes_back_with_a_new_number() {
        let versions = versions_since_creation(&[version(1, "a"), version(2, "b")]);
        let mut documents = Documents::default();
        let earlier = EarlierTrait::find("t", 1, versions.clone()).unwrap();
        let change = rollback(&mut documents, earlier, None, None, STAMP).unwrap();
        assert_eq!((change.answer.version, change.answer.note.as_deref()), (3, Some("back to version 1")));
        assert!(change.answer.definition.get().contains("\"a\""), "{}", change.answer.definition);
        assert_eq!(change.entries[0].action, "rolledBack");
        let missing = |wanted, versions| match EarlierTrait::find("t", wanted, versions).err() {
            Some(PlatformError::NotFound { kind, .. }) => kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(9, versions), ResourceKind::Version);
        assert_eq!(missing(1, Vec::new()), ResourceKind::Trait);
    }
}
