//! Members: invited, joined, changed, disabled; and the first admin.

use std::sync::Arc;

use audience_protocol::{AuditNote, Caller};

use crate::auth::Auth;
use crate::document::{DEFAULT_TENANT, Edit, Hidden, Invitation, Member};
use crate::door::{Identity, Principal, caller};
use crate::error::{AuthError, Result};
use crate::password;
use crate::role::Role;
use crate::secret::{Secret, SecretKind, random};
use crate::sessions::{self, Visitor};
use crate::state::{State, TenantState};

const HOUR: i64 = 3_600_000;
/// The time that an invitation lasts, and the link for the first admin.
pub(crate) const INVITED: i64 = 7 * 24 * HOUR;
const FIRST: i64 = HOUR;
/// Members of a tenant at most.
pub(crate) const MEMBERS: usize = 10_000;
const INVITATIONS: usize = 1_000;
/// The author of invitations from the host itself.
const HOST: &str = "host";

/// A change of a member.
#[derive(Clone, Debug, Default)]
pub struct MemberChange {
    /// The name.
    pub name: Option<String>,
    /// The role.
    pub role: Option<Role>,
    /// True where the member is kept out.
    pub disabled: Option<bool>,
}

/// The words of somebody who takes an invitation.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The secret of the link.
    pub secret: String,
    /// The e-mail address, where the link is for none.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The password.
    pub password: String,
}

fn invalid<T>(pointer: &'static str, message: &str) -> Result<T> {
    Err(AuthError::Invalid { pointer, message: message.to_owned() })
}

/// Reads an e-mail address, in lower case. Whether mail arrives there is not known.
pub(crate) fn email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control() && character != '@';
    let parts = email.split_once('@');
    let is_email = parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && name.chars().all(is_plain) && host.chars().all(is_plain)
    });
    if !is_email || email.len() > 254 {
        return invalid("/email", "this is no e-mail address such as ann@example.com");
    }
    Ok(email)
}

pub(crate) fn name(text: &str) -> Result<String> {
    let name = text.trim();
    if name.chars().count() > 100 || name.contains(char::is_control) {
        return invalid("/name", "a name has at most 100 characters");
    }
    Ok(name.to_owned())
}

fn check_role(principal: &Principal, role: Role) -> Result<()> {
    if role.permissions().is_within(principal.permissions()) {
        return Ok(());
    }
    invalid("/role", "this role may do more than you; whoever has the host can give it: audience admin invite")
}

fn not_found<T>(kind: &'static str, id: &str) -> Result<T> {
    Err(AuthError::NotFound { kind, id: id.to_owned() })
}

fn another_admin(state: &TenantState<'_>, but: &str) -> bool {
    let is_admin = |member: &Arc<Member>| member.role == Role::MarketingAdmin && !member.disabled && member.id != but;
    state.members().any(is_admin)
}

pub(crate) fn invitation(
    by: &Caller,
    email: Option<String>,
    role: Role,
    now: i64,
    lasts: i64,
) -> Result<(Invitation, Secret)> {
    let secret = Secret::new(SecretKind::Invitation)?;
    let (id, digest) = (secret.id().to_owned(), secret.digest());
    let (tenant, made_by, expires_at) = (by.tenant().id().to_owned(), by.author().to_owned(), now + lasts);
    Ok((Invitation { id, tenant, digest, email, role, made_by, created_at: now, expires_at }, secret))
}

impl Auth {
    /// Returns the members of the tenant, by e-mail address.
    pub fn members(&self, principal: &Principal) -> Result<Vec<Arc<Member>>> {
        let mut members: Vec<_> = self.access()?.state().of(principal.tenant()).members().cloned().collect();
        members.sort_by(|a, b| a.email.cmp(&b.email));
        Ok(members)
    }

    /// Returns the invitations to the tenant that nobody has taken, the newest first.
    pub fn invitations(&self, principal: &Principal, now: i64) -> Result<Vec<Arc<Invitation>>> {
        let state = self.access()?.state();
        let invitations = state.of(principal.tenant()).invitations();
        let mut invitations: Vec<_> = invitations.filter(|invitation| now < invitation.expires_at).cloned().collect();
        invitations.sort_by_key(|invitation| std::cmp::Reverse(invitation.created_at));
        Ok(invitations)
    }

    /// Invites somebody; gives the secret for the link, which is never shown again. Whoever is a member already gets a new
    /// password by it, if an admin or the host asks for that.
    pub fn invite(&self, principal: &Principal, to: &str, role: Role, now: i64) -> Result<(Invitation, Secret)> {
        let to = email(to)?;
        check_role(principal, role)?;
        let by = principal.caller();
        let is_of_host = by.author() == HOST;
        self.change(by, |state| {
            if let Some(member) = state.by_email(&to)
                && !(is_of_host && member.tenant == by.tenant().id())
            {
                let message = format!("{to} is a member; a new password is set by POST /api/members/{{id}}/reset");
                return Err(AuthError::Conflict { code: "exists", message });
            }
            invited(state, invitation(by, Some(to.clone()), role, now, INVITED)?)
        })
    }

