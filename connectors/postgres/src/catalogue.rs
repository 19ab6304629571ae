//! The catalogue as the engine asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Audit, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind, Result, StoreError};
use deadpool_postgres::Object;
use tokio_postgres::IsolationLevel;

use crate::audit;
use crate::body::BadBody;
use crate::database::{CommitNote, Database};
use crate::notice::{self, Marked, Notice};
use crate::rows::{self, DocumentStatements};
use crate::{PostgresError, PostgresSettings, migrate};

const READING: &str = "reading the catalogue";
const WRITING: &str = "writing the catalogue";

/// Segments and traits in PostgreSQL, with every version.
pub struct PostgresCatalogue {
    database: Database,
    notice: Arc<Notice>,
}

impl PostgresCatalogue {
    /// Connects, makes or changes the tables where that is needed, and begins to listen.
    pub fn open(settings: &PostgresSettings) -> Result<PostgresCatalogue, PostgresError> {
        let database = Database::new(settings)?;
        database.greet()?;
        migrate::apply(&database)?;
        let notice = Arc::new(Notice::default());
        notice.note(database.read(READING, newest)?);
        let listening = notice.clone().listen(database.connector(), settings.clone());
        database.handle().spawn(listening);
        Ok(PostgresCatalogue { database, notice })
    }

    /// Which catalogue it is: a name that is made with the tables and never changes.
    pub fn identity(&self) -> Result<String> {
        self.database.read(READING, async |client| {
            Ok(client.query_one("SELECT identity::text FROM audience.catalogue", &[]).await?.get(0))
        })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    fn documents(&self, kind: DocumentKind, rows: &[tokio_postgres::Row]) -> Result<Vec<Document>> {
        let documents = rows.iter().map(|row| rows::document(kind, row));
        documents.collect::<Result<_, _>>().map_err(|BadBody(detail)| {
            let place = format!("the column `extra` of a {kind:?} in {}", self.database.place());
            StoreError::Corrupt { place, detail }
        })
    }
}

/// The newest version of the whole catalogue.
async fn newest(client: &mut Object) -> Result<Marked, tokio_postgres::Error> {
    notice::newest(client).await
}

/// A number of the catalogue as the tables have it. None is greater than the greatest there.
fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn refused(detail: String) -> StoreError {
    StoreError::Refused { action: WRITING, detail }
}

/// The statements for documents, if they can be put as that version.
fn edits_of(next: u64, documents: &[Document]) -> Result<Vec<DocumentStatements>> {
    let mut seen = BTreeSet::new();
    let edits = documents.iter().map(|document| {
        let what = || format!("{:?} {:.60}", document.kind, document.id);
        if document.catalogue_version != next {
            return Err(refused(format!("{} has version {}, not {next}", what(), document.catalogue_version)));
        }
        if !seen.insert((document.kind, &document.id)) {
            return Err(refused(format!("{} is given twice", what())));
        }
        DocumentStatements::of(document).map_err(|BadBody(detail)| refused(format!("the body of {}: {detail}", what())))
    });
    edits.collect()
}

impl CatalogueStore for PostgresCatalogue {
    fn version(&self) -> Result<u64> {
        let newest = self.database.read(READING, newest)?;
        self.notice.note(newest);
        Ok(newest.version)
    }

    /// Costs nothing for the version that was seen last.
    fn mark(&self, version: u64) -> Result<Option<u128>> {
        if let Marked { version: seen, mark: Some(mark) } = self.notice.seen()
            && seen == version
        {
            return Ok(Some(mark));
        }
        let mark = self.database.read(READING, async |client| {
            let mark = "SELECT mark::text FROM audience.catalogue_marks WHERE version = $1";
            Ok(client.query_opt(mark, &[&number(version)]).await?.map(|row| row.get::<_, String>(0)))
        })?;
        Ok(mark.as_deref().and_then(notice::mark_of))
    }

    fn raise(&self, least: u64) -> Result<u64> {
        self.database.write(WRITING, async |client, _| raise(client, least).await)?;
        self.version()
    }

    fn put_audited(&self, expected: u64, documents: &[Document], audit: Option<&Audit>) -> Result<bool> {
        // Whoever is late is told so, whatever else is wrong.
        let edits = edits_of(expected.saturating_add(1), documents);
        let expected = Some(self.notice.seen())
            .filter(|seen| seen.version == expected)
            .unwrap_or(Marked { version: expected, mark: None });
        let next = Marked { version: expected.version + 1, mark: Some(fastrand::u128(..)) };
        let put = self
            .database
            .write(WRITING, async |client, commit| put((client, commit), expected, next, edits, audit).await)?;
        if matches!(put, Ok(true)) {
            self.notice.note(next);
        }
        put
    }

    fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        if audit::asks_for_nul(filter) {
            // No text there holds it, so there is no such row.
            return Ok(Vec::new());
        }
        self.database.read("reading the audit log", async |client| audit::read(client, filter).await)
    }

