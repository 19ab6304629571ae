//! Changes of the past, read backwards from a place: the newest of one segment, or of one user.
//!
//! Law: the pages that follow each other by their cursors hold every change that is kept and passes the filter, once, the
//! newest first. Cost: a page reads back until it is full, and no more than [`MOST_OF_PAGE`] changes of others: then it is
//! short, and its cursor goes on from there.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use audience_contract::changes::ChangeRef;
use audience_contract::{ChangeKind, StoreError};
use audience_protocol::{ChangeFilter, ChangePlace, Page};
use serde_json::value::RawValue;

use super::Live;
use super::rendered::change_json;
use crate::emitted::Emitted;

/// Ticks that are read first; each further step takes more.
const FIRST_TICKS: u64 = 256;
const GROWTH: u64 = 4;
/// Changes that one page looks at, at most, but for those of its last step.
const MOST_OF_PAGE: usize = 2_000_000;
/// Changes of a step, from which on it is repeated with fewer ticks.
const MOST_OF_STEP: usize = 1_000_000;

/// A change that was found, at its place.
struct PastChange {
    place: ChangePlace,
    json: String,
}

impl Live {
    /// Returns the newest changes before a place that pass the filter, the newest first.
    pub fn past(
        &self,
        before: Option<ChangePlace>,
        filter: &ChangeFilter,
        limit: usize,
    ) -> Result<Page<Box<RawValue>>, StoreError> {
        let newest = self.newest_place();
        let end = before.map_or(newest, |before| before.min(newest));
        let (mut found, reached) = read_back(&self.emitted, end, filter, limit + 1)?;
        let mut next = reached;
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|oldest| oldest.place);
        }
        let items = found.into_iter().filter_map(|found| RawValue::from_string(found.json).ok());
        Ok(Page { items: items.collect(), next_cursor: next.map(|place| place.to_string()) })
    }
}

/// The newest `limit` changes before `end`, the newest first; and the place that was reached where that is not all.
fn read_back(
    emitted: &Emitted,
    end: ChangePlace,
    filter: &ChangeFilter,
    limit: usize,
) -> Result<(Vec<PastChange>, Option<ChangePlace>), StoreError> {
    let floor = emitted.floor()?;
    let (mut found, mut stop, mut width, mut looked_at) = (Vec::new(), end, FIRST_TICKS, 0);
    while (ChangePlace { tick: floor, index: 0 }) < stop {
        let last = if stop.index == 0 { stop.tick - 1 } else { stop.tick };
        let first = last.saturating_sub(width - 1).max(floor);
        let step = TickSpan::read(emitted, first..=last, stop, filter, limit - found.len())?;
        looked_at += step.looked_at;
        if step.is_too_large && width > 1 {
            width = (width / (GROWTH * GROWTH)).max(1);
            continue;
        }
        found.extend(step.newest.into_iter().rev());
        stop = ChangePlace { tick: first, index: 0 };
        if found.len() >= limit {
            return Ok((found, None));
        }
        if looked_at >= MOST_OF_PAGE {
            let is_end = stop <= ChangePlace { tick: floor, index: 0 };
            return Ok((found, (!is_end).then_some(stop)));
        }
        width = width.saturating_mul(GROWTH);
    }
    Ok((found, None))
}

/// The part of some ticks before a place.
struct TickSpan {
    /// The newest that pass, in their order.
    newest: VecDeque<PastChange>,
    looked_at: usize,
    /// True if it was broken off.
    is_too_large: bool,
}

impl TickSpan {
    fn read(
        emitted: &Emitted,
        ticks: std::ops::RangeInclusive<u64>,
        stop: ChangePlace,
        filter: &ChangeFilter,
        limit: usize,
    ) -> Result<TickSpan, StoreError> {
        let is_one_tick = ticks.start() == ticks.end();
        let mut step = TickSpan { newest: VecDeque::new(), looked_at: 0, is_too_large: false };
        emitted.read(ticks, &mut |tick| {
            let mut index = 0;
            tick.visit(&mut |change| {
                let place = ChangePlace { tick: tick.number, index };
                index += 1;
                step.is_too_large = step.looked_at >= MOST_OF_STEP && !is_one_tick;
                if place >= stop || step.is_too_large {
                    return ControlFlow::Break(());
                }
                step.looked_at += 1;
                if passes(filter, &change) {
                    step.take(place, change, limit);
                }
                ControlFlow::Continue(())
            })?;
            Ok(if step.is_too_large { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(step)
    }

    fn take(&mut self, place: ChangePlace, change: ChangeRef<'_>, limit: usize) {
        if self.newest.len() == limit {
            self.newest.pop_front();
        }
        // The id is that of the place after it, as everywhere.
        let id = ChangePlace { index: place.index + 1, ..place };
        let json = change_json(change);
        self.newest
            .push_back(PastChange { place, json: format!("{{\"id\":\"{id}\",{}", json.trim_start_matches('{')) });
    }
}

fn passes(filter: &ChangeFilter, change: &ChangeRef<'_>) -> bool {
    let is_of = |wanted: &[String], found: &str| wanted.is_empty() || wanted.iter().any(|one| one == found);
    is_of(&filter.segments, change.segment_id)
        && is_of(&filter.users, change.user_id)
        && filter.only_entered.is_none_or(|only| only == (change.change == ChangeKind::Entered))
}
