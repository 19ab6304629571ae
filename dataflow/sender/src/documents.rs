//! Contents and campaigns as they are stored: each in one note, the versions of contents in one each.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{Note, Notes, StoreError};
use audience_protocol::{Campaign, ContentDocument, PlatformError, ResourceKind, Result};
use audience_rules::fault::{Fault, code};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest id of a document.
const ID: usize = 64;

/// The documents.
pub(crate) struct CampaignDocuments {
    notes: Arc<dyn Notes>,
}

impl CampaignDocuments {
    pub(crate) fn new(notes: Arc<dyn Notes>) -> CampaignDocuments {
        CampaignDocuments { notes }
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.notes.get(key.as_bytes()).map_err(unavailable)?;
        value.map(|value| serde_json::from_slice(&value).map_err(|error| damaged(key, &error))).transpose()
    }

    fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>> {
        let (from, to) = (format!("mail/{kind}/"), format!("mail/{kind}0"));
        let mut documents = Vec::new();
        let visited = self.notes.visit(from.as_bytes(), to.as_bytes(), &mut |_, value| {
            documents.push(serde_json::from_slice(value).map_err(|error| damaged(kind, &error)));
            ControlFlow::Continue(())
        });
        visited.map_err(unavailable)?;
        documents.into_iter().collect()
    }

    pub(crate) fn content(&self, id: &str) -> Result<ContentDocument> {
        self.get(&format!("mail/content/{id}"))?.ok_or_else(|| missing(ResourceKind::Content, id))
    }

    /// A content as it was in a version.
    pub(crate) fn content_version(&self, id: &str, version: u64) -> Result<ContentDocument> {
        self.get(&format!("mail/content-version/{id}/{version:020}"))?.ok_or_else(|| missing(ResourceKind::Version, id))
    }

    pub(crate) fn contents(&self) -> Result<Vec<ContentDocument>> {
        self.all("content")
    }

    pub(crate) fn put_content(&self, content: &ContentDocument) -> Result<()> {
        let value = bytes(content)?;
        let version = format!("mail/content-version/{}/{:020}", content.id, content.version);
        self.write(&[
            (format!("mail/content/{}", content.id).into_bytes(), Some(value.clone())),
            (version.into_bytes(), Some(value)),
        ])
    }

    pub(crate) fn campaign(&self, id: &str) -> Result<Campaign> {
        self.get(&format!("mail/campaign/{id}"))?.ok_or_else(|| missing(ResourceKind::Campaign, id))
    }

    pub(crate) fn campaigns(&self) -> Result<Vec<Campaign>> {
        self.all("campaign")
    }

    pub(crate) fn put_campaign(&self, campaign: &Campaign) -> Result<()> {
        self.write(&[(format!("mail/campaign/{}", campaign.id).into_bytes(), Some(bytes(campaign)?))])
    }

    fn write(&self, notes: &[Note]) -> Result<()> {
        self.notes.write(notes).map_err(unavailable)
    }
}

/// The id that a client gives, checked; else one made from a name.
pub(crate) fn id_of(given: Option<&str>, name: &str) -> Result<String> {
    if name.trim().is_empty() || name.len() > 256 {
        return Err(invalid("/name", code::OUT_OF_RANGE, "a name has 1 to 256 bytes"));
    }
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if let Some(id) = given {
        return match (1..=ID).contains(&id.len()) && id.chars().all(is_letter) {
            true => Ok(id.to_owned()),
            false => Err(invalid("/id", code::OUT_OF_RANGE, "an id has 1 to 64 letters of a-z, A-Z, 0-9, - and _")),
        };
    }
    let letters =
        name.to_lowercase().chars().map(|letter| if is_letter(letter) { letter } else { '-' }).collect::<String>();
    let words: Vec<&str> = letters.split('-').filter(|word| !word.is_empty()).collect();
    let id: String = words.join("-").chars().take(ID).collect();
    Ok(if id.is_empty() { "unnamed".to_owned() } else { id })
}

fn bytes(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document)
        .map_err(|error| PlatformError::Unavailable(format!("the document cannot be written: {error}")))
}

fn damaged(place: &str, error: &serde_json::Error) -> PlatformError {
    PlatformError::Unavailable(format!("{place} is damaged: {error}"))
}

fn missing(kind: ResourceKind, id: &str) -> PlatformError {
    PlatformError::NotFound { kind, id: id.to_owned() }
}

/// A fault at a place of the request.
pub(crate) fn invalid(pointer: &str, code: &'static str, message: impl Into<String>) -> PlatformError {
    PlatformError::Invalid(vec![Fault { pointer: pointer.to_owned(), code, message: message.into() }])
}

/// The API's error for a store's fault.
pub(crate) fn unavailable(error: StoreError) -> PlatformError {
    match error {
        StoreError::Unknown { .. } => PlatformError::OutcomeUnknown(error.to_string()),
        error => PlatformError::Unavailable(error.to_string()),
    }
}

/// Refuses a change over another version than the current one.
pub(crate) fn check_version(expected: Option<u64>, current: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        _ => Ok(()),
    }
}
