//! Membership changes as they are emitted, for subscribers.

use std::fmt;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use crate::Page;
use crate::error::{Result, needs_engine};

/// Membership changes. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait ChangeResource: Send + Sync + 'static {
    /// Returns the place after all changes emitted so far.
    fn newest_change(&self) -> Result<ChangePlace> {
        needs_engine("which memberships change", ())
    }

    /// Calls `wake` whenever more changes are emitted, for as long as the platform lives. It MUST be quick.
    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<()> {
        needs_engine("which memberships change", wake)
    }

    /// Visits the changes from a place on that pass the filter, until `visit` breaks off or all are visited. Those of
    /// recent ticks are in memory; others are read from the log, only when the call may wait for that.
    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        let _ = visit;
        needs_engine("which memberships change", (from, filter, may_wait))
    }

    /// Returns the newest changes before a place that pass the filter, the newest first, each as JSON with its id. A user
    /// stands for all of their ids. The cursor is a place; a page may be short, and even empty, where many others changed
    /// in between.
    fn past_changes(
        &self,
        before: Option<ChangePlace>,
        filter: &ChangeFilter,
        limit: usize,
    ) -> Result<Page<Box<RawValue>>> {
        needs_engine("which memberships change", (before, filter, limit))
    }
}

/// A place in the order of all emitted changes: everything before it has been seen.
///
/// As text it is `<tick>-<index>`, the last change before it, or `<tick>` where that is all of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangePlace {
    /// The tick of the next change.
    pub tick: u64,
    /// Its number in the tick, from 0.
    pub index: u32,
}

impl ChangePlace {
    /// The place after all changes of a tick.
    pub fn behind(tick: u64) -> ChangePlace {
        ChangePlace { tick: tick.saturating_add(1), index: 0 }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<ChangePlace> {
        match text.split_once('-') {
            None => Some(ChangePlace { tick: number(text)?.checked_add(1)?, index: 0 }),
            Some((tick, index)) => {
                let index = u32::try_from(number(index)?).ok()?.checked_add(1)?;
                Some(ChangePlace { tick: number(tick)?, index })
            }
        }
    }
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for ChangePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(formatter, "{}", self.tick.saturating_sub(1)),
            index => write!(formatter, "{}-{}", self.tick, index - 1),
        }
    }
}

/// Filter of changes: one item of each list has to fit, and an empty list fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Segments by id.
    pub segments: Vec<String>,
    /// Users by id.
    pub users: Vec<String>,
    /// Only who entered (`true`), or only who left.
    pub only_entered: Option<bool>,
}

/// An emitted change.
#[derive(Clone, Copy, Debug)]
pub struct GivenChange<'a> {
    /// The place after it.
    pub next: ChangePlace,
    /// True if the user entered, false if the user left.
    pub is_entered: bool,
    /// `{userId, segmentId, change, at, version, cause}` as JSON.
    pub json: &'a str,
}

/// A visitor of changes, in order.
pub type VisitChange<'a> = dyn FnMut(GivenChange<'_>) -> ControlFlow<()> + 'a;

/// The outcome of reading changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesRead {
    /// Everything before this place was looked at. The changes end here if it is the place that was asked for.
    UpTo(ChangePlace),
    /// The place is not in memory and has to be read from the log.
    NotInMemory,
    /// The place is forgotten or of another history. The newest place is given.
    Gone(ChangePlace),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_id_of_what_is_before_it() {
        for (tick, index, text) in
            [(1, 0, "0"), (8, 0, "7"), (8, 1, "8-0"), (8, 10, "8-9"), (u64::MAX, 7, "18446744073709551615-6")]
        {
            let place = ChangePlace { tick, index };
            assert_eq!((place.to_string().as_str(), ChangePlace::parse(text)), (text, Some(place)));
        }
        for bad in ["", "-", "1-", "-1", "+1", "1-+1", "1-4294967295", "18446744073709551615", "1-2-3", "x", "1 "] {
            assert_eq!(ChangePlace::parse(bad), None, "{bad}");
        }
    }
}
