//! Versions of a computed trait: listed, held against each other, and gone back to.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::TraitDocument;
use audience_rules::json::parse_json;
use audience_rules::value::Value;
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::body::Media;
use crate::diff::{self, DocumentField, FieldDifference};
use crate::preconditions::ChangeHead;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};
use crate::versions::{RollbackBody, find};

const READ: Needs = Needs::Permission(Permission::TraitRead);
const WRITE: Needs = Needs::Permission(Permission::TraitWrite);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/traits/{name}/versions", Side::Segments, READ, |api, call| {
        Box::pin(versions(api, call))
    }),
    Route::new(Method::GET, "/api/traits/{name}/versions/{from}/diff/{to}", Side::Segments, READ, |api, call| {
        Box::pin(compare(api, call))
    }),
    Route::new(Method::POST, "/api/traits/{name}/rollback", Side::Segments, WRITE, |api, call| {
        Box::pin(rollback(api, call))
    }),
];

#[derive(Serialize)]
struct TraitDifference {
    name: String,
    from: u64,
    to: u64,
    changes: Vec<FieldDifference>,
}

async fn versions(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    let items = api.blocking(move |api| api.platform.traits.trait_versions(&name)).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn compare(api: Arc<Api>, call: Call) -> HandlerResult {
    let [name, from, to] = <[String; 3]>::try_from(call.parameters).map_err(|_| Problem::internal())?;
    api.blocking(move |api| {
        let versions = api.platform.traits.trait_versions(&name)?;
        let find = |wanted: &str| find(&versions, wanted, |one| one.version, &format!("trait {name:?}"));
        let (old, new) = (find(&from)?, find(&to)?);
        let changes = diff::fields(&fields(old), &fields(new));
        let difference = TraitDifference { from: old.version, to: new.version, changes, name };
        Ok::<_, Problem>(reply::json(StatusCode::OK, &difference))
    })
    .await
}

/// The members that people write. A definition is stored in its canonical spelling.
fn fields(document: &TraitDocument) -> [DocumentField; 1] {
    let definition: Option<Value> = parse_json(document.definition.get().as_bytes()).ok();
    [("definition", definition)]
}

async fn rollback(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id: name, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let RollbackBody { version: wanted, note } = RollbackBody::read(&body)?;
        let current = || Ok(api.platform.traits.computed_trait(&name)?.document.version);
        let expected = expected.version(current)?;
        let view = api.platform.traits.rollback_trait(&name, wanted, note, expected, &author)?;
        Ok::<_, Problem>(reply::versioned(StatusCode::OK, &view, view.document.version))
    })
    .await
}
