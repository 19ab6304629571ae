//! Signing in at a provider of identities.
//!
//! Law: a member of a provider is who has its issuer and subject, never who has an e-mail address. A sign-in ends in the browser
//! in which it began: a secret that only that browser has, in a cookie, gives the state, the nonce and the verifier of PKCE.

use std::sync::Arc;

use audience_contract::{IdentityProvider, ProvidedIdentity, ProviderError, SignInEnd, SignInStart};
use audience_protocol::AuditNote;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use subtle::ConstantTimeEq as _;

use crate::auth::Auth;
use crate::document::{DEFAULT_TENANT, Edit, Hidden, Member, MemberOrigin};
use crate::door::{Identity, Principal, caller};
use crate::error::{AuthError, Result};
use crate::group_roles::{GroupRoles, SignInProvider};
use crate::members::{self, MEMBERS};
use crate::secret::{Secret, SecretKind, random};
use crate::sessions::{self, Visitor};

/// Characters of the secret of a browser that signs in.
const SECRET: usize = 32;
/// The path to which a provider sends the browser back.
pub const CALLBACK: &str = "/api/auth/oidc/callback";

/// A sign-in that begins.
pub struct ProviderVisit {
    /// The secret for the cookie of the browser.
    pub secret: String,
    /// The address where the browser signs in.
    pub url: String,
}

/// The words with which a browser comes back from a provider.
#[derive(Default)]
pub struct ProviderAnswer {
    /// The secret of the browser's cookie.
    pub secret: Option<String>,
    /// The secret of a session that the browser has already.
    pub session: Option<String>,
    /// `code`
    pub code: Option<String>,
    /// `state`
    pub state: Option<String>,
    /// `iss` (RFC 9207)
    pub issuer: Option<String>,
    /// `error`
    pub error: Option<String>,
}

/// Why somebody does not come in by a provider.
#[derive(Debug, thiserror::Error)]
pub enum NotProvided {
    /// There is no provider here.
    #[error("no provider of identities is set")]
    NoProvider,
    /// The sign-in began in another browser, or too long ago.
    #[error("the sign-in began in another browser, or too long ago")]
    Browser,
    /// The provider let nobody in.
    #[error("the provider of identities did not let the person in")]
    Denied,
    /// The provider names nobody.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider says no e-mail address, or does not vouch for it.
    #[error("the provider of identities vouches for no e-mail address of the person")]
    NoEmail,
    /// No group gives a role.
    #[error("no group of the person gives a role")]
    NoRole,
    /// Another member has the address.
    #[error("another member has the e-mail address of the person")]
    EmailTaken,
    /// The member is kept out.
    #[error("the member is disabled")]
    Disabled,
    /// The store did not do it.
    #[error(transparent)]
    Access(#[from] AuthError),
}

impl NotProvided {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            NotProvided::NoProvider => "no_provider",
            NotProvided::Browser => "other_browser",
            NotProvided::Denied => "denied",
            NotProvided::Provider(ProviderError::Away(_)) => "provider_away",
            NotProvided::Provider(_) => "not_provided",
            NotProvided::NoEmail => "no_email",
            NotProvided::NoRole => "no_role",
            NotProvided::EmailTaken => "email_taken",
            NotProvided::Disabled => "disabled",
            NotProvided::Access(_) => "unavailable",
        }
    }
}

/// A text that the secret of a browser gives for a purpose, and by which nobody finds the secret.
fn derived(secret: &str, purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, format!("{purpose} {secret}").as_bytes()))
}

impl Auth {
    /// Lets members sign in at a provider from now on.
    pub fn sign_in_at(&self, provider: Arc<dyn IdentityProvider>, roles: GroupRoles) {
        let _ = self.provider_place().set(SignInProvider { provider, roles });
    }

    /// The name of the provider for people, if there is one.
    pub fn provider_label(&self) -> Option<&str> {
        self.provider_place().get().map(|known| known.provider.label())
    }

