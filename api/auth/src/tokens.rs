//! Tokens for programs: a refresh token that its use replaces, and access tokens that last ten minutes.
//!
//! A refresh token belongs to a session of its own kind, which is listed and ended like one of a browser. An access token is
//! signed, and still asked for at the door: the session or the key must last, and the rights are those of now.

use std::sync::Arc;

use audience_protocol::{AuditNote, Caller};

use crate::auth::Auth;
use crate::document::{DEFAULT_TENANT, Edit, Session, SigningKey};
use crate::door::{Identity, Knock, OF_KEY, Principal, caller};
use crate::error::{AuthError, Result};
use crate::jwt::{self, Claims};
use crate::permission::Permissions;
use crate::refresh::{Refreshed, refreshed};
use crate::secret::{Secret, SecretKind, random};
use crate::sessions::{self, Visitor};
use crate::signing;

const JTI: usize = 22;
/// The note of the audit log where a copy was noticed.
const COPIED: &str = "a refresh token was used twice; its session has ended";

/// The answer to one who asks for tokens.
#[derive(Debug)]
pub struct TokenPair {
    /// The access token.
    pub access: String,
    /// The refresh token; none for a key, which asks again.
    pub refresh: Option<Secret>,
    /// Seconds for which the access token lasts.
    pub expires_in: i64,
}

fn no_grant<T>() -> Result<T> {
    Err(AuthError::NotSignedIn("the token is not known, has ended, or was used before"))
}

impl Auth {
    /// Gives a member who has signed in with a browser tokens for a program, in a session of their own.
    pub fn draw_tokens(&self, principal: &Principal, visitor: &Visitor<'_>) -> Result<TokenPair> {
        // A stolen access token must not become a session that lasts for months.
        let is_program = |id: &str| self.state().is_none_or(|state| state.is_program(id));
        let member = match principal.identity() {
            Identity::Member { member, session } if !is_program(session) => member,
            _ => {
                let message = "a member draws tokens in a session of a browser; a server key takes one at /oauth/token";
                return Err(AuthError::Conflict { code: "no_session", message: message.to_owned() });
            }
        };
        let (key, session, secret) = self.change(principal.caller(), |state| {
            let (session, secret) = sessions::begin(&member.id, SecretKind::Refresh, visitor)?;
            let note = AuditNote::of("created", "session", &session.id).with_note("tokens for a program");
            let (key, mut edits) = signing::current(state, visitor.now)?;
            edits.extend(sessions::crowded(state, &member.id));
            edits.push(Edit::Session(session.clone()));
            Ok((edits, note, (key, session, secret)))
        })?;
        self.metrics().asked_for_tokens("given");
        self.pair(&key, principal, &session.id, Some(secret), visitor.now)
    }

    /// Replaces a refresh token, and gives an access token.
    pub fn refresh(&self, token: &str, now: i64) -> Result<TokenPair> {
        let shown = Secret::read(token).filter(|secret| secret.kind() == SecretKind::Refresh);
        let (outcome, key) = match &shown {
            Some(shown) => self.replace(shown, now)?,
            None => (Refreshed::Unknown, None),
        };
        let (counted, successor) = match outcome {
            Refreshed::Replaced(_, successor) => ("given", Some(successor)),
            Refreshed::Again(successor) => ("again", Some(successor)),
            Refreshed::Copied => ("copied", None),
            Refreshed::Unknown => ("refused", None),
        };
        self.metrics().asked_for_tokens(counted);
        let (Some(successor), Some(key)) = (successor, key) else { return no_grant() };
        let Some(principal) = self.program_of(successor.id(), now) else { return no_grant() };
        let id = successor.id().to_owned();
        self.pair(&key, &principal, &id, Some(successor), now)
    }

    /// Replaces a refresh token in the store; gives the key that signs, too.
    fn replace(&self, shown: &Secret, now: i64) -> Result<(Refreshed, Option<Arc<SigningKey>>)> {
        // A session that ends here has no member any more after it.
        let by = self.tokens_of(shown.id());
        let (outcome, key) = self.access()?.change(|state| {
            let session = state.sessions.get(shown.id()).filter(|session| !session.has_ended(now));
            let Some((session, chain)) = session.and_then(|session| Some((session, session.tokens.as_ref()?))) else {
                return Ok((Vec::new(), (Refreshed::Unknown, None)));
            };
            let (key, mut edits) = signing::current(state, now)?;
            let outcome = refreshed(session, chain, shown, now)?;
            match &outcome {
                Refreshed::Replaced(session, _) => edits.push(Edit::Session(Session::clone(session))),
                Refreshed::Copied => edits.push(Edit::NoSession(session.id.clone())),
                Refreshed::Again(_) | Refreshed::Unknown => {}
            }
            Ok((edits, (outcome, Some(key))))
        })?;
        if matches!(outcome, Refreshed::Copied) {
            tracing::warn!("A refresh token was used twice; its session has ended");
            self.record(&by, AuditNote::of("refused", "session", shown.id()).with_note(COPIED));
        }
        Ok((outcome, key))
    }

