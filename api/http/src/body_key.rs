//! Write keys in bodies: PostHog's libraries and those for browsers have no header for them.
//!
//! The body of a request is read before its caller is known only where callers must sign in, on the paths of those libraries, and
//! where nothing else of the request shows a key. It is bounded like every body.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE};

use crate::admission::key_in_query;
use crate::api::Api;
use crate::call_body::CallBody;
use crate::json;
use crate::problem::Problem;
use crate::request::IncomingRequest;
use crate::work_place::WorkPlace;

/// The members that hold a key.
const MEMBERS: [&str; 3] = ["writeKey", "api_key", "token"];

/// Returns whether the libraries that send to a path have their key in the body.
pub(crate) fn may_hold_key(template: &str) -> bool {
    template.starts_with("/v1/") || matches!(template, "/batch" | "/capture")
}

/// The key in the body of a request that shows none elsewhere, where it is asked for. The request keeps its body, unpacked.
pub(crate) async fn taken(
    api: &Arc<Api>,
    template: &str,
    request: &mut IncomingRequest,
) -> Result<Option<String>, Problem> {
    let shows_key = [AUTHORIZATION, COOKIE].iter().any(|name| request.headers.contains_key(name))
        || key_in_query(&request.query).is_some();
    if api.auth.is_open() || shows_key || request.method != Method::POST || !may_hold_key(template) {
        return Ok(None);
    }
    let place = WorkPlace::take(&api.requests)?;
    let parts = std::mem::replace(&mut request.body, stream::empty().boxed());
    let body = api.body(&request.headers, CallBody { parts, place }).await?;
    let key = key_of(&body);
    request.headers.remove(CONTENT_ENCODING);
    request.headers.remove(CONTENT_LENGTH);
    request.body = stream::once(async move { Ok(body) }).boxed();
    Ok(key)
}

/// The key that an object has, if the body is one.
fn key_of(body: &[u8]) -> Option<String> {
    let start = json::skip_space(body, 0);
    if body.get(start) != Some(&b'{') {
        return None;
    }
    let (members, _) = json::members(body, start).ok()?;
    let is_key = |member: &&json::JsonMember| MEMBERS.iter().any(|name| json::is_key(body, member, name));
    serde_json::from_slice(&body[members.iter().find(is_key)?.value.clone()]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_bodies() {
        assert_eq!(key_of(br#" {"batch":[],"api_key":"amw_1"}"#).as_deref(), Some("amw_1"));
        assert_eq!(key_of(br#"{"write\u004bey":"amw_2"}"#).as_deref(), Some("amw_2"));
        for none in [&br#"{"api_key":7}"#[..], b"{\"batch\":[{\"api_key\":\"x\"}]}", b"[]", b"", b"{"] {
            assert_eq!(key_of(none), None);
        }
        assert!(may_hold_key("/v1/t") && may_hold_key("/batch") && !may_hold_key("/api/events"));
    }
}
