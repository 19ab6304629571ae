//! Access: signing in, members, invitations, roles, API keys and sessions.

mod invitations;
mod keys;
mod members;
mod oidc;
mod session;
mod sessions;
mod tenants;
mod tokens;
mod views;

use audience_auth::AuthError;
use hyper::StatusCode;

use crate::problem::{NEEDS_ENGINE, Problem};
use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[
        session::ROUTES,
        members::ROUTES,
        invitations::ROUTES,
        keys::ROUTES,
        sessions::ROUTES,
        tenants::ROUTES,
        tokens::ROUTES,
        oidc::ROUTES,
    ],
    openapi: include_str!("openapi.json"),
};

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Problem {
        let detail = error.to_string();
        match error {
            AuthError::Invalid { pointer, message } => Problem::fault(pointer, "invalid_value", message),
            AuthError::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            AuthError::Conflict { code, .. } => Problem::new(StatusCode::CONFLICT, code, detail),
            AuthError::NotSignedIn(_) => Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", detail),
            AuthError::TooMany { retry_after_seconds } => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail)
                    .retry_after(retry_after_seconds)
            }
            AuthError::Busy => Problem::busy(1),
            AuthError::NoStore => Problem::new(StatusCode::NOT_IMPLEMENTED, NEEDS_ENGINE, detail),
            AuthError::NoRandomness => Problem::internal(),
            AuthError::Store(error) if error.leaves_open() => Problem::unavailable("outcome_unknown", detail),
            AuthError::Store(error) => {
                tracing::error!(%error, "The store of members and keys does not answer");
                Problem::unavailable("unavailable", "the store of members and keys does not answer")
            }
        }
    }
}
