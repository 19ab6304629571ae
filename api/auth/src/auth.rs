//! Access as a whole: whether sign-in is asked for, what is known, and what is recorded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use audience_contract::AccessStore;
use audience_protocol::{AuditNote, Caller, CatalogueResource, PlatformError, Tenant};
use parking_lot::{Mutex, RwLock};

use crate::document::{ApiKey, DEFAULT_TENANT, Edit, Session};
use crate::door::tenant;
use crate::error::{AuthError, Result};
use crate::group_roles::SignInProvider;
use crate::metrics::AuthMetrics;
use crate::metrics_key::MetricsKey;
use crate::needs::Needs;
use crate::password::Hasher;
use crate::signing;
use crate::state::{Access, State};
use crate::throttle::Throttle;

/// The time between two notes of a use, in milliseconds.
const USE_INTERVAL: i64 = 60_000;
/// Refusals that are remembered at most; more are in the metrics alone.
const REFUSALS: usize = 1_000;

/// True where callers must say who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not while every listener is on this machine and there is no member; for good from the first member on.
    #[default]
    Auto,
    /// Always.
    Required,
    /// Never, whoever reaches a listener: for networks where everybody may do everything.
    Off,
}

/// Settings of access.
#[derive(Clone, Debug, Default)]
pub struct AuthOptions {
    /// True where callers must say who they are.
    pub mode: Mode,
    /// True where every listener is on a loopback address.
    pub is_local: bool,
    /// The address under which browsers reach the platform, such as `https://audience.example.com`. With `https` the cookie
    /// is sent over TLS alone.
    pub public_url: Option<String>,
    /// The key with which figures are scraped, if there is one beside those in the store.
    pub metrics_key: Option<MetricsKey>,
}

/// The reason why a process must not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "a listener is reachable from other machines, and nobody could be asked to sign in: there is no member. Either listen on \
     127.0.0.1; or make the first admin with `audience admin invite EMAIL`, or with admin_email and admin_password_file; or \
     set auth = \"required\", which prints a link for the first admin; or set auth = \"off\" where everybody who reaches the \
     listener may do everything"
)]
pub struct NobodyToAsk;

/// Members, keys and sessions, and the door that asks for them.
pub struct Auth {
    access: Option<Access>,
    hasher: Option<Hasher>,
    options: AuthOptions,
    throttle: Throttle,
    metrics: AuthMetrics,
    /// Set from the first member on.
    has_members: AtomicBool,
    /// Uses of keys and sessions that the store does not have yet.
    uses: Mutex<HashMap<String, i64>>,
    /// Refusals that the audit log has, with when it got them.
    refusals: Mutex<HashMap<(Tenant, String, Needs), i64>>,
    /// The audit logs of the tenants.
    audits: RwLock<HashMap<Tenant, Arc<dyn CatalogueResource>>>,
    provider: OnceLock<SignInProvider>,
}

impl Auth {
    /// Reads members, keys and sessions.
    pub fn open(store: Arc<dyn AccessStore>, options: AuthOptions) -> Result<Auth> {
        let (access, hasher) = (Access::open(store)?, Hasher::start()?);
        let auth = Auth { access: Some(access), hasher: Some(hasher), ..Auth::without_store(options) };
        auth.look_for_members();
        Ok(auth)
    }

    /// A door without members and keys, for a process that has no store of them: it is open, or lets nobody in.
    pub fn without_store(options: AuthOptions) -> Auth {
        Auth {
            access: None,
            hasher: None,
            options,
            throttle: Throttle::default(),
            metrics: AuthMetrics::new(),
            has_members: AtomicBool::new(false),
            uses: Mutex::default(),
            refusals: Mutex::default(),
            audits: RwLock::default(),
            provider: OnceLock::new(),
        }
    }

    /// A door that asks nobody: for processes that show health and figures alone, and for tests.
    pub fn off() -> Auth {
        Auth::without_store(AuthOptions { mode: Mode::Off, ..AuthOptions::default() })
    }

    /// Says why this process must not answer on its listeners, if it must not.
    pub fn check_listeners(&self) -> Result<(), NobodyToAsk> {
        let is_safe = self.is_open() || self.options.mode == Mode::Required || self.has_members.load(Ordering::Relaxed);
        if is_safe { Ok(()) } else { Err(NobodyToAsk) }
    }

    /// Records what is done in `default` in an audit log from now on.
    pub fn record_in(&self, audit: Arc<dyn CatalogueResource>) {
        self.record_tenant_in(&tenant(DEFAULT_TENANT), Some(audit));
    }

    /// The same of a tenant; in none from now on where there is none.
    pub fn record_tenant_in(&self, tenant: &Tenant, audit: Option<Arc<dyn CatalogueResource>>) {
        let mut audits = self.audits.write();
        match audit {
            Some(audit) => drop(audits.insert(tenant.clone(), audit)),
            None => drop(audits.remove(tenant)),
        }
    }

    /// The settings.
    pub fn options(&self) -> &AuthOptions {
        &self.options
    }

    /// Returns whether nobody is asked who they are.
    pub fn is_open(&self) -> bool {
        match self.options.mode {
            Mode::Off => true,
            Mode::Required => false,
            Mode::Auto => self.options.is_local && !self.has_members.load(Ordering::Relaxed),
        }
    }

