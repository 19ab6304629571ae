//! The tables, made and changed by numbered scripts; which of them were applied is in a table of their own.

use audience_contract::Result;
use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_64;

use crate::database::Database;
use crate::{PostgresError, PostgresSettings};

const MIGRATING: &str = "migrating the schema audience";
/// The key of the advisory lock under which one process at a time migrates: "audience" in ASCII.
const LOCK: i64 = 0x6175_6469_656e_6365;

/// A script that brings the tables one version on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// 1 for the first.
    pub number: i32,
    /// Its name.
    pub name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 9] = [
    Migration { number: 1, name: "catalogue", sql: include_str!("../migrations/0001_catalogue.sql") },
    Migration { number: 2, name: "operations", sql: include_str!("../migrations/0002_operations.sql") },
    Migration { number: 3, name: "audit", sql: include_str!("../migrations/0003_audit.sql") },
    Migration { number: 4, name: "webhooks", sql: include_str!("../migrations/0004_webhooks.sql") },
    Migration { number: 5, name: "telling", sql: include_str!("../migrations/0005_telling.sql") },
    Migration { number: 6, name: "access", sql: include_str!("../migrations/0006_access.sql") },
    Migration { number: 7, name: "trait notes", sql: include_str!("../migrations/0007_trait_notes.sql") },
    Migration { number: 8, name: "marks", sql: include_str!("../migrations/0008_marks.sql") },
    Migration { number: 9, name: "settings", sql: include_str!("../migrations/0009_settings.sql") },
];

impl Migration {
    fn checksum(&self) -> String {
        format!("{:016x}", xxh3_64(self.sql.as_bytes()))
    }

    /// The tables that it makes, with their schema.
    fn tables(&self) -> impl Iterator<Item = &'static str> {
        self.sql.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split_whitespace().next())
    }
}

/// Makes or changes the tables, all or nothing; gives what was applied, which is nothing where they are as they should be.
/// If several processes do so at once, one does it and the others wait.
pub fn migrate(settings: &PostgresSettings) -> Result<Vec<Migration>, PostgresError> {
    let database = Database::new(settings)?;
    database.greet()?;
    apply(&database)
}

pub(crate) fn apply(database: &Database) -> Result<Vec<Migration>, PostgresError> {
    if pending_of(database)?.is_empty() {
        return Ok(Vec::new());
    }
    database.write(MIGRATING, async |client, _| apply_pending(client).await)?
}

/// The migrations that are not applied yet. An error where tables are missing that were made, or a newer program made some.
pub(crate) fn pending_of(database: &Database) -> Result<Vec<Migration>, PostgresError> {
    let applied = database.read(MIGRATING, async |client| applied(client).await)?;
    let missing = database.read(MIGRATING, async |client| missing(client, applied.len()).await)?;
    match missing {
        Some(missing) => Err(PostgresError::Schema(missing)),
        None => Ok(pending(&applied)?.to_vec()),
    }
}

/// Number and checksum of those applied. Needs no rights to make anything.
async fn applied(client: &Object) -> Result<Vec<(i32, String)>, tokio_postgres::Error> {
    let is_there = client.query_one("SELECT to_regclass('audience.migrations') IS NOT NULL", &[]).await?;
    if !is_there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query("SELECT number, checksum FROM audience.migrations ORDER BY number", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Which tables of the first migrations are not there, in words.
async fn missing(client: &Client, migrations: usize) -> Result<Option<String>, tokio_postgres::Error> {
    let tables: Vec<&str> = MIGRATIONS.iter().take(migrations).flat_map(Migration::tables).collect();
    let missing = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL ORDER BY name";
    let rows = client.query(missing, &[&tables]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!names.is_empty()).then(|| format!("tables that were made are missing: {}", names.join(", "))))
}

/// The same of all migrations, for who has them applied.
pub(crate) async fn missing_tables(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    missing(client, MIGRATIONS.len()).await
}

fn pending(applied: &[(i32, String)]) -> Result<&'static [Migration], PostgresError> {
    for (number, checksum) in applied {
        let known = MIGRATIONS.iter().find(|migration| migration.number == *number);
        let known = known.ok_or_else(|| {
            PostgresError::Schema(format!("they have migration {number}, which is of a newer program"))
        })?;
        if known.checksum() != *checksum {
            let detail = format!("migration {number} ({}) is not the one that was applied", known.name);
            return Err(PostgresError::Schema(detail));
        }
    }
    // A transaction applies all that is missing, so those applied are the first ones.
    Ok(MIGRATIONS.get(applied.len()..).unwrap_or_default())
}

async fn apply_pending(client: &mut Object) -> Result<Result<Vec<Migration>, PostgresError>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS audience;
         CREATE TABLE IF NOT EXISTS audience.migrations (
             number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
             applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        )
        .await?;
    let rows = transaction.query("SELECT number, checksum FROM audience.migrations ORDER BY number", &[]).await?;
    let applied: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let pending = match pending(&applied) {
        Ok(pending) => pending,
        Err(error) => return Ok(Err(error)),
    };
    for migration in pending {
        apply_one(&transaction, migration).await?;
    }
    transaction.commit().await?;
    Ok(Ok(pending.to_vec()))
}

async fn apply_one(transaction: &Transaction<'_>, migration: &Migration) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(migration.sql).await?;
    let note = "INSERT INTO audience.migrations (number, name, checksum) VALUES ($1, $2, $3)";
    transaction.execute(note, &[&migration.number, &migration.name, &migration.checksum()]).await?;
    tracing::info!(number = migration.number, name = migration.name, "The tables in PostgreSQL were migrated");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_follows_what_was_applied() {
        let all: Vec<(i32, String)> = MIGRATIONS.iter().map(|one| (one.number, one.checksum())).collect();
        assert_eq!(pending(&[]).unwrap(), &MIGRATIONS[..]);
        assert_eq!(pending(&all[..1]).unwrap(), &MIGRATIONS[1..]);
        assert_eq!(pending(&all).unwrap(), &[]);
        let newer = [all.clone(), vec![(99, String::new())]].concat();
        assert!(pending(&newer).is_err_and(|error| error.to_string().contains("newer program")));
        assert!(pending(&[(1, "changed".to_owned())]).is_err_and(|error| error.to_string().contains("migration 1")));
        assert!(MIGRATIONS.iter().zip(1..).all(|(one, number)| one.number == number), "in order, none left out");
    }
}
