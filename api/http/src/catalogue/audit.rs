//! `/api/audit`: who changed what.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{AUDIT_ACTIONS, AUDIT_KINDS, AuditQuery};
use audience_rules::time::parse_rfc3339;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::cursor::List;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const AUDIT: List = List::named("audit");

const READ: Needs = Needs::Permission(Permission::AuditRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/audit", Side::Segments, READ, |api, call| Box::pin(list(api, call)))];

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let text = |name: &str| Ok::<_, Problem>(query.one(name)?.map(str::to_owned));
    let asked = AuditQuery {
        kind: query.word("kind", &AUDIT_KINDS.map(|word| (word, word)))?,
        id: text("id")?,
        author: text("author")?,
        action: query.word("action", &AUDIT_ACTIONS.map(|word| (word, word)))?,
        from: time(&query, "from")?,
        to: time(&query, "to")?,
        before: sequence(&query)?,
        limit: query.limit()?,
    };
    let page = api.blocking(move |api| api.platform.catalogue.audit(&asked)).await?;
    Ok(reply::json(StatusCode::OK, &AUDIT.give(page)))
}

fn time(query: &Query, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = query.one(name)? else { return Ok(None) };
    // A plus that was not encoded is a blank here.
    let time = parse_rfc3339(text).or_else(|| parse_rfc3339(&text.replace(' ', "+")));
    let faulty =
        || Problem::bad_request("invalid_parameter", format!("{name} is a time with an offset, as in RFC 3339"));
    time.map(Some).ok_or_else(faulty)
}

fn sequence(query: &Query) -> Result<Option<u64>, Problem> {
    let Some(text) = AUDIT.asked(query)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| AUDIT.not_given())
}