    /// Gives a link by which a member sets a new password. Whoever asks for it does not choose the password.
    pub fn reset(&self, principal: &Principal, id: &str, now: i64) -> Result<(Invitation, Secret)> {
        let by = principal.caller();
        self.change(by, |state| {
            let Some(member) = state.of(by.tenant()).member(id) else { return not_found("member", id) };
            check_role(principal, member.role)?;
            invited(state, invitation(by, Some(member.email.clone()), member.role, now, INVITED)?)
        })
    }

    /// The link of an invitation. The secret stands in its fragment, which no browser sends and no log has; without a public URL
    /// it has no host.
    pub fn link(&self, secret: &Secret) -> String {
        let base = self.options().public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("{base}/join#{}", secret.expose())
    }

    /// Withdraws an invitation.
    pub fn withdraw(&self, principal: &Principal, id: &str) -> Result<()> {
        self.change(principal.caller(), |state| {
            if state.of(principal.tenant()).invitation(id).is_none() {
                return not_found("invitation", id);
            }
            Ok((vec![Edit::NoInvitation(id.to_owned())], AuditNote::of("deleted", "invitation", id), ()))
        })
    }

    /// A link for the first admin, in place of those that were given before; `None` where there is a member.
    pub fn first_admin_link(&self, now: i64) -> Result<Option<Secret>> {
        if self.has_members() {
            return Ok(None);
        }
        let by = caller(DEFAULT_TENANT, HOST);
        self.change(&by, |state| {
            let (invitation, secret) = invitation(&by, None, Role::MarketingAdmin, now, FIRST)?;
            let before = state.invitations.values().filter(|invitation| invitation.email.is_none());
            let before = before.map(|invitation| Edit::NoInvitation(invitation.id.clone()));
            let note = AuditNote::of("invited", "invitation", &invitation.id);
            let edits = before.chain([Edit::Invitation(invitation)]).collect();
            Ok((edits, note, Some(secret)))
        })
    }

    /// Makes the first admin with a password from the settings; where there is a member, nothing happens.
    pub fn make_first_admin(&self, address: &str, password: &str, now: i64) -> Result<bool> {
        if self.has_members() {
            return Ok(false);
        }
        let address = email(address)?;
        password::check(password, &address)?;
        let password = Hidden(self.hasher()?.hash(password)?);
        let id = random(8)?;
        self.change(&caller(DEFAULT_TENANT, HOST), |state| {
            let member = Member {
                id: id.clone(),
                tenant: DEFAULT_TENANT.to_owned(),
                email: address.clone(),
                name: String::new(),
                role: Role::MarketingAdmin,
                password: password.clone(),
                disabled: false,
                created_at: now,
                origin: None,
            };
            let edits = if state.members.is_empty() { vec![Edit::Member(member)] } else { Vec::new() };
            let is_made = !edits.is_empty();
            Ok((edits, AuditNote::of("joined", "member", &id), is_made))
        })
    }

    /// Takes an invitation: its member has that password from now on, and is signed in.
    pub fn join(&self, joining: &Joining, visitor: &Visitor<'_>) -> Result<(Arc<Member>, Secret)> {
        let unknown = || AuthError::NotSignedIn("this link is not known, was used, or has ended; ask for another");
        let secret = Secret::read(joining.secret.trim()).ok_or_else(unknown)?;
        let is_taken =
            |invitation: &&Arc<Invitation>| secret.is_of(&invitation.digest) && visitor.now < invitation.expires_at;
        let state = self.access()?.state();
        let taken = state.invitations.get(secret.id()).filter(is_taken).ok_or_else(unknown)?;
        let address = email(taken.email.as_deref().or(joining.email.as_deref()).unwrap_or_default())?;
        let name = name(joining.name.as_deref().unwrap_or_default())?;
        password::check(&joining.password, &address)?;
        let password = Hidden(self.hasher()?.hash(&joining.password)?);
        let id = random(8)?;
        self.change(&caller(&taken.tenant, &address), |state| {
            let taken = state.invitations.get(secret.id()).filter(is_taken).ok_or_else(unknown)?;
            let known = state.by_email(&address);
            // The link for the first admin takes nobody's place, and that of one tenant no member of another one.
            if known.is_some_and(|known| taken.email.is_none() || known.tenant != taken.tenant) {
                return Err(unknown());
            }
            let is_of_host = taken.made_by == HOST;
            let member = match known {
                None => Member {
                    id: id.clone(),
                    tenant: taken.tenant.clone(),
                    email: address.clone(),
                    name: name.clone(),
                    role: taken.role,
                    password: password.clone(),
                    disabled: false,
                    created_at: visitor.now,
                    origin: None,
                },
                Some(known) => Member {
                    password: password.clone(),
                    role: if is_of_host { taken.role } else { known.role },
                    disabled: known.disabled && !is_of_host,
                    ..Member::clone(known)
                },
            };
            let (session, cookie) = sessions::begin(&member.id, SecretKind::Session, visitor)?;
            let mut edits = sessions::ends(state, &member.id, None);
            edits.extend([Edit::NoInvitation(taken.id.clone()), Edit::Member(member.clone()), Edit::Session(session)]);
            let action = if known.is_some() { "passwordChanged" } else { "joined" };
            Ok((edits, AuditNote::of(action, "member", &member.id), (Arc::new(member), cookie)))
        })
    }

