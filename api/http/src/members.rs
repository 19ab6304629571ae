//! `/api/segments/{id}/members`: who is in a segment.

use std::sync::Arc;

use audience_protocol::{MembersChange, MembersMode, SegmentView};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::body::{self, Media};
use crate::cursor;
use crate::import::{Import, Rejected};
use crate::member_export;
use crate::preconditions::Change;
use crate::problem::Problem;
use crate::query::Query;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};
use crate::segment_input::checked_note;
use crate::segments::version;

const MEMBERS: &str = "/api/segments/{id}/members";

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, MEMBERS, Side::Segments, |api, call| Box::pin(list(api, call))),
    Route::new(Method::PUT, MEMBERS, Side::Segments, |api, call| Box::pin(change(api, call, MembersMode::Replace))),
    Route::new(Method::POST, MEMBERS, Side::Segments, |api, call| Box::pin(change(api, call, MembersMode::Add))),
    Route::new(Method::POST, "/api/segments/{id}/members/remove", Side::Segments, |api, call| {
        Box::pin(change(api, call, MembersMode::Remove))
    }),
];

/// What became of every row.
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
    rejected: Vec<Rejected>,
}

async fn list(api: Arc<Api>, mut call: Call) -> Answer {
    let query = Query::read(&call.query);
    if let Some(form) = member_export::Form::asked(&query, &call.headers)? {
        return member_export::export(api, call.take_id(), form).await;
    }
    let (id, after, limit) = (call.take_id(), cursor::MEMBERS.asked(&query)?, query.limit(&api.options)?);
    let page = api.blocking(move |api| api.platform.segments.members(&id, after.as_deref(), limit)).await?;
    Ok(reply::json(StatusCode::OK, &cursor::MEMBERS.give(page)))
}

/// How a list is to be changed, as the query says it.
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

async fn change(api: Arc<Api>, mut call: Call, mode: MembersMode) -> Answer {
    let Manner { is_strict, is_dry_run, note } = Manner::of(&Query::read(&call.query))?;
    let Change { id, author, expected } = Change::of(&mut call)?;
    let media = Media::of(&call.headers, &[Media::Json, Media::Csv])?;
    let (limit, timeout) = (api.options.max_members_bytes, api.options.request_timeout);
    let body = body::whole(&call.headers, call.body, limit, timeout).await?;
    api.blocking(move |api| {
        let import = Import::read(&body, media)?;
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
        };
        Ok::<_, Problem>(reply::versioned(StatusCode::OK, &imported, version))
    })
    .await
}
