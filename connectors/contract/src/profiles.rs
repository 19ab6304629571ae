//! A store of users' profiles, for readers that need all that is known of a user with one read.
//!
//! Whoever feeds such a store does, on a thread of its own and again and again:
//!
//! 1. [`ProfileStore::reached`], which says what it holds;
//! 2. where that is nothing, or of another log: [`ProfileStore::reach`]es a place with nobody looked at, goes through all
//!    users, [`ProfileStore::write`]s each, and in the end [`ProfileStore::erase_before`]s the instant at which it began,
//!    so that nobody is left who is no user;
//! 3. meanwhile and from then on, [`ProfileStore::write`]s the users of whom something was accepted behind the place,
//!    [`ProfileStore::erase`]s those of them who are users no more, and [`ProfileStore::reach`]es the place behind;
//! 4. after any error, begins again at 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::SinkError;

/// Traits by name, each a value as JSON.
pub type TraitValues = BTreeMap<String, Box<RawValue>>;

/// The profile of a user at an instant.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The id that the user goes by.
    pub user_id: String,
    /// The instant, milliseconds.
    pub at: i64,
    /// Traits that were set.
    pub traits: TraitValues,
    /// Computed traits that have a value.
    pub computed: TraitValues,
}

/// How far a store of profiles reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileReach {
    /// The name of the log that the profiles follow from: one that is made anew has another.
    pub log: String,
    /// Everything accepted below this number is in them.
    pub sequence: u64,
    /// When everyone was gone through last; none before that was done once.
    pub everyone: Option<Everyone>,
}

/// All users, gone through once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Everyone {
    /// When that was begun, milliseconds: no profile is as of an earlier instant, but for those that nothing changes.
    pub begun: i64,
    /// The digest of the computed traits that were gone by.
    pub traits: u64,
    /// When the first of the profiles becomes another by time alone, if any does, milliseconds.
    pub due: Option<i64>,
}

/// Profiles of users, kept for readers outside.
///
/// Methods are called one at a time, and MAY block. Nobody is fenced: a profile follows from what was accepted, whoever
/// writes it.
pub trait ProfileStore: Send {
    /// The name in logs and figures.
    fn name(&self) -> &str;

    /// The last [`reach`](Self::reach); `None` if it holds nothing, or has lost what it held. It MUST be kept where
    /// it is lost with the profiles.
    fn reached(&mut self) -> Result<Option<ProfileReach>, SinkError>;

    /// Writes profiles (none, perhaps), no two of one user; each MUST take the place of all that is held of its user.
    /// Readers MUST find one user's traits, computed traits and instant together, as of one write. MUST be durable on return
    /// as far as the medium is. A write that fails MAY leave some of them.
    fn write(&mut self, profiles: &[Profile]) -> Result<(), SinkError>;

    /// Takes users out; those of whom nothing is held are out already. A call that fails MAY have taken out some of them.
    fn erase(&mut self, user_ids: &[String]) -> Result<(), SinkError>;

    /// Takes out every user whose profile is as of an earlier instant than that. MAY take as long as reading all of them.
    fn erase_before(&mut self, at: i64) -> Result<(), SinkError>;

    /// Notes how far the profiles reach, behind all that was written before.
    fn reach(&mut self, reach: &ProfileReach) -> Result<(), SinkError>;
}
