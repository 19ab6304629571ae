//! `/api/traits`: computed traits.

use std::sync::Arc;

use audience_protocol::{PlatformError, TraitDocument};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::Api;
use crate::body::Media;
use crate::idempotency::{self, KeptAnswer};
use crate::json;
use crate::merge_patch::merge;
use crate::preconditions::{ChangeHead, Expected, author, create_only};
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const LIST: &str = "/api/traits";
const ONE: &str = "/api/traits/{name}";

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, ONE, Side::Segments, |api, call| Box::pin(put(api, call))),
    Route::new(Method::PATCH, ONE, Side::Segments, |api, call| Box::pin(patch(api, call))),
    Route::new(Method::DELETE, ONE, Side::Segments, |api, call| Box::pin(delete(api, call))),
];

/// The one member of a definition that the path names too.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.traits.computed_traits()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call.headers)?;
    let key = idempotency::key(&call.headers)?.map(str::to_owned);
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        idempotency::create(&api.idempotency, LIST, key.as_deref(), &body, || {
            let definition: Box<RawValue> = json::parse(&body)?;
            let document = add(api, &definition, &author)?;
            Ok(KeptAnswer::created(LIST, &document.name, &document, document.version))
        })
    })
    .await
}

/// Creates; that there is one already is a conflict.
fn add(api: &Api, definition: &RawValue, author: &str) -> Result<TraitDocument, PlatformError> {
    api.platform.traits.put_trait(definition, Some(0), author).map_err(|error| match error {
        PlatformError::VersionMismatch { expected: 0, .. } => {
            let name = serde_json::from_str::<Named>(definition.get()).ok().and_then(|named| named.name);
            PlatformError::Exists { kind: "trait", id: name.unwrap_or_default() }
        }
        error => error,
    })
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    let document = api.blocking(move |api| api.platform.traits.computed_trait(&name)).await?;
    Ok(reply::fresh(&call.headers, &document, document.version))
}

async fn put(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    let create_only = create_only(&call.headers)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| replace(api, &name, &body, expected, create_only, &author)).await
}

fn replace(api: &Api, name: &str, body: &[u8], expected: Expected, create_only: bool, author: &str) -> HandlerResult {
    let definition = named(json::parse(body)?, name)?;
    if create_only {
        return match add(api, &definition, author) {
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
    Ok(stored(&api.platform.traits.put_trait(&definition, version, author)?))
}

async fn patch(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let change: Box<RawValue> = json::parse(&body)?;
        let current = api.platform.traits.computed_trait(&name)?;
        let version = expected.version(|| Ok(current.version))?.unwrap_or(current.version);
        let merged = change.get().starts_with('{').then(|| merge(&current.definition, &change)).flatten();
        let merged = merged.ok_or_else(|| Problem::fault("", "wrong_type", "a change is an object"))?;
        Ok::<_, Problem>(stored(&api.platform.traits.put_trait(&named(merged, &name)?, Some(version), &author)?))
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
    Ok(api.platform.traits.computed_trait(name)?.version)
}

/// The definition under the name of the path: put in where it has none, refused where it has another.
fn named(definition: Box<RawValue>, name: &str) -> Result<Box<RawValue>, Problem> {
    let text = definition.get();
    if !text.starts_with('{') {
        return Err(Problem::fault("", "wrong_type", "a computed trait is an object"));
    }
    let found: Named = json::parse(text.as_bytes())?;
    match found.name {
        Some(found) if found == name => Ok(definition),
        Some(_) => Err(Problem::fault("/name", "wrong_name", "the name is not the one in the path")),
        None => {
            let rest = text[1..].trim_start();
            let comma = if rest == "}" { "" } else { "," };
            let name = String::from_utf8(reply::to_json(name)).unwrap_or_default();
            RawValue::from_string(format!("{{\"name\":{name}{comma}{rest}")).map_err(|_| Problem::internal())
        }
    }
}

/// 201 for the first version, else 200.
fn stored(document: &TraitDocument) -> warp::reply::Response {
    match document.version {
        1 => reply::created(LIST, &document.name, document, 1),
        version => reply::versioned(StatusCode::OK, document, version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let named = |text: &str| {
            let named = named(RawValue::from_string(text.into()).unwrap(), "a\"b");
            named.map(|raw| raw.get().to_owned()).map_err(|problem| problem.errors[0].pointer.clone())
        };
        assert_eq!(named("{}").unwrap(), r#"{"name":"a\"b"}"#);
        assert_eq!(named(r#"{ "event":"x"}"#).unwrap(), r#"{"name":"a\"b","event":"x"}"#);
        assert_eq!(named(r#"{"name":"a\"b"}"#).unwrap(), r#"{"name":"a\"b"}"#);
        assert_eq!(named(r#"{"name":"c"}"#).unwrap_err(), "/name");
        assert_eq!(named("[]").unwrap_err(), "");
    }
}