    /// Gives a server key an access token for itself. The key itself must be shown: no token leads to another.
    pub fn token_of_key(&self, knock: &Knock<'_>) -> Result<TokenPair> {
        let unknown = |_| AuthError::NotSignedIn("client_secret is a server key that is taken from this address");
        let (principal, id) = self.server_key(knock).map_err(unknown).inspect_err(|_| {
            self.metrics().asked_for_tokens("refused");
        })?;
        let now = knock.now;
        let signing = self.access()?.change(|state| {
            let (key, edits) = signing::current(state, now)?;
            Ok((edits, key))
        })?;
        self.metrics().asked_for_tokens("given");
        self.pair(&signing, &principal, &id, None, now)
    }

    fn pair(
        &self,
        key: &SigningKey,
        principal: &Principal,
        sid: &str,
        refresh: Option<Secret>,
        now: i64,
    ) -> Result<TokenPair> {
        let (sub, client_id, email, roles) = match principal.identity() {
            Identity::Member { member, .. } => (
                member.id.clone(),
                "member".to_owned(),
                Some(member.email.clone()),
                vec![member.role.name().to_owned()],
            ),
            Identity::Key(key) => (format!("{OF_KEY}{}", key.id), key.id.clone(), None, Vec::new()),
            Identity::Anyone => return no_grant(),
        };
        let iat = now / 1_000;
        let claims = Claims {
            iss: self.issuer().to_owned(),
            aud: jwt::AUDIENCE.to_owned(),
            sub,
            client_id,
            sid: sid.to_owned(),
            jti: random(JTI)?,
            iat,
            exp: iat + jwt::SECONDS,
            tenant_id: principal.tenant().id().to_owned(),
            email,
            roles,
            permissions: principal.permissions().iter().map(|permission| permission.name().to_owned()).collect(),
        };
        let Some(access) = jwt::sign(key, &claims) else { return no_grant() };
        Ok(TokenPair { access, refresh, expires_in: jwt::SECONDS })
    }

    /// The claims of an access token of the asking tenant that is taken now, with the permissions of now; `None` for any other.
    pub fn introspect(&self, asking: &Principal, token: &str, now: i64) -> Option<(Claims, Permissions)> {
        let read = self.read_token(token, now).filter(|(_, principal)| principal.tenant() == asking.tenant());
        read.map(|(claims, principal)| (claims, principal.permissions()))
    }

    /// Ends the session of a refresh token or of an access token, as who has one may. Whether there was any is not said.
    pub fn revoke_token(&self, token: &str, now: i64) -> Result<()> {
        let refresh = Secret::read(token).filter(|secret| secret.kind() == SecretKind::Refresh);
        let state = self.access()?.state();
        let id = match refresh {
            Some(secret) => {
                let session = state.sessions.get(secret.id());
                session.filter(|session| secret.is_of(&session.digest)).map(|session| session.id.clone())
            }
            None => {
                let read = self.read_token(token, now);
                read.filter(|(_, principal)| matches!(principal.identity(), Identity::Member { .. }))
                    .map(|(claims, _)| claims.sid)
            }
        };
        let Some(id) = id else { return Ok(()) };
        self.change(&self.tokens_of(&id), |_| {
            Ok((vec![Edit::NoSession(id.clone())], AuditNote::of("deleted", "session", &id), ()))
        })
    }

    /// Whoever acts by the tokens of a session, for the audit log of its tenant.
    fn tokens_of(&self, session: &str) -> Caller {
        let state = self.state();
        let member = state.as_ref().and_then(|state| state.members.get(&state.sessions.get(session)?.member));
        caller(member.map_or(DEFAULT_TENANT, |member| &member.tenant), "tokens")
    }

    /// The public keys by which tokens are checked: id, and the bytes in base64url.
    pub fn public_keys(&self) -> Vec<(String, String)> {
        let Some(state) = self.state() else { return Vec::new() };
        let mut keys: Vec<_> = state.signing.values().map(|key| (key.id.clone(), key.public.clone())).collect();
        keys.sort();
        keys
    }
}
