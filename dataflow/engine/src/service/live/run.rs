//! Changes of some ticks as they are given to those who follow, written once for all of them.

use std::ops::ControlFlow;

use audience_contract::{Cause, ChangeKind, ChangeLog};
use audience_protocol::{ChangeFilter, ChangePlace, GivenChange, VisitChange};
use audience_rules::time::format_time;
use hashbrown::{HashMap, HashSet};
use serde::Serialize;

use super::super::changes::{self, ChangeRef};
use super::super::follow::undecoded;
use crate::engine::EngineError;

/// Changes in a run at most; a tick with more of them is several runs.
pub const RUN_CHANGES: usize = 16_384;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    user_id: &'a str,
    segment_id: &'a str,
    change: &'static str,
    at: &'a str,
    version: u64,
    cause: &'static str,
}

struct Row {
    next: ChangePlace,
    /// Where its text ends; it begins where the one before ends.
    end: usize,
    /// The length of the user's id as it is written.
    user: usize,
    is_entered: bool,
}

/// What stands before the user's id in every text.
const USER_START: usize = "{\"userId\":".len();

/// The changes between two places, all of them.
pub struct Run {
    /// The first place.
    pub from: ChangePlace,
    /// The place behind the last.
    pub to: ChangePlace,
    text: String,
    rows: Vec<Row>,
    /// Of each segment, which rows are of it, in order.
    by_segment: HashMap<String, Vec<u32>>,
}

impl Run {
    /// Reads from the log what is there from a place on, up to the end of tick `newest` at most.
    pub fn read(log: &dyn ChangeLog, from: ChangePlace, newest: u64) -> Result<Run, EngineError> {
        let mut run = Run { from, to: from, text: String::new(), rows: Vec::new(), by_segment: HashMap::new() };
        let (mut undecodable, mut is_full) = (None, false);
        let mut at = (Default::default(), String::new());
        log.read(from.tick, &mut |tick, bytes| {
            if tick > newest {
                return ControlFlow::Break(());
            }
            let skipped = if tick == from.tick { from.index } else { 0 };
            let mut index = 0;
            let visited = changes::visit(bytes, &mut |change| {
                index += 1;
                if index > skipped {
                    if is_full {
                        return ControlFlow::Break(());
                    }
                    if at.1.is_empty() || at.0 != change.at {
                        at = (change.at, format_time(change.at));
                    }
                    run.push(ChangePlace { tick, index }, change, &at.1);
                    is_full = run.rows.len() >= RUN_CHANGES;
                }
                ControlFlow::Continue(())
            });
            if visited.is_none() {
                undecodable = Some(tick);
                return ControlFlow::Break(());
            }
            // What is left of a tick that does not fit, and ticks behind it, are of another run.
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(tick) = undecodable {
            return Err(undecoded(tick).into());
        }
        run.to = match run.rows.last() {
            Some(last) if is_full => last.next,
            _ => ChangePlace::behind(newest),
        };
        Ok(run)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether that place is in it.
    pub fn holds(&self, place: ChangePlace) -> bool {
        self.from <= place && place < self.to
    }

    /// The same from an earlier place on, up to which there was nothing.
    pub fn begun_at(self, from: ChangePlace) -> Run {
        Run { from, ..self }
    }

    fn push(&mut self, next: ChangePlace, change: ChangeRef<'_>, at: &str) {
        let is_entered = change.change == ChangeKind::Entered;
        let written = Written {
            user_id: change.user_id,
            segment_id: change.segment_id,
            change: if is_entered { "entered" } else { "left" },
            at,
            version: change.version,
            cause: cause(change.cause),
        };
        // Plain data always serializes.
        let user = serde_json::to_string(change.user_id).map_or(0, |text| text.len());
        self.text.push_str(&serde_json::to_string(&written).unwrap_or_default());
        let row = self.rows.len() as u32;
        self.rows.push(Row { next, end: self.text.len(), user, is_entered });
        self.by_segment.entry_ref(&**change.segment_id).or_default().push(row);
    }

    /// Visits what is wanted of it from a place on; gives how far that came where it was broken off.
    pub fn visit(
        &self,
        from: ChangePlace,
        filter: &Wanted<'_>,
        visit: &mut VisitChange<'_>,
    ) -> ControlFlow<ChangePlace> {
        let first = self.rows.partition_point(|row| row.next <= from);
        let mut one = |row: usize| {
            let Row { next, end, user, is_entered } = self.rows[row];
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

/// A filter, made ready.
pub struct Wanted<'a> {
    segments: &'a [String],
    /// As they are written.
    users: HashSet<String>,
    only_entered: Option<bool>,
}

impl<'a> Wanted<'a> {
    /// Of a filter.
    pub fn of(filter: &'a ChangeFilter) -> Wanted<'a> {
        let users = filter.users.iter().filter_map(|user| serde_json::to_string(user).ok());
        Wanted { segments: &filter.segments, users: users.collect(), only_entered: filter.only_entered }
    }

    fn fits(&self, user: &str, is_entered: bool) -> bool {
        self.only_entered.is_none_or(|only| only == is_entered) && (self.users.is_empty() || self.users.contains(user))
    }
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
