//! `/api/contents`: the mails that campaigns send.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{ContentDocument, ContentStatus, PlatformError};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::api::Api;
use crate::body::Media;
use crate::collection::{self, CollectionDocument};
use crate::json;
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
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| {
        Box::pin(collection::show::<ContentDocument>(api, call))
    }),
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
    collection::create(api, call, |api, input, author| api.platform.contents.create_content(input, author)).await
}

async fn put(api: Arc<Api>, call: Call) -> HandlerResult {
    let replace = |api: &Api, id: &str, input, version, author: &str| {
        api.platform.contents.replace_content(id, input, version, author)
    };
    collection::put(api, call, replace).await
}

async fn act(api: Arc<Api>, call: Call, to: ContentStatus) -> HandlerResult {
    let change =
        move |api: &Api, id: &str, version, author: &str| api.platform.contents.change_content(id, to, version, author);
    collection::act(api, call, change).await
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

impl CollectionDocument for ContentDocument {
    const LIST: &'static str = LIST;

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn current(api: &Api, id: &str) -> Result<Self, PlatformError> {
        api.platform.contents.content(id)
    }
}
