//! Access: members with roles, API keys, sessions, and the door that asks for them.
//!
//! - [`Auth`] is all of it. [`Auth::admit`] decides about a request from memory alone: a route says what it [`Needs`], a
//!   request is a [`Knock`], and the answer is a [`Principal`] or a [`Refusal`].
//! - The documents live in an [`AccessStore`](audience_contract::AccessStore); every process has all of them in memory and
//!   follows the others' writes within seconds ([`Auth::tend`]).
//! - Secrets are random, shown once and stored as digests; passwords are hashed by argon2id on threads of their own. No
//!   `Debug` shows either.
//! - Time is handed in. Nothing here knows HTTP.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod auth;
mod document;
mod door;
mod error;
mod group_roles;
mod jwt;
mod keys;
mod members;
mod metrics;
mod metrics_key;
mod needs;
mod password;
mod permission;
mod provider;
mod quota;
mod refresh;
mod role;
mod secret;
mod sessions;
mod signing;
mod site;
mod state;
mod tenants;
mod throttle;
mod tokens;

pub use auth::{Auth, AuthOptions, Mode, NobodyToAsk};
pub use document::{ApiKey, Invitation, KeyKind, Member, MemberOrigin, Session, TenantRecord};
pub use door::{Identity, Knock, Principal, Refused};
pub use error::{AuthError, Refusal};
pub use group_roles::GroupRoles;
pub use jwt::Claims;
pub use keys::KeyInput;
pub use members::{Joining, MemberChange};
pub use metrics_key::MetricsKey;
pub use needs::Needs;
pub use permission::{PERMISSIONS, Permission, Permissions};
pub use provider::{CALLBACK, NotProvided, ProviderAnswer, ProviderVisit};
pub use quota::{Counted, DEFAULT_QUOTA, MemoryQuota, QuotaKind, QuotaOptions, Quotas};
pub use role::{ROLES, Role};
pub use secret::{Secret, SecretKind};
pub use sessions::Visitor;
pub use site::Site;
pub use tenants::{TenantChange, TenantInput};
pub use tokens::TokenPair;
