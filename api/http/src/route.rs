//! Which handler answers a path and method.

use std::sync::{Arc, LazyLock};

use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::HeaderMap;
use percent_encoding::percent_decode_str;
use warp::reply::Response;

use crate::api::Api;
use crate::body::Parts;
use crate::options::Scope;
use crate::problem::Problem;
use crate::{
    audit, catalogue, docs, events, health, live, members, metrics, preview, segment_compat, segment_history,
    segment_templates, segments, sizes, traits, users, webhooks,
};

/// What a handler gives.
pub(crate) type Answer = Result<Response, Problem>;

/// A handler, boxed so that all of them have one type.
pub(crate) type Handler = fn(Arc<Api>, Call) -> BoxFuture<'static, Answer>;

/// Who offers a path.
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
    fn is_in(self, scope: Scope) -> bool {
        match self {
            Side::Every => true,
            Side::Segments => matches!(scope, Scope::All | Scope::Segments),
            Side::Ingestion => matches!(scope, Scope::All | Scope::Ingestion),
        }
    }
}

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Route {
    method: Method,
    template: &'static str,
    side: Side,
    handler: Handler,
}

impl Route {
    pub(crate) const fn new(method: Method, template: &'static str, side: Side, handler: Handler) -> Self {
        Route { method, template, side, handler }
    }
}

/// A request on its way to its handler.
pub(crate) struct Call {
    pub(crate) parameters: Vec<String>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Parts,
    /// Where a WebSocket is asked for.
    pub(crate) upgrade: Option<warp::ws::Ws>,
}

impl Call {
    /// The first parameter of the path, which its template has.
    pub(crate) fn take_id(&mut self) -> String {
        if self.parameters.is_empty() { String::new() } else { self.parameters.swap_remove(0) }
    }
}

/// A path with its methods.
pub(crate) struct Node {
    pub(crate) template: &'static str,
    pub(crate) side: Side,
    segments: Vec<&'static str>,
    methods: Vec<(Method, Handler)>,
}

impl Node {
    /// The handler of a method; HEAD is GET, of which hyper sends no body.
    pub(crate) fn handler(&self, method: &Method) -> Option<Handler> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find(|(taken, _)| taken == method).map(|(_, handler)| *handler)
    }

    /// The methods for `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut names: Vec<_> = self.methods.iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.join(", ")
    }

    fn is_match(&self, path: &[&str]) -> bool {
        let fits =
            |(wanted, found): (&&str, &&str)| if is_parameter(wanted) { !found.is_empty() } else { wanted == found };
        self.segments.len() == path.len() && self.segments.iter().zip(path).all(fits)
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

static NODES: LazyLock<Vec<Node>> = LazyLock::new(nodes);

fn nodes() -> Vec<Node> {
    let tables = [
        users::ROUTES,
        events::ROUTES,
        segment_compat::ROUTES,
        segments::ROUTES,
        members::ROUTES,
        preview::ROUTES,
        traits::ROUTES,
        catalogue::ROUTES,
        segment_history::ROUTES,
        segment_templates::ROUTES,
        audit::ROUTES,
        sizes::ROUTES,
        webhooks::ROUTES,
        live::EVENT_ROUTES,
        live::SOCKET_ROUTES,
        live::SIZE_ROUTES,
        health::ROUTES,
        metrics::ROUTES,
        docs::ROUTES,
        crate::people::ROUTES,
        crate::explain::ROUTES,
    ];
    let mut nodes: Vec<Node> = Vec::new();
    for route in tables.into_iter().flatten() {
        let method = (route.method.clone(), route.handler);
        match nodes.iter_mut().find(|node| node.template == route.template) {
            Some(node) => node.methods.push(method),
            None => nodes.push(Node {
                template: route.template,
                side: route.side,
                segments: route.template.split('/').skip(1).collect(),
                methods: vec![method],
            }),
        }
    }
    // Where a word and a parameter both fit, the word goes first. The sort is stable.
    nodes.sort_by_key(|node| node.segments.iter().map(|segment| is_parameter(segment)).collect::<Vec<_>>());
    nodes
}

/// Every method and path template, for the check of the description.
pub fn templates() -> Vec<(String, &'static str)> {
    let pairs = |node: &'static Node| node.methods.iter().map(|(method, _)| (method.to_string(), node.template));
    NODES.iter().flat_map(pairs).collect()
}

/// The path's node among those that a listener offers.
pub(crate) fn find(scope: Scope, path: &str) -> Option<(&'static Node, Vec<&str>)> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let node = NODES.iter().find(|node| node.side.is_in(scope) && node.is_match(&segments))?;
    Some((node, segments))
}

/// The values of the template's parameters, decoded.
pub(crate) fn parameters(node: &Node, segments: &[&str]) -> Result<Vec<String>, Problem> {
    let raw = node.segments.iter().zip(segments).filter(|(wanted, _)| is_parameter(wanted)).map(|(_, found)| *found);
    let decode = |found: &str| match percent_decode_str(found).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Problem::bad_request("invalid_path", "the path is no percent-encoded UTF-8")),
    };
    raw.map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(scope: Scope, path: &str) -> Option<&'static str> {
        find(scope, path).map(|(node, _)| node.template)
    }

    #[test]
    fn paths() {
        assert_eq!(template(Scope::All, "/api/segments"), Some("/api/segments"));
        assert_eq!(template(Scope::All, "/api/segments/a%2Fb"), Some("/api/segments/{id}"));
        assert_eq!(template(Scope::All, "/api/users/u/segments"), Some("/api/users/{id}/segments"));
        assert_eq!(template(Scope::All, "/"), Some("/"));
        for unknown in
            ["", "*", "/api", "/api/users//segments", "/api/segments/", "//api/segments", "/api/segments/a/b/c"]
        {
            assert_eq!(template(Scope::All, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn sides() {
        assert_eq!(template(Scope::Ingestion, "/api/segments"), None);
        assert_eq!(template(Scope::Segments, "/api/events"), None);
        assert_eq!(template(Scope::Health, "/api/events").or(template(Scope::Health, "/api/segments")), None);
        for scope in [Scope::All, Scope::Segments, Scope::Ingestion, Scope::Health] {
            assert_eq!(template(scope, "/health/live"), Some("/health/live"));
        }
    }

    #[test]
    fn decoded() {
        let (node, segments) = find(Scope::All, "/api/users/a%2Fb%20%C3%A9%00/segments").unwrap();
        assert_eq!(parameters(node, &segments).unwrap(), ["a/b é\0"]);
        let (node, segments) = find(Scope::All, "/api/users/%FF/segments").unwrap();
        assert_eq!(parameters(node, &segments).unwrap_err().code, "invalid_path");
    }
}
