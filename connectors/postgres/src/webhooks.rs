//! Webhooks in SQL, beside the catalogue.

use audience_contract::{KEPT_ATTEMPTS, Result, WebhookStore};

use crate::PostgresCatalogue;

const READING: &str = "reading webhooks";
const WRITING: &str = "writing a webhook";

/// The number that the next attempt gets, behind the row that is locked by it.
const PUT: &str = "INSERT INTO audience.webhooks (id, body, attempts) VALUES ($1, $2::text::jsonb, $3)
    ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body, attempts = webhooks.attempts + EXCLUDED.attempts,
        updated_at = clock_timestamp()
    RETURNING attempts";
const ADD: &str = "INSERT INTO audience.webhook_attempts (webhook_id, number, body) VALUES ($1, $2, $3::text::jsonb)";
const FORGET: &str = "DELETE FROM audience.webhook_attempts WHERE webhook_id = $1 AND number <= $2";

impl WebhookStore for PostgresCatalogue {
    fn all(&self) -> Result<Vec<(String, String)>> {
        self.database().read(READING, async |client| {
            let rows = client.query("SELECT id, body::text FROM audience.webhooks ORDER BY id", &[]).await?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        })
    }

    fn put(&self, id: &str, webhook: &str, attempt: Option<&str>) -> Result<()> {
        let added = i64::from(attempt.is_some());
        let kept = i64::try_from(KEPT_ATTEMPTS).unwrap_or(i64::MAX);
        self.database().write(WRITING, async |client, commit| {
            let transaction = client.transaction().await?;
            let put = transaction.prepare_cached(PUT).await?;
            let number: i64 = transaction.query_one(&put, &[&id, &webhook, &added]).await?.get(0);
            if let Some(attempt) = attempt {
                let (add, forget) = (transaction.prepare_cached(ADD).await?, transaction.prepare_cached(FORGET).await?);
                transaction.execute(&add, &[&id, &number, &attempt]).await?;
                transaction.execute(&forget, &[&id, &(number - kept)]).await?;
            }
            commit.begin();
            transaction.commit().await
        })
    }

    fn attempts(&self, id: &str) -> Result<Vec<String>> {
        if id.contains('\0') {
            // No text there holds it, so there are none of that id.
            return Ok(Vec::new());
        }
        let read = "SELECT body::text FROM audience.webhook_attempts WHERE webhook_id = $1 ORDER BY number DESC";
        self.database().read(READING, async |client| {
            let statement = client.prepare_cached(read).await?;
            Ok(client.query(&statement, &[&id]).await?.iter().map(|row| row.get(0)).collect())
        })
    }

    fn delete(&self, id: &str) -> Result<()> {
        self.database().write("deleting a webhook", async |client, commit| {
            commit.begin();
            client.execute("DELETE FROM audience.webhooks WHERE id = $1", &[&id]).await.map(drop)
        })
    }
}
