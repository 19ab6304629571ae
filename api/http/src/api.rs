//! The context of handlers: the platform, with the HTTP side's own state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_auth::{Auth, Principal};
use audience_protocol::{AuditNote, Platform, Tenant};
use bytes::Bytes;
use futures_util::future::join_all;
use hyper::header::HeaderMap;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Span;

use crate::body::Media;
use crate::body_memory::BodyMemory;
use crate::call_body::{self, BodyBounds, CallBody};
use crate::forward::RemoteEngine;
use crate::idempotency::Idempotency;
use crate::metrics::HttpMetrics;
use crate::options::ApiOptions;
use crate::pace::Pace;
use crate::problem::Problem;
use crate::subscribers::Subscribers;
use crate::tenants::TenantApis;

/// Exports of users at a time.
const EXPORTS: usize = 4;
/// Attempts to sign in at a time, those that are slowed down too.
const SIGN_INS: usize = 64;
/// Explanations at a time.
const EXPLANATIONS: usize = 4;
/// Lists of members that are read and taken in at a time: a list takes some ten times its body.
const IMPORTS: usize = 2;
/// Previews under way at a time, those that wait in the engine too.
const PREVIEWS: usize = 32;

/// The platform of one tenant with what the HTTP side keeps beside it. A handler is given that of its caller's tenant, and so
/// reaches no other.
pub(crate) struct Api {
    /// The tenant, unless it is `default` or its engine is elsewhere.
    pub(crate) tenant: Option<Tenant>,
    pub(crate) platform: Platform,
    pub(crate) auth: Arc<Auth>,
    pub(crate) options: ApiOptions,
    pub(crate) metrics: HttpMetrics,
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) draining: Arc<AtomicBool>,
    /// Places for exports: each holds a user's history for a while.
    pub(crate) exports: Arc<Semaphore>,
    /// Places for explanations, for the same reason; what finds none waits.
    pub(crate) explanations: Arc<Semaphore>,
    /// Places for previews.
    pub(crate) previews: Arc<Semaphore>,
    /// Places for lists of members; what finds none waits.
    pub(crate) imports: Arc<Semaphore>,
    /// The memory of all bodies together.
    pub(crate) memory: Arc<BodyMemory>,
    /// Places for passwords: what is slowed down or hashed takes none from other requests.
    pub(crate) sign_ins: Arc<Semaphore>,
    pub(crate) subscribers: Subscribers,
    /// The description of the whole API, as JSON.
    pub(crate) description: &'static str,
    /// Places for requests that are worked on.
    pub(crate) requests: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    pub(crate) engine: Option<RemoteEngine>,
    /// The same of the other tenants, for the way of a request and for operators.
    pub(crate) tenants: TenantApis<Api>,
}

impl Api {
    pub(crate) fn new(platform: Platform, auth: Arc<Auth>, options: ApiOptions, description: &'static str) -> Self {
        auth.record_in(Arc::clone(&platform.catalogue));
        let metrics = HttpMetrics::new();
        Api {
            tenant: None,
            subscribers: Subscribers::new(&*platform.changes, &options),
            description,
            platform,
            auth,
            imports: Arc::new(Semaphore::new(IMPORTS)),
            memory: BodyMemory::new(options.max_body_memory, metrics.body_bytes()),
            metrics,
            idempotency: Arc::new(Idempotency::new(&options)),
            draining: Arc::new(AtomicBool::new(false)),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            previews: Arc::new(Semaphore::new(PREVIEWS)),
            sign_ins: Arc::new(Semaphore::new(SIGN_INS)),
            explanations: Arc::new(Semaphore::new(EXPLANATIONS)),
            requests: Arc::new(Semaphore::new(options.max_requests)),
            blocking: Arc::new(Semaphore::new(options.max_requests)),
            tenants: TenantApis::default(),
            engine: options.engine.clone().map(|engine| RemoteEngine::new(engine, options.engine_tls.clone())),
            options,
        }
    }