    /// Changes a member. A new role or a disabling ends the member's sessions; one admin always remains.
    pub fn change_member(&self, principal: &Principal, id: &str, change: &MemberChange) -> Result<Arc<Member>> {
        let new_name = change.name.as_deref().map(name).transpose()?;
        change.role.map_or(Ok(()), |role| check_role(principal, role))?;
        self.change(principal.caller(), |state| {
            let own = state.of(principal.tenant());
            let Some(member) = own.member(id) else { return not_found("member", id) };
            check_role(principal, member.role)?;
            let next = Member {
                name: new_name.clone().unwrap_or_else(|| member.name.clone()),
                role: change.role.unwrap_or(member.role),
                disabled: change.disabled.unwrap_or(member.disabled),
                ..Member::clone(member)
            };
            let was_admin = member.role == Role::MarketingAdmin && !member.disabled;
            let is_admin = next.role == Role::MarketingAdmin && !next.disabled;
            if was_admin && !is_admin && !another_admin(&own, id) {
                let message = "this is the only admin; make another one first".to_owned();
                return Err(AuthError::Conflict { code: "last_admin", message });
            }
            let may_less = next.role != member.role || next.disabled;
            let mut edits = if may_less { sessions::ends(state, id, None) } else { Vec::new() };
            edits.push(Edit::Member(next.clone()));
            let shown = |member: &Member| {
                serde_json::json!({"role": member.role, "disabled": member.disabled, "name": member.name})
            };
            let note = AuditNote::of("updated", "member", id).with_change(shown(member), shown(&next));
            Ok((edits, note, Arc::new(next)))
        })
    }

    /// Changes one's own password; the other sessions end, and this one gets a new secret.
    pub fn change_password(
        &self,
        principal: &Principal,
        old: &str,
        new: &str,
        visitor: &Visitor<'_>,
    ) -> Result<Secret> {
        let Identity::Member { member, .. } = principal.identity() else {
            return Err(AuthError::Conflict { code: "no_member", message: "only a member has a password".to_owned() });
        };
        if !self.hasher()?.is_right(old, Some(&member.password.0))? {
            return invalid("/currentPassword", "this is not the current password");
        }
        password::check(new, &member.email)?;
        let password = Hidden(self.hasher()?.hash(new)?);
        self.change(principal.caller(), |state| {
            let Some(member) = state.of(principal.tenant()).member(&member.id) else {
                return not_found("member", &member.id);
            };
            let (session, cookie) = sessions::begin(&member.id, SecretKind::Session, visitor)?;
            let mut edits = sessions::ends(state, &member.id, None);
            edits.push(Edit::Member(Member { password: password.clone(), ..Member::clone(member) }));
            edits.push(Edit::Session(session));
            Ok((edits, AuditNote::of("passwordChanged", "member", &member.id), cookie))
        })
    }
}

pub(crate) type Invited = (Vec<Edit>, AuditNote, (Invitation, Secret));

pub(crate) fn invited(state: &State, (invitation, secret): (Invitation, Secret)) -> Result<Invited> {
    let own = state.of_id(&invitation.tenant);
    if own.invitations().count() >= INVITATIONS || own.members().count() >= MEMBERS {
        let message = format!("there may be {INVITATIONS} invitations and {MEMBERS} members at once");
        return Err(AuthError::Conflict { code: "too_many", message });
    }
    let before = own.invitations().filter(|before| before.email == invitation.email);
    let before = before.map(|before| Edit::NoInvitation(before.id.clone()));
    let note = AuditNote::of("invited", "invitation", &invitation.id);
    let note = note.with_note(invitation.email.as_deref().unwrap_or_default());
    let edits = before.chain([Edit::Invitation(invitation.clone())]).collect();
    Ok((edits, note, (invitation, secret)))
}
