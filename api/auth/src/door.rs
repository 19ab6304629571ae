//! The door: what a route needs, what a request presents, and whom it lets in.

use std::net::IpAddr;
use std::sync::Arc;

use audience_protocol::{Caller, Tenant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::Auth;
use crate::document::{ApiKey, DEFAULT_TENANT, KeyKind, Member};
use crate::error::Refusal;
use crate::jwt::{self, Claims};
use crate::needs::Needs;
use crate::permission::{Permission, Permissions};
use crate::secret::{Secret, SecretKind};
use crate::site::{self, Site};

/// The beginning of the subject of a key's token.
pub(crate) const OF_KEY: &str = "key:";
/// The issuer of tokens where no address of the platform is known.
const UNNAMED: &str = "urn:audience-manager";

/// The credentials of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knock<'a> {
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The value of the session's cookie.
    pub cookie: Option<&'a str>,
    /// A key in the query or the body, where the route takes events.
    pub write_key: Option<&'a str>,
    /// The headers by which a browser names the page that asks.
    pub site: Site<'a>,
    /// Origins of other sites whose pages may ask; `*` for any.
    pub origins: &'a [String],
    /// True where the method may change something.
    pub is_unsafe: bool,
    /// The address of the other side.
    pub address: Option<IpAddr>,
    /// The clock, in epoch milliseconds.
    pub now: i64,
}

/// The tenant of an id that is stored.
pub(crate) fn tenant(id: &str) -> Tenant {
    Tenant::let_in_at_the_door(id)
}

/// The permissions of a member. Only those of `default` run the platform, whatever a role says.
fn permissions_of(member: &Member) -> Permissions {
    match member.tenant == DEFAULT_TENANT {
        true => member.role.permissions(),
        false => member.role.permissions().without(&[Permission::TenantWrite]),
    }
}

/// Whoever acts in a tenant, by a name for the audit log.
pub(crate) fn caller(tenant_id: &str, author: &str) -> Caller {
    Caller::let_in_at_the_door(tenant(tenant_id), author.into())
}

/// The caller that was let in.
#[derive(Clone, Debug)]
pub struct Principal {
    caller: Caller,
    permissions: Permissions,
    identity: Identity,
}

/// The identity of a principal.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Nobody is asked: the process is open, or the route public.
    Anyone,
    /// A member, in a session.
    Member {
        /// The member.
        member: Arc<Member>,
        /// The id of the session.
        session: String,
    },
    /// A key.
    Key(Arc<ApiKey>),
}

impl Principal {
    fn new(tenant: &str, author: &str, permissions: Permissions, identity: Identity) -> Principal {
        Principal { caller: caller(tenant, author), permissions, identity }
    }

    fn anyone(permissions: Permissions) -> Principal {
        Principal::new(DEFAULT_TENANT, "api", permissions, Identity::Anyone)
    }

    /// The owner of the host, who commands the program itself.
    pub fn of_host() -> Principal {
        Principal::new(DEFAULT_TENANT, "host", Permissions::all(), Identity::Anyone)
    }

    /// The owner of the host, in a tenant.
    pub(crate) fn of_host_in(tenant: &str) -> Principal {
        let permissions = Permissions::all().without(&[Permission::TenantWrite]);
        Principal::new(tenant, "host", permissions, Identity::Anyone)
    }

    /// Whoever shows the key of figures.
    fn scraper() -> Principal {
        Principal::new(DEFAULT_TENANT, "metrics", Permissions::of(&[Permission::SystemRead]), Identity::Anyone)
    }

    fn member(member: &Arc<Member>, session: &str) -> Principal {
        let identity = Identity::Member { member: Arc::clone(member), session: session.to_owned() };
        Principal::new(&member.tenant, &member.email, permissions_of(member), identity)
    }

    fn key(key: &Arc<ApiKey>) -> Principal {
        Principal::new(&key.tenant, &format!("key:{}", key.name), key.permissions, Identity::Key(Arc::clone(key)))
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        self.caller.tenant()
    }

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The permissions.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The author of a change. Where nobody is asked who they are, and for a server key, `said` names whom it is for.
    pub fn author(&self, said: Option<&str>) -> String {
        match (&self.identity, said) {
            (Identity::Anyone, Some(said)) => said.to_owned(),
            (Identity::Key(_), Some(said)) => format!("{} on behalf of {said}", self.caller.author()),
            _ => self.caller.author().to_owned(),
        }
    }

