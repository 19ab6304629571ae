//! API keys: made, rotated, revoked.

use std::net::IpAddr;
use std::sync::Arc;

use audience_protocol::AuditNote;
use ipnet::IpNet;

use crate::auth::Auth;
use crate::document::{ApiKey, Edit, KeyKind, OldSecret};
use crate::door::Principal;
use crate::error::{AuthError, Result};
use crate::permission::{Permission, Permissions};
use crate::secret::{Secret, SecretKind};

const DAY: i64 = 24 * 3_600_000;
/// The time that the secret before a rotation is taken beside the new one.
const OVERLAP: i64 = DAY;
/// Keys at most.
const KEYS: usize = 1_000;
/// Address ranges of a key at most.
const RANGES: usize = 100;
const NAME_CHARACTERS: usize = 100;
/// Permissions that no key has: a key that leaked must not make others.
const NEVER: [Permission; 3] = [Permission::KeyWrite, Permission::MemberWrite, Permission::TenantWrite];

/// A key to be made.
#[derive(Clone, Debug)]
pub struct KeyInput {
    /// The name, under which its changes are recorded.
    pub name: String,
    /// The kind.
    pub kind: KeyKind,
    /// Its permissions; of a write key, nothing else than to send events.
    pub permissions: Permissions,
    /// Addresses and ranges from which it is taken; empty is everywhere.
    pub addresses: Vec<String>,
    /// Epoch milliseconds.
    pub expires_at: Option<i64>,
}

fn invalid<T>(pointer: &'static str, message: impl Into<String>) -> Result<T> {
    Err(AuthError::Invalid { pointer, message: message.into() })
}

fn ranges(addresses: &[String]) -> Result<Vec<IpNet>> {
    if addresses.len() > RANGES {
        return invalid("/addresses", format!("a key has at most {RANGES} addresses and ranges"));
    }
    let range = |text: &String| {
        let address = text.trim();
        let range = address.parse::<IpNet>().ok().or_else(|| address.parse::<IpAddr>().ok().map(IpNet::from));
        let message = "write addresses and ranges such as 192.0.2.7 and 10.0.0.0/8".to_owned();
        range.ok_or(AuthError::Invalid { pointer: "/addresses", message })
    };
    addresses.iter().map(range).collect()
}

fn checked(principal: &Principal, input: &KeyInput, now: i64) -> Result<(Permissions, Vec<IpNet>)> {
    let characters = input.name.trim().chars().count();
    if !(1..=NAME_CHARACTERS).contains(&characters) || input.name.contains(char::is_control) {
        return invalid("/name", format!("a name has 1 to {NAME_CHARACTERS} characters"));
    }
    if input.expires_at.is_some_and(|at| at <= now) {
        return invalid("/expiresAt", "this instant has passed");
    }
    let permissions = match input.kind {
        KeyKind::Write => Permissions::of(&[Permission::EventSend]),
        KeyKind::Server if input.permissions == Permissions::default() => {
            return invalid("/permissions", "a server key has at least one permission");
        }
        KeyKind::Server => input.permissions,
    };
    if let Some(permission) = permissions.iter().find(|permission| !principal.permissions().has(*permission)) {
        return invalid("/permissions", format!("you do not have {} yourself", permission.name()));
    }
    if let Some(never) = permissions.iter().find(|permission| NEVER.contains(permission)) {
        return invalid("/permissions", format!("no key may have {}", never.name()));
    }
    Ok((permissions, ranges(&input.addresses)?))
}

impl Auth {
    /// The key of a secret, if it is taken now.
    pub(crate) fn key_of(&self, secret: &Secret, now: i64) -> Option<Arc<ApiKey>> {
        let state = self.state()?;
        let key = state.keys.get(secret.id())?;
        let kind = match key.kind {
            KeyKind::Write => SecretKind::WriteKey,
            KeyKind::Server => SecretKind::ServerKey,
        };
        let is_old = key.old.as_ref().is_some_and(|old| now < old.until && secret.is_of(&old.digest));
        let is_taken = secret.kind() == kind && (secret.is_of(&key.digest) || is_old);
        let lasts = key.expires_at.is_none_or(|at| now < at);
        (is_taken && lasts).then(|| Arc::clone(key))
    }

    /// Returns the keys of the tenant, the newest first.
    pub fn keys(&self, principal: &Principal) -> Result<Vec<Arc<ApiKey>>> {
        let mut keys: Vec<_> = self.access()?.state().of(principal.tenant()).keys().cloned().collect();
        keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        Ok(keys)
    }

    /// Makes a key; its secret is never shown again.
    pub fn create_key(&self, principal: &Principal, input: &KeyInput, now: i64) -> Result<(ApiKey, Secret)> {
        let (permissions, addresses) = checked(principal, input, now)?;
        let (by, tenant) = (principal.caller(), principal.tenant());
        self.change(by, |state| {
            if state.of(tenant).keys().count() >= KEYS {
                let message = format!("there are {KEYS} keys, which is as many as there may be; revoke some");
                return Err(AuthError::Conflict { code: "too_many_keys", message });
            }
            if state.of(tenant).keys().any(|key| key.name == input.name.trim()) {
                let message = format!("there is a key named {:?}", input.name.trim());
                return Err(AuthError::Conflict { code: "exists", message });
            }
            let secret = Secret::new(match input.kind {
                KeyKind::Write => SecretKind::WriteKey,
                KeyKind::Server => SecretKind::ServerKey,
            })?;
            let key = ApiKey {
                id: secret.id().to_owned(),
                tenant: tenant.id().to_owned(),
                name: input.name.trim().to_owned(),
                kind: input.kind,
                digest: secret.digest(),
                old: None,
                permissions,
                addresses: addresses.clone(),
                made_by: by.author().to_owned(),
                created_at: now,
                expires_at: input.expires_at,
                used_at: None,
            };
            let note = AuditNote::of("created", "key", &key.id).with_note(&key.name);
            Ok((vec![Edit::Key(key.clone())], note, (key, secret)))
        })
    }

    /// Gives a key a new secret; the one before is taken for another day.
    pub fn rotate_key(&self, principal: &Principal, id: &str, now: i64) -> Result<(ApiKey, Secret)> {
        self.change(principal.caller(), |state| {
            let key = state
                .of(principal.tenant())
                .key(id)
                .ok_or_else(|| AuthError::NotFound { kind: "key", id: id.to_owned() })?;
            if !key.permissions.is_within(principal.permissions()) {
                return invalid("/permissions", "the key may do what you may not");
            }
            let kind = match key.kind {
                KeyKind::Write => SecretKind::WriteKey,
                KeyKind::Server => SecretKind::ServerKey,
            };
            let secret = Secret::for_id(kind, id)?;
            let old = Some(OldSecret { digest: key.digest.clone(), until: now + OVERLAP });
            let key = ApiKey { digest: secret.digest(), old, ..ApiKey::clone(key) };
            let note = AuditNote::of("secretRotated", "key", id).with_note(&key.name);
            Ok((vec![Edit::Key(key.clone())], note, (key, secret)))
        })
    }

    /// Revokes a key for good.
    pub fn revoke_key(&self, principal: &Principal, id: &str) -> Result<()> {
        self.change(principal.caller(), |state| {
            let key = state
                .of(principal.tenant())
                .key(id)
                .ok_or_else(|| AuthError::NotFound { kind: "key", id: id.to_owned() })?;
            let note = AuditNote::of("deleted", "key", id).with_note(&key.name);
            Ok((vec![Edit::NoKey(id.to_owned())], note, ()))
        })
    }
}
