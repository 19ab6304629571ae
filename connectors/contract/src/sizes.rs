//! A store of sizes of segments over time, beside the notes, for those who chart them elsewhere.
//!
//! Whoever feeds such a store does, on a thread of its own and again and again:
//!
//! 1. [`SizeStore::reached`], which says up to which instant it holds everything;
//! 2. [`SizeStore::write`]s every sample behind that, up to some instant, in as many pieces as it takes;
//! 3. [`SizeStore::reach`]es that instant;
//! 4. after any error, begins again at 1.

use std::sync::Arc;

use crate::SinkError;

/// How many members a segment had at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SizeSample {
    /// The segment.
    pub segment_id: Arc<str>,
    /// The instant, milliseconds.
    pub at: i64,
    /// Members then.
    pub size: u64,
}

/// Sizes of segments over time, kept for readers outside.
///
/// Methods are called one at a time, and MAY block. Nobody is fenced: samples
/// of one instant are the same, whoever of several writes them.
pub trait SizeStore: Send {
    /// The name in logs and figures.
    fn name(&self) -> &str;

    /// The instant that was [`reach`](Self::reach)ed last; `None` where it holds nothing, or has lost what it held.
    fn reached(&mut self) -> Result<Option<i64>, SinkError>;

    /// Writes samples (none, perhaps), in any order. A sample written twice MUST be as written once; one of a segment and
    /// an instant that is there takes its place. MUST be durable on return as far as the medium is. A write that fails MAY
    /// leave some of them.
    fn write(&mut self, samples: &[SizeSample]) -> Result<(), SinkError>;

    /// Everything up to that instant is written.
    fn reach(&mut self, at: i64) -> Result<(), SinkError>;
}
