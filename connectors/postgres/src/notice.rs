//! Word of changes: a connection that listens.
//!
//! A notification only wakes: what counts is the version that is then read, and it is read now and then without one too.
//! So a notification that gets lost costs time, never a change.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::PostgresSettings;
use crate::connect::detail;
use crate::migrate::missing_tables;

/// Waits between attempts to connect: doubled from the one to the other.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The newest version of the catalogue and its mark; to be followed by a lock of the row `newest`.
pub(crate) const NEWEST: &str = "SELECT newest.version, marks.mark::text FROM audience.catalogue newest
    LEFT JOIN audience.catalogue_marks marks ON marks.version = newest.version";

/// A version of the catalogue, and its mark where that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked {
    /// The version.
    pub version: u64,
    /// Its mark.
    pub mark: Option<u128>,
}

/// The version that was seen last, and the fault of the server.
pub(crate) struct Notice {
    seen: watch::Sender<Marked>,
    fault: Mutex<Option<String>>,
}

impl Default for Notice {
    fn default() -> Notice {
        Notice { seen: watch::Sender::default(), fault: Mutex::new(None) }
    }
}

impl Notice {
    /// A version was seen. It may be lower than the one before, as where the database went back.
    pub(crate) fn note(&self, seen: Marked) {
        self.seen.send_if_modified(|known| std::mem::replace(known, seen) != seen);
    }

    /// The version that was seen last.
    pub(crate) fn seen(&self) -> Marked {
        *self.seen.borrow()
    }

    /// The fault of the server, if it has one.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Waits for another version than `known`, at most `patience`; gives the one seen last, or `None` where that may be old,
    /// for the server is away.
    pub(crate) async fn wait(&self, known: u64, patience: Duration) -> Option<u64> {
        let mut versions = self.seen.subscribe();
        if let Ok(Ok(seen)) = timeout(patience, versions.wait_for(|seen| seen.version != known)).await {
            return Some(seen.version);
        }
        let version = self.seen().version;
        self.fault.lock().is_none().then_some(version)
    }

    /// Listens for ever, on one connection after the other.
    pub(crate) async fn listen(
        self: Arc<Self>,
        connector: (Config, MakeRustlsConnect, String),
        settings: PostgresSettings,
    ) {
        let (config, tls, place) = connector;
        let mut wait = WAITS.0;
        loop {
            let Err(error) = self.listen_once(&config, &tls, &settings).await;
            let fault = format!("{place}: {error}");
            // Where it had been well until now, the next attempt is a first one.
            let was_well = self.fault.lock().replace(fault.clone()).is_none();
            wait = if was_well { WAITS.0 } else { (wait * 2).min(WAITS.1) };
            tracing::warn!(error = fault, next_attempt = ?wait, "The notifications of catalogue changes are interrupted, and the catalogue is polled");
            // Between half of it and all of it, so that processes that lost the server together come back apart.
            sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    async fn listen_once(
        &self,
        config: &Config,
        tls: &MakeRustlsConnect,
        settings: &PostgresSettings,
    ) -> Result<Infallible, String> {
        let connecting = timeout(settings.connect_timeout, config.connect(tls.clone()));
        let (client, connection) =
            connecting.await.map_err(|_| "no connection in time")?.map_err(|error| detail(&error))?;
        let woken = Arc::new(Notify::new());
        // Ends with this call: a set of tasks that is dropped aborts them.
        let mut tasks = JoinSet::new();
        tasks.spawn(drive::<MakeRustlsConnect>(connection, woken.clone()));
        ask(settings, client.batch_execute("LISTEN audience_catalogue")).await?;
        loop {
            self.note(ask(settings, newest(&client)).await?);
            // The version is read from a table that may be there where others are not.
            if let Some(missing) = ask(settings, missing_tables(&client)).await? {
                return Err(missing);
            }
            if self.fault.lock().take().is_some() {
                tracing::info!("The notifications of catalogue changes work again");
            }
            tokio::select! {
                () = woken.notified() => {}
                () = sleep(settings.poll_interval) => {}
                Some(ended) = tasks.join_next() => return Err(ended.unwrap_or_else(|error| error.to_string())),
            }
        }
    }
}

async fn ask<T>(
    settings: &PostgresSettings,
    asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, String> {
    let patience = settings.statement_timeout + settings.connect_timeout;
    timeout(patience, asking)
        .await
        .map_err(|_| format!("no answer within {patience:?}"))?
        .map_err(|error| detail(&error))
}

/// The newest version of the catalogue.
pub(crate) async fn newest(client: &Client) -> Result<Marked, tokio_postgres::Error> {
    let row = client.query_one(NEWEST, &[]).await?;
    Ok(marked(&row))
}

/// The row of [`NEWEST`].
pub(crate) fn marked(row: &Row) -> Marked {
    let mark: Option<String> = row.get(1);
    let version = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
    Marked { version, mark: mark.as_deref().and_then(mark_of) }
}

/// A mark as the database writes it.
pub(crate) fn mark_of(uuid: &str) -> Option<u128> {
    u128::from_str_radix(&uuid.replace('-', ""), 16).ok()
}

/// Drives a connection until it ends, and says why it did; each notification wakes.
async fn drive<T: MakeTlsConnect<Socket>>(mut connection: Connection<Socket, T::Stream>, woken: Arc<Notify>) -> String {
    poll_fn(|context| {
        loop {
            match std::task::ready!(connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notification(_))) => woken.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(detail(&error)),
                None => return Poll::Ready("the server closed the connection".to_owned()),
            }
        }
    })
    .await
}
