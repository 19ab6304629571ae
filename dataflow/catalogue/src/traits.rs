//! Edits of computed traits.

use audience_contract::{Document, DocumentKind};
use audience_protocol::{PlatformError, Result, TraitDocument};
use audience_rules::json::parse_json;
use audience_rules::unparse::behaviour_to_json;
use serde_json::value::RawValue;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::{conflict, invalid};
use crate::documents::{Documents, StoredTrait, timestamp};

/// Refusal: there is no such trait.
pub(crate) fn trait_not_found(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: "trait", id: name.to_owned() }
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
    definition: &RawValue,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<TraitDocument>> {
    let malformed = |message: String| invalid("", "malformed_json", message);
    let json = parse_json(definition.get().as_bytes()).map_err(|fault| malformed(fault.to_string()))?;
    let computed = documents.catalogue.check_trait(&json).map_err(PlatformError::Invalid)?;
    let name = computed.name.to_string();
    let current = match expected {
        None => documents.traits.get(&name).map_or(0, |stored| stored.document.version),
        Some(_) => current_version(documents, &name, expected)?,
    };
    let text = behaviour_to_json(&name, &computed.behaviour);
    let definition = RawValue::from_string(text).map_err(|error| malformed(error.to_string()))?;
    let document = TraitDocument { name: name.clone(), definition, version: current + 1, updated_at: timestamp() };
    let stored = StoredTrait { document: document.clone(), author: stamp.author.to_owned() };
    let body = Some(serde_json::to_string(&stored).map_err(|error| malformed(error.to_string()))?);
    documents.catalogue.put_trait(computed);
    documents.traits.insert(name.clone(), stored);
    let action = if current == 0 { "created" } else { "updated" };
    let entries = vec![entry(action, "trait", &name, Some(document.version), None)];
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
