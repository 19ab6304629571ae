//! `/api/campaigns`, `/api/suppressions`, the sandbox, and the links by which people unsubscribe.

mod people;

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{CampaignAction, CampaignView, PlatformError};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::collection::{self, CollectionDocument};
use crate::cursor;
use crate::problem::HandlerResult;
use crate::query::Query;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const LIST: &str = "/api/campaigns";
const ONE: &str = "/api/campaigns/{id}";
const SENDS: cursor::List = cursor::List::named("sends");

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[ROUTES, people::ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::CampaignRead);
const WRITE: Needs = Needs::Permission(Permission::CampaignWrite);
const LAUNCH: Needs = Needs::Permission(Permission::CampaignLaunch);
/// Lists that name users.
const USERS: Needs = Needs::Permission(Permission::UserRead);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, LIST, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::GET, ONE, Side::Segments, READ, |api, call| {
        Box::pin(collection::show::<CampaignView>(api, call))
    }),
    Route::new(Method::PUT, ONE, Side::Segments, WRITE, |api, call| Box::pin(put(api, call))),
    Route::new(Method::POST, "/api/campaigns/{id}/preview", Side::Segments, USERS, |api, call| {
        Box::pin(preview(api, call))
    }),
    Route::new(Method::POST, "/api/campaigns/{id}/launch", Side::Segments, LAUNCH, |api, call| {
        Box::pin(act(api, call, CampaignAction::Launch))
    }),
    Route::new(Method::POST, "/api/campaigns/{id}/pause", Side::Segments, LAUNCH, |api, call| {
        Box::pin(act(api, call, CampaignAction::Pause))
    }),
    Route::new(Method::POST, "/api/campaigns/{id}/resume", Side::Segments, LAUNCH, |api, call| {
        Box::pin(act(api, call, CampaignAction::Resume))
    }),
    Route::new(Method::POST, "/api/campaigns/{id}/cancel", Side::Segments, LAUNCH, |api, call| {
        Box::pin(act(api, call, CampaignAction::Cancel))
    }),
    Route::new(Method::GET, "/api/campaigns/{id}/sends", Side::Segments, USERS, |api, call| Box::pin(sends(api, call))),
];

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.campaigns.campaigns()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    collection::create(api, call, |api, input, author| api.platform.campaigns.create_campaign(input, author)).await
}

async fn put(api: Arc<Api>, call: Call) -> HandlerResult {
    let replace = |api: &Api, id: &str, input, version, author: &str| {
        api.platform.campaigns.replace_campaign(id, input, version, author)
    };
    collection::put(api, call, replace).await
}

async fn act(api: Arc<Api>, call: Call, action: CampaignAction) -> HandlerResult {
    let change = move |api: &Api, id: &str, version, author: &str| {
        api.platform.campaigns.change_campaign(id, action, version, author)
    };
    collection::act(api, call, change).await
}

async fn preview(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let counts = api.blocking(move |api| api.platform.campaigns.preview_campaign(&id)).await?;
    Ok(reply::json(StatusCode::OK, &counts))
}

async fn sends(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let query = Query::read(&call.query);
    let state = query.one("state")?.map(str::to_owned);
    let (after, limit) = (SENDS.asked(&query)?, query.limit()?);
    let page = api.blocking(move |api| api.platform.campaigns.sends(&id, state.as_deref(), after.as_deref(), limit));
    Ok(reply::json(StatusCode::OK, &SENDS.give(page.await?)))
}

impl CollectionDocument for CampaignView {
    const LIST: &'static str = LIST;

    fn id(&self) -> &str {
        &self.campaign.id
    }

    fn version(&self) -> u64 {
        self.campaign.version
    }

    fn current(api: &Api, id: &str) -> Result<Self, PlatformError> {
        api.platform.campaigns.campaign(id)
    }
}
