//! The SQL of the tables.

use audience_contract::{Document, DocumentKind};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::body::{self, BadBody, NamedColumns, SegmentColumns};

/// A time as documents have it.
macro_rules! time {
    ($column:literal) => {
        concat!("replace(to_char(", $column, ", 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), '.000Z', 'Z')")
    };
}

macro_rules! segment_columns {
    () => {
        concat!(
            "id, catalogue_version, is_deleted, name, description, type, status, rules::text, tags, owner, version, ",
            time!("created_at"),
            ", ",
            time!("updated_at"),
            ", author, extra::text, note"
        )
    };
}

/// The columns of a trait or a setting, whose content is that column.
macro_rules! named_columns {
    ($content:literal) => {
        concat!(
            "name, catalogue_version, is_deleted, ",
            $content,
            "::text, version, ",
            time!("updated_at"),
            ", author, extra::text, note"
        )
    };
}

macro_rules! member_columns {
    () => {
        "segment_id, catalogue_version, is_deleted, members"
    };
}

/// The newest version of each document at or below one, deletions left out.
macro_rules! newest {
    ($table:literal, $key:literal, $columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT DISTINCT ON (",
            $key,
            ") * FROM audience.",
            $table,
            " WHERE catalogue_version <= $1 ORDER BY ",
            $key,
            ", catalogue_version DESC) newest WHERE NOT is_deleted"
        )
    };
}

macro_rules! history {
    ($table:literal, $key:literal, $columns:expr) => {
        concat!("SELECT ", $columns, " FROM audience.", $table, " WHERE ", $key, " = $1 ORDER BY catalogue_version")
    };
}

/// The member of a trait's document that is its content.
const DEFINITION: &str = "definition";
/// The same of a setting.
const VALUE: &str = "value";

/// The kinds, in the order of the queries.
pub(crate) const KINDS: [DocumentKind; 4] =
    [DocumentKind::Setting, DocumentKind::Trait, DocumentKind::Segment, DocumentKind::Members];

/// Asks for the documents of a kind as of a version.
pub(crate) fn newest_of(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Segment => newest!("segment_versions", "id", segment_columns!()),
        DocumentKind::Trait => newest!("trait_versions", "name", named_columns!("definition")),
        DocumentKind::Members => newest!("static_member_versions", "segment_id", member_columns!()),
        DocumentKind::Setting => newest!("setting_versions", "name", named_columns!("value")),
    }
}

/// Asks for every version of a document.
pub(crate) fn history_of(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Segment => history!("segment_versions", "id", segment_columns!()),
        DocumentKind::Trait => history!("trait_versions", "name", named_columns!("definition")),
        DocumentKind::Members => history!("static_member_versions", "segment_id", member_columns!()),
        DocumentKind::Setting => history!("setting_versions", "name", named_columns!("value")),
    }
}

/// Reads a row of either.
pub(crate) fn document(kind: DocumentKind, row: &Row) -> Result<Document, BadBody> {
    let (id, version, is_deleted): (String, i64, bool) = (row.get(0), row.get(1), row.get(2));
    let catalogue_version = u64::try_from(version).unwrap_or_default();
    let body = match kind {
        _ if is_deleted => None,
        DocumentKind::Segment => Some(segment(row).body(&id)?),
        DocumentKind::Trait => Some(named(row).body(DEFINITION, &id)?),
        DocumentKind::Members => Some(body::list(&row.get::<_, Vec<String>>(3))),
        DocumentKind::Setting => Some(named(row).body(VALUE, &id)?),
    };
    Ok(Document { kind, id, catalogue_version, body })
}

fn segment(row: &Row) -> SegmentColumns {
    SegmentColumns {
        name: row.get(3),
        description: row.get(4),
        kind: row.get(5),
        status: row.get(6),
        rules: row.get(7),
        tags: row.get(8),
        owner: row.get(9),
        version: row.get(10),
        created_at: row.get(11),
        updated_at: row.get(12),
        author: row.get(13),
        extra: row.get(14),
        note: row.get(15),
    }
}

fn named(row: &Row) -> NamedColumns {
    NamedColumns {
        content: row.get(3),
        version: row.get(4),
        updated_at: row.get(5),
        author: row.get(6),
        extra: row.get(7),
        note: row.get(8),
    }
}

/// The statements for a document.
pub(crate) enum DocumentStatements {
    Segment(String, Box<SegmentColumns>),
    Trait(String, NamedColumns),
    Members(String, Vec<String>),
    Setting(String, NamedColumns),
    Delete(DocumentKind, String),
}

impl DocumentStatements {
    /// Reads a document.
    pub(crate) fn of(document: &Document) -> Result<DocumentStatements, BadBody> {
        let id = document.id.clone();
        let Some(body) = &document.body else { return Ok(DocumentStatements::Delete(document.kind, id)) };
        Ok(match document.kind {
            DocumentKind::Segment => DocumentStatements::Segment(id, Box::new(SegmentColumns::of(&document.id, body)?)),
            DocumentKind::Trait => DocumentStatements::Trait(id, NamedColumns::of(DEFINITION, &document.id, body)?),
            DocumentKind::Members => DocumentStatements::Members(id, body::members(body)?),
            DocumentKind::Setting => DocumentStatements::Setting(id, NamedColumns::of(VALUE, &document.id, body)?),
        })
    }

