//! Access as clients see it. No view has a digest, and only what was just made has a secret.

use audience_auth::{ApiKey, Identity, Invitation, KeyKind, Member, Permissions, Principal, Role, Secret, Session};
use audience_rules::time::format_time;
use serde::Serialize;

/// A member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberView {
    id: String,
    email: String,
    name: String,
    role: Role,
    disabled: bool,
    /// True where the member signs in at the provider of identities.
    provided: bool,
    created_at: String,
}

impl MemberView {
    pub(crate) fn of(member: &Member) -> MemberView {
        MemberView {
            id: member.id.clone(),
            email: member.email.clone(),
            name: member.name.clone(),
            role: member.role,
            disabled: member.disabled,
            provided: member.origin.is_some(),
            created_at: format_time(member.created_at),
        }
    }
}

/// The caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallerView {
    /// True where nobody is asked to sign in.
    open: bool,
    /// The name under which changes are recorded.
    author: String,
    /// The id of the tenant.
    tenant: String,
    /// The member, where the caller is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView>,
    permissions: Permissions,
}

impl CallerView {
    pub(crate) fn of(principal: &Principal, open: bool) -> CallerView {
        let member = match principal.identity() {
            Identity::Member { member, .. } => Some(MemberView::of(member)),
            Identity::Key(_) | Identity::Anyone => None,
        };
        let tenant = principal.tenant().id().to_owned();
        CallerView { open, author: principal.author(None), tenant, member, permissions: principal.permissions() }
    }

    pub(crate) fn of_member(member: &Member) -> CallerView {
        CallerView {
            open: false,
            author: member.email.clone(),
            tenant: member.tenant.clone(),
            member: Some(MemberView::of(member)),
            permissions: member.role.permissions(),
        }
    }
}

/// A tenant; with the link for its first admin where it was just made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TenantView {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<String>,
    pub(super) status: &'static str,
    pub(super) members: usize,
    pub(super) keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) events_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
}

/// An invitation; with its link where it was just made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitationView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    role: Role,
    made_by: String,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl InvitationView {
    pub(crate) fn of(invitation: &Invitation, link: Option<String>) -> InvitationView {
        InvitationView {
            id: invitation.id.clone(),
            email: invitation.email.clone(),
            role: invitation.role,
            made_by: invitation.made_by.clone(),
            created_at: format_time(invitation.created_at),
            expires_at: format_time(invitation.expires_at),
            link,
        }
    }
}

/// A key; with the key itself where it was just made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyView {
    id: String,
    name: String,
    kind: KeyKind,
    permissions: Permissions,
    addresses: Vec<String>,
    made_by: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl KeyView {
    pub(crate) fn of(key: &ApiKey, secret: Option<&Secret>) -> KeyView {
        KeyView {
            id: key.id.clone(),
            name: key.name.clone(),
            kind: key.kind,
            permissions: key.permissions,
            addresses: key.addresses.iter().map(ToString::to_string).collect(),
            made_by: key.made_by.clone(),
            created_at: format_time(key.created_at),
            expires_at: key.expires_at.map(format_time),
            used_at: key.used_at.map(format_time),
            old_until: key.old.as_ref().map(|old| format_time(old.until)),
            key: secret.map(|secret| secret.expose().to_owned()),
        }
    }
}

/// A session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    id: String,
    email: String,
    address: String,
    agent: String,
    created_at: String,
    used_at: String,
    /// True where a program has it, by tokens.
    program: bool,
    /// True of the session in which it is asked.
    current: bool,
}

impl SessionView {
    pub(crate) fn of(session: &Session, email: &str, principal: &Principal) -> SessionView {
        let current = matches!(principal.identity(), Identity::Member { session: own, .. } if *own == session.id);
        SessionView {
            id: session.id.clone(),
            email: email.to_owned(),
            address: session.address.clone(),
            agent: session.agent.clone(),
            created_at: format_time(session.created_at),
            used_at: format_time(session.used_at),
            program: session.tokens.is_some(),
            current,
        }
    }
}
