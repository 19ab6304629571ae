//! A look at a server before a start. It changes nothing.

use crate::database::Database;
use crate::migrate::{self, Migration};
use crate::{PostgresError, PostgresSettings};

const LOOKING: &str = "looking at PostgreSQL";

/// A server as it stands before a start.
#[derive(Clone, Debug)]
pub struct PostgresInspection {
    /// The server's version, in its own words.
    pub version: String,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// True for a replica, which takes no writes.
    pub is_replica: bool,
    /// True for a user who may make tables.
    pub may_migrate: bool,
    /// The migrations that a start applies: all of them where there are no tables yet.
    pub pending: Vec<Migration>,
    /// The identity of the catalogue; none where there are no tables yet.
    pub identity: Option<String>,
}

/// Looks at a server. Costs a connection and four short queries. Fails where the server does not answer, lets the user not in,
/// or has tables of a newer program.
pub fn inspect(settings: &PostgresSettings) -> Result<PostgresInspection, PostgresError> {
    let database = Database::new(settings)?;
    database.greet()?;
    let server = database.read(LOOKING, async |client| {
        let facts = "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
                            pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE')";
        client.query_one(facts, &[]).await
    })?;
    let pending = migrate::pending_of(&database)?;
    let identity = database.read(LOOKING, async |client| {
        let is_there = client.query_one("SELECT to_regclass('audience.catalogue') IS NOT NULL", &[]).await?;
        if !is_there.get::<_, bool>(0) {
            return Ok(None);
        }
        let row = client.query_opt("SELECT identity::text FROM audience.catalogue", &[]).await?;
        Ok(row.map(|row| row.get(0)))
    })?;
    Ok(PostgresInspection {
        version: server.get(0),
        now_ms: server.get(1),
        is_replica: server.get(2),
        may_migrate: server.get(3),
        pending,
        identity,
    })
}
