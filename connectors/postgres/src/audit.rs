//! The audit log in SQL.

use std::time::Duration;

use audience_contract::{Audit, AuditEntry, AuditFilter, AuditRecord};
use audience_rules::time::format_time;
use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Rows. Statements written by hand say less: the words of the API are put in, and the version is looked up.
const ROWS: &str = "SELECT log.id, (extract(epoch FROM log.at) * 1000)::bigint, log.actor, log.catalogue_version, log.word,
        log.kind, log.document_id, coalesce(log.version, segment.version, computed.version,
        setting.version), log.note,
        log.before::text, log.after::text
    FROM (SELECT *, CASE WHEN action IN ('create', 'update') AND kind = 'members' THEN 'membersReplaced'
            WHEN action = 'create' THEN 'created' WHEN action = 'update' THEN 'updated' WHEN action = 'delete' THEN 'deleted'
            ELSE action END AS word FROM audience.audit_log) log
    LEFT JOIN audience.segment_versions segment ON log.version IS NULL AND log.kind IN ('segment', 'members')
        AND segment.id = log.document_id AND segment.catalogue_version = log.catalogue_version
    LEFT JOIN audience.trait_versions computed ON log.version IS NULL AND log.kind = 'trait'
        AND computed.name = log.document_id AND computed.catalogue_version = log.catalogue_version
    LEFT JOIN audience.setting_versions setting ON log.version IS NULL AND log.kind = 'setting'
        AND setting.name = log.document_id AND setting.catalogue_version = log.catalogue_version";

/// Which of them a filter takes, newest first.
const TAKEN: &str = "
    WHERE ($1::text IS NULL OR log.kind = $1) AND ($2::text IS NULL OR log.document_id = $2)
        AND ($3::text IS NULL OR log.actor = $3) AND ($4::text IS NULL OR log.word = $4)
        AND ($5::text IS NULL OR log.at >= $5::text::timestamptz) AND ($6::text IS NULL OR log.at < $6::text::timestamptz)
        AND ($7::bigint IS NULL OR log.id < $7)
    ORDER BY log.id DESC LIMIT $8";

/// Those behind one, oldest first.
const BEHIND: &str = "
    WHERE log.id > $1 ORDER BY log.id LIMIT $2";

/// Takes what is not told, where nobody else has; gives the last row that is.
const TAKE: &str = "UPDATE audience.segment_updates SET taken_until = clock_timestamp() + $1 * interval '1 millisecond'
    WHERE taken_until <= clock_timestamp() AND told < (SELECT coalesce(max(id), 0) FROM audience.audit_log)
    RETURNING told";

/// Returns whether a filter has a text that no row can have.
pub(crate) fn asks_for_nul(filter: &AuditFilter) -> bool {
    let texts = [&filter.kind, &filter.id, &filter.author, &filter.action];
    texts.into_iter().flatten().any(|text| text.contains('\0'))
}

/// Reads what a filter takes.
pub(crate) async fn read(client: &Object, filter: &AuditFilter) -> Result<Vec<AuditRecord>, tokio_postgres::Error> {
    let AuditFilter { kind, id, author, action, .. } = filter;
    let (from, to) = (filter.from.map(format_time), filter.to.map(format_time));
    let before = filter.before.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(&[ROWS, TAKEN].concat()).await?;
    let values: [&(dyn ToSql + Sync); 8] = [kind, id, author, action, &from, &to, &before, &limit];
    Ok(client.query(&statement, &values).await?.iter().map(record).collect())
}

/// Takes rows that are not told, for so long.
pub(crate) async fn take_unannounced(
    client: &Object,
    limit: usize,
    lease: Duration,
) -> Result<Vec<AuditRecord>, tokio_postgres::Error> {
    // Rows are committed in the order of their ids, so that none comes before one that is told.
    let Some(row) = client.query_opt(TAKE, &[&(lease.as_secs_f64() * 1000.0)]).await? else { return Ok(Vec::new()) };
    let statement = client.prepare_cached(&[ROWS, BEHIND].concat()).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(client.query(&statement, &[&row.get::<_, i64>(0), &limit]).await?.iter().map(record).collect())
}

/// Rows up to that one are told, and what was taken is given back.
pub(crate) async fn mark_announced(client: &Object, sequence: u64) -> Result<(), tokio_postgres::Error> {
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    let statement = "UPDATE audience.segment_updates SET told = greatest(told, $1), taken_until = '-infinity'";
    client.execute(statement, &[&sequence]).await.map(drop)
}

fn record(row: &Row) -> AuditRecord {
    let number = |index: usize| u64::try_from(row.get::<_, i64>(index)).unwrap_or_default();
    let version = row.get::<_, Option<i64>>(7).and_then(|version| u64::try_from(version).ok());
    let entry = AuditEntry {
        action: row.get(4),
        kind: row.get(5),
        id: row.get(6),
        version,
        note: row.get(8),
        before: row.get(9),
        after: row.get(10),
    };
    AuditRecord { sequence: number(0), at: row.get(1), author: row.get(2), catalogue_version: number(3), entry }
}

/// Adds rows.
pub(crate) async fn write(transaction: &Transaction<'_>, audit: &Audit) -> Result<(), tokio_postgres::Error> {
    // Texts and numbers alone: this cannot fail.
    let entries = serde_json::to_string(&audit.entries).unwrap_or_else(|_| "[]".to_owned());
    let statement =
        transaction.prepare_cached("SELECT audience.audit($1, $2::text::timestamptz, $3::text::jsonb)").await?;
    transaction.query_one(&statement, &[&audit.author, &format_time(audit.at), &entries]).await.map(drop)
}
