//! The router: from a path and a method to a handler.

use std::sync::LazyLock;

use audience_auth::Needs;
use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::options::Scope;
use crate::problem::Problem;
use crate::resources::RESOURCES;
use crate::route::{Handler, Side};

/// A path with its methods.
pub(crate) struct PathNode {
    pub(crate) template: &'static str,
    pub(crate) side: Side,
    segments: Vec<&'static str>,
    methods: Vec<(Method, Needs, Handler)>,
}

impl PathNode {
    /// The needs and the handler of a method; HEAD is GET, of which hyper sends no body.
    pub(crate) fn handler(&self, method: &Method) -> Option<(Needs, Handler)> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find(|(taken, ..)| taken == method).map(|(_, needs, handler)| (*needs, *handler))
    }

    /// The methods for `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut names: Vec<_> = self.methods.iter().map(|(method, ..)| method.as_str()).collect();
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

static NODES: LazyLock<Vec<PathNode>> = LazyLock::new(nodes);

fn nodes() -> Vec<PathNode> {
    let mut nodes: Vec<PathNode> = Vec::new();
    for route in RESOURCES.iter().flat_map(|resource| resource.routes).copied().flatten() {
        let method = (route.method.clone(), route.needs, route.handler);
        match nodes.iter_mut().find(|node| node.template == route.template) {
            Some(node) => node.methods.push(method),
            None => nodes.push(PathNode {
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

/// Every method and path template with the needs of the route, for the checks of the description and of the door.
pub fn templates() -> Vec<(String, &'static str, Needs)> {
    let of_node = |node: &'static PathNode| {
        node.methods.iter().map(|(method, needs, _)| (method.to_string(), node.template, *needs))
    };
    NODES.iter().flat_map(of_node).collect()
}

/// The path's node among those that a listener offers.
pub(crate) fn find(scope: Scope, path: &str) -> Option<(&'static PathNode, Vec<&str>)> {
    let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let found = NODES.iter().find(|node| node.side.is_in(scope) && node.is_match(&segments));
    if let Some(node) = found {
        return Some((node, segments));
    }
    // Libraries that send events put paths together carelessly.
    segments.retain(|segment| !segment.is_empty());
    let is_ingest = |node: &&PathNode| node.side == Side::Ingestion && node.side.is_in(scope);
    let node = NODES.iter().filter(is_ingest).find(|node| node.is_match(&segments))?;
    Some((node, segments))
}

/// The values of the template's parameters, decoded.
pub(crate) fn parameters(node: &PathNode, segments: &[&str]) -> Result<Vec<String>, Problem> {
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
        for path in ["/v1/batch/", "//v1/batch", "/v1//batch//", "/v1/import/"] {
            assert_eq!(
                template(Scope::All, path),
                Some(if path.contains("import") { "/v1/import" } else { "/v1/batch" })
            );
        }
        assert_eq!(template(Scope::All, "/api//events/"), Some("/api/events"));
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
