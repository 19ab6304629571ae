//! The changes that collections of documents share: a document is made, replaced, or changed by an action, over the version
//! that the caller expects.

use std::sync::Arc;

use audience_protocol::PlatformError;
use hyper::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::{ChangeHead, Expected, author};
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;

/// A document with an id and a version.
pub(crate) trait CollectionDocument: Serialize + Sized + Send + 'static {
    /// The path of its collection.
    const LIST: &'static str;

    fn id(&self) -> &str;
    fn version(&self) -> u64;
    /// The document of an id, as it is now.
    fn current(api: &Api, id: &str) -> Result<Self, PlatformError>;
}

/// Makes a document of the body; `make` is given the input and its author.
pub(crate) async fn create<I: DeserializeOwned, D: CollectionDocument>(
    api: Arc<Api>,
    call: Call,
    make: impl FnOnce(&Api, I, &str) -> Result<D, PlatformError> + Send + 'static,
) -> HandlerResult {
    let author = author(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let made = make(api, json::parse_object(&body)?, &author)?;
        Ok::<_, Problem>(reply::created(D::LIST, made.id(), &made, made.version()))
    })
    .await
}

/// Shows a document, whatever version the caller has: a view's figures change without one.
pub(crate) async fn show<D: CollectionDocument>(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    Ok(stored(&api.blocking(move |api| D::current(api, &id)).await?))
}

/// Replaces a document by the body; `replace` is given the id, the input, the version expected and the author.
pub(crate) async fn put<I: DeserializeOwned, D: CollectionDocument>(
    api: Arc<Api>,
    mut call: Call,
    replace: impl FnOnce(&Api, &str, I, Option<u64>, &str) -> Result<D, PlatformError> + Send + 'static,
) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let input = json::parse_object(&body)?;
        let version = version::<D>(api, &id, expected)?;
        Ok::<_, Problem>(stored(&replace(api, &id, input, version, &author)?))
    })
    .await
}

/// Changes a document by an action without a body; `change` is given the id, the version expected and the author.
pub(crate) async fn act<D: CollectionDocument>(
    api: Arc<Api>,
    mut call: Call,
    change: impl FnOnce(&Api, &str, Option<u64>, &str) -> Result<D, PlatformError> + Send + 'static,
) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    api.blocking(move |api| {
        let version = version::<D>(api, &id, expected)?;
        Ok::<_, Problem>(stored(&change(api, &id, version, &author)?))
    })
    .await
}

/// The version to hand to the platform.
pub(crate) fn version<D: CollectionDocument>(api: &Api, id: &str, expected: Expected) -> Result<Option<u64>, Problem> {
    expected.version(|| Ok(D::current(api, id)?.version()))
}

/// The answer with a document as it is now.
pub(crate) fn stored<D: CollectionDocument>(document: &D) -> warp::reply::Response {
    reply::versioned(StatusCode::OK, document, document.version())
}
