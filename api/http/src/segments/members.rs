//! `/api/segments/{id}/members`: who is in a segment.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{AuditNote, MembersChange, MembersEffect, MembersMode, SegmentView};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::body::Media;
use crate::cursor::List;
use crate::preconditions::ChangeHead;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::segments::documents::version;
use crate::segments::export::{self, Form};
use crate::segments::import::{Import, RejectedRow};
use crate::users::columns;
use crate::versions::checked_note;

const PATH: &str = "/api/segments/{id}/members";
const MEMBERS: List = List::named("members");

const READ: Needs = Needs::Permission(Permission::UserRead);
const WRITE: Needs = Needs::Permission(Permission::SegmentWrite);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::PUT, PATH, Side::Segments, WRITE, |api, call| Box::pin(change(api, call, MembersMode::Replace))),
    Route::new(Method::POST, PATH, Side::Segments, WRITE, |api, call| Box::pin(change(api, call, MembersMode::Add))),
    Route::new(Method::POST, "/api/segments/{id}/members/remove", Side::Segments, WRITE, |api, call| {
        Box::pin(change(api, call, MembersMode::Remove))
    }),
];

/// The outcome of every row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    segment: SegmentView,
    received: u64,
    accepted: u64,
    added: u64,
    removed: u64,
    unchanged: u64,
    duplicates: u64,
    rejected_count: u64,
    rejected: Vec<RejectedRow>,
    #[serde(flatten)]
    effect: Option<MembersEffect>,
}

async fn list(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let columns = columns::asked(&query)?;
    if !columns.is_empty() {
        call.principal.may(Permission::PiiRead)?;
    }
    if let Some(form) = Form::asked(&query, &call.headers)? {
        let id = call.take_id();
        api.note_export(&call.principal, AuditNote::of("exported", "members", &id)).await;
        return export::export(api, id, form, columns).await;
    }
    if !columns.is_empty() {
        let detail = "columns go with format=csv and format=ndjson; GET /api/users?segment= gives pages of a table";
        return Err(Problem::bad_request("invalid_parameter", detail));
    }
    let (id, after, limit) = (call.take_id(), MEMBERS.asked(&query)?, query.limit()?);
    let page = api.blocking(move |api| api.platform.segments.members(&id, after.as_deref(), limit)).await?;
    Ok(reply::json(StatusCode::OK, &MEMBERS.give(page)))
}

/// The options of a change of a list, from the query.
struct Manner {
    is_strict: bool,
    is_dry_run: bool,
    note: Option<String>,
}

impl Manner {
    fn of(query: &Query) -> Result<Self, Problem> {
        let flag = |name| Ok::<_, Problem>(query.word(name, &[("true", true), ("false", false)])?.unwrap_or_default());
        let note = query.one("note")?.map(str::to_owned);
        Ok(Manner { is_strict: flag("strict")?, is_dry_run: flag("dryRun")?, note: checked_note(note, "")? })
    }
}

async fn change(api: Arc<Api>, mut call: Call, mode: MembersMode) -> HandlerResult {
    let Manner { is_strict, is_dry_run, note } = Manner::of(&Query::read(&call.query))?;
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    let media = Media::of(&call.headers, &[Media::Json, Media::Csv])?;
    let body = api.body_within(&call.headers, call.body, api.options.max_members_bytes).await?;
    let place = tokio::time::timeout(api.options.request_timeout, Arc::clone(&api.imports).acquire_owned()).await;
    let Ok(Ok(place)) = place else { return Err(Problem::busy(1)) };
    api.blocking(move |api| {
        let _place = place;
        let import = Import::read(&body, media)?;
        drop(body);
        import.check(is_strict)?;
        let Import { received, members, duplicates, rejected_count, rejected, .. } = import;
        let accepted = members.len() as u64;
        let expected = expected.version(|| version(api, &id))?;
        let change = MembersChange { mode, members, is_dry_run, note };
        let outcome = api.platform.segments.change_members(&id, change, expected, &author)?;
        let version = outcome.segment.document.version;
        let imported = Imported {
            segment: outcome.segment,
            received,
            accepted,
            added: outcome.added,
            removed: outcome.removed,
            unchanged: outcome.unchanged,
            duplicates,
            rejected_count,
            rejected,
            effect: outcome.effect,
        };
        Ok::<_, Problem>(reply::versioned(StatusCode::OK, &imported, version))
    })
    .await
}