    /// The same for the platform of another tenant. Members, places and memory are those of the process; streams, kept answers
    /// and figures are the tenant's own.
    pub(crate) fn of_tenant(&self, tenant: Option<&Tenant>, platform: Platform) -> Api {
        Api {
            tenant: tenant.cloned(),
            subscribers: Subscribers::new(&*platform.changes, &self.options),
            description: self.description,
            platform,
            auth: Arc::clone(&self.auth),
            imports: Arc::clone(&self.imports),
            memory: Arc::clone(&self.memory),
            metrics: HttpMetrics::new(),
            idempotency: Arc::new(Idempotency::new(&self.options)),
            draining: Arc::clone(&self.draining),
            exports: Arc::clone(&self.exports),
            previews: Arc::clone(&self.previews),
            sign_ins: Arc::clone(&self.sign_ins),
            explanations: Arc::clone(&self.explanations),
            requests: Arc::clone(&self.requests),
            blocking: Arc::clone(&self.blocking),
            tenants: TenantApis::default(),
            engine: self.engine.clone(),
            options: self.options.clone(),
        }
    }

    /// Ends the streams of all tenants.
    pub(crate) async fn close_streams(&self, patience: Duration) {
        let others = self.tenants.all();
        let others = others.iter().map(|(_, api)| api.subscribers.close(patience));
        tokio::join!(self.subscribers.close(patience), join_all(others));
    }

    /// Runs what may block on a thread for it. At the time limit the client gets 503, while the work goes on to its
    /// end, and holds its place.
    pub(crate) async fn blocking<T, E, F>(self: &Arc<Self>, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem>,
        F: FnOnce(&Api) -> Result<T, E> + Send + 'static,
    {
        let (api, span) = (Arc::clone(self), Span::current());
        let task = async move {
            let permit = Arc::clone(&api.blocking).acquire_owned().await.map_err(|_| Problem::internal())?;
            let run = move || {
                let _permit = permit;
                span.in_scope(|| work(&api).map_err(Into::into))
            };
            // The task ends without a result only where the work panicked; the panic is in the log.
            tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(Problem::internal()))
        };
        let late = || Problem::unavailable("timeout", "no answer within the time limit; it may still come to pass");
        tokio::time::timeout(self.options.request_timeout, task).await.unwrap_or_else(|_| Err(late()))
    }

    /// Records that data leave, before they do.
    pub(crate) async fn note_export(&self, principal: &Principal, note: AuditNote) {
        let (auth, caller) = (Arc::clone(&self.auth), principal.caller().clone());
        // It ends without a result only where it panicked; the panic is in the log.
        let _ = tokio::task::spawn_blocking(move || auth.record(&caller, note)).await;
    }

    /// The body of a call as a whole.
    pub(crate) async fn body(&self, headers: &HeaderMap, body: CallBody) -> Result<Bytes, Problem> {
        self.body_within(headers, body, self.options.max_body_bytes).await
    }

    /// The same, of at most so many bytes.
    pub(crate) async fn body_within(
        &self,
        headers: &HeaderMap,
        body: CallBody,
        limit: usize,
    ) -> Result<Bytes, Problem> {
        let (pace, memory, closing) = (self.pace(), self.memory.hold(), self.subscribers.closing());
        call_body::whole(headers, body, BodyBounds { limit, pace, memory, closing }).await
    }

    /// The pace of a body from now on.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.options.body_window, self.options.min_body_rate, Instant::now())
    }

    /// A body that may be left out; what it is said to be is looked at only where there is one.
    pub(crate) async fn optional_json(&self, headers: &HeaderMap, body: CallBody) -> Result<Bytes, Problem> {
        let body = self.body(headers, body).await?;
        if !body.is_empty() {
            Media::of(headers, &[Media::Json])?;
        }
        Ok(body)
    }

    /// Returns whether the server is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
