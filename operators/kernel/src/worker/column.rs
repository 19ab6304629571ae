//! Users' numbers in a few measures side by side, for looking at all users at once.
//!
//! Law: a column holds the position of a user's number now, for each user that it has a place for. Rows change by a user's
//! events and by merges, and columns follow when these are settled. Measures that change by time alone have no column.
//! Cost: 8 bytes a user for each of at most [`KEPT`] measures, those that a rule was last made or changed with. A look at a
//! user costs a comparison, while a row costs several waits for memory.

use std::hint::black_box;
use std::ops::Range;

use audience_rules::ast::Millis;

use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::reading::Reading;
use crate::registry::{Registry, RuleId};

use super::leaf::{MISSING, position, position_of_units};
use super::number_rule::{BLOCK, LANES, Lanes, NumberRule};
use super::rows::{UserRows, UserSlot};

/// Measures that have a column.
const KEPT: usize = 4;
/// The place of a user whom only the row tells about: unknown, or with a value that is neither a number nor missing.
pub(super) const BY_ROW: i64 = i64::MAX;

/// The positions of users' numbers in one measure.
struct Column {
    measure: MeasureId,
    /// By slot; [`BY_ROW`] for later ones.
    places: Vec<i64>,
    /// True once the scan that fills it has ended. Until then later users are yet to be looked at.
    is_whole: bool,
}

impl Column {
    fn note(&mut self, registry: &Registry, user: &UserSlot, slot: u32, now: Millis) {
        let slot = slot as usize;
        if slot >= self.places.len() {
            if !self.is_whole {
                return;
            }
            self.places.resize(slot + 1, BY_ROW);
        }
        self.places[slot] = place(registry, user, self.measure, now);
    }
}

/// Returns the position of a user's number.
pub(super) fn place(registry: &Registry, user: &UserSlot, measure: MeasureId, now: Millis) -> i64 {
    let Some(definition) = registry.measures.get(measure).filter(|_| user.known) else { return BY_ROW };
    let cell = user.cell(measure).map(|at| &user.cells[at]);
    if let Some(units) = cell.and_then(Cell::number_units) {
        return position_of_units(units);
    }
    let reading = cell.map_or_else(|| definition.default.clone(), |cell| cell.reading(&definition.kind, now));
    match reading {
        Reading::Number(_) | Reading::Ratio(..) => position(&reading),
        Reading::Missing => MISSING,
        _ => BY_ROW,
    }
}

/// The columns, the last used at the end.
#[derive(Default)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// Follows a user: all columns if the user has just become known, else those of the touched measures.
    pub(super) fn follow(
        &mut self,
        (registry, user): (&Registry, &UserSlot),
        slot: u32,
        touched: Option<&[(MeasureId, Reading)]>,
        now: Millis,
    ) {
        for column in &mut self.0 {
            if touched.is_none_or(|touched| touched.iter().any(|(measure, _)| *measure == column.measure)) {
                column.note(registry, user, slot, now);
            }
        }
    }

    /// The user's row is cleared.
    pub(super) fn forget(&mut self, slot: u32) {
        for place in self.0.iter_mut().filter_map(|column| column.places.get_mut(slot as usize)) {
            *place = BY_ROW;
        }
    }

    /// Drops the columns of measures that are no more.
    pub(super) fn drop_measures(&mut self, is_dropped: impl Fn(MeasureId) -> bool) {
        self.0.retain(|column| !is_dropped(column.measure));
    }

    /// Drops columns that a scan did not bring to their end.
    pub(super) fn drop_parts(&mut self) {
        self.0.retain(|column| column.is_whole);
    }

    /// The scan that makes columns is at its end: those that tell of all `users` are whole.
    pub(super) fn finish(&mut self, users: usize) {
        self.0.iter_mut().for_each(|column| column.is_whole |= column.places.len() == users);
        self.drop_parts();
    }

    /// Moves the columns of these measures to the end, and makes those that are not there. Returns whether all of them have
    /// a place for every user before `slot`.
    fn bring_up(&mut self, measures: &[MeasureId], slot: u32) -> bool {
        for measure in measures {
            let known = self.0.iter().position(|column| column.measure == *measure);
            let made = || Column { measure: *measure, places: Vec::new(), is_whole: false };
            let column = known.map_or_else(made, |at| self.0.remove(at));
            self.0.push(column);
        }
        self.0.drain(..self.0.len().saturating_sub(KEPT));
        let brought = &self.0[self.0.len() - measures.len()..];
        brought.iter().all(|column| column.is_whole || column.places.len() == slot as usize)
    }

    /// Each measure, where users stand in it, and whether that is everybody.
    #[cfg(test)]
    pub(super) fn kept(&self) -> impl Iterator<Item = (MeasureId, &[i64], bool)> {
        self.0.iter().map(|column| (column.measure, &column.places[..], column.is_whole))
    }

    fn of(&self, measure: MeasureId) -> Option<&[i64]> {
        self.0.iter().find(|column| column.measure == measure).map(|column| &column.places[..])
    }
}

impl UserRows {
    /// The users among these who fulfil a rule, by columns that are made meanwhile; `None` where it has none.
    pub(super) fn find_by_columns(
        &self,
        columns: &mut Columns,
        rule: RuleId,
        slots: Range<u32>,
        now: Millis,
    ) -> Option<Vec<u32>> {
        if self.users.is_empty() {
            // Whatever comes is seen event by event: columns would be no use to anyone.
            return None;
        }
        let rule = NumberRule::of(&self.registry, self.registry.rules.get(rule)?)?;
        let measures = rule.measures();
        let is_lasting = |id: &MeasureId| self.registry.measures.get(*id).is_some_and(|measure| !measure.is_temporal());
        if measures.len() > KEPT || !measures.iter().all(is_lasting) || !columns.bring_up(&measures, slots.start) {
            return None;
        }
        self.fill_columns(columns, slots.clone(), now);
        let columns: Vec<&[i64]> = measures.iter().map(|measure| columns.of(*measure)).collect::<Option<_>>()?;
        let by_row = |slot: u32| self.users[slot as usize].known && rule.holds(self.view(slot, now));
        let mut found = Vec::new();
        for first in slots.clone().step_by(LANES) {
            let slots = first..slots.end.min(first + LANES as u32);
            let lanes = |measure: MeasureId| {
                // Without a column, or where it ends, there is the row.
                let column = measures.iter().position(|known| *known == measure).map_or(&[][..], |at| columns[at]);
                let end = column.len().min(slots.end as usize);
                Lanes::of(column.get(first as usize..end).unwrap_or_default())
            };
            rule.find_in(slots.clone(), lanes, by_row, &mut found);
        }
        Some(found)
    }

    /// Has the columns that are being made tell of these users.
    fn fill_columns(&self, columns: &mut Columns, slots: Range<u32>, now: Millis) {
        let mut parts: Vec<&mut Column> = columns.0.iter_mut().filter(|column| !column.is_whole).collect();
        let mut block = if parts.is_empty() { slots.end } else { slots.start };
        while block < slots.end {
            let end = slots.end.min(block + BLOCK);
            let users = &self.users[block as usize..end as usize];
            self.fetch(block..end);
            for column in &mut parts {
                let measure = column.measure;
                let near = |user: &UserSlot| user.cell(measure).map_or(0, |at| user.cells[at].fetch());
                black_box(users.iter().map(near).fold(0, u64::wrapping_add));
                column.places.extend(users.iter().map(|user| place(&self.registry, user, measure, now)));
            }
            block = end;
        }
    }
}
