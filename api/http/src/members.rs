//! `/api/segments/{id}/members`: who is in a segment.

use std::sync::Arc;

use audience_rules::fault::code;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::api::Api;
use crate::body::{self, Media};
use crate::json;
use crate::member_export;
use crate::preconditions::Change;
use crate::problem::Problem;
use crate::query::Query;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};
use crate::segment_input::{UserId, check_members, texts};
use crate::segments::{changed, version};

const MEMBERS: &str = "/api/segments/{id}/members";

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, MEMBERS, Side::Segments, |api, call| Box::pin(list(api, call))),
    Route::new(Method::PUT, MEMBERS, Side::Segments, |api, call| Box::pin(put(api, call))),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersBody {
    members: Vec<UserId>,
}

async fn list(api: Arc<Api>, mut call: Call) -> Answer {
    let query = Query::read(&call.query);
    if let Some(form) = member_export::Form::asked(&query, &call.headers)? {
        return member_export::export(api, call.take_id(), form).await;
    }
    let (id, after, limit) = (call.take_id(), query.cursor()?, query.limit(&api.options)?);
    let page = api.blocking(move |api| api.platform.members(&id, after.as_deref(), limit)).await?;
    Ok(reply::json(StatusCode::OK, &page))
}

async fn put(api: Arc<Api>, mut call: Call) -> Answer {
    let Change { id, author, expected } = Change::of(&mut call)?;
    let media = Media::of(&call.headers, &[Media::Json, Media::Csv])?;
    let (limit, timeout) = (api.options.max_members_bytes, api.options.request_timeout);
    let body = body::whole(&call.headers, call.body, limit, timeout).await?;
    api.blocking(move |api| {
        let members = if media == Media::Csv { from_csv(&body)? } else { from_json(&body)? };
        let version = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(changed(&api.platform.replace_members(&id, members, version, &author)?))
    })
    .await
}

/// A list of ids, or one under `members`.
fn from_json(body: &[u8]) -> Result<Vec<String>, Problem> {
    let is_list = body.get(json::skip_space(body, 0)) == Some(&b'[');
    let (members, pointer) = match is_list {
        true => (json::parse(body)?, ""),
        false => (json::parse_object::<MembersBody>(body)?.members, "/members"),
    };
    let members = texts(members);
    check_members(&members, pointer)?;
    Ok(members)
}

/// The first column; a first row `userId` is a header.
fn from_csv(body: &[u8]) -> Result<Vec<String>, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut members = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record =
            record.map_err(|error| Problem::bad_request("malformed_csv", format!("the body is no CSV: {error}")))?;
        let id = record.get(0).unwrap_or_default();
        if row == 0 && id == "userId" {
            continue;
        }
        if id.is_empty() || id.len() > 256 {
            let line = record.position().map_or(0, |position| position.line());
            let message = format!("the id in line {line} has not 1 to 256 bytes");
            return Err(Problem::fault(format!("/{}", members.len()), code::OUT_OF_RANGE, message));
        }
        members.push(id.to_owned());
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv() {
        let ids = |text: &str| from_csv(text.as_bytes()).map_err(|problem| problem.code);
        assert_eq!(ids("userId,since\r\nu1,5\r\n\"u,\"\"2\",6\r\n\r\nu3").unwrap(), ["u1", "u,\"2", "u3"]);
        assert_eq!(ids("\u{feff}userId\nu1\n").unwrap(), ["u1"]);
        assert_eq!(ids("u1\nuserId\n").unwrap(), ["u1", "userId"]);
        assert_eq!(ids("").unwrap(), Vec::<String>::new());
        assert_eq!(ids("u1\n,x\n").unwrap_err(), "invalid");
        assert_eq!(from_csv(b"u1\n\xff\n").unwrap_err().code, "malformed_csv");
    }

    #[test]
    fn json() {
        let ids = |text: &str| from_json(text.as_bytes()).map_err(|problem| problem.errors[0].pointer.clone());
        assert_eq!(ids(r#"["a",7]"#).unwrap(), ["a", "7"]);
        assert_eq!(ids(r#"{"members":["a"]}"#).unwrap(), ["a"]);
        assert_eq!(ids(r#"{"members":["a",""]}"#).unwrap_err(), "/members/1");
        assert_eq!(ids(r#"["a",{}]"#).unwrap_err(), "/1");
        assert_eq!(ids(r#"{"members":["a"],"x":1}"#).unwrap_err(), "/x");
        assert_eq!(ids(r#"{"members":7}"#).unwrap_err(), "/members");
    }
}
