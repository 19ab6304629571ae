//! The audit log as the API shows it.

use std::fmt::Write as _;

use audience_contract::{AuditEntry, AuditFilter, AuditRecord};
use audience_protocol::{AuditItem, AuditQuery, Page, Webhook};
use audience_rules::time::format_time;
use sha2::{Digest, Sha256};

/// What stands in front of the digest of a user's id.
const DIGEST: &str = "sha256:";

/// One thing that was done.
pub fn entry(action: &str, kind: &str, id: &str, version: Option<u64>, note: Option<&str>) -> AuditEntry {
    let [action, kind, id] = [action, kind, id].map(str::to_owned);
    AuditEntry { action, kind, id, version, note: note.map(str::to_owned), before: None, after: None }
}

/// What was done to a webhook: what it was, and what it is now.
pub fn of_webhook(action: &str, before: Option<&Webhook>, after: Option<&Webhook>) -> AuditEntry {
    // Plain data always serializes.
    let json = |webhook: Option<&Webhook>| webhook.and_then(|webhook| serde_json::to_string(webhook).ok());
    let (id, version) = after.or(before).map_or(("", 0), |webhook| (webhook.id.as_str(), webhook.version));
    let entry = entry(action, "webhook", id, Some(version), None);
    AuditEntry { before: json(before), after: json(after), ..entry }
}

/// That users were erased. Nothing may name them any more, so a digest of each id stands there: whoever has the id finds it.
pub fn erased(ids: &[String]) -> Vec<AuditEntry> {
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

/// What is asked of the store: a row more than the page, to know whether there is another.
pub fn filter(query: &AuditQuery) -> AuditFilter {
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
        limit: query.limit.saturating_add(1),
    }
}

/// A page of rows, of which one more than fits may have been found.
pub fn page(mut rows: Vec<AuditRecord>, limit: usize) -> Page<AuditItem> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.sequence.to_string());
    Page { items: rows.into_iter().map(item).collect(), next_cursor }
}

fn item(row: AuditRecord) -> AuditItem {
    let AuditRecord { sequence, at, author, catalogue_version, entry } = row;
    let AuditEntry { action, kind, id, version, note, before, after } = entry;
    // They were written as JSON.
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let (at, before, after) = (format_time(at), json(before), json(after));
    AuditItem { sequence, at, author, action, kind, id, version, catalogue_version, note, before, after }
}
