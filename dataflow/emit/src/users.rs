//! The users that the engine knows, as profiles of them are written.

/// An id of a user, with the sequence number from which its records count.
pub type UserIdSince = (String, u64);

/// Which ids are one user, at one moment.
pub trait Identities {
    /// Returns the id of the user into whom an id was merged; none if it goes by itself.
    fn root(&self, id: &str) -> Option<&str>;

    /// Returns all ids of a user, the one that the user goes by first.
    fn ids_since(&self, root: &str) -> Vec<UserIdSince>;

    /// Returns every id whose erasure is still known, with the erasure's sequence number.
    fn erased(&self) -> Vec<UserIdSince>;

    /// Returns the sequence number from which an id's records count.
    fn counts_from(&self, id: &str) -> u64;
}

/// A position in the sequence of all ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserPosition {
    /// The worker.
    pub worker: usize,
    /// The number that the worker gave to the next id.
    pub slot: u32,
}

/// All users that the engine knows.
pub trait Users: Send + Sync {
    /// Calls `look` with the identities as of the newest tick that was begun. Nobody is merged meanwhile.
    fn with_identities(&self, look: &mut dyn FnMut(&dyn Identities));

    /// Returns the next ids, at most `most`, and moves the position after them; none at the end. Not every id is a user.
    fn next_ids(&self, position: &mut UserPosition, most: usize) -> Vec<String>;

    /// Returns how many ids are after the position.
    fn count_after(&self, position: UserPosition) -> u64;
}
