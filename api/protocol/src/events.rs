//! Events on their way in, and what they look like.

use audience_rules::zone::ZoneId;

use crate::error::{Result, needs_engine};
use crate::intake::{RecentEvents, RefusedEvent};
use crate::page::{Page, PageLimit};
use crate::refused::{RefusedMessage, RefusedMessageView};
use crate::schema::Schema;

/// Events. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait EventResource: Send + Sync + 'static {
    /// Accepts `count` events as flat records, one after the other. Returns when they are durable. The platform sets their
    /// sequence numbers. The error is [`PlatformError::Busy`](crate::PlatformError::Busy) when too much is waiting.
    fn ingest(&self, records: Vec<u8>, count: usize) -> Result<()> {
        needs_engine("events", (records, count))
    }

    /// Returns what events and traits look like.
    fn schema(&self) -> Result<Schema> {
        needs_engine("what events look like", ())
    }

    /// The zone in which an event's time without an offset is read.
    fn zone(&self) -> ZoneId {
        ZoneId::UTC
    }

    /// Notes events that were refused: the newest of them, in their order, and how many there were in all. A platform
    /// that shows none forgets them.
    fn note_refused(&self, _newest: Vec<RefusedEvent>, _count: usize) {}

    /// Keeps messages that were refused; they are durable on return. A platform without an engine keeps none.
    fn keep_refused(&self, _messages: &[RefusedMessage]) -> Result<()> {
        Ok(())
    }

    /// Returns refused messages that are kept, the newest first: those with numbers below `before`. The cursor of a page is the
    /// number of its last one.
    fn refused_messages(&self, before: Option<u64>, limit: PageLimit) -> Result<Page<RefusedMessageView>> {
        needs_engine("which messages were refused", (before, limit))
    }

    /// Returns the newest events, accepted and refused.
    fn recent_events(&self) -> Result<RecentEvents> {
        needs_engine("which events came in", ())
    }
}
