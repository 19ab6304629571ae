//! `/api/contents`: the mails that campaigns send.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{ContentDocument, ContentInput, ContentStatus};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::{ChangeHead, author};
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const LIST: &str = "/api/contents";
const ONE: &str = "/api/contents/{id}";

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::ContentRead);
const WRITE: Needs = Needs::Permission(Permission::ContentWrite);
const APPROVE: Needs = Needs::Permission(Permission::ContentApprove);
/// A preview shows what is known of a person.
const PERSON: Needs = Needs::Permission(Permission::PiiRead);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, ONE, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::POST, "/api/contents/{id}/approve", Side::Segments, APPROVE, |api, call| {
        Box::pin(act(api, call, ContentStatus::Approved))
    }),
    Route::new(Method::POST, "/api/contents/{id}/archive", Side::Segments, WRITE, |api, call| {
        Box::pin(act(api, call, ContentStatus::Archived))
    }),
    Route::new(Method::POST, "/api/contents/{id}/preview", Side::Segments, PERSON, |api, call| {
        Box::pin(preview(api, call))
    }),
];

/// The user for whom a content is shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreviewedUser {
    user_id: String,
}

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.contents.contents()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let input: ContentInput = json::parse_object(&body)?;
        let content = api.platform.contents.create_content(input, &author)?;
        Ok::<_, Problem>(reply::created(LIST, &content.id, &content, content.version))
    })
    .await
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let content = api.blocking(move |api| api.platform.contents.content(&id)).await?;
    Ok(stored(&content))
}

async fn put(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let input: ContentInput = json::parse_object(&body)?;
        let version = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(stored(&api.platform.contents.replace_content(&id, input, version, &author)?))
    })
    .await
}

async fn act(api: Arc<Api>, mut call: Call, to: ContentStatus) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    api.blocking(move |api| {
        let version = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(stored(&api.platform.contents.change_content(&id, to, version, &author)?))
    })
    .await
}

async fn preview(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let asked: PreviewedUser = json::parse_object(&body)?;
        let mail = api.platform.contents.preview_content(&id, &asked.user_id)?;
        Ok::<_, Problem>(reply::json(StatusCode::OK, &mail))
    })
    .await
}

fn version(api: &Api, id: &str) -> Result<u64, Problem> {
    Ok(api.platform.contents.content(id)?.version)
}

fn stored(content: &ContentDocument) -> warp::reply::Response {
    reply::versioned(StatusCode::OK, content, content.version)
}
