//! The platform's time zone: a setting with versions, and an edit like any other.

use audience_contract::{AuditEntry, CatalogueStore, Document, DocumentKind, Result as StoreResult};
use audience_protocol::{PlatformError, Result, TimezoneDocument, TimezoneInput};
use audience_rules::fault::{Fault, code};
use audience_rules::zone::ZoneId;
use serde_json::json;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::{fault, unwritable};
use crate::documents::{Documents, SettingDocument, StoredSetting, timestamp};

/// The setting's name, which is its id in the store.
pub const TIMEZONE: &str = "timezone";
/// The kind of a setting in the audit log.
pub(crate) const SETTING: &str = "setting";

/// Reads the platform's zone from a store alone, as [`Documents`] have it. Costs a look at every version of it.
pub fn stored_zone(store: &dyn CatalogueStore) -> StoreResult<ZoneId> {
    let history = store.history(DocumentKind::Setting, TIMEZONE)?;
    let bodies = history.iter().rev().map_while(|document| document.body.as_deref());
    let mut zones = bodies.filter_map(|body| zone_of(&StoredSetting::read(body).ok()?).ok());
    Ok(zones.next().unwrap_or_default())
}

/// Reads the zone that a setting names.
pub(crate) fn zone_of(stored: &StoredSetting) -> Result<ZoneId, Vec<Fault>> {
    let name = stored.document.value.as_str().unwrap_or_default();
    named(name).map_err(|fault| vec![Fault { pointer: "/value".to_owned(), ..fault }])
}

fn named(name: &str) -> Result<ZoneId, Fault> {
    let message = "a time zone has a name of the tz database, spelled exactly, such as Europe/Berlin or UTC";
    ZoneId::named(name).ok_or_else(|| fault("/timezone", code::BAD_ZONE, message))
}

/// The zone as the API shows it: UTC, as version 0, while nobody has set one.
pub(crate) fn shown(stored: Option<&StoredSetting>) -> TimezoneDocument {
    let Some(StoredSetting { document, author }) = stored else {
        return TimezoneDocument { timezone: ZoneId::UTC.name().to_owned(), ..TimezoneDocument::default() };
    };
    TimezoneDocument {
        timezone: document.value.as_str().unwrap_or_default().to_owned(),
        version: document.version,
        updated_at: Some(document.updated_at.clone()),
        updated_by: Some(author.clone()),
        note: document.note.clone(),
    }
}

/// The versions in the store, oldest first.
pub(crate) fn versions(history: &[Document]) -> Vec<TimezoneDocument> {
    let stored = history.iter().filter_map(|document| StoredSetting::read(document.body.as_deref()?).ok());
    stored.map(|stored| shown(Some(&stored))).collect()
}

/// Sets the zone. The zone that it is already makes no version.
pub(crate) fn set(
    documents: &mut Documents,
    input: TimezoneInput,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<TimezoneDocument>> {
    let current = documents.timezone.as_ref().map_or(0, |stored| stored.document.version);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        return Err(PlatformError::VersionMismatch { expected, current });
    }
    let zone = named(&input.timezone).map_err(|fault| PlatformError::Invalid(vec![fault]))?;
    let before = documents.catalogue.timezone;
    if zone == before {
        let answer = shown(documents.timezone.as_ref());
        return Ok(Changeset { documents: Vec::new(), entries: Vec::new(), answer });
    }
    let action = if current == 0 { "created" } else { "updated" };
    let document = SettingDocument {
        name: TIMEZONE.to_owned(),
        value: zone.name().into(),
        version: current + 1,
        updated_at: timestamp(),
        note: input.note,
    };
    let to_store = put(documents, document, zone, stamp)?;
    let answer = shown(documents.timezone.as_ref());
    let told = |name: &str| Some(json!({ TIMEZONE: name }).to_string());
    let entry = entry(action, SETTING, TIMEZONE, Some(answer.version), answer.note.as_deref());
    let entry = AuditEntry { before: told(before.name()), after: told(zone.name()), ..entry };
    Ok(Changeset { documents: vec![to_store], entries: vec![entry], answer })
}

/// Puts a checked version among the documents.
pub(crate) fn put(
    documents: &mut Documents,
    document: SettingDocument,
    zone: ZoneId,
    stamp: Stamp<'_>,
) -> Result<Document> {
    let stored = StoredSetting { document, author: stamp.author.to_owned() };
    let body = Some(serde_json::to_string(&stored).map_err(unwritable)?);
    documents.catalogue.timezone = zone;
    documents.timezone = Some(stored);
    let (kind, id, catalogue_version) = (DocumentKind::Setting, TIMEZONE.to_owned(), stamp.catalogue_version);
    Ok(Document { kind, id, catalogue_version, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp<'_> = Stamp { author: "ann", catalogue_version: 9 };

    fn input(name: &str) -> TimezoneInput {
        TimezoneInput { timezone: name.to_owned(), note: Some("why".to_owned()) }
    }

    #[test]
    fn a_zone_has_versions_and_the_one_that_it_is_makes_none() {
        let mut documents = Documents::default();
        assert_eq!(shown(None).timezone, "UTC");
        assert!(set(&mut documents, input("UTC"), Some(0), STAMP).unwrap().is_empty(), "it is UTC already");
        let change = set(&mut documents, input("Europe/Berlin"), Some(0), STAMP).unwrap();
        assert_eq!((change.answer.version, change.answer.updated_by.as_deref()), (1, Some("ann")));
        assert_eq!((&*change.entries[0].action, &*change.entries[0].kind), ("created", "setting"));
        assert_eq!(documents.catalogue.timezone.name(), "Europe/Berlin");
        assert!(set(&mut documents, input("Europe/Berlin"), None, STAMP).unwrap().is_empty());
        let back = set(&mut documents, input("UTC"), Some(1), STAMP).unwrap();
        assert_eq!((back.answer.version, &*back.entries[0].action), (2, "updated"));
        let history = [change.documents, back.documents].concat();
        let named: Vec<_> = versions(&history).into_iter().map(|one| (one.version, one.timezone)).collect();
        assert_eq!(named, [(1, "Europe/Berlin".to_owned()), (2, "UTC".to_owned())]);
    }

    #[test]
    fn what_is_no_zone_and_another_version_are_refused() {
        let mut documents = Documents::default();
        for name in ["", "berlin", "europe/berlin", "user", "+02:00"] {
            let refused = set(&mut documents, input(name), None, STAMP).err();
            assert!(
                matches!(refused, Some(PlatformError::Invalid(faults)) if faults[0].pointer == "/timezone"),
                "{name}"
            );
        }
        let late = set(&mut documents, input("Asia/Kolkata"), Some(3), STAMP).err();
        assert!(matches!(late, Some(PlatformError::VersionMismatch { expected: 3, current: 0 })));
        assert_eq!(documents.catalogue.timezone, ZoneId::UTC);
    }
}
