//! `/api/segments`: segments and their lives.

use std::sync::Arc;

use audience_auth::{Needs, Permission, Principal};
use audience_protocol::{
    PlatformError, ResourceKind, SegmentInput, SegmentKind, SegmentQuery, SegmentView, Transition, Word,
};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::code;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::body::Media;
use crate::cursor::List;
use crate::idempotency::{self, KeptAnswer};
use crate::json::NUL;
use crate::preconditions::{ChangeHead, Expected, author, create_only};
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};
use crate::segments::input::{self, Patch};
use crate::versions::read_note;

const LIST: &str = "/api/segments";
const SEGMENTS: List = List::named("segments");
const ONE: &str = "/api/segments/{id}";

const READ: Needs = Needs::Permission(Permission::SegmentRead);
const WRITE: Needs = Needs::Permission(Permission::SegmentWrite);
const DELETE: Needs = Needs::Permission(Permission::SegmentDelete);
const ACTIVATE: Needs = Needs::Permission(Permission::SegmentActivate);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, ONE, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::PATCH, ONE, Side::Segments, WRITE, |api, call| Box::pin(patch(api, call))),
    Route::new(Method::DELETE, ONE, Side::Segments, DELETE, |api, call| Box::pin(delete(api, call))),
    Route::new(Method::POST, "/api/segments/{id}/activate", Side::Segments, ACTIVATE, |api, call| {
        Box::pin(transition(api, call, Transition::Activate))
    }),
    Route::new(Method::POST, "/api/segments/{id}/deactivate", Side::Segments, ACTIVATE, |api, call| {
        Box::pin(transition(api, call, Transition::Deactivate))
    }),
    Route::new(Method::POST, "/api/segments/{id}/archive", Side::Segments, ACTIVATE, |api, call| {
        Box::pin(transition(api, call, Transition::Archive))
    }),
    Route::new(Method::GET, "/api/segments/{id}/versions", Side::Segments, READ, |api, call| {
        Box::pin(versions(api, call))
    }),
];

/// A PATCH without `If-Match` that was overtaken is tried again so often.
const PATCH_TRIES: usize = 5;

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let query = SegmentQuery {
        status: query.word("status", SegmentStatus::WORDS)?,
        kind: query.word("type", SegmentKind::WORDS)?,
        text: query.one("q")?.map(str::to_owned),
        tag: query.one("tag")?.map(str::to_owned),
        owner: query.one("owner")?.map(str::to_owned),
        after: SEGMENTS.asked(&query)?,
        limit: query.limit()?,
    };
    let page = api.blocking(move |api| api.platform.segments.segments(&query)).await?;
    Ok(reply::json(StatusCode::OK, &SEGMENTS.give(page)))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    let key = idempotency::key(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let principal = call.principal;
    api.blocking(move |api| {
        idempotency::create(&api.idempotency, LIST, key.as_deref(), &body, || {
            let input = input::read(&body)?;
            check_status(&principal, input.status)?;
            let view = api.platform.segments.create_segment(input, &author)?;
            Ok(KeptAnswer::created(LIST, &view.document.id, &view, view.document.version))
        })
    })
    .await
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let view = api.blocking(move |api| api.platform.segments.segment(&id)).await?;
    Ok(reply::fresh(&call.headers, &view, view.document.version))
}

async fn put(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    let create_only = create_only(&call.headers)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let principal = call.principal;
    api.blocking(move |api| {
        let input = input::read(&body)?;
        check_status(&principal, input.status)?;
        replace(api, &id, input, expected, create_only, &author)
    })
    .await
}

/// To say a status is to activate, deactivate or archive.
fn check_status(principal: &Principal, status: Option<SegmentStatus>) -> Result<(), Problem> {
    Ok(status.map_or(Ok(()), |_| principal.may(Permission::SegmentActivate))?)
}

/// Replaces a segment, or creates it where there is none and the request does not demand one.
fn replace(
    api: &Api,
    id: &str,
    mut input: SegmentInput,
    expected: Expected,
    create_only: bool,
    author: &str,
) -> HandlerResult {
    if id.contains('\0') {
        return Err(Problem::fault("/id", code::OUT_OF_RANGE, NUL));
    }
    if input.id.as_deref().is_some_and(|named| named != id) {
        return Err(Problem::fault("/id", "wrong_id", "the id is not the one in the path"));
    }
    input.id = Some(id.to_owned());
    let must_exist = expected.must_exist();
    if create_only {
        if must_exist {
            return Err(Problem::bad_request("invalid_header", "If-Match and If-None-Match: * contradict each other"));
        }
        return match api.platform.segments.create_segment(input, author) {
            Err(error @ PlatformError::Exists { .. }) => Err(Problem::precondition(error.to_string())),
            outcome => Ok(created(&outcome?)),
        };
    }
    let version = expected.version(|| version(api, id))?;
    match api.platform.segments.replace_segment(id, input.clone(), version, author) {
        Err(error @ PlatformError::NotFound { kind: ResourceKind::Segment, .. }) if must_exist => {
            Err(Problem::precondition(error.to_string()))
        }
        Err(PlatformError::NotFound { kind: ResourceKind::Segment, .. }) => {
            Ok(created(&api.platform.segments.create_segment(input, author)?))
        }
        outcome => Ok(changed(&outcome?)),
    }
}

async fn patch(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    let media = Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let principal = call.principal;
    api.blocking(move |api| {
        let patch = Patch::read(&body, media)?;
        check_status(&principal, patch.status())?;
        let fixed = expected.version(|| version(api, &id))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let current = api.platform.segments.segment(&id)?.document;
            let version = fixed.unwrap_or(current.version);
            if version != current.version {
                return Err(PlatformError::VersionMismatch { expected: version, current: current.version }.into());
            }
            match api.platform.segments.replace_segment(&id, patch.apply(current), Some(version), &author) {
                Err(PlatformError::VersionMismatch { .. }) if fixed.is_none() && tries < PATCH_TRIES => {}
                outcome => return Ok::<_, Problem>(changed(&outcome?)),
            }
        }
    })
    .await
}

async fn delete(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    api.blocking(move |api| {
        let version = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(api.platform.segments.delete_segment(&id, version, &author)?)
    })
    .await?;
    Ok(reply::no_content())
}

async fn transition(api: Arc<Api>, mut call: Call, to: Transition) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    let body = api.optional_json(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let note = read_note(&body)?;
        let version = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(changed(&api.platform.segments.transition_segment(&id, to, note, version, &author)?))
    })
    .await
}

async fn versions(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let items = api.blocking(move |api| api.platform.segments.segment_versions(&id)).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

/// The current version.
pub(crate) fn version(api: &Api, id: &str) -> Result<u64, Problem> {
    Ok(api.platform.segments.segment(id)?.document.version)
}

fn created(view: &SegmentView) -> warp::reply::Response {
    reply::created(LIST, &view.document.id, view, view.document.version)
}

/// 200 with the new version.
pub(crate) fn changed(view: &SegmentView) -> warp::reply::Response {
    reply::versioned(StatusCode::OK, view, view.document.version)
}
