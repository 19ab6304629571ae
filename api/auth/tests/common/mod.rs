//! A store in memory that several doors share, as processes share a server.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use audience_auth::{
    Auth, AuthOptions, Identity, Joining, Knock, Mode, Needs, Principal, Refusal, Role, Secret, Site, Visitor,
};
use audience_contract::{AccessChange, AccessDocument, AccessStore, Result};

pub const NOW: i64 = 1_704_067_200_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
pub const PASSWORD: &str = "four plain words here";

/// Documents by kind and id.
type MemoryDocuments = BTreeMap<(String, String), String>;

#[derive(Default)]
pub struct MemoryStore(Mutex<(u64, MemoryDocuments)>);

impl MemoryStore {
    /// Everything that is stored, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap().1)
    }
}

impl AccessStore for MemoryStore {
    fn revision(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().0)
    }

    fn all(&self) -> Result<(u64, Vec<AccessDocument>)> {
        let stored = self.0.lock().unwrap();
        let document = |((kind, id), body): (&(String, String), &String)| AccessDocument {
            kind: kind.clone(),
            id: id.clone(),
            body: body.clone(),
        };
        Ok((stored.0, stored.1.iter().map(document).collect()))
    }

    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool> {
        let mut stored = self.0.lock().unwrap();
        if stored.0 != expected {
            return Ok(false);
        }
        for AccessChange { kind, id, body } in changes {
            let key = (kind.to_string(), id.clone());
            match body {
                Some(body) => drop(stored.1.insert(key, body.clone())),
                None => drop(stored.1.remove(&key)),
            }
        }
        stored.0 += 1;
        Ok(true)
    }
}

pub fn open(store: &Arc<MemoryStore>, mode: Mode) -> Auth {
    let options = AuthOptions { mode, is_local: true, public_url: Some("https://audience.example.org".to_owned()) };
    Auth::open(store.clone(), options).unwrap()
}

pub fn visitor(now: i64) -> Visitor<'static> {
    Visitor { address: IpAddr::V4(Ipv4Addr::LOCALHOST), agent: "a test", now }
}

/// Makes a member of a role; gives the cookie of a session.
pub fn member(auth: &Auth, email: &str, role: Role, now: i64) -> Secret {
    let (_, secret) = auth.invite(&Principal::of_host(), email, role, now).unwrap();
    let joining =
        Joining { secret: secret.expose().to_owned(), email: None, name: None, password: PASSWORD.to_owned() };
    auth.join(&joining, &visitor(now)).unwrap().1
}

/// Knocks with a cookie.
pub fn with_cookie(auth: &Auth, cookie: &Secret, needs: Needs, now: i64) -> Result<Principal, Refusal> {
    let knock = Knock { cookie: Some(cookie.expose()), now, ..Knock::default() };
    auth.admit(needs, &knock).map_err(|refused| refused.why)
}

/// Knocks with a header.
pub fn with_header(auth: &Auth, header: &str, needs: Needs, now: i64) -> Result<Principal, Refusal> {
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let knock = Knock { authorization: Some(header), address, now, ..Knock::default() };
    auth.admit(needs, &knock).map_err(|refused| refused.why)
}

/// The principal of a cookie.
pub fn principal(auth: &Auth, cookie: &Secret, now: i64) -> Principal {
    with_cookie(auth, cookie, Needs::SignedIn, now).unwrap()
}

pub fn session_of(principal: &Principal) -> String {
    match principal.identity() {
        Identity::Member { session, .. } => session.clone(),
        _ => panic!("no member"),
    }
}

pub fn site<'a>(host: &'a str, fetch: Option<&'a str>) -> Site<'a> {
    Site { host: Some(host), origin: None, fetch }
}
