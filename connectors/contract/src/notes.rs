//! Notes of the platform beside events, changes and catalogue.

use std::ops::ControlFlow;

use crate::Result;

/// A key, and what is noted under it; `None` takes away what was.
pub type Note = (Vec<u8>, Option<Vec<u8>>);

/// Takes a key and what is noted there.
pub type VisitNote<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Small values under keys, in the order of the keys' bytes.
///
/// MUST take keys of 1 to 1,024 bytes and values of 1 MiB.
pub trait Notes: Send + Sync {
    /// The note under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Calls `visit` with each key from `from` on (inclusive) up to `to` (exclusive), in order, and what is noted there.
    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()>;

    /// Notes all of this, or none. Durable on return.
    fn write(&self, notes: &[Note]) -> Result<()>;
}
