//! Users one by one: their segments, their history, and why they are in a segment.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Result, needs_engine};
use crate::{Explanation, Page, PageLimit};

/// Users. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait UserResource: Send + Sync + 'static {
    /// Returns the segments that a user is in now; none for an unknown user. Reads memory only, unless
    /// [`reads_block`](Self::reads_block).
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        needs_engine("which segments a user is in", id)
    }

    /// Returns whether [`user_segments`](Self::user_segments) asks a store and may wait for it.
    fn reads_block(&self) -> bool {
        false
    }

    /// Returns what is known of a user. Reads the user's history.
    fn user(&self, id: &str) -> Result<UserView> {
        needs_engine("a user's history", id)
    }

    /// Writes all that is held of a user as one JSON document and gives it to `take` in pieces of at most a few MiB.
    ///
    /// The document is a [`UserView`] with `events`: every event under any of the user's ids, in the order of acceptance,
    /// also those that count for nothing. The export stops early when `take` returns false. An error after the first piece
    /// leaves the document unfinished. The part before the events is computed from the user's history, which is in memory
    /// as long as that takes.
    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        needs_engine("a user's history", (id, take))
    }

    /// Erases a user: everything accepted under any of the ids that are this user, and their entries in lists.
    ///
    /// When this returns, the user is unknown and in no segment, each of the ids is one by itself, and nothing of what was
    /// accepted counts any more. The data leaves log and checkpoints with the next two checkpoints, and the files within a
    /// day. A user of whom nothing is held is erased already.
    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        needs_engine("what is held of a user", (id, author))
    }

    /// Explains why a user is in a segment, or is not, now or at an instant.
    ///
    /// The rules are those in force then, or the first version's when the instant is older than the segment. Reads the
    /// user's history; when the rules rank users, it reads that of all users, unless they are too many.
    fn explain(&self, user: &str, segment: &str, at: Option<i64>) -> Result<Explanation> {
        needs_engine("why a user is in a segment", (user, segment, at))
    }

    /// Returns known users in order of their ids by bytes.
    fn users(&self, query: &UserQuery) -> Result<Page<ListedUser>> {
        needs_engine("which users there are", query)
    }

    /// Finds users by the value of a trait, told or computed, as a rule would: exact, over all users that are known now.
    ///
    /// The total is exact. At most [`FOUND_USERS`] are named, in order of their ids: all of them, or some spread over all. The
    /// first search by a trait that no rule needs reads all of history; others look once at every user.
    fn find_users(&self, search: &UserSearch) -> Result<FoundUsers> {
        needs_engine("which users there are", search)
    }

    /// Returns the values of traits, told or computed, of each of the users, in their order. Reads the users' histories.
    fn user_values(&self, ids: &[String], columns: &[String]) -> Result<Vec<UserValues>> {
        needs_engine("a user's history", (ids, columns))
    }

    /// Returns a user's events as an export has them: by timestamp, the newest first, then by acceptance.
    fn user_events(&self, id: &str, query: &UserEventQuery) -> Result<Page<Box<RawValue>>> {
        needs_engine("a user's history", (id, query))
    }
}

/// A segment that a user is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSegment {
    /// The segment.
    pub segment_id: String,
    /// The segment's name.
    pub name: String,
}

/// A user as far as events tell.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The id that the user goes by now.
    pub user_id: String,
    /// Ids merged into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `identify` traits, by name, as JSON.
    pub traits: BTreeMap<String, Box<RawValue>>,
    /// Computed traits, by name, as JSON; traits without a value are left out.
    pub computed_traits: BTreeMap<String, Box<RawValue>>,
    /// Events that count.
    pub event_count: u64,
    /// The segments.
    pub segments: Vec<UserSegment>,
}

/// A user in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedUser {
    /// The id that the user goes by.
    pub user_id: String,
}

/// The values of traits by name, as JSON; traits without a value are left out.
pub type UserValues = BTreeMap<String, Box<RawValue>>;

/// The most users that a search names.
pub const FOUND_USERS: usize = 100;

/// A search of users by the value of a trait.
#[derive(Clone, Debug, Default)]
pub struct UserSearch {
    /// The trait, told or computed: a path as rules have it.
    pub field: String,
    /// The value, or how it begins.
    pub value: String,
    /// True if the value only begins so.
    pub is_prefix: bool,
    /// Only members of this segment.
    pub segment: Option<String>,
    /// The largest number of items; at most [`FOUND_USERS`].
    pub limit: usize,
}

/// Users that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundUsers {
    /// Their ids, in order.
    pub items: Vec<String>,
    /// The number of users that fit.
    pub total: u64,
}

/// Filter of users.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// Only ids with this prefix.
    pub prefix: String,
    /// Only ids after this one, by bytes.
    pub after: Option<String>,
    /// The largest number of items.
    pub limit: PageLimit,
}

/// Filter of a user's events.
#[derive(Clone, Debug, Default)]
pub struct UserEventQuery {
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events after the page that gave this cursor.
    pub after: Option<String>,
    /// The largest number of items.
    pub limit: PageLimit,
}
