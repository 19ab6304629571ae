//! `/api/vocabulary`: what people call events, properties and traits, and the currency of amounts.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{LabelKind, LabelSubject, Word};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::author;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const ALL: &str = "/api/vocabulary";
const CURRENCY: &str = "/api/vocabulary/currency";
const LABEL: &str = "/api/vocabulary/labels/{kind}/{name}";

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::TraitRead);
const WRITE: Needs = Needs::Permission(Permission::TraitWrite);
const SETTINGS: Needs = Needs::Permission(Permission::SystemWrite);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, ALL, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, CURRENCY, Side::Segments, SETTINGS, |api, call| Box::pin(set_currency(api, call))),
    Route::new(Method::DELETE, CURRENCY, Side::Segments, SETTINGS, |api, call| Box::pin(clear_currency(api, call))),
    Route::new(Method::PUT, LABEL, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::DELETE, LABEL, Side::Segments, WRITE, |api, call| Box::pin(delete(api, call))),
];

async fn show(api: Arc<Api>, _: Call) -> HandlerResult {
    let words = api.blocking(|api| api.platform.vocabulary.vocabulary()).await?;
    Ok(reply::json(StatusCode::OK, &words))
}

async fn set_currency(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let words = api.platform.vocabulary.set_currency(Some(json::parse_object(&body)?), &author)?;
        Ok::<_, Problem>(reply::json(StatusCode::OK, &words))
    })
    .await
}

async fn clear_currency(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    api.blocking(move |api| api.platform.vocabulary.set_currency(None, &author)).await?;
    Ok(reply::no_content())
}

/// The subject in a path.
fn subject(call: &mut Call) -> Result<LabelSubject, Problem> {
    let [kind, name] =
        <[String; 2]>::try_from(std::mem::take(&mut call.parameters)).map_err(|_| Problem::internal())?;
    let unknown =
        || Problem::bad_request("invalid_parameter", format!("the kind in the path is {}", LabelKind::choices()));
    Ok(LabelSubject { kind: LabelKind::parse(&kind).ok_or_else(unknown)?, name })
}

async fn put(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (subject, author) = (subject(&mut call)?, author(&call)?);
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let label = api.platform.vocabulary.put_label(subject, json::parse_object(&body)?, &author)?;
        Ok::<_, Problem>(reply::json(StatusCode::OK, &label))
    })
    .await
}

async fn delete(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (subject, author) = (subject(&mut call)?, author(&call)?);
    api.blocking(move |api| api.platform.vocabulary.delete_label(subject, &author)).await?;
    Ok(reply::no_content())
}
