//! The accepted events, kept beside the event log.

use std::ops::{ControlFlow, Range};

use crate::{Result, SourcePosition};

/// The accepted events in the order of acceptance, kept where other tools read them, and from where an event log that is
/// lost is made anew. It follows the event log, in files.
pub trait History: Send + Sync {
    /// The number behind the last record that is kept; every record below is.
    fn end(&self) -> Result<u64>;

    /// The greatest number, at most [`end`](Self::end), of which it is known where the sources were behind the record before;
    /// and where they were.
    fn positions(&self) -> Result<(u64, Vec<SourcePosition>)>;

    /// Adds a file of records (one or more, one behind the other), which follow on the last; with where the sources were
    /// behind the last of them, where that is known. MUST be there whole or not at all, and durable on return. MUST fail
    /// where the records do not follow.
    fn append(&self, records: &[u8], positions: Option<&[SourcePosition]>) -> Result<()>;

    /// Calls `visit` with runs of whole records, in order, each run some MiB: every record of the range, blank ones too.
    /// They MUST be byte for byte what was added.
    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Visits the records of these numbers, which are in order, in runs of whole records. MUST fail where one is missing. Costs a
    /// look at each file that has one of them.
    fn visit(&self, sequences: &[u64], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Blanks the records of these numbers, which are in order: of each only its place is left. Those of `parted`, in order too,
    /// lose their other id ([`write_alone`](audience_rules::record::EventRef::write_alone)). MUST be durable on return, with
    /// nothing of that left; other records stay as they are. Repeating a call MUST change nothing.
    fn erase(&self, sequences: &[u64], parted: &[u64]) -> Result<()>;

    /// Deletes the files from this number on, which one of them begins with.
    fn truncate(&self, end: u64) -> Result<()>;
}
