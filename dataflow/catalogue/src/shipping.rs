//! The traits that an empty catalogue starts with.

use audience_background::clock;
use audience_contract::{Audit, CatalogueStore, Document, DocumentKind, Result};
use audience_protocol::TraitDocument;
use audience_rules::catalogue::Catalogue;
use audience_rules::unparse::behaviour_to_json;
use serde_json::value::RawValue;

use crate::audit::entry;
use crate::documents::{StoredTrait, timestamp};

/// The author of what the program itself stores.
const AUTHOR: &str = "audience";

/// Stores the shipped traits, unless one of them was ever stored: from then on they are edited like any other. Segments
/// may have been written by hand before.
pub fn ship_traits(store: &dyn CatalogueStore) -> Result<()> {
    let shipped = shipped_traits();
    loop {
        let version = store.version()?;
        for stored in &shipped {
            if !store.history(DocumentKind::Trait, &stored.document.name)?.is_empty() {
                return Ok(());
            }
        }
        let documents = shipped.iter().filter_map(|stored| {
            let body = stored.body().ok()?;
            let (kind, id) = (DocumentKind::Trait, stored.document.name.clone());
            Some(Document { kind, id, catalogue_version: version + 1, body: Some(body) })
        });
        let entries = shipped.iter().map(|stored| entry("created", "trait", &stored.document.name, Some(1), None));
        let audit = Audit { author: AUTHOR.to_owned(), at: clock::now(), entries: entries.collect() };
        // It is refused where another process was faster with another change.
        if store.put_audited(version, &documents.collect::<Vec<_>>(), Some(&audit))? {
            return Ok(());
        }
    }
}

fn shipped_traits() -> Vec<StoredTrait> {
    let now = timestamp();
    let catalogue = Catalogue::with_shipped_traits();
    let traits = catalogue.traits.values().filter_map(|computed| {
        let definition = RawValue::from_string(behaviour_to_json(&computed.name, &computed.behaviour)).ok()?;
        let (name, updated_at) = (computed.name.to_string(), now.clone());
        let document =
            TraitDocument { name, definition, version: 1, updated_at, updated_by: AUTHOR.to_owned(), note: None };
        Some(StoredTrait { document, author: AUTHOR.to_owned() })
    });
    traits.collect()
}
