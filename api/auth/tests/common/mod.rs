//! Doors on a store in memory, and callers who knock.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use audience_auth::{
    Auth, AuthOptions, Identity, Joining, Knock, Mode, Needs, Principal, Refusal, Role, Secret, Site, Visitor,
};
use audience_contract::suite::MemoryAccessStore;

pub(crate) const NOW: i64 = 1_704_067_200_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const PASSWORD: &str = "four plain words here";

pub(crate) fn open(store: &Arc<MemoryAccessStore>, mode: Mode) -> Auth {
    let options = AuthOptions {
        mode,
        is_local: true,
        public_url: Some("https://audience.example.org".to_owned()),
        metrics_key: None,
    };
    Auth::open(store.clone(), options).unwrap()
}

pub(crate) fn visitor(now: i64) -> Visitor<'static> {
    Visitor { address: IpAddr::V4(Ipv4Addr::LOCALHOST), agent: "a test", now }
}

/// Makes a member of a role; gives the cookie of a session.
pub(crate) fn member(auth: &Auth, email: &str, role: Role, now: i64) -> Secret {
    let (_, secret) = auth.invite(&Principal::of_host(), email, role, now).unwrap();
    let joining =
        Joining { secret: secret.expose().to_owned(), email: None, name: None, password: PASSWORD.to_owned() };
    auth.join(&joining, &visitor(now)).unwrap().1
}

/// Knocks with a cookie.
pub(crate) fn with_cookie(auth: &Auth, cookie: &Secret, needs: Needs, now: i64) -> Result<Principal, Refusal> {
    let knock = Knock { cookie: Some(cookie.expose()), now, ..Knock::default() };
    auth.admit(needs, &knock).map_err(|refused| refused.why)
}

/// Knocks with a header.
pub(crate) fn with_header(auth: &Auth, header: &str, needs: Needs, now: i64) -> Result<Principal, Refusal> {
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let knock = Knock { authorization: Some(header), address, now, ..Knock::default() };
    auth.admit(needs, &knock).map_err(|refused| refused.why)
}

/// The principal of a cookie.
pub(crate) fn principal(auth: &Auth, cookie: &Secret, now: i64) -> Principal {
    with_cookie(auth, cookie, Needs::SignedIn, now).unwrap()
}

pub(crate) fn session_of(principal: &Principal) -> String {
    match principal.identity() {
        Identity::Member { session, .. } => session.clone(),
        _ => panic!("no member"),
    }
}

pub(crate) fn site<'a>(host: &'a str, fetch: Option<&'a str>) -> Site<'a> {
    Site { host: Some(host), origin: None, fetch }
}
