//! Everything of access in memory: read by every request, and written through to the store.

use std::collections::HashMap;
use std::sync::Arc;

use audience_contract::{AccessChange, AccessDocument, AccessStore, StoreError};
use audience_protocol::Tenant;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{ApiKey, DEFAULT_TENANT, Edit, Invitation, Member, Session, SigningKey, TenantRecord};
use crate::error::{AuthError, Result};

/// Writes of others that a change may meet before it gives up.
const ATTEMPTS: usize = 8;

/// Documents by id. A copy shares the documents.
pub(crate) type Table<T> = HashMap<String, Arc<T>>;

/// The kinds of a document in the store. A version of the program that knows no tenants passes over those of other tenants than
/// `default`, so that it lets none of their members in.
struct KindNames {
    default: &'static str,
    other: &'static str,
}

const MEMBER: KindNames = KindNames { default: "member", other: "memberOf" };
const KEY: KindNames = KindNames { default: "key", other: "keyOf" };
const INVITATION: KindNames = KindNames { default: "invitation", other: "invitationOf" };

impl KindNames {
    fn of(&self, tenant: &str) -> &'static str {
        if tenant == DEFAULT_TENANT { self.default } else { self.other }
    }
}

/// The documents of one tenant: ids of another one's are not there.
#[derive(Clone, Copy)]
pub(crate) struct TenantState<'s> {
    state: &'s State,
    tenant: &'s str,
}

impl<'s> TenantState<'s> {
    pub(crate) fn members(self) -> impl Iterator<Item = &'s Arc<Member>> {
        self.state.members.values().filter(move |member| member.tenant == self.tenant)
    }

    pub(crate) fn member(self, id: &str) -> Option<&'s Arc<Member>> {
        self.state.members.get(id).filter(|member| member.tenant == self.tenant)
    }

    pub(crate) fn keys(self) -> impl Iterator<Item = &'s Arc<ApiKey>> {
        self.state.keys.values().filter(move |key| key.tenant == self.tenant)
    }

    pub(crate) fn key(self, id: &str) -> Option<&'s Arc<ApiKey>> {
        self.state.keys.get(id).filter(|key| key.tenant == self.tenant)
    }

    pub(crate) fn invitations(self) -> impl Iterator<Item = &'s Arc<Invitation>> {
        self.state.invitations.values().filter(move |invitation| invitation.tenant == self.tenant)
    }

    pub(crate) fn invitation(self, id: &str) -> Option<&'s Arc<Invitation>> {
        self.state.invitations.get(id).filter(|invitation| invitation.tenant == self.tenant)
    }

    /// The sessions, each with its member.
    pub(crate) fn sessions(self) -> impl Iterator<Item = (&'s Arc<Session>, &'s Arc<Member>)> {
        self.state.sessions.values().filter_map(move |session| Some((session, self.member(&session.member)?)))
    }

    pub(crate) fn session(self, id: &str) -> Option<&'s Arc<Session>> {
        self.state.sessions.get(id).filter(|session| self.member(&session.member).is_some())
    }
}

/// All documents as of one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    revision: u64,
    /// The tenants beside `default`.
    pub tenants: Table<TenantRecord>,
    /// The members of all tenants, for the door alone: whoever was let in asks [`State::of`].
    pub members: Table<Member>,
    /// The API keys, the same.
    pub keys: Table<ApiKey>,
    /// The sessions, ended ones too, the same.
    pub sessions: Table<Session>,
    /// The invitations that nobody has taken, the same.
    pub invitations: Table<Invitation>,
    /// The keys that sign tokens, or did.
    pub signing: Table<SigningKey>,
}

impl State {
    /// The member of an e-mail address.
    pub(crate) fn by_email(&self, email: &str) -> Option<&Arc<Member>> {
        self.members.values().find(|member| member.email == email)
    }

    /// Returns whether a session is a program's; one that is gone counts as one.
    pub(crate) fn is_program(&self, session: &str) -> bool {
        self.sessions.get(session).is_none_or(|session| session.tokens.is_some())
    }

    /// The documents of one tenant.
    pub(crate) fn of<'s>(&'s self, tenant: &'s Tenant) -> TenantState<'s> {
        self.of_id(tenant.id())
    }

    /// The same, of a tenant that a document names.
    pub(crate) fn of_id<'s>(&'s self, tenant: &'s str) -> TenantState<'s> {
        TenantState { state: self, tenant }
    }

    fn read(revision: u64, documents: Vec<AccessDocument>) -> Result<State> {
        let mut state = State { revision, ..State::default() };
        for document in documents {
            let AccessDocument { kind, id, body } = document;
            let place = format!("the {kind} {id}");
            match kind.as_str() {
                "tenant" => insert(&mut state.tenants, place, id, &body)?,
                "member" | "memberOf" => insert(&mut state.members, place, id, &body)?,
                "key" | "keyOf" => insert(&mut state.keys, place, id, &body)?,
                "session" => insert(&mut state.sessions, place, id, &body)?,
                "signing" => insert(&mut state.signing, place, id, &body)?,
                "invitation" | "invitationOf" => insert(&mut state.invitations, place, id, &body)?,
                // One of a later version.
                _ => {}
            }
        }
        Ok(state)
    }

