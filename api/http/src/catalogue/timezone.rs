//! `/api/timezone`: the platform's time zone, an edit over all history.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::TimezoneInput;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::{Expected, author};
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};
use crate::versions::checked_note;

const ZONE: &str = "/api/timezone";

const READ: Needs = Needs::Permission(Permission::SegmentRead);
const WRITE: Needs = Needs::Permission(Permission::SystemWrite);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, ZONE, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::PUT, ZONE, Side::Segments, WRITE, |api, call| Box::pin(set(api, call))),
    Route::new(Method::GET, "/api/timezone/versions", Side::Segments, READ, |api, call| Box::pin(versions(api, call))),
];

async fn show(api: Arc<Api>, call: Call) -> HandlerResult {
    let zone = api.blocking(|api| api.platform.catalogue.timezone()).await?;
    Ok(reply::fresh(&call.headers, &zone, zone.version))
}

async fn set(api: Arc<Api>, call: Call) -> HandlerResult {
    let (author, expected) = (author(&call)?, Expected::of(&call.headers)?);
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let TimezoneInput { timezone, note } = json::parse_object(&body)?;
        let input = TimezoneInput { timezone, note: checked_note(note, "/note")? };
        let version = expected.version(|| Ok(api.platform.catalogue.timezone()?.version))?;
        let zone = api.platform.catalogue.set_timezone(input, version, &author)?;
        Ok::<_, Problem>(reply::versioned(StatusCode::OK, &zone, zone.version))
    })
    .await
}

async fn versions(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.catalogue.timezone_versions()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}
