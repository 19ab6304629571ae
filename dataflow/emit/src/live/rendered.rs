//! Membership changes between two places as the text that subscribers get, rendered once for all of them.

use std::ops::ControlFlow;

use audience_contract::changes::ChangeRef;
use audience_contract::{Cause, ChangeKind, StoreError};
use audience_protocol::{ChangeFilter, ChangePlace, GivenChange, VisitChange};
use audience_rules::time::format_time;
use hashbrown::{HashMap, HashSet};
use serde::Serialize;

use crate::emitted::Emitted;

/// Changes in a batch at most; a tick with more of them is several batches.
pub(super) const BATCH_CHANGES: usize = 16_384;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeJson<'a> {
    user_id: &'a str,
    segment_id: &'a str,
    change: &'static str,
    at: &'a str,
    version: u64,
    cause: &'static str,
}

struct RenderedRow {
    next: ChangePlace,
    /// The end of its text, which begins at the end of the row before.
    end: usize,
    /// The length of the user's id as it is written.
    user: usize,
    is_entered: bool,
}

/// The length of what stands before the user's id in every text.
const USER_START: usize = "{\"userId\":".len();

/// All changes between two places.
pub(super) struct RenderedBatch {
    /// The first place.
    pub from: ChangePlace,
    /// The place after the last.
    pub to: ChangePlace,
    text: String,
    rows: Vec<RenderedRow>,
    /// Per segment, its rows in order.
    by_segment: HashMap<String, Vec<u32>>,
}

impl RenderedBatch {
    /// Renders what is emitted from a place on, up to the end of the tick `newest` at most.
    pub(super) fn read(emitted: &Emitted, from: ChangePlace, newest: u64) -> Result<RenderedBatch, StoreError> {
        let (text, rows, by_segment) = (String::new(), Vec::new(), HashMap::new());
        let mut batch = RenderedBatch { from, to: from, text, rows, by_segment };
        let mut is_full = false;
        let mut at = (Default::default(), String::new());
        emitted.read(from.tick..=newest, &mut |tick| {
            let skipped = if tick.number == from.tick { from.index } else { 0 };
            let mut index = 0;
            tick.visit(&mut |change| {
                index += 1;
                if index > skipped {
                    if is_full {
                        return ControlFlow::Break(());
                    }
                    if at.1.is_empty() || at.0 != change.at {
                        at = (change.at, format_time(change.at));
                    }
                    batch.push(ChangePlace { tick: tick.number, index }, change, &at.1);
                    is_full = batch.rows.len() >= BATCH_CHANGES;
                }
                ControlFlow::Continue(())
            })?;
            // The rest of a tick that does not fit, and the ticks after it, are of another batch.
            Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        batch.to = match batch.rows.last() {
            Some(last) if is_full => last.next,
            _ => ChangePlace::behind(newest),
        };
        Ok(batch)
    }

    /// The number of changes.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether a place is in it.
    pub(super) fn holds(&self, place: ChangePlace) -> bool {
        self.from <= place && place < self.to
    }

    /// Returns the same batch from an earlier place on, between which and the first change there is nothing.
    pub(super) fn extended_to(self, from: ChangePlace) -> RenderedBatch {
        RenderedBatch { from, ..self }
    }

    fn push(&mut self, next: ChangePlace, change: ChangeRef<'_>, at: &str) {
        let is_entered = change.change == ChangeKind::Entered;
        // Plain data always serializes.
        let user = serde_json::to_string(change.user_id).map_or(0, |text| text.len());
        self.text.push_str(&written(change, at));
        let row = self.rows.len() as u32;
        self.rows.push(RenderedRow { next, end: self.text.len(), user, is_entered });
        self.by_segment.entry_ref(&**change.segment_id).or_default().push(row);
    }

    /// Visits the changes that `filter` takes, from a place on. It breaks with the place after the last change visited.
    pub(super) fn visit(
        &self,
        from: ChangePlace,
        filter: &PreparedFilter<'_>,
        visit: &mut VisitChange<'_>,
    ) -> ControlFlow<ChangePlace> {
        let first = self.rows.partition_point(|row| row.next <= from);
        let mut one = |row: usize| {
            let RenderedRow { next, end, user, is_entered } = self.rows[row];
            let start = row.checked_sub(1).map_or(0, |before| self.rows[before].end);
            let json = &self.text[start..end];
            let is_wanted = filter.fits(&json[USER_START..USER_START + user], is_entered);
            match is_wanted && visit(GivenChange { next, is_entered, json }).is_break() {
                true => ControlFlow::Break(next),
                false => ControlFlow::Continue(()),
            }
        };
        if filter.segments.is_empty() {
            return (first..self.rows.len()).try_for_each(one);
        }
        let mut rows: Vec<u32> = Vec::new();
        for of_segment in filter.segments.iter().filter_map(|segment| self.by_segment.get(segment)) {
            rows.extend_from_slice(&of_segment[of_segment.partition_point(|row| (*row as usize) < first)..]);
        }
        if filter.segments.len() > 1 {
            rows.sort_unstable();
            // One may be named twice.
            rows.dedup();
        }
        rows.into_iter().try_for_each(|row| one(row as usize))
    }
}

/// A filter in the form in which it is applied to text.
pub(super) struct PreparedFilter<'a> {
    segments: &'a [String],
    /// As JSON texts.
    users: HashSet<String>,
    only_entered: Option<bool>,
}

impl<'a> PreparedFilter<'a> {
    /// Prepares a filter.
    pub(super) fn of(filter: &'a ChangeFilter) -> PreparedFilter<'a> {
        let users = filter.users.iter().filter_map(|user| serde_json::to_string(user).ok());
        PreparedFilter { segments: &filter.segments, users: users.collect(), only_entered: filter.only_entered }
    }

    fn fits(&self, user: &str, is_entered: bool) -> bool {
        self.only_entered.is_none_or(|only| only == is_entered) && (self.users.is_empty() || self.users.contains(user))
    }
}

/// A change as JSON.
pub(super) fn change_json(change: ChangeRef<'_>) -> String {
    written(change, &format_time(change.at))
}

/// A change as JSON, its instant as that text.
fn written(change: ChangeRef<'_>, at: &str) -> String {
    let written = ChangeJson {
        user_id: change.user_id,
        segment_id: change.segment_id,
        change: if change.change == ChangeKind::Entered { "entered" } else { "left" },
        at,
        version: change.version,
        cause: cause(change.cause),
    };
    serde_json::to_string(&written).unwrap_or_default()
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Event => "event",
        Cause::Time => "time",
        Cause::Rule => "rule",
        Cause::Merge => "merge",
        Cause::Erasure => "erasure",
    }
}