    fn apply(&mut self, edit: &Edit) -> AccessChange {
        match edit {
            Edit::Tenant(tenant) => put(&mut self.tenants, "tenant", &tenant.id, tenant),
            Edit::NoTenant(id) => delete(&mut self.tenants, "tenant", id),
            Edit::Member(member) => put(&mut self.members, MEMBER.of(&member.tenant), &member.id, member),
            Edit::NoMember(id) => {
                let kind = self.members.get(id).map_or(MEMBER.default, |member| MEMBER.of(&member.tenant));
                delete(&mut self.members, kind, id)
            }
            Edit::Key(key) => put(&mut self.keys, KEY.of(&key.tenant), &key.id, key),
            Edit::NoKey(id) => {
                let kind = self.keys.get(id).map_or(KEY.default, |key| KEY.of(&key.tenant));
                delete(&mut self.keys, kind, id)
            }
            Edit::Session(session) => put(&mut self.sessions, "session", &session.id, session),
            Edit::NoSession(id) => delete(&mut self.sessions, "session", id),
            Edit::Invitation(invitation) => {
                let kind = INVITATION.of(&invitation.tenant);
                put(&mut self.invitations, kind, &invitation.id, invitation)
            }
            Edit::Signing(key) => put(&mut self.signing, "signing", &key.id, key),
            Edit::NoSigning(id) => delete(&mut self.signing, "signing", id),
            Edit::NoInvitation(id) => {
                let invitation = self.invitations.get(id);
                let kind = invitation.map_or(INVITATION.default, |invitation| INVITATION.of(&invitation.tenant));
                delete(&mut self.invitations, kind, id)
            }
        }
    }
}

fn insert<T: DeserializeOwned>(table: &mut Table<T>, place: String, id: String, body: &str) -> Result<()> {
    // The reason would show a part of the text.
    let damaged = |_| StoreError::Corrupt { place, detail: "it cannot be read".to_owned() };
    table.insert(id, Arc::new(serde_json::from_str(body).map_err(damaged)?));
    Ok(())
}

fn put<T: Clone + Serialize>(table: &mut Table<T>, kind: &'static str, id: &str, document: &T) -> AccessChange {
    table.insert(id.to_owned(), Arc::new(document.clone()));
    // Plain data always serializes.
    AccessChange {
        kind: kind.into(),
        id: id.to_owned(),
        body: Some(serde_json::to_string(document).unwrap_or_default()),
    }
}

fn delete<T>(table: &mut Table<T>, kind: &'static str, id: &str) -> AccessChange {
    table.remove(id);
    AccessChange { kind: kind.into(), id: id.to_owned(), body: None }
}

/// The state of a process. A reader takes the pointer and waits for no write.
pub(crate) struct Access {
    store: Arc<dyn AccessStore>,
    state: RwLock<Arc<State>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Access {
    /// Reads what is stored.
    pub(crate) fn open(store: Arc<dyn AccessStore>) -> Result<Access> {
        let (revision, documents) = store.all()?;
        let state = RwLock::new(Arc::new(State::read(revision, documents)?));
        Ok(Access { store, state, changing: Mutex::new(()) })
    }

    /// The documents that are known now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.read().clone()
    }

    /// Reads again where another process has written.
    pub(crate) fn follow(&self) -> Result<()> {
        if self.store.revision()? == self.state().revision {
            return Ok(());
        }
        let _changing = self.changing.lock();
        self.reload()
    }

    fn reload(&self) -> Result<()> {
        let (revision, documents) = self.store.all()?;
        *self.state.write() = Arc::new(State::read(revision, documents)?);
        Ok(())
    }

    /// Changes the documents: `make` says by which edits, from the newest state. Durable on return.
    pub(crate) fn change<T>(&self, mut make: impl FnMut(&State) -> Result<(Vec<Edit>, T)>) -> Result<T> {
        let _changing = self.changing.lock();
        for _ in 0..ATTEMPTS {
            let state = self.state();
            let (edits, answer) = make(&state)?;
            if edits.is_empty() {
                return Ok(answer);
            }
            let mut next = State::clone(&state);
            let changes: Vec<AccessChange> = edits.iter().map(|edit| next.apply(edit)).collect();
            if self.store.put(state.revision, &changes)? {
                next.revision += 1;
                *self.state.write() = Arc::new(next);
                return Ok(answer);
            }
            self.reload()?;
        }
        let detail = "others keep writing".to_owned();
        Err(AuthError::Store(StoreError::Unavailable { action: "writing members and keys", detail }))
    }
}