    /// The author, if it names one.
    pub(crate) fn author(&self) -> Option<&str> {
        match self {
            DocumentStatements::Segment(_, columns) => columns.author.as_deref(),
            DocumentStatements::Trait(_, columns) | DocumentStatements::Setting(_, columns) => {
                columns.author.as_deref()
            }
            DocumentStatements::Members(..) | DocumentStatements::Delete(..) => None,
        }
    }

    /// Applies it.
    pub(crate) async fn apply(&self, transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        match self {
            DocumentStatements::Segment(id, columns) => put_segment(transaction, id, columns).await,
            DocumentStatements::Trait(name, columns) => put_named(transaction, PUT_TRAIT, name, columns).await,
            DocumentStatements::Setting(name, columns) => put_named(transaction, PUT_SETTING, name, columns).await,
            DocumentStatements::Members(id, members) => {
                let put = "INSERT INTO audience.static_members (segment_id, members) VALUES ($1, $2)
                    ON CONFLICT (segment_id) DO UPDATE SET members = EXCLUDED.members";
                execute(transaction, put, &[id, members]).await.map(drop)
            }
            DocumentStatements::Delete(kind, id) => delete(transaction, *kind, id).await,
        }
    }
}

async fn execute(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, tokio_postgres::Error> {
    let statement = transaction.prepare_cached(sql).await?;
    transaction.execute(&statement, values).await
}

async fn put_segment(
    transaction: &Transaction<'_>,
    id: &str,
    columns: &SegmentColumns,
) -> Result<(), tokio_postgres::Error> {
    let SegmentColumns { name, description, kind, status, rules, tags, owner, version, .. } = columns;
    let SegmentColumns { created_at, updated_at, author, extra, note, .. } = columns;
    let put = "INSERT INTO audience.segments
            (id, name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra, note)
        VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10::text::timestamptz, $11::text::timestamptz, $12,
            $13::text::jsonb, $14)
        ON CONFLICT (id) DO UPDATE SET
            (name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra, note)
            = (EXCLUDED.name, EXCLUDED.description, EXCLUDED.type, EXCLUDED.status, EXCLUDED.rules, EXCLUDED.tags,
               EXCLUDED.owner, EXCLUDED.version, EXCLUDED.created_at, EXCLUDED.updated_at, EXCLUDED.author, EXCLUDED.extra,
               EXCLUDED.note)";
    let values: [&(dyn ToSql + Sync); 14] = [
        &id,
        name,
        description,
        kind,
        status,
        rules,
        tags,
        owner,
        version,
        created_at,
        updated_at,
        author,
        extra,
        note,
    ];
    execute(transaction, put, &values).await.map(drop)
}

const PUT_TRAIT: &str = "INSERT INTO audience.traits (name, definition, version, updated_at, author, extra, note)
    VALUES ($1, $2::text::jsonb, $3, $4::text::timestamptz, $5, $6::text::jsonb, $7)
    ON CONFLICT (name) DO UPDATE SET (definition, version, updated_at, author, extra, note)
        = (EXCLUDED.definition, EXCLUDED.version, EXCLUDED.updated_at, EXCLUDED.author, EXCLUDED.extra, EXCLUDED.note)";

const PUT_SETTING: &str = "INSERT INTO audience.settings (name, value, version, updated_at, author, extra, note)
    VALUES ($1, $2::text::jsonb, $3, $4::text::timestamptz, $5, $6::text::jsonb, $7)
    ON CONFLICT (name) DO UPDATE SET (value, version, updated_at, author, extra, note)
        = (EXCLUDED.value, EXCLUDED.version, EXCLUDED.updated_at, EXCLUDED.author, EXCLUDED.extra, EXCLUDED.note)";

async fn put_named(
    transaction: &Transaction<'_>,
    put: &str,
    name: &str,
    columns: &NamedColumns,
) -> Result<(), tokio_postgres::Error> {
    let NamedColumns { content, version, updated_at, author, note, extra } = columns;
    execute(transaction, put, &[&name, content, version, updated_at, author, extra, note]).await.map(drop)
}

/// A deletion of what is not there is kept too; the triggers see nothing of it.
async fn delete(transaction: &Transaction<'_>, kind: DocumentKind, id: &str) -> Result<(), tokio_postgres::Error> {
    let (delete, keep) = match kind {
        DocumentKind::Segment => (
            "DELETE FROM audience.segments WHERE id = $1",
            "INSERT INTO audience.segment_versions (id, catalogue_version, is_deleted, changed_by)
                VALUES ($1, audience.take_version(), true, audience.actor())",
        ),
        DocumentKind::Trait => (
            "DELETE FROM audience.traits WHERE name = $1",
            "INSERT INTO audience.trait_versions (name, catalogue_version, is_deleted, changed_by)
                VALUES ($1, audience.take_version(), true, audience.actor())",
        ),
        DocumentKind::Members => (
            "DELETE FROM audience.static_members WHERE segment_id = $1",
            "INSERT INTO audience.static_member_versions (segment_id, catalogue_version, is_deleted, changed_by)
                VALUES ($1, audience.take_version(), true, audience.actor())",
        ),
        DocumentKind::Setting => (
            "DELETE FROM audience.settings WHERE name = $1",
            "INSERT INTO audience.setting_versions (name, catalogue_version, is_deleted, changed_by)
                VALUES ($1, audience.take_version(), true, audience.actor())",
        ),
    };
    if execute(transaction, delete, &[&id]).await? == 0 {
        execute(transaction, keep, &[&id]).await?;
    }
    Ok(())
}
