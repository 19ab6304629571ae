//! `/api/members`: people who may sign in; and `/api/roles`.

use std::sync::Arc;

use audience_auth::{MemberChange, Needs, PERMISSIONS, Permission, Permissions, ROLES, Role};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::session::not_kept;
use super::views::{InvitationView, MemberView};
use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::MemberRead);
const WRITE: Needs = Needs::Permission(Permission::MemberWrite);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/members", Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::PATCH, "/api/members/{id}", Side::Segments, WRITE, |api, call| Box::pin(change(api, call))),
    Route::new(Method::POST, "/api/members/{id}/reset", Side::Segments, WRITE, |api, call| Box::pin(reset(api, call))),
    Route::new(Method::GET, "/api/roles", Side::Segments, Needs::SignedIn, |_, _| {
        Box::pin(std::future::ready(Ok(roles())))
    }),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberPatch {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    disabled: Option<bool>,
}

#[derive(Serialize)]
struct RoleView {
    id: Role,
    name: &'static str,
    permissions: Permissions,
}

#[derive(Serialize)]
struct PermissionView {
    id: &'static str,
    about: &'static str,
}

#[derive(Serialize)]
struct RolesView {
    items: Vec<RoleView>,
    permissions: Vec<PermissionView>,
}

/// A role by its name.
pub(super) fn role(name: &str) -> Result<Role, Problem> {
    Role::named(name).ok_or_else(|| {
        let names: Vec<_> = ROLES.iter().map(|role| role.name()).collect();
        Problem::fault("/role", "unknown_word", format!("a role is one of {}", names.join(", ")))
    })
}

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let members = api.blocking(move |api| api.auth.members(&call.principal)).await?;
    let items: Vec<_> = members.iter().map(|member| MemberView::of(member)).collect();
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn change(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    Media::of(&call.headers, &[Media::MergePatch, Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let MemberPatch { name, role: named, disabled } = json::parse_object(&body)?;
    let change = MemberChange { name, role: named.as_deref().map(role).transpose()?, disabled };
    let principal = call.principal;
    let member = api.blocking(move |api| api.auth.change_member(&principal, &id, &change)).await?;
    Ok(reply::json(StatusCode::OK, &MemberView::of(&member)))
}

/// Gives a link by which the member sets a new password.
async fn reset(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal) = (call.take_id(), call.principal);
    let now = (api.options.clock)();
    let (invitation, secret) = api.blocking(move |api| api.auth.reset(&principal, &id, now)).await?;
    let view = InvitationView::of(&invitation, Some(api.auth.link(&secret)));
    Ok(not_kept(reply::json(StatusCode::CREATED, &view)))
}

fn roles() -> warp::reply::Response {
    let view = |role: Role| RoleView { id: role, name: role.title(), permissions: role.permissions() };
    let permission = |permission: &Permission| PermissionView { id: permission.name(), about: permission.about() };
    let view = RolesView {
        items: ROLES.into_iter().map(view).collect(),
        permissions: PERMISSIONS.iter().map(permission).collect(),
    };
    reply::json(StatusCode::OK, &view)
}
