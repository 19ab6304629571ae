//! Tenants beside `default`: made by operators, changed, and ended with everybody in them.
//!
//! An ended tenant is kept as `ending` until whoever has its data says that they are gone; its id is free after that.

use std::sync::Arc;

use audience_protocol::{AuditNote, Tenant};

use crate::auth::Auth;
use crate::document::{DEFAULT_TENANT, Edit, Invitation, TenantRecord};
use crate::door::{self, Principal, caller};
use crate::error::{AuthError, Result};
use crate::members::{INVITED, email, invitation, invited};
use crate::role::Role;
use crate::secret::Secret;
use crate::state::State;

/// Tenants at most: each has threads and files of its own.
const TENANTS: usize = 32;
const NAME_CHARACTERS: usize = 100;
const ID_BYTES: usize = 24;
/// A quota a minute at most: more is no bound.
const MOST_A_MINUTE: u32 = 10_000_000;
/// The author of what the program does by itself.
const PLATFORM: &str = "platform";

/// The wish for a tenant.
#[derive(Clone, Debug)]
pub struct TenantInput {
    /// The id: 1 to 24 lower-case letters, digits and `-`, the first a letter. It stands in names of topics and keys.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The e-mail address of its first admin.
    pub admin: String,
    /// Requests a minute; `None` for the default of the platform.
    pub requests_per_minute: Option<u32>,
    /// Events a minute; `None` for the default of the platform.
    pub events_per_minute: Option<u32>,
}

/// A change of a tenant.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// The name.
    pub name: Option<String>,
    /// Requests a minute; `Some(None)` for the default of the platform.
    pub requests_per_minute: Option<Option<u32>>,
    /// Events a minute, in the same way.
    pub events_per_minute: Option<Option<u32>>,
}

fn invalid<T>(pointer: &'static str, message: &str) -> Result<T> {
    Err(AuthError::Invalid { pointer, message: message.to_owned() })
}

fn check_id(id: &str) -> Result<()> {
    let is_taken = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_named = id.len() <= ID_BYTES && id.bytes().all(is_taken);
    match is_named && id.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => Ok(()),
        false => invalid("/id", "an id has 1 to 24 lower-case letters, digits and -, and begins with a letter"),
    }
}

fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    match (1..=NAME_CHARACTERS).contains(&name.chars().count()) && !name.contains(char::is_control) {
        true => Ok(name.to_owned()),
        false => invalid("/name", "a name has 1 to 100 characters"),
    }
}

fn check_quotas(requests: Option<u32>, events: Option<u32>) -> Result<()> {
    for (pointer, most) in [("/requestsPerMinute", requests), ("/eventsPerMinute", events)] {
        if most.is_some_and(|most| most > MOST_A_MINUTE) {
            return invalid(pointer, "write a number of at most 10000000; 0 sets no bound");
        }
    }
    Ok(())
}

fn record_of<'s>(state: &'s State, id: &str) -> Result<&'s Arc<TenantRecord>> {
    let found = state.tenants.get(id).filter(|tenant| !tenant.ending);
    found.ok_or_else(|| AuthError::NotFound { kind: "tenant", id: id.to_owned() })
}

/// The ends of everybody in a tenant.
fn ends(state: &State, id: &str) -> Vec<Edit> {
    let own = state.of_id(id);
    let sessions = own.sessions().map(|(session, _)| Edit::NoSession(session.id.clone()));
    let invitations = own.invitations().map(|invitation| Edit::NoInvitation(invitation.id.clone()));
    let keys = own.keys().map(|key| Edit::NoKey(key.id.clone()));
    let members = own.members().map(|member| Edit::NoMember(member.id.clone()));
    sessions.chain(invitations).chain(keys).chain(members).collect()
}

impl Auth {
    /// Returns the tenants beside `default`, by id, those that are ending too.
    pub fn tenants(&self) -> Vec<(Tenant, Arc<TenantRecord>)> {
        let Some(state) = self.state() else { return Vec::new() };
        let mut tenants: Vec<_> =
            state.tenants.values().map(|record| (door::tenant(&record.id), Arc::clone(record))).collect();
        tenants.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        tenants
    }

    /// Returns how many members and keys a tenant has.
    pub fn tenant_counts(&self, tenant: &Tenant) -> (usize, usize) {
        let state = self.state();
        let own = state.as_deref().map(|state| state.of(tenant));
        own.map_or((0, 0), |own| (own.members().count(), own.keys().count()))
    }

    /// The quota of requests that a tenant has of its own.
    pub fn own_quota(&self, tenant: &Tenant) -> Option<u32> {
        if tenant.is_default() {
            return None;
        }
        self.state()?.tenants.get(tenant.id())?.requests_per_minute
    }

    /// The quota of events that a tenant has of its own.
    pub fn own_events_quota(&self, tenant: &Tenant) -> Option<u32> {
        self.state()?.tenants.get(tenant.id())?.events_per_minute
    }