    /// Returns whether an open process answers only under names of this machine.
    pub(crate) fn asks_for_local_names(&self) -> bool {
        self.options.mode != Mode::Off
    }

    /// Returns whether there is a member.
    pub fn has_members(&self) -> bool {
        self.has_members.load(Ordering::Relaxed)
    }

    /// The figures.
    pub fn metrics(&self) -> &AuthMetrics {
        &self.metrics
    }

    /// The figures as OpenMetrics text.
    pub fn figures(&self) -> String {
        let counts = self.access.as_ref().map_or((0, 0, 0), |access| {
            let state = access.state();
            (state.members.len(), state.keys.len(), state.sessions.len())
        });
        self.metrics.write(self.is_open(), counts)
    }

    pub(crate) fn access(&self) -> Result<&Access> {
        self.access.as_ref().ok_or(AuthError::NoStore)
    }

    pub(crate) fn hasher(&self) -> Result<&Hasher> {
        self.hasher.as_ref().ok_or(AuthError::NoStore)
    }

    pub(crate) fn provider_place(&self) -> &OnceLock<SignInProvider> {
        &self.provider
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    pub(crate) fn state(&self) -> Option<Arc<State>> {
        self.access.as_ref().map(Access::state)
    }

    /// Changes documents, after what is done was recorded.
    pub(crate) fn change<T>(
        &self,
        by: &Caller,
        mut make: impl FnMut(&State) -> Result<(Vec<Edit>, AuditNote, T)>,
    ) -> Result<T> {
        let mut is_recorded = false;
        let answer = self.access()?.change(|state| {
            let (edits, note, answer) = make(state)?;
            if !std::mem::replace(&mut is_recorded, true) {
                self.record(by, note);
            }
            Ok((edits, answer))
        })?;
        self.look_for_members();
        Ok(answer)
    }

    /// Records something in the audit log. A log that is away is told in the log of the process: a sign-in must be possible
    /// when the engine is not.
    pub fn record(&self, by: &Caller, note: AuditNote) {
        let (action, kind, id, author) = (note.action, note.kind, note.id.clone(), by.author());
        let audit = self.audits.read().get(by.tenant()).cloned();
        let recorded = audit.map(|audit| audit.record(author, note));
        match recorded {
            None | Some(Err(PlatformError::NeedsEngine(_))) => {
                tracing::info!(author, action, kind, id, "Access changed, in a process without an audit log");
            }
            Some(Err(error)) => {
                tracing::error!(author, action, kind, id, %error, "The audit log did not take a row");
            }
            Some(Ok(())) => {}
        }
    }

    fn look_for_members(&self) {
        if self.state().is_some_and(|state| !state.members.is_empty()) {
            self.has_members.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_use(&self, id: &str, known: Option<i64>, now: i64) {
        if known.is_none_or(|known| now - known >= USE_INTERVAL) {
            self.uses.lock().insert(id.to_owned(), now);
        }
    }

    /// Returns whether a refusal is to be recorded: one of each kind a minute, so that a program that asks in vain without end
    /// does not fill the log.
    pub(crate) fn is_new_refusal(&self, caller: &Caller, needs: Needs, now: i64) -> bool {
        let mut refusals = self.refusals.lock();
        if refusals.len() >= REFUSALS {
            refusals.retain(|_, at| now - *at < USE_INTERVAL);
        }
        let key = (caller.tenant().clone(), caller.author().to_owned(), needs);
        let is_new = refusals.get(&key).is_none_or(|at| now - at >= USE_INTERVAL) && refusals.len() < REFUSALS;
        if is_new {
            refusals.insert(key, now);
        }
        is_new
    }

    /// Takes over what other processes have written, notes uses, and forgets what has ended. To be called every few seconds:
    /// a withdrawn right ends everywhere so soon.
    pub fn tend(&self, now: i64) -> Result<()> {
        let Some(access) = &self.access else { return Ok(()) };
        access.follow()?;
        self.look_for_members();
        let uses = std::mem::take(&mut *self.uses.lock());
        let noted = access.change(|state| Ok((ended_and_used(state, &uses, now), ())));
        if noted.is_err() {
            let mut kept = self.uses.lock();
            for (id, at) in uses {
                kept.entry(id).or_insert(at);
            }
        }
        noted
    }
}

fn ended_and_used(state: &State, uses: &HashMap<String, i64>, now: i64) -> Vec<Edit> {
    let is_late = |known: i64, at: i64| at - known >= USE_INTERVAL;
    let session = |session: &Arc<Session>| match uses.get(&session.id) {
        _ if session.has_ended(now) => Some(Edit::NoSession(session.id.clone())),
        Some(&at) if is_late(session.used_at, at) => {
            Some(Edit::Session(Session { used_at: at, ..Session::clone(session) }))
        }
        _ => None,
    };
    let key = |key: &Arc<ApiKey>| {
        let at = *uses.get(&key.id)?;
        key.used_at
            .is_none_or(|known| is_late(known, at))
            .then(|| Edit::Key(ApiKey { used_at: Some(at), ..ApiKey::clone(key) }))
    };
    let ended = state.invitations.values().filter(|invitation| invitation.expires_at <= now);
    let ended = ended.map(|invitation| Edit::NoInvitation(invitation.id.clone()));
    let edits = state.sessions.values().filter_map(session).chain(state.keys.values().filter_map(key));
    edits.chain(ended).chain(signing::ended(state, now)).collect()
}
