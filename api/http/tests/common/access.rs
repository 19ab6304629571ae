//! Members and keys in memory, and a server that asks for them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use audience_auth::{
    Auth, AuthOptions, Joining, KeyInput, KeyKind, Mode, Permission, Permissions, Principal, Role, Visitor,
};
use audience_contract::suite::MemoryAccessStore;

use super::{Harness, NOW, options, start_behind};

pub(crate) const PASSWORD: &str = "four plain words here";

/// A door that asks, in a process that is reached by that address.
pub(crate) fn asking(mode: Mode, public_url: Option<&str>) -> Arc<Auth> {
    let options =
        AuthOptions { mode, is_local: true, public_url: public_url.map(str::to_owned), ..AuthOptions::default() };
    Arc::new(Auth::open(Arc::new(MemoryAccessStore::default()), options).unwrap())
}

/// A server that asks everybody.
pub(crate) async fn start_asking() -> (Harness, Arc<Auth>) {
    let auth = asking(Mode::Required, None);
    (start_behind(Arc::clone(&auth), options()).await, auth)
}

/// Makes a member of a role; gives the header of a session.
pub(crate) fn cookie_of(auth: &Auth, email: &str, role: Role) -> String {
    let visitor = Visitor { address: IpAddr::V4(Ipv4Addr::LOCALHOST), agent: "a test", now: NOW };
    let (_, secret) = auth.invite(&Principal::of_host(), email, role, NOW).unwrap();
    let joining = Joining { secret: secret.expose().to_owned(), email: None, name: None, password: PASSWORD.into() };
    format!("audience={}", auth.join(&joining, &visitor).unwrap().1.expose())
}

/// Makes a key; gives it.
pub(crate) fn key_of(auth: &Auth, kind: KeyKind, permissions: &[Permission]) -> String {
    let permissions = Permissions::of(permissions);
    let input = KeyInput {
        name: format!("{kind:?} {:?}", permissions.names()),
        kind,
        permissions,
        addresses: Vec::new(),
        expires_at: None,
    };
    auth.create_key(&Principal::of_host(), &input, NOW).unwrap().1.expose().to_owned()
}
