//! A route: one method of one path with what its caller must be, and its handler; and a resource, which is a table of them with its description.

use std::sync::Arc;

use audience_auth::Needs;
use futures_util::future::BoxFuture;
use hyper::Method;

use crate::api::Api;
use crate::options::Scope;
use crate::problem::HandlerResult;
use crate::request::Call;

/// A handler, boxed so that all of them have one type.
pub(crate) type Handler = fn(Arc<Api>, Call) -> BoxFuture<'static, HandlerResult>;

/// The API that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Every listener, even when too many requests are under way.
    Every,
    /// The Segment API.
    Segments,
    /// The Event Ingestion API.
    Ingestion,
}

impl Side {
    pub(crate) fn is_in(self, scope: Scope) -> bool {
        match self {
            Side::Every => true,
            Side::Segments => matches!(scope, Scope::All | Scope::Segments),
            Side::Ingestion => matches!(scope, Scope::All | Scope::Ingestion),
        }
    }
}

/// A resource: its routes and its part of the description.
pub(crate) struct Resource {
    pub(crate) routes: &'static [&'static [Route]],
    /// `paths` and `components` of OpenAPI, as JSON.
    pub(crate) openapi: &'static str,
}

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) side: Side,
    pub(crate) needs: Needs,
    pub(crate) handler: Handler,
}

impl Route {
    pub(crate) const fn new(
        method: Method,
        template: &'static str,
        side: Side,
        needs: Needs,
        handler: Handler,
    ) -> Self {
        Route { method, template, side, needs, handler }
    }
}
