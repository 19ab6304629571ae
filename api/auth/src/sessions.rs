//! Signing in, and sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audience_protocol::AuditNote;

use crate::auth::Auth;
use crate::document::{Edit, Member, RefreshChain, Session};
use crate::door::{Identity, Principal, caller};
use crate::error::{AuthError, Result};
use crate::permission::Permission;
use crate::secret::{Secret, SecretKind};
use crate::state::State;

/// Sessions of a member at once; the one that was used longest ago ends.
const SESSIONS: usize = 50;
const AGENT_BYTES: usize = 200;

/// From where somebody signs in.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The address of the other side.
    pub address: IpAddr,
    /// `User-Agent`
    pub agent: &'a str,
    /// The clock, in epoch milliseconds.
    pub now: i64,
}

/// A new session, and its cookie or refresh token.
pub(crate) fn begin(member: &str, kind: SecretKind, visitor: &Visitor<'_>) -> Result<(Session, Secret)> {
    let secret = Secret::new(kind)?;
    let mut agent: String = visitor.agent.chars().filter(|character| !character.is_control()).collect();
    let is_end = |end: &usize| agent.is_char_boundary(*end);
    let end = (0..=agent.len().min(AGENT_BYTES)).rev().find(is_end).unwrap_or_default();
    agent.truncate(end);
    let session = Session {
        id: secret.id().to_owned(),
        digest: secret.digest(),
        member: member.to_owned(),
        created_at: visitor.now,
        used_at: visitor.now,
        address: visitor.address.to_string(),
        agent,
        tokens: (kind == SecretKind::Refresh).then(RefreshChain::default),
    };
    Ok((session, secret))
}

/// The ends of a member's sessions, but of one.
pub(crate) fn ends(state: &State, member: &str, but: Option<&str>) -> Vec<Edit> {
    let theirs = state.sessions.values().filter(|session| session.member == member);
    let others = theirs.filter(|session| but != Some(session.id.as_str()));
    others.map(|session| Edit::NoSession(session.id.clone())).collect()
}

/// The end of the session that was used longest ago, where there are as many as may be.
pub(crate) fn crowded(state: &State, member: &str) -> Option<Edit> {
    let theirs: Vec<_> = state.sessions.values().filter(|session| session.member == member).collect();
    let oldest = theirs.iter().min_by_key(|session| session.used_at)?;
    (theirs.len() >= SESSIONS).then(|| Edit::NoSession(oldest.id.clone()))
}

impl Auth {
    /// Says how long an attempt to sign in waits before its password is looked at, and counts it.
    pub fn before_sign_in(&self, email: &str, visitor: &Visitor<'_>) -> Result<Duration> {
        let account = email.trim().to_lowercase();
        let delay = self.throttle().before(&account, visitor.address, visitor.now);
        let delay = delay.map_err(|retry_after_seconds| {
            self.metrics().signed_in("throttled");
            AuthError::TooMany { retry_after_seconds }
        })?;
        self.throttle().attempt(&account, visitor.address, visitor.now);
        Ok(delay)
    }

    /// Signs a member in with a password; gives the secret of the session. A wrong name takes as long as a wrong password, and
    /// is answered the same.
    pub fn sign_in(&self, email: &str, password: &str, visitor: &Visitor<'_>) -> Result<(Arc<Member>, Secret)> {
        let email = email.trim().to_lowercase();
        let member = self.access()?.state().by_email(&email).filter(|member| !member.disabled).cloned();
        let stored = member.as_ref().map(|member| member.password.0.as_str());
        let is_right = self.hasher()?.is_right(password, stored)?;
        let Some(member) = member.filter(|_| is_right) else {
            self.metrics().signed_in("refused");
            // The name may be a password that was typed in the wrong field: only one that is known is recorded.
            if let Some(member) = self.access()?.state().by_email(&email) {
                self.record(&caller(&member.tenant, &member.email), AuditNote::of("refused", "session", &member.id));
            }
            return Err(AuthError::NotSignedIn("the e-mail address and the password do not fit"));
        };
        let secret = self.change(&caller(&member.tenant, &member.email), |state| {
            // It may have been disabled meanwhile, or its password changed.
            let is_same = state.members.get(&member.id).is_some_and(|now| *now == member);
            if !is_same {
                return Err(AuthError::NotSignedIn("the e-mail address and the password do not fit"));
            }
            let (session, secret) = begin(&member.id, SecretKind::Session, visitor)?;
            let note = AuditNote::of("signedIn", "session", &session.id);
            let edits = crowded(state, &member.id).into_iter().chain([Edit::Session(session)]).collect();
            Ok((edits, note, secret))
        })?;
        self.throttle().succeeded(&email, visitor.address);
        self.metrics().signed_in("accepted");
        Ok((member, secret))
    }

    /// The member of a session that lasts.
    pub(crate) fn session_of(&self, secret: &Secret, now: i64) -> Option<(Arc<Member>, Arc<Session>)> {
        let state = self.state()?;
        let session = state.sessions.get(secret.id())?;
        if session.tokens.is_some() || !secret.is_of(&session.digest) || session.has_ended(now) {
            return None;
        }
        let member = state.members.get(&session.member).filter(|member| !member.disabled)?;
        Some((Arc::clone(member), Arc::clone(session)))
    }

    /// Ends the session in which somebody asks.
    pub fn sign_out(&self, principal: &Principal) -> Result<()> {
        let Identity::Member { session, .. } = principal.identity() else { return Ok(()) };
        self.change(principal.caller(), |state| {
            let edits = state.sessions.get(session).map(|session| Edit::NoSession(session.id.clone()));
            Ok((edits.into_iter().collect(), AuditNote::of("signedOut", "session", session), ()))
        })
    }

    /// Returns sessions, the last used first: one's own, or everybody's of the tenant with `member:read`.
    pub fn sessions(&self, principal: &Principal, now: i64) -> Result<Vec<(Arc<Session>, String)>> {
        let state = self.access()?.state();
        let own = own_member(principal);
        let sees_all = principal.permissions().has(Permission::MemberRead);
        let shown = state.of(principal.tenant()).sessions().filter(|(session, _)| !session.has_ended(now));
        let shown = shown.filter(|(session, _)| sees_all || own == Some(session.member.as_str()));
        let mut shown: Vec<_> = shown.map(|(session, member)| (Arc::clone(session), member.email.clone())).collect();
        shown.sort_by_key(|(session, _)| std::cmp::Reverse(session.used_at));
        Ok(shown)
    }

    /// Ends a session: one's own, or anybody's of the tenant with `member:write`.
    pub fn end_session(&self, principal: &Principal, id: &str) -> Result<()> {
        let own = own_member(principal);
        let may_all = principal.permissions().has(Permission::MemberWrite);
        self.change(principal.caller(), |state| {
            let session = state
                .of(principal.tenant())
                .session(id)
                .filter(|session| may_all || own == Some(session.member.as_str()));
            let session = session.ok_or_else(|| AuthError::NotFound { kind: "session", id: id.to_owned() })?;
            Ok((vec![Edit::NoSession(session.id.clone())], AuditNote::of("deleted", "session", id), ()))
        })
    }
}

fn own_member(principal: &Principal) -> Option<&str> {
    match principal.identity() {
        Identity::Member { member, .. } => Some(&member.id),
        _ => None,
    }
}