    /// Says why this caller may not, if a permission is lacking.
    pub fn may(&self, permission: Permission) -> Result<(), Refusal> {
        match self.permissions.has(permission) {
            true => Ok(()),
            false => Err(Refusal::Missing(permission)),
        }
    }

    fn check(&self, needs: Needs) -> Result<(), Refusal> {
        let is_write_key = matches!(&self.identity, Identity::Key(key) if key.kind == KeyKind::Write);
        match needs {
            Needs::Public => Ok(()),
            Needs::Ingest => self.may(Permission::EventSend),
            _ if is_write_key => Err(Refusal::WriteKey),
            Needs::SignedIn => Ok(()),
            Needs::Permission(permission) => self.may(permission),
            Needs::Service if matches!(self.identity, Identity::Key(_)) => Ok(()),
            Needs::Service => self.may(Permission::SystemRead),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The reason.
    pub why: Refusal,
    /// The caller for the audit log, where it is known and was not refused the same within the last minute.
    pub caller: Option<Caller>,
}

impl Auth {
    /// Lets a request in, or says why not. Takes memory and one hash; waits for nothing.
    pub fn admit(&self, needs: Needs, knock: &Knock<'_>) -> Result<Principal, Refused> {
        if self.is_open() {
            self.check_open(knock).map_err(|why| self.refuse(why, None))?;
            return Ok(Principal::anyone(Permissions::all()));
        }
        if needs == Needs::Public {
            // Signing in is public, and another site must not do it for somebody.
            self.check_site(knock).map_err(|why| self.refuse(why, None))?;
            return Ok(Principal::anyone(Permissions::default()));
        }
        let principal = self.identify(knock).map_err(|why| self.refuse(why, None))?;
        match principal.check(needs) {
            Ok(()) => Ok(principal),
            Err(why) => {
                let is_new = self.is_new_refusal(principal.caller(), needs, knock.now);
                Err(self.refuse(why, Some(principal.caller).filter(|_| is_new)))
            }
        }
    }

    /// Returns whether somebody who was let in would be let in now, too: for what stays connected. Takes memory alone.
    pub fn still_admits(&self, principal: &Principal, needs: Needs, now: i64) -> bool {
        let Some(state) = self.state() else { return self.is_open() };
        let permissions = match &principal.identity {
            Identity::Anyone => return self.is_open() || needs == Needs::Public,
            Identity::Member { member, session } => {
                let lasts = state.sessions.get(session).is_some_and(|session| !session.has_ended(now));
                let member = state.members.get(&member.id).filter(|member| lasts && !member.disabled);
                member.map(|member| permissions_of(member))
            }
            Identity::Key(key) => {
                let key = state.keys.get(&key.id).filter(|key| key.expires_at.is_none_or(|at| now < at));
                key.map(|key| key.permissions)
            }
        };
        let has = |permissions: Permissions| needs.permission().is_none_or(|needed| permissions.has(needed));
        permissions.is_some_and(has)
    }

    fn refuse(&self, why: Refusal, caller: Option<Caller>) -> Refused {
        self.metrics().refused(&why);
        Refused { why, caller }
    }

    /// Without sign-in everything rests on the address: a page of another site must not reach it through a browser.
    fn check_open(&self, knock: &Knock<'_>) -> Result<(), Refusal> {
        if self.asks_for_local_names() && !site::is_local(knock.site.host) {
            return Err(Refusal::OtherHost);
        }
        self.check_site(knock)
    }

    fn check_site(&self, knock: &Knock<'_>) -> Result<(), Refusal> {
        match knock.is_unsafe && knock.site.is_other(knock.origins) {
            true => Err(Refusal::OtherSite),
            false => Ok(()),
        }
    }

    /// Finds who presents these credentials. The header wins over what a browser adds by itself.
    fn identify(&self, knock: &Knock<'_>) -> Result<Principal, Refusal> {
        if let Some(authorization) = knock.authorization {
            if self.options().metrics_key.as_ref().is_some_and(|key| key.is_in(authorization)) {
                return Ok(Principal::scraper());
            }
            if let Some(token) = bearer_token(authorization) {
                return self.with_token(token, knock);
            }
            let secret = credential(authorization).ok_or(Refusal::NotKnown)?;
            return self.with_secret(&secret, knock);
        }
        if let Some(key) = knock.write_key {
            let secret = Secret::read(key).filter(|secret| secret.kind() == SecretKind::WriteKey);
            return self.with_secret(&secret.ok_or(Refusal::NotKnown)?, knock);
        }
        let cookie = knock.cookie.ok_or(Refusal::SignIn)?;
        let secret = Secret::read(cookie).filter(|secret| secret.kind() == SecretKind::Session);
        let principal = self.with_session(&secret.ok_or(Refusal::SignIn)?, knock.now)?;
        self.check_site(knock)?;
        Ok(principal)
    }

    fn with_secret(&self, secret: &Secret, knock: &Knock<'_>) -> Result<Principal, Refusal> {
        if !matches!(secret.kind(), SecretKind::WriteKey | SecretKind::ServerKey) {
            return Err(Refusal::NotKnown);
        }
        let key = self.key_of(secret, knock.now).ok_or(Refusal::NotKnown)?;
        check_address(&key, knock.address)?;
        self.note_use(&key.id, key.used_at, knock.now);
        Ok(Principal::key(&key))
    }

    fn with_session(&self, secret: &Secret, now: i64) -> Result<Principal, Refusal> {
        let (member, session) = self.session_of(secret, now).ok_or(Refusal::SignIn)?;
        self.note_use(&session.id, Some(session.used_at), now);
        Ok(Principal::member(&member, &session.id))
    }

    fn with_token(&self, token: &str, knock: &Knock<'_>) -> Result<Principal, Refusal> {
        let (_, principal) = self.read_token(token, knock.now).ok_or(Refusal::NotKnown)?;
        if let Identity::Key(key) = &principal.identity {
            check_address(key, knock.address)?;
        }
        Ok(principal)
    }

    /// The caller that shows a server key itself, and the key's id.
    pub(crate) fn server_key(&self, knock: &Knock<'_>) -> Result<(Principal, String), Refusal> {
        let secret = knock.authorization.and_then(credential).ok_or(Refusal::SignIn)?;
        let principal = self.with_secret(&secret, knock)?;
        match &principal.identity {
            Identity::Key(key) if key.kind == KeyKind::Server => {
                let id = key.id.clone();
                Ok((principal, id))
            }
            _ => Err(Refusal::WriteKey),
        }
    }

    /// The issuer of tokens: the address of the platform.
    pub fn issuer(&self) -> &str {
        self.options().public_url.as_deref().map_or(UNNAMED, |url| url.trim_end_matches('/'))
    }

    /// The caller of a program's session that lasts.
    pub(crate) fn program_of(&self, id: &str, now: i64) -> Option<Principal> {
        let state = self.state()?;
        let session = state.sessions.get(id).filter(|session| session.tokens.is_some() && !session.has_ended(now))?;
        let member = state.members.get(&session.member).filter(|member| !member.disabled)?;
        Some(Principal::member(member, id))
    }

    /// The claims of an access token that is taken now, with its caller. Its rights are those of now.
    pub(crate) fn read_token(&self, token: &str, now: i64) -> Option<(Claims, Principal)> {
        let state = self.state()?;
        let key = |id: &str| state.signing.get(id).map(Arc::as_ref);
        let claims = jwt::verify(token, key, self.issuer(), now / 1_000)?;
        let principal = match claims.sub.strip_prefix(OF_KEY) {
            None => self.program_of(&claims.sid, now)?,
            Some(id) => {
                let key = state.keys.get(id).filter(|key| key.expires_at.is_none_or(|at| now < at))?;
                Principal::key(key)
            }
        };
        let is_same = match &principal.identity {
            Identity::Member { member, .. } => member.id == claims.sub,
            _ => claims.sid == claims.client_id,
        };
        (is_same && claims.tenant_id == principal.tenant().id()).then_some((claims, principal))
    }
}

/// Refuses a key from an address that is none of its own.
fn check_address(key: &ApiKey, address: Option<IpAddr>) -> Result<(), Refusal> {
    let is_taken = |address: IpAddr| key.addresses.iter().any(|range| range.contains(&address.to_canonical()));
    match key.addresses.is_empty() || address.is_some_and(is_taken) {
        true => Ok(()),
        false => Err(Refusal::Address),
    }
}

/// Reads `Authorization: Bearer` with an access token.
fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.contains('.')).then_some(token)
}

/// Reads `Authorization`: `Bearer` with a key, or `Basic` with a key as the name, as libraries of senders have it.
fn credential(authorization: &str) -> Option<Secret> {
    let (scheme, rest) = authorization.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Secret::read(rest);
    }
    if !scheme.eq_ignore_ascii_case("basic") || rest.len() > 512 {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    // Some send the key as the password.
    Secret::read(name).or_else(|| Secret::read(password))
}
