//! `/api/traits`: computed traits.

mod history;
mod input;
mod preview;

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{PlatformError, ResourceKind, TraitInput, TraitView};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::body::Media;
use crate::idempotency::{self, KeptAnswer};
use crate::merge_patch::merge;
use crate::preconditions::{ChangeHead, Expected, author, create_only};
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const LIST: &str = "/api/traits";
const ONE: &str = "/api/traits/{name}";

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[ROUTES, history::ROUTES, preview::ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::TraitRead);
const WRITE: Needs = Needs::Permission(Permission::TraitWrite);
const DELETE: Needs = Needs::Permission(Permission::TraitDelete);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, ONE, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::PATCH, ONE, Side::Segments, WRITE, |api, call| Box::pin(patch(api, call))),
    Route::new(Method::DELETE, ONE, Side::Segments, DELETE, |api, call| Box::pin(delete(api, call))),
];

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.traits.computed_traits()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    let key = idempotency::key(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        idempotency::create(&api.idempotency, LIST, key.as_deref(), &body, || {
            let view = add(api, input::read(&body)?, &author)?;
            Ok(KeptAnswer::created(LIST, &view.document.name, &view, view.document.version))
        })
    })
    .await
}

/// Creates; that there is one already is a conflict.
fn add(api: &Api, input: TraitInput, author: &str) -> Result<TraitView, PlatformError> {
    let id = input::name_of(&input).unwrap_or_default();
    api.platform.traits.put_trait(input, Some(0), author).map_err(|error| match error {
        PlatformError::VersionMismatch { expected: 0, .. } => PlatformError::Exists { kind: ResourceKind::Trait, id },
        error => error,
    })
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    let view = api.blocking(move |api| api.platform.traits.computed_trait(&name)).await?;
    Ok(reply::fresh(&call.headers, &view, view.document.version))
}

async fn put(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    let create_only = create_only(&call.headers)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| replace(api, &name, &body, expected, create_only, &author)).await
}

fn replace(api: &Api, name: &str, body: &[u8], expected: Expected, create_only: bool, author: &str) -> HandlerResult {
    let input = input::named(input::read(body)?, name)?;
    if create_only {
        return match add(api, input, author) {
            Err(error @ PlatformError::Exists { .. }) => Err(Problem::precondition(error.to_string())),
            outcome => Ok(stored(&outcome?)),
        };
    }
    if expected.must_exist()
        && let Err(error @ PlatformError::NotFound { .. }) = api.platform.traits.computed_trait(name)
    {
        return Err(Problem::precondition(error.to_string()));
    }
    let version = expected.version(|| version(api, name))?;
    Ok(stored(&api.platform.traits.put_trait(input, version, author)?))
}

async fn patch(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let TraitInput { definition: change, note } = input::read(&body)?;
        let current = api.platform.traits.computed_trait(&name)?.document;
        let version = expected.version(|| Ok(current.version))?.unwrap_or(current.version);
        let definition = merge(&current.definition, &change).ok_or_else(Problem::internal)?;
        let input = input::named(TraitInput { definition, note }, &name)?;
        Ok::<_, Problem>(stored(&api.platform.traits.put_trait(input, Some(version), &author)?))
    })
    .await
}

async fn delete(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    api.blocking(move |api| {
        let version = expected.version(|| version(api, &name))?;
        Ok::<_, Problem>(api.platform.traits.delete_trait(&name, version, &author)?)
    })
    .await?;
    Ok(reply::no_content())
}

fn version(api: &Api, name: &str) -> Result<u64, Problem> {
    Ok(api.platform.traits.computed_trait(name)?.document.version)
}

/// 201 for the first version, else 200.
fn stored(view: &TraitView) -> warp::reply::Response {
    match view.document.version {
        1 => reply::created(LIST, &view.document.name, view, 1),
        version => reply::versioned(StatusCode::OK, view, version),
    }
}
