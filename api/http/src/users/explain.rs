//! `/api/users/{id}/segments/{segmentId}/explain`: why a user is in a segment, or is not.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_rules::time::{parse_rfc3339, parse_time};
use audience_rules::value::Value;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const PII: Needs = Needs::Permission(Permission::PiiRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/users/{id}/segments/{segmentId}/explain", Side::Segments, PII, |api, call| {
        Box::pin(explain(api, call))
    })];

/// Some at a time, as each holds a history; the others wait, for a page asks for those of all segments at once.
async fn explain(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let at = match Query::read(&call.query).one("at")? {
        Some(text) => Some(instant(text)?),
        None => None,
    };
    let place = tokio::time::timeout(api.options.request_timeout, Arc::clone(&api.explanations).acquire_owned()).await;
    let Ok(Ok(place)) = place else { return Err(Problem::busy(1)) };
    let segment = call.parameters.pop().unwrap_or_default();
    let user = call.take_id();
    let answer = api.blocking(move |api| {
        let _place = place;
        api.platform.users.explain(&user, &segment, at)
    });
    Ok(reply::json(StatusCode::OK, &answer.await?))
}

/// RFC 3339, or epoch milliseconds.
fn instant(text: &str) -> Result<i64, Problem> {
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let of_number = |number: i64| parse_time(&Value::Number(audience_rules::decimal::Decimal::from_integer(number)));
    let time = number.map_or_else(|| parse_rfc3339(text), of_number);
    let fault = "at is RFC 3339 text with an offset, or whole epoch milliseconds, from 1900 to 2199";
    time.ok_or_else(|| Problem::bad_request("invalid_parameter", fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        assert_eq!(instant("2026-01-01T00:00:00Z").unwrap(), 1_767_225_600_000);
        assert_eq!(instant("1767225600000").unwrap(), 1_767_225_600_000);
        for bad in ["", "-1", "1e3", "2026-01-01", "99999999999999999", "99999999999999999999", "yesterday"] {
            assert_eq!(instant(bad).unwrap_err().code, "invalid_parameter", "{bad}");
        }
    }
}
