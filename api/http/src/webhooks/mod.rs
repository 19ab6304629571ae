//! `/api/webhooks`: targets that changes of memberships are posted to.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{PlatformError, WebhookAction, WebhookChange, WebhookInput, WebhookView};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::api::Api;
use crate::body::Media;
use crate::collection::{self, CollectionDocument};
use crate::json;
use crate::merge_patch::given;
use crate::preconditions::ChangeHead;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const LIST: &str = "/api/webhooks";
const ONE: &str = "/api/webhooks/{id}";

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::WebhookRead);
const WRITE: Needs = Needs::Permission(Permission::WebhookWrite);
const DELETE: Needs = Needs::Permission(Permission::WebhookDelete);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| {
        Box::pin(collection::show::<WebhookView>(api, call))
    }),
    Route::new(Method::PUT, ONE, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::PATCH, ONE, Side::Segments, WRITE, |api, call| Box::pin(patch(api, call))),
    Route::new(Method::DELETE, ONE, Side::Segments, DELETE, |api, call| Box::pin(delete(api, call))),
    Route::new(Method::POST, "/api/webhooks/{id}/pause", Side::Segments, WRITE, |api, call| {
        Box::pin(act(api, call, WebhookAction::Pause))
    }),
    Route::new(Method::POST, "/api/webhooks/{id}/resume", Side::Segments, WRITE, |api, call| {
        Box::pin(act(api, call, WebhookAction::Resume))
    }),
    Route::new(Method::POST, "/api/webhooks/{id}/rotate-secret", Side::Segments, WRITE, |api, call| {
        Box::pin(act(api, call, WebhookAction::RotateSecret))
    }),
    Route::new(Method::POST, "/api/webhooks/{id}/test", Side::Segments, WRITE, |api, call| Box::pin(test(api, call))),
    Route::new(Method::GET, "/api/webhooks/{id}/deliveries", Side::Segments, READ, |api, call| {
        Box::pin(deliveries(api, call))
    }),
];

/// A change of a webhook.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookPatch {
    url: Option<String>,
    /// `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    segments: Option<Vec<String>>,
    changes: Option<Vec<WebhookChange>>,
}

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.webhooks.webhooks()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    collection::create(api, call, |api, input, author| api.platform.webhooks.create_webhook(input, author)).await
}

async fn put(api: Arc<Api>, call: Call) -> HandlerResult {
    let replace = |api: &Api, id: &str, input, version, author: &str| {
        api.platform.webhooks.replace_webhook(id, input, version, author)
    };
    collection::put(api, call, replace).await
}

async fn patch(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let change: WebhookPatch = json::parse_object(&body)?;
        let current = api.platform.webhooks.webhook(&id)?.webhook;
        let version = expected.version(|| Ok(current.version))?.unwrap_or(current.version);
        let input = WebhookInput {
            url: change.url.unwrap_or(current.url),
            description: change.description.map_or(current.description, Option::unwrap_or_default),
            segments: change.segments.unwrap_or(current.segments),
            changes: change.changes.unwrap_or(current.changes),
        };
        Ok::<_, Problem>(collection::stored(&api.platform.webhooks.replace_webhook(
            &id,
            input,
            Some(version),
            &author,
        )?))
    })
    .await
}

async fn delete(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    api.blocking(move |api| {
        let version = collection::version::<WebhookView>(api, &id, expected)?;
        Ok::<_, Problem>(api.platform.webhooks.delete_webhook(&id, version, &author)?)
    })
    .await?;
    Ok(reply::no_content())
}

async fn act(api: Arc<Api>, call: Call, action: WebhookAction) -> HandlerResult {
    let change = move |api: &Api, id: &str, version, author: &str| {
        api.platform.webhooks.change_webhook(id, action, version, author)
    };
    collection::act(api, call, change).await
}

/// The answer is what became of it, also where the target did not take it.
async fn test(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let delivery = api.blocking(move |api| api.platform.webhooks.test_webhook(&id)).await?;
    Ok(reply::json(StatusCode::OK, &delivery))
}

async fn deliveries(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let items = api.blocking(move |api| api.platform.webhooks.webhook_deliveries(&id)).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

impl CollectionDocument for WebhookView {
    const LIST: &'static str = LIST;

    fn id(&self) -> &str {
        &self.webhook.id
    }

    fn version(&self) -> u64 {
        self.webhook.version
    }

    fn current(api: &Api, id: &str) -> Result<Self, PlatformError> {
        api.platform.webhooks.webhook(id)
    }
}