    fn take_unannounced(&self, limit: usize, lease: Duration) -> Result<Vec<AuditRecord>> {
        self.database
            .write("reading the audit log", async |client, _| audit::take_unannounced(client, limit, lease).await)
    }

    fn mark_announced(&self, sequence: u64) -> Result<()> {
        self.database.write("noting what was told", async |client, _| audit::mark_announced(client, sequence).await)
    }

    fn at(&self, version: u64) -> Result<Vec<Document>> {
        let found = self.database.read(READING, async |client| {
            let reading = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
            let transaction = reading.start().await?;
            let mut found = Vec::new();
            for kind in rows::KINDS {
                let statement = transaction.prepare_cached(rows::newest_of(kind)).await?;
                found.push((kind, transaction.query(&statement, &[&number(version)]).await?));
            }
            transaction.commit().await?;
            Ok(found)
        })?;
        let mut documents = Vec::new();
        for (kind, rows) in found {
            documents.append(&mut self.documents(kind, &rows)?);
        }
        Ok(documents)
    }

    fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>> {
        if id.contains('\0') {
            // No text there holds it, so there is none of that id.
            return Ok(Vec::new());
        }
        let rows = self.database.read(READING, async |client| {
            let statement = client.prepare_cached(rows::history_of(kind)).await?;
            client.query(&statement, &[&id]).await
        })?;
        self.documents(kind, &rows)
    }

    fn forget_replaced_members(&self, version: u64) -> Result<()> {
        self.database.write("forgetting lists that were replaced", async |client, _| forget(client, version).await)
    }

    /// The server gives the room free by itself (autovacuum).
    fn purge(&self) -> Result<bool> {
        Ok(false)
    }

    fn wait_for_change(&self, known: u64, patience: Duration) -> Result<u64> {
        self.database.handle().block_on(self.notice.wait(known, patience)).ok_or_else(|| StoreError::Unavailable {
            action: "waiting for a change of the catalogue",
            detail: self.notice.fault().unwrap_or_default(),
        })
    }

    fn look(&self) -> Result<()> {
        self.version().map(drop)
    }

    fn fault(&self) -> Option<String> {
        self.notice.fault()
    }
}

/// Deletes the lists that a newer version at or below that one has replaced.
async fn forget(client: &mut Object, version: u64) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.query_one("SELECT set_config('audience.writer', 'forget', true)", &[]).await?;
    let delete = "DELETE FROM audience.static_member_versions old USING audience.static_member_versions newer
        WHERE NOT old.is_deleted AND newer.segment_id = old.segment_id
        AND newer.catalogue_version > old.catalogue_version AND newer.catalogue_version <= $1";
    transaction.execute(delete, &[&number(version)]).await?;
    transaction.commit().await
}

/// Takes the next version above the newest one and `least`, without documents.
async fn raise(client: &mut Object, least: u64) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let raise = "UPDATE audience.catalogue SET version = greatest(version, $1) + 1";
    transaction.execute(raise, &[&number(least)]).await?;
    transaction.execute("SELECT pg_notify('audience_catalogue', '')", &[]).await?;
    transaction.commit().await
}

/// Puts in one transaction; the row of the version is locked first.
async fn put(
    (client, commit): (&mut Object, &CommitNote),
    expected: Marked,
    next: Marked,
    edits: Result<Vec<DocumentStatements>>,
    audit: Option<&Audit>,
) -> Result<Result<bool>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let row = transaction.query_one(&format!("{} FOR UPDATE OF newest", notice::NEWEST), &[]).await?;
    let found = notice::marked(&row);
    if found.version != expected.version || (expected.mark.is_some() && found.mark != expected.mark) {
        return Ok(Ok(false));
    }
    let edits = match edits {
        Ok(edits) => edits,
        Err(error) => return Ok(Err(error)),
    };
    let audit = audit.filter(|audit| !audit.entries.is_empty());
    let said = audit.map(|audit| audit.author.as_str());
    let author = said.or_else(|| edits.iter().find_map(DocumentStatements::author)).unwrap_or_default();
    let is_audited = if audit.is_some() { "yes" } else { "" };
    let announce = "SELECT set_config('audience.writer', 'store', true), set_config('audience.actor', $1, true),
        set_config('audience.is_audited', $2, true), set_config('audience.mark', $3, true),
        audience.take_version()";
    let mark = next.mark.map(|mark| format!("{mark:032x}")).unwrap_or_default();
    transaction.query_one(announce, &[&author, &is_audited, &mark]).await?;
    for edit in &edits {
        edit.apply(&transaction).await?;
    }
    if let Some(audit) = audit {
        audit::write(&transaction, audit).await?;
    }
    commit.begin();
    transaction.commit().await?;
    Ok(Ok(true))
}
