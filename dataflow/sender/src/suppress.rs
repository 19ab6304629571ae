//! Suppressions: addresses and users by hash, so that the list itself names nobody.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{Notes, Result};
use audience_protocol::Suppression;
use sha2::{Digest, Sha256};

/// The list.
pub(crate) struct Suppressions {
    notes: Arc<dyn Notes>,
}

impl Suppressions {
    pub(crate) fn new(notes: Arc<dyn Notes>) -> Suppressions {
        Suppressions { notes }
    }

    /// Returns whether an address, which is normalised, or a user is on the list.
    pub(crate) fn has(&self, address: &str, user: &str) -> Result<bool> {
        Ok(self.notes.get(&key(&of_address(address)))?.is_some() || self.notes.get(&key(&of_user(user)))?.is_some())
    }

    pub(crate) fn all(&self) -> Result<Vec<Suppression>> {
        let mut list = Vec::new();
        self.notes.visit(b"mail/suppressed/", b"mail/suppressed0", &mut |_, value| {
            list.extend(serde_json::from_slice::<Suppression>(value).ok());
            ControlFlow::Continue(())
        })?;
        Ok(list)
    }

    pub(crate) fn put(&self, suppressions: &[Suppression]) -> Result<()> {
        let note = |one: &Suppression| (key(&one.hash), serde_json::to_vec(one).ok());
        self.notes.write(&suppressions.iter().map(note).collect::<Vec<_>>())
    }

    pub(crate) fn remove(&self, address: &str) -> Result<()> {
        self.notes.write(&[(key(&of_address(address)), None)])
    }
}

fn key(hash: &str) -> Vec<u8> {
    format!("mail/suppressed/{hash}").into_bytes()
}

/// The hash of an address.
pub(crate) fn of_address(address: &str) -> String {
    hex(&format!("address:{address}"))
}

/// The hash of a user.
pub(crate) fn of_user(user: &str) -> String {
    hex(&format!("user:{user}"))
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An address with most letters left out.
pub(crate) fn masked(address: &str) -> String {
    let (local, domain) = address.split_once('@').unwrap_or((address, ""));
    format!("{}…@{domain}", local.chars().next().map_or_else(String::new, String::from))
}
