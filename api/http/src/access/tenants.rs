//! `/api/tenants`: the tenants of the platform, for its operators.

use std::sync::Arc;

use audience_auth::{AuthError, Needs, Permission, TenantChange, TenantInput, TenantRecord};
use audience_protocol::Tenant;
use audience_rules::time::format_time;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Deserializer};

use super::session::not_kept;
use super::views::TenantView;
use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const PATH: &str = "/api/tenants";
const ONE: &str = "/api/tenants/{id}";
const WRITE: Needs = Needs::Permission(Permission::TenantWrite);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, WRITE, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, PATH, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::PATCH, ONE, Side::Segments, WRITE, |api, call| Box::pin(change(api, call))),
    Route::new(Method::DELETE, ONE, Side::Segments, WRITE, |api, call| Box::pin(end(api, call))),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewTenant {
    id: String,
    name: String,
    admin: String,
    #[serde(default)]
    requests_per_minute: Option<u32>,
    #[serde(default)]
    events_per_minute: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TenantPatch {
    #[serde(default)]
    name: Option<String>,
    /// `null` goes back to the default.
    #[serde(default, deserialize_with = "given")]
    requests_per_minute: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    events_per_minute: Option<Option<u32>>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn view(api: &Api, tenant: &Tenant, record: &TenantRecord) -> TenantView {
    let (members, keys) = api.auth.tenant_counts(tenant);
    let status = match record.ending {
        true => "ending",
        // Another process has its engine, and its health says how that is.
        false if !api.options.hosts_tenants => "elsewhere",
        false if api.tenants.get(tenant).is_some() => "ready",
        false => "starting",
    };
    TenantView {
        id: record.id.clone(),
        name: record.name.clone(),
        created_at: Some(format_time(record.created_at)),
        status,
        members,
        keys,
        requests_per_minute: record.requests_per_minute,
        events_per_minute: record.events_per_minute,
        link: None,
    }
}

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    // Whoever asks is of `default`: no other tenant has the permission.
    let own = call.principal.tenant();
    let (members, keys) = api.auth.tenant_counts(own);
    let first = TenantView {
        id: own.id().to_owned(),
        name: own.id().to_owned(),
        created_at: None,
        status: "ready",
        members,
        keys,
        requests_per_minute: None,
        events_per_minute: None,
        link: None,
    };
    let others = api.auth.tenants();
    let others = others.iter().map(|(tenant, record)| view(&api, tenant, record));
    let items: Vec<TenantView> = [first].into_iter().chain(others).collect();
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

/// Makes a tenant; the answer has the link for its first admin.
async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    if !api.options.hosts_tenants && api.options.engine.is_none() {
        let detail = "this process is one of a pair, and a pair serves the tenant `default` alone";
        return Err(Problem::new(StatusCode::CONFLICT, "one_tenant", detail));
    }
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let NewTenant { id, name, admin, requests_per_minute, events_per_minute } = json::parse_object(&body)?;
    let input = TenantInput { id, name, admin, requests_per_minute, events_per_minute };
    let (principal, now) = (call.principal, (api.options.clock)());
    let made = api
        .blocking(move |api| {
            let ((tenant, record), secret) = api.auth.create_tenant(&principal, &input, now)?;
            let link = Some(api.auth.link(&secret));
            Ok::<_, AuthError>(TenantView { link, ..view(api, &tenant, &record) })
        })
        .await?;
    Ok(not_kept(reply::json(StatusCode::CREATED, &made)))
}

async fn change(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let TenantPatch { name, requests_per_minute, events_per_minute } = json::parse_object(&body)?;
    let change = TenantChange { name, requests_per_minute, events_per_minute };
    let principal = call.principal;
    let changed = api
        .blocking(move |api| {
            let (tenant, record) = api.auth.change_tenant(&principal, &id, &change)?;
            Ok::<_, AuthError>(view(api, &tenant, &record))
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &changed))
}

/// Ends a tenant: nobody of it is let in any more, and its data go.
async fn end(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal) = (call.take_id(), call.principal);
    api.blocking(move |api| api.auth.end_tenant(&principal, &id)).await?;
    Ok(reply::no_content())
}
