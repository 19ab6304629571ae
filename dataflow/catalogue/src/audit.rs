//! The audit log: its entries as edits write them, and its rows as the API shows them.

use std::fmt::Write as _;

use audience_contract::{AuditEntry, AuditFilter, AuditRecord};
use audience_protocol::{AuditItem, AuditNote, AuditQuery, Page, PageLimit, Webhook};
use audience_rules::time::format_time;
use sha2::{Digest, Sha256};

/// The prefix of the digest of a user's id.
const DIGEST: &str = "sha256:";

/// An entry without a text before and after.
pub(crate) fn entry(action: &str, kind: &str, id: &str, version: Option<u64>, note: Option<&str>) -> AuditEntry {
    let [action, kind, id] = [action, kind, id].map(str::to_owned);
    AuditEntry { action, kind, id, version, note: note.map(str::to_owned), before: None, after: None }
}

/// The entry for a change of a webhook.
pub(crate) fn webhook_entry(action: &str, before: Option<&Webhook>, after: Option<&Webhook>) -> AuditEntry {
    // Plain data always serializes.
    let json = |webhook: Option<&Webhook>| webhook.and_then(|webhook| serde_json::to_string(webhook).ok());
    let (id, version) = after.or(before).map_or(("", 0), |webhook| (webhook.id.as_str(), webhook.version));
    let entry = entry(action, "webhook", id, Some(version), None);
    AuditEntry { before: json(before), after: json(after), ..entry }
}

/// The entry for what somebody did that changes no document.
pub(crate) fn noted_entry(noted: &AuditNote) -> AuditEntry {
    let AuditNote { action, kind, id, note, before, after } = noted;
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    // No row names a user: one that is erased stays in none.
    let id = if *kind == "user" { &digest(id) } else { id };
    AuditEntry { before: json(before), after: json(after), ..entry(action, kind, id, None, note.as_deref()) }
}

/// The entries for an erasure. Nothing may name the user any more, so each bears a digest of an id: whoever has the id
/// finds it.
pub(crate) fn erasure_entries(ids: &[String]) -> Vec<AuditEntry> {
    ids.iter().map(|id| entry("erased", "user", &digest(id), None, None)).collect()
}

fn digest(id: &str) -> String {
    let mut text = String::from(DIGEST);
    for byte in Sha256::digest(id) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The store's filter for a query. It asks for one row more than the page holds, which shows whether there is another
/// page.
pub(crate) fn filter(query: &AuditQuery) -> AuditFilter {
    let id = query.id.as_deref().map(|id| match query.kind {
        Some("user") if !id.starts_with(DIGEST) => digest(id),
        _ => id.to_owned(),
    });
    AuditFilter {
        kind: query.kind.map(str::to_owned),
        id,
        author: query.author.clone(),
        action: query.action.map(str::to_owned),
        from: query.from,
        to: query.to,
        before: query.before,
        limit: query.limit.and_one(),
    }
}

/// A page of rows. One row more than `limit` means that there is another page.
pub(crate) fn page(rows: Vec<AuditRecord>, limit: PageLimit) -> Page<AuditItem> {
    let Page { items, next_cursor } = Page::of_first(rows, limit, |row| row.sequence.to_string());
    Page { items: items.into_iter().map(item).collect(), next_cursor }
}

fn item(row: AuditRecord) -> AuditItem {
    let AuditRecord { sequence, at, author, catalogue_version, entry } = row;
    let AuditEntry { action, kind, id, version, note, before, after } = entry;
    // They were written as JSON.
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let (at, before, after) = (format_time(at), json(before), json(after));
    AuditItem { sequence, at, author, action, kind, id, version, catalogue_version, note, before, after }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf ann | sha256sum`.
    const ANN: &str = "sha256:49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1";

    fn limit(items: usize) -> PageLimit {
        PageLimit::new(items).unwrap()
    }

    fn query(kind: Option<&'static str>, id: &str) -> AuditQuery {
        AuditQuery { kind, id: Some(id.to_owned()), limit: limit(2), ..AuditQuery::default() }
    }

    fn row(sequence: u64) -> AuditRecord {
        let entry = entry("created", "segment", "s", Some(1), None);
        AuditRecord { sequence, at: 0, author: "ann".to_owned(), catalogue_version: sequence, entry }
    }

    #[test]
    fn an_erased_user_is_named_by_a_digest_and_found_by_the_id() {
        let entries = erasure_entries(&["ann".to_owned()]);
        assert_eq!(entries[0].id, ANN);
        assert_eq!(filter(&query(Some("user"), "ann")).id.as_deref(), Some(ANN));
        assert_eq!(filter(&query(Some("user"), ANN)).id.as_deref(), Some(ANN));
        assert_eq!(filter(&query(Some("segment"), "ann")).id.as_deref(), Some("ann"));
    }

    #[test]
    fn an_exported_user_is_named_by_a_digest_too() {
        assert_eq!(noted_entry(&AuditNote::of("exported", "user", "ann")).id, ANN);
        assert_eq!(noted_entry(&AuditNote::of("exported", "members", "ann")).id, "ann");
    }

    #[test]
    fn a_page_has_a_cursor_where_there_is_another() {
        assert_eq!(filter(&query(None, "s")).limit, 3);
        let rows = || vec![row(9), row(8), row(7)];
        let full = page(rows(), limit(2));
        assert_eq!((full.items.len(), full.next_cursor.as_deref()), (2, Some("8")));
        let last = page(rows(), limit(3));
        assert_eq!((last.items.len(), last.next_cursor), (3, None));
    }
}
