//! The door between the listeners and the API: before it opens, callers are told the reason of the wait.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audience_auth::Auth;
use audience_protocol::{Platform, Tenant};
use hyper::Method;
use tokio::sync::watch;
use warp::path::FullPath;
use warp::reply::Response;

use crate::api::Api;
use crate::cors::Cors;
use crate::dispatch;
use crate::guard;
use crate::operations::{health, metrics};
use crate::options::{ApiOptions, Scope};
use crate::problem::Problem;
use crate::request::IncomingRequest;
use crate::resources::DESCRIPTION;
use crate::route::Side;
use crate::router;

/// Lets requests through to a platform from the moment on at which it is open; until then whoever asks is told what is waited
/// for, and health is that of a process that lives and is not ready.
///
/// The platform is that of the tenant `default`; those of others come and go while it is open.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    api: OnceLock<Arc<Api>>,
    options: ApiOptions,
    waits_for: watch::Sender<String>,
}

impl Door {
    pub(crate) fn new(options: ApiOptions) -> Door {
        let waits_for = watch::Sender::new("it has just begun".to_owned());
        Door(Arc::new(Inner { api: OnceLock::new(), options, waits_for }))
    }

    /// Says what is waited for.
    pub fn wait_for(&self, what: impl Into<String>) {
        self.0.waits_for.send_replace(what.into());
    }

    /// Opens for good, to those whom `auth` lets in; called in a runtime. Where it is open already nothing happens.
    pub fn open(&self, platform: Platform, auth: Arc<Auth>) {
        self.0.api.get_or_init(|| Arc::new(Api::new(platform, auth, self.0.options.clone(), &DESCRIPTION)));
    }

    /// Opens to those whom `auth` lets in for another tenant, in place of a platform that the tenant had before; called in a
    /// runtime, once the door is open.
    pub fn open_tenant(&self, tenant: &Tenant, platform: Platform) {
        let Some(api) = self.api() else { return };
        api.auth.record_tenant_in(tenant, Some(Arc::clone(&platform.catalogue)));
        let before = api.tenants.put(tenant, Some(Arc::new(api.of_tenant(Some(tenant), platform))));
        end_streams(before, self.0.options.drain_timeout);
    }

    /// Shuts to a tenant: its requests are told to come again, and its streams end.
    pub fn close_tenant(&self, tenant: &Tenant) {
        let Some(api) = self.api() else { return };
        api.auth.record_tenant_in(tenant, None);
        end_streams(api.tenants.put(tenant, None), self.0.options.drain_timeout);
    }

    pub(crate) fn options(&self) -> &ApiOptions {
        &self.0.options
    }

    /// The API, once the door is open.
    pub(crate) fn api(&self) -> Option<&Arc<Api>> {
        self.0.api.get()
    }

    /// Answers a request.
    pub(crate) async fn answer(self, scope: Scope, path: FullPath, request: IncomingRequest) -> Response {
        let is_ingest = router::find(scope, path.as_str()).is_some_and(|(node, _)| node.side == Side::Ingestion);
        let cors = Cors::of(self.options(), is_ingest, &request.headers);
        let options = self.options();
        let promise = options.tls.as_ref().and_then(|_| guard::promise(options.tls_promise, &request.headers));
        let answer = match (cors.answer(&request.method, &request.headers), self.api()) {
            (Some(answer), _) => answer,
            (None, Some(api)) => cors.marked(dispatch::answer(Arc::clone(api), scope, path, request).await),
            (None, None) => cors.marked(self.not_yet(path.as_str(), &request.method)),
        };
        guard::guarded(answer, promise)
    }

    fn not_yet(&self, path: &str, method: &Method) -> Response {
        let waits_for = self.0.waits_for.borrow().clone();
        let open = || health::of_start(path, &waits_for).or_else(|| metrics::of_start(path, self.0.options.figures));
        let open = matches!(*method, Method::GET | Method::HEAD).then(open).flatten();
        let problem = || Problem::unavailable("starting", format!("the start is not done: {waits_for}"));
        open.unwrap_or_else(|| problem().into_response())
    }
}

/// Ends the streams of a platform that is there no more.
fn end_streams(api: Option<Arc<Api>>, patience: Duration) {
    if let Some(api) = api {
        tokio::spawn(async move { api.subscribers.close(patience).await });
    }
}
