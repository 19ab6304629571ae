//! Listeners and signals of a process that serves, from before its platform is started until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use audience_api::{ApiOptions, Door, Listen, Server};
use audience_auth::Auth;
use audience_protocol::Platform;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::{access, process_metrics};

/// How long requests under way are answered after a failure.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Listeners that answer. During a start they name what the process waits for: a process that waits for a server, or recovers
/// much, must not look dead.
pub(crate) struct Serving {
    door: Door,
    addresses: Vec<SocketAddr>,
    /// `http` or `https`.
    scheme: &'static str,
    /// The listeners; they are cut off with this.
    running: JoinSet<()>,
    stop: oneshot::Sender<()>,
    interrupt: Signal,
    terminate: Signal,
}

impl Serving {
    /// Binds the addresses, and answers.
    pub(crate) async fn begin(listen: &[Listen], options: ApiOptions) -> anyhow::Result<Serving> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let server = Server::bind_early(listen, options).await?;
        let (door, addresses) = (server.door(), server.addresses());
        let (stop, stopped) = oneshot::channel();
        let mut running = JoinSet::new();
        running.spawn(server.run(async { drop(stopped.await) }));
        Ok(Serving { door, addresses, scheme, running, stop, interrupt, terminate })
    }

    /// The door, through which the platforms of tenants come and go.
    pub(crate) fn door(&self) -> Door {
        self.door.clone()
    }

    /// The scheme of the listeners' addresses.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Runs a start on a thread for it, which may say what it waits for; `None` where a signal comes before its end. Nothing
    /// has been accepted by then, so that there is nothing to drain.
    pub(crate) async fn start<T, F>(&mut self, start: F) -> anyhow::Result<Option<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Door) -> anyhow::Result<T> + Send + 'static,
    {
        let door = self.door.clone();
        tokio::select! {
            started = tokio::task::spawn_blocking(move || start(&door)) => started.context("the start was interrupted")?.map(Some),
            _ = self.interrupt.recv() => Ok(None),
            _ = self.terminate.recv() => Ok(None),
        }
    }

    /// Serves a platform to those whom `auth` lets in; gives the addresses, with the ports that were free where port 0 was
    /// asked for.
    pub(crate) fn open(&self, platform: Platform, auth: Arc<Auth>) -> &[SocketAddr] {
        for address in self.addresses.iter().filter(|address| auth.is_open() && !address.ip().is_loopback()) {
            tracing::warn!(%address, "Other machines reach the listener, and nobody is asked to sign in");
        }
        access::tend(&auth);
        self.door.open(platform, auth);
        process_metrics::ready();
        &self.addresses
    }

    /// Serves until the first signal, and ends what is under way; the second ends the process.
    pub(crate) async fn until_told(self) {
        self.until(std::future::pending::<()>()).await;
    }

    /// Serves until the first signal or a failure, which is returned. What is under way then is answered; after a failure the
    /// time for it is short.
    pub(crate) async fn until<T>(mut self, failed: impl Future<Output = T>) -> Option<T> {
        let failure = tokio::select! {
            () = stop_signal(self.interrupt, self.terminate) => None,
            failure = failed => Some(failure),
        };
        let _ = self.stop.send(());
        let ended = async { while self.running.join_next().await.is_some() {} };
        match failure {
            None => ended.await,
            Some(_) => drop(tokio::time::timeout(LAST_ANSWERS, ended).await),
        }
        failure
    }
}

/// Ends with the first signal; the second ends the process.
fn stop_signal(mut interrupt: Signal, mut terminate: Signal) -> impl Future<Output = ()> {
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("The process stops after the requests that are under way; a second signal ends it at once");
        let _ = stop.send(());
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        #[expect(
            clippy::disallowed_methods,
            reason = "asked for by the second signal; everything accepted is durable"
        )]
        std::process::exit(130);
    });
    async { drop(stopped.await) }
}
