//! `/api/keys`: API keys. A key is shown once, in the answer that makes it.

use std::sync::Arc;

use audience_auth::{KeyInput, KeyKind, Needs, Permission, Permissions};
use audience_rules::time::parse_rfc3339;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::session::not_kept;
use super::views::KeyView;
use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const PATH: &str = "/api/keys";
const READ: Needs = Needs::Permission(Permission::KeyRead);
const WRITE: Needs = Needs::Permission(Permission::KeyWrite);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, PATH, Side::Segments, WRITE, |api, call| Box::pin(create(api, call))),
    Route::new(Method::POST, "/api/keys/{id}/rotate", Side::Segments, WRITE, |api, call| Box::pin(rotate(api, call))),
    Route::new(Method::DELETE, "/api/keys/{id}", Side::Segments, WRITE, |api, call| Box::pin(revoke(api, call))),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewKey {
    name: String,
    kind: String,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

impl NewKey {
    fn checked(self) -> Result<KeyInput, Problem> {
        let kind = match self.kind.as_str() {
            "write" => KeyKind::Write,
            "server" => KeyKind::Server,
            _ => return Err(Problem::fault("/kind", "unknown_word", "a key is of the kind write or server")),
        };
        let mut permissions = Vec::with_capacity(self.permissions.len());
        for (index, name) in self.permissions.iter().enumerate() {
            let unknown = || {
                Problem::fault(format!("/permissions/{index}"), "unknown_word", "GET /api/roles lists all permissions")
            };
            permissions.push(Permission::named(name).ok_or_else(unknown)?);
        }
        let no_time = || Problem::fault("/expiresAt", "invalid_value", "a time is RFC 3339 text with an offset");
        let time = |text: String| parse_rfc3339(&text).ok_or_else(no_time);
        let expires_at = self.expires_at.map(time).transpose()?;
        let permissions = Permissions::of(&permissions);
        Ok(KeyInput { name: self.name, kind, permissions, addresses: self.addresses, expires_at })
    }
}

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let keys = api.blocking(move |api| api.auth.keys(&call.principal)).await?;
    let items: Vec<_> = keys.iter().map(|key| KeyView::of(key, None)).collect();
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn create(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let input = json::parse_object::<NewKey>(&body)?.checked()?;
    let (principal, now) = (call.principal, (api.options.clock)());
    let (key, secret) = api.blocking(move |api| api.auth.create_key(&principal, &input, now)).await?;
    Ok(not_kept(reply::json(StatusCode::CREATED, &KeyView::of(&key, Some(&secret)))))
}

async fn rotate(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal, now) = (call.take_id(), call.principal, (api.options.clock)());
    let (key, secret) = api.blocking(move |api| api.auth.rotate_key(&principal, &id, now)).await?;
    Ok(not_kept(reply::json(StatusCode::OK, &KeyView::of(&key, Some(&secret)))))
}

async fn revoke(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal) = (call.take_id(), call.principal);
    api.blocking(move |api| api.auth.revoke_key(&principal, &id)).await?;
    Ok(reply::no_content())
}