    fn callback(&self) -> String {
        format!("{}{CALLBACK}", self.options().public_url.as_deref().unwrap_or_default().trim_end_matches('/'))
    }

    /// Begins a sign-in.
    pub fn visit_provider(&self, now: i64) -> Result<ProviderVisit, NotProvided> {
        let known = self.provider_place().get().ok_or(NotProvided::NoProvider)?;
        let secret = random(SECRET).map_err(AuthError::from)?;
        let challenge = digest::digest(&digest::SHA256, derived(&secret, "verifier").as_bytes());
        let start = SignInStart {
            state: &derived(&secret, "state"),
            nonce: &derived(&secret, "nonce"),
            challenge: &URL_SAFE_NO_PAD.encode(challenge),
            redirect_uri: &self.callback(),
        };
        let url = known.provider.sign_in_url(&start, now / 1_000)?;
        Ok(ProviderVisit { secret, url })
    }

    /// Ends a sign-in: the member, who is made at the first time, and the secret of the session.
    pub fn come_from_provider(
        &self,
        answer: &ProviderAnswer,
        visitor: &Visitor<'_>,
    ) -> Result<(Arc<Member>, Secret), NotProvided> {
        let outcome = self
            .identify_at_provider(answer, visitor)
            .and_then(|person| self.let_in(&person, answer.session.as_deref(), visitor));
        self.metrics().signed_in(if outcome.is_ok() { "accepted" } else { "refused" });
        outcome
    }

    fn identify_at_provider(
        &self,
        answer: &ProviderAnswer,
        visitor: &Visitor<'_>,
    ) -> Result<ProvidedIdentity, NotProvided> {
        let known = self.provider_place().get().ok_or(NotProvided::NoProvider)?;
        let secret = answer.secret.as_deref().filter(|secret| secret.len() == SECRET).ok_or(NotProvided::Browser)?;
        let state = answer.state.as_deref().unwrap_or_default();
        if !bool::from(derived(secret, "state").as_bytes().ct_eq(state.as_bytes())) {
            return Err(NotProvided::Browser);
        }
        if answer.issuer.as_deref().is_some_and(|issuer| issuer != known.provider.issuer()) {
            return Err(NotProvided::Provider(ProviderError::Untrue("another provider sent the browser back")));
        }
        let code = answer.code.as_deref().filter(|_| answer.error.is_none()).ok_or(NotProvided::Denied)?;
        let end = SignInEnd {
            code,
            verifier: &derived(secret, "verifier"),
            nonce: &derived(secret, "nonce"),
            redirect_uri: &self.callback(),
            now: visitor.now / 1_000,
        };
        Ok(known.provider.identify(&end)?)
    }

    /// The member as whom somebody is signed in already, whom the provider names by the same address: so a member with a password
    /// is tied to the provider. Another's address alone ties nobody.
    fn tied(&self, person: &ProvidedIdentity, session: Option<&str>, now: i64) -> Option<Arc<Member>> {
        let email = members::email(person.email.as_deref().filter(|_| person.is_email_verified == Some(true))?).ok()?;
        let secret = Secret::read(session?).filter(|secret| secret.kind() == SecretKind::Session)?;
        let (member, _) = self.session_of(&secret, now)?;
        // The provider is that of `default`, and its groups give nobody of another tenant a role.
        let is_theirs = member.email == email && member.tenant == DEFAULT_TENANT;
        (is_theirs && member.origin.is_none()).then_some(member)
    }

