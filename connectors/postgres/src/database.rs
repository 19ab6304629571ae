//! Calls that block, on a pool of connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{Result, StoreError};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::connect::{detail, place, store_error, tls};
use crate::{PostgresError, PostgresSettings};

/// The number of retries of a call on another connection.
const ATTEMPTS: usize = 2;

/// A call that failed.
enum CallFailure {
    /// The connection was lost.
    Lost(StoreError),
    /// There was no answer in time.
    Silent(StoreError),
    /// Otherwise.
    Other(StoreError),
}

impl CallFailure {
    fn into_error(self) -> StoreError {
        let (CallFailure::Lost(error) | CallFailure::Silent(error) | CallFailure::Other(error)) = self;
        error
    }
}

/// A note that a call has begun to commit.
#[derive(Debug, Default)]
pub(crate) struct CommitNote(AtomicBool);

impl CommitNote {
    /// Notes that the next statement commits.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns whether the server says that it ends the connection, which comes before the connection is seen to be closed.
fn is_farewell(error: &tokio_postgres::Error) -> bool {
    let farewells = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
    error.code().is_some_and(|code| farewells.contains(code))
}

/// Returns whether the server refuses this user or password, or has no such database.
fn is_rejection(error: &tokio_postgres::Error) -> bool {
    let rejections =
        [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::INVALID_CATALOG_NAME];
    error.code().is_some_and(|code| rejections.contains(code))
}

/// A server: a pool of connections, and a runtime that drives them.
pub(crate) struct Database {
    pool: Pool,
    /// The time that a call may take beyond the server's own limit.
    patience: Duration,
    place: String,
    config: Config,
    tls: MakeRustlsConnect,
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Database {
    /// Reads the settings; connects to nothing yet.
    pub(crate) fn new(settings: &PostgresSettings) -> Result<Database, PostgresError> {
        let config = settings.config()?;
        let tls = tls(&config, settings.ca_file.as_deref())?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build()?;
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), manager_config);
        let pool = Pool::builder(manager)
            .max_size(settings.connections.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(settings.statement_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(|error| PostgresError::Settings(error.to_string()))?;
        let patience = settings.statement_timeout + settings.connect_timeout;
        let (place, handle) = (place(&config), runtime.handle().clone());
        Ok(Database { pool, patience, place, config, tls, handle, runtime: Some(runtime) })
    }

    /// Connects, so that a server that will never let anyone in with these settings is told from one that is away.
    pub(crate) fn greet(&self) -> Result<(), PostgresError> {
        match self.handle.block_on(self.pool.get()) {
            Ok(_) => Ok(()),
            Err(PoolError::Backend(error)) if is_rejection(&error) => {
                Err(PostgresError::Rejected(format!("{}: {}", self.place, detail(&error))))
            }
            Err(error) => Err(self.no_connection("connecting", &error).into()),
        }
    }

    /// The runtime.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The way to connect, for users of a connection of their own.
    pub(crate) fn connector(&self) -> (Config, MakeRustlsConnect, String) {
        (self.config.clone(), self.tls.clone(), self.place.clone())
    }

    /// Host, port and database, for people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Does something that may be done again: it is, where a connection turns out to be one that the server has closed.
    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        mut work: impl AsyncFnMut(&mut Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        self.handle.block_on(async {
            let mut attempts = 0;
            loop {
                match self.call(action, &mut work).await {
                    Err(CallFailure::Lost(_)) if attempts < ATTEMPTS => attempts += 1,
                    done => return done.map_err(CallFailure::into_error),
                }
                // The others are likely of the same server that is gone.
                self.pool.retain(|_, _| false);
            }
        })
    }

    /// Does something once. `work` notes that it is about to commit: a connection that is lost, or silent, from then on leaves open
    /// whether it came to pass.
    pub(crate) fn write<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Object, &CommitNote) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        let commit = CommitNote::default();
        let written = self.handle.block_on(self.call(action, async |client| work(client, &commit).await));
        written.map_err(|failure| match failure {
            CallFailure::Lost(StoreError::Unavailable { action, detail })
            | CallFailure::Silent(StoreError::Unavailable { action, detail })
                if commit.is_begun() =>
            {
                StoreError::Unknown { action, detail }
            }
            failure => failure.into_error(),
        })
    }

    async fn call<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, CallFailure> {
        let mut client =
            self.pool.get().await.map_err(|error| CallFailure::Other(self.no_connection(action, &error)))?;
        match tokio::time::timeout(self.patience, work(&mut client)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if client.is_closed() || error.is_closed() || is_farewell(&error) => {
                drop(Object::take(client));
                Err(CallFailure::Lost(store_error(action, &self.place, &error)))
            }
            Ok(Err(error)) => Err(CallFailure::Other(store_error(action, &self.place, &error))),
            Err(_) => {
                // The server may still be at it: that connection is of no use to others.
                drop(Object::take(client));
                let detail = format!("{}: no answer within {:?}", self.place, self.patience);
                Err(CallFailure::Silent(StoreError::Unavailable { action, detail }))
            }
        }
    }

    fn no_connection(&self, action: &'static str, error: &PoolError) -> StoreError {
        let detail = match error {
            PoolError::Backend(error) => return store_error(action, &self.place, error),
            PoolError::Timeout(_) => format!("{}: no connection in time ({error})", self.place),
            _ => format!("{}: {error}", self.place),
        };
        StoreError::Unavailable { action, detail }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Waits for nothing: a connection may be in the middle of a call to a server that is away.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
