//! Everything of access in memory: read by every request, and written through to the store.

use std::collections::HashMap;
use std::sync::Arc;

use audience_contract::{AccessChange, AccessDocument, AccessStore, StoreError};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{ApiKey, Edit, Invitation, Member, Session, SigningKey};
use crate::error::{AuthError, Result};

/// Writes of others that a change may meet before it gives up.
const ATTEMPTS: usize = 8;

/// Documents by id. A copy shares the documents.
pub(crate) type Table<T> = HashMap<String, Arc<T>>;

/// All documents as of one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    revision: u64,
    /// The members.
    pub members: Table<Member>,
    /// The API keys.
    pub keys: Table<ApiKey>,
    /// The sessions, ended ones too.
    pub sessions: Table<Session>,
    /// The invitations that nobody has taken.
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

    fn read(revision: u64, documents: Vec<AccessDocument>) -> Result<State> {
        let mut state = State { revision, ..State::default() };
        for document in documents {
            let AccessDocument { kind, id, body } = document;
            let place = format!("the {kind} {id}");
            match kind.as_str() {
                "member" => insert(&mut state.members, place, id, &body)?,
                "key" => insert(&mut state.keys, place, id, &body)?,
                "session" => insert(&mut state.sessions, place, id, &body)?,
                "signing" => insert(&mut state.signing, place, id, &body)?,
                "invitation" => insert(&mut state.invitations, place, id, &body)?,
                // One of a later version.
                _ => {}
            }
        }
        Ok(state)
    }

    fn apply(&mut self, edit: &Edit) -> AccessChange {
        match edit {
            Edit::Member(member) => put(&mut self.members, "member", &member.id, member),
            Edit::Key(key) => put(&mut self.keys, "key", &key.id, key),
            Edit::NoKey(id) => delete(&mut self.keys, "key", id),
            Edit::Session(session) => put(&mut self.sessions, "session", &session.id, session),
            Edit::NoSession(id) => delete(&mut self.sessions, "session", id),
            Edit::Invitation(invitation) => put(&mut self.invitations, "invitation", &invitation.id, invitation),
            Edit::Signing(key) => put(&mut self.signing, "signing", &key.id, key),
            Edit::NoSigning(id) => delete(&mut self.signing, "signing", id),
            Edit::NoInvitation(id) => delete(&mut self.invitations, "invitation", id),
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
