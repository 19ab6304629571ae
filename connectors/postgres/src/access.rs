//! Documents of access in SQL, beside the catalogue.

use audience_contract::{AccessChange, AccessDocument, AccessStore, Result};

use crate::PostgresCatalogue;

const READING: &str = "reading members and keys";

/// Takes the next revision, and with it the lock under which nobody else writes.
const TAKE: &str = "UPDATE audience.access_revision SET revision = revision + 1 WHERE revision = $1";
const PUT: &str = "INSERT INTO audience.access_documents (kind, id, body) VALUES ($1, $2, $3::text::jsonb)
    ON CONFLICT (kind, id) DO UPDATE SET body = EXCLUDED.body, updated_at = clock_timestamp()";
const DELETE: &str = "DELETE FROM audience.access_documents WHERE kind = $1 AND id = $2";
/// One statement sees one state.
const ALL: &str = "SELECT revision, kind, id, body::text FROM audience.access_revision
    LEFT JOIN audience.access_documents ON true ORDER BY kind, id";

impl AccessStore for PostgresCatalogue {
    fn revision(&self) -> Result<u64> {
        self.database().read(READING, async |client| {
            let row = client.query_one("SELECT revision FROM audience.access_revision", &[]).await?;
            Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
        })
    }

    fn all(&self) -> Result<(u64, Vec<AccessDocument>)> {
        self.database().read(READING, async |client| {
            let rows = client.query(ALL, &[]).await?;
            let revision = rows.first().map_or(0, |row| row.get::<_, i64>(0));
            let document = |row: &tokio_postgres::Row| {
                let kind: Option<String> = row.get(1);
                Some(AccessDocument { kind: kind?, id: row.get(2), body: row.get(3) })
            };
            Ok((u64::try_from(revision).unwrap_or_default(), rows.iter().filter_map(document).collect()))
        })
    }

    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool> {
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        self.database().write("writing members and keys", async |client, commit| {
            let transaction = client.transaction().await?;
            if transaction.execute(TAKE, &[&expected]).await? == 0 {
                return Ok(false);
            }
            let (put, delete) = (transaction.prepare_cached(PUT).await?, transaction.prepare_cached(DELETE).await?);
            for AccessChange { kind, id, body } in changes {
                match body {
                    Some(body) => transaction.execute(&put, &[kind, id, body]).await?,
                    None => transaction.execute(&delete, &[kind, id]).await?,
                };
            }
            commit.begin();
            transaction.commit().await.map(|()| true)
        })
    }
}