    /// Makes a tenant; gives the secret for the link of its first admin.
    pub fn create_tenant(
        &self,
        principal: &Principal,
        input: &TenantInput,
        now: i64,
    ) -> Result<((Tenant, TenantRecord), Secret)> {
        check_id(&input.id)?;
        check_quotas(input.requests_per_minute, input.events_per_minute)?;
        let (name, admin) = (checked_name(&input.name)?, email(&input.admin)?);
        let record = TenantRecord {
            id: input.id.clone(),
            name,
            created_at: now,
            requests_per_minute: input.requests_per_minute,
            events_per_minute: input.events_per_minute,
            ending: false,
        };
        if self.is_open() {
            // The first member of a tenant would shut the door, and nobody could run the platform.
            let message = "nobody is asked to sign in: make the first admin of the platform before".to_owned();
            return Err(AuthError::Conflict { code: "open", message });
        }
        self.change(principal.caller(), |state| {
            if record.id == DEFAULT_TENANT || state.tenants.contains_key(&record.id) {
                let message = format!("there is a tenant {}, or its data are not gone yet", record.id);
                return Err(AuthError::Conflict { code: "exists", message });
            }
            if state.tenants.len() >= TENANTS {
                let message = format!("there are {TENANTS} tenants beside default, which is as many as there may be");
                return Err(AuthError::Conflict { code: "too_many", message });
            }
            if state.by_email(&admin).is_some() {
                let message = format!("{admin} is a member already; an e-mail address is of one tenant");
                return Err(AuthError::Conflict { code: "exists", message });
            }
            let by = caller(&record.id, principal.caller().author());
            let made = invitation(&by, Some(admin.clone()), Role::MarketingAdmin, now, INVITED)?;
            let (mut edits, _, (_, secret)) = invited(state, made)?;
            edits.push(Edit::Tenant(record.clone()));
            let note = AuditNote::of("created", "tenant", &record.id).with_note(&record.name);
            Ok((edits, note, ((by.tenant().clone(), record.clone()), secret)))
        })
    }

    /// Changes a tenant.
    pub fn change_tenant(
        &self,
        principal: &Principal,
        id: &str,
        change: &TenantChange,
    ) -> Result<(Tenant, TenantRecord)> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        check_quotas(change.requests_per_minute.flatten(), change.events_per_minute.flatten())?;
        self.change(principal.caller(), |state| {
            let before = record_of(state, id)?;
            let after = TenantRecord {
                name: name.clone().unwrap_or_else(|| before.name.clone()),
                requests_per_minute: change.requests_per_minute.unwrap_or(before.requests_per_minute),
                events_per_minute: change.events_per_minute.unwrap_or(before.events_per_minute),
                ..TenantRecord::clone(before)
            };
            let shown = |record: &TenantRecord| {
                serde_json::json!({
                    "name": record.name,
                    "requestsPerMinute": record.requests_per_minute,
                    "eventsPerMinute": record.events_per_minute,
                })
            };
            let note = AuditNote::of("updated", "tenant", id).with_change(shown(before), shown(&after));
            Ok((vec![Edit::Tenant(after.clone())], note, (door::tenant(id), after)))
        })
    }

    /// Invites somebody to a tenant on behalf of the owner of the host: an admin who is locked out.
    pub fn invite_to(&self, id: &str, to: &str, role: Role, now: i64) -> Result<(Invitation, Secret)> {
        if id != DEFAULT_TENANT {
            record_of(&self.access()?.state(), id)?;
            return self.invite(&Principal::of_host_in(id), to, role, now);
        }
        self.invite(&Principal::of_host(), to, role, now)
    }

    /// Ends a tenant: nobody of it is let in any more, and its data are going.
    pub fn end_tenant(&self, principal: &Principal, id: &str) -> Result<()> {
        self.change(principal.caller(), |state| {
            let record = TenantRecord { ending: true, ..TenantRecord::clone(record_of(state, id)?) };
            let note = AuditNote::of("deleted", "tenant", id).with_note(&record.name);
            let mut edits = ends(state, id);
            edits.push(Edit::Tenant(record));
            Ok((edits, note, ()))
        })
    }

    /// Forgets an ended tenant, whose data are gone now.
    pub fn forget_tenant(&self, tenant: &Tenant) -> Result<()> {
        let id = tenant.id();
        self.change(&caller(DEFAULT_TENANT, PLATFORM), |state| {
            // Whoever was invited while it ended goes, too.
            let mut edits = ends(state, id);
            edits.push(Edit::NoTenant(id.to_owned()));
            let is_ending = state.tenants.get(id).is_some_and(|record| record.ending);
            let note = AuditNote::of("erased", "tenant", id);
            Ok((if is_ending { edits } else { Vec::new() }, note, ()))
        })
    }
}