    fn let_in(
        &self,
        person: &ProvidedIdentity,
        session: Option<&str>,
        visitor: &Visitor<'_>,
    ) -> Result<(Arc<Member>, Secret), NotProvided> {
        let known = self.provider_place().get().ok_or(NotProvided::NoProvider)?;
        let origin = MemberOrigin { issuer: person.issuer.clone(), subject: person.subject.clone() };
        let state = self.access()?.state();
        let before = state.members.values().find(|member| member.origin.as_ref() == Some(&origin)).cloned();
        let before = before.or_else(|| self.tied(person, session, visitor.now));
        let refuse = |why: NotProvided| {
            // Only who is known is recorded: a provider may have many people who do not belong here.
            if let Some(member) = &before {
                self.record(
                    &caller(&member.tenant, &member.email),
                    AuditNote::of("refused", "session", &member.id).with_note(why.code()),
                );
            }
            Err(why)
        };
        let Some(role) = known.roles.role(&person.groups) else { return refuse(NotProvided::NoRole) };
        if before.as_ref().is_some_and(|member| member.disabled) {
            return refuse(NotProvided::Disabled);
        }
        let email = person.email.as_deref().filter(|_| person.is_email_verified != Some(false));
        let email = email.and_then(|email| members::email(email).ok());
        let Some(email) = email.or_else(|| before.as_ref().map(|member| member.email.clone())) else {
            return refuse(NotProvided::NoEmail);
        };
        let is_same = |member: &Arc<Member>| before.as_ref().is_some_and(|before| before.id == member.id);
        if state.by_email(&email).is_some_and(|member| !is_same(member)) {
            return refuse(NotProvided::EmailTaken);
        }
        let made = Member {
            id: before.as_ref().map_or_else(|| random(8), |before| Ok(before.id.clone())).map_err(AuthError::from)?,
            tenant: DEFAULT_TENANT.to_owned(),
            email,
            name: members::name(person.name.as_deref().unwrap_or_default()).unwrap_or_default(),
            role,
            // No password fits.
            password: Hidden(String::new()),
            disabled: false,
            created_at: visitor.now,
            origin: Some(origin),
        };
        Ok(self.begin_provided(&made, visitor)?)
    }

    /// Makes or updates the member of a provider, and begins a session.
    fn begin_provided(&self, made: &Member, visitor: &Visitor<'_>) -> Result<(Arc<Member>, Secret)> {
        self.change(&caller(DEFAULT_TENANT, &made.email), |state| {
            let before = state.of_id(DEFAULT_TENANT).member(&made.id);
            let taken = state.by_email(&made.email).is_some_and(|member| member.id != made.id);
            let is_full = before.is_none() && state.of_id(DEFAULT_TENANT).members().count() >= MEMBERS;
            if taken || is_full || before.is_some_and(|member| member.disabled) {
                let message =
                    "others changed the members at the same moment, or there are as many as may be".to_owned();
                return Err(AuthError::Conflict { code: "changed", message });
            }
            let member = match before {
                None => made.clone(),
                Some(before) => Member {
                    email: made.email.clone(),
                    role: made.role,
                    origin: made.origin.clone(),
                    ..Member::clone(before)
                },
            };
            let (session, secret) = sessions::begin(&member.id, SecretKind::Session, visitor)?;
            let mut edits = Vec::new();
            if let Some(before) = before.filter(|before| before.role != member.role) {
                edits.extend(sessions::ends(state, &before.id, None));
            }
            edits.extend(sessions::crowded(state, &member.id));
            if before.is_none_or(|before| **before != member) {
                edits.push(Edit::Member(member.clone()));
            }
            let note = match before {
                None => AuditNote::of("joined", "member", &member.id),
                Some(before) if before.role != member.role => AuditNote::of("updated", "member", &member.id)
                    .with_change(serde_json::json!({"role": before.role}), serde_json::json!({"role": member.role}))
                    .with_note("by groups of the provider"),
                Some(_) => AuditNote::of("signedIn", "session", &session.id),
            };
            edits.push(Edit::Session(session));
            Ok((edits, note, (Arc::new(member), secret)))
        })
    }

    /// The address where a member of the provider signs out there, too.
    pub fn provider_sign_out(&self, principal: &Principal, now: i64) -> Option<String> {
        let Identity::Member { member, .. } = principal.identity() else { return None };
        let known = self.provider_place().get().filter(|_| member.origin.is_some())?;
        let back = format!("{}/", self.options().public_url.as_deref().unwrap_or_default().trim_end_matches('/'));
        known.provider.sign_out_url(&back, now / 1_000)
    }
}
