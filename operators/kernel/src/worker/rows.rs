//! The rows of a worker's users, and the measures and rules that they are computed for.

use audience_rules::ast::Millis;

use crate::calendar::Calendar;
use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::membership::{Membership, user_hash};
use crate::reading::Reading;
use crate::registry::Registry;

/// An event dated after now, until its time comes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct PendingEvent {
    pub(super) timestamp: Millis,
    pub(super) record: Box<[u8]>,
}

/// One user.
#[derive(Clone, Debug, Default)]
pub(super) struct UserSlot {
    /// True if any event of theirs was accepted.
    pub(super) known: bool,
    /// The state of each measure, sorted by measure.
    pub(super) cells: Vec<Cell>,
    /// Events dated after now, the latest first.
    pub(super) pending: Vec<PendingEvent>,
    /// The next instant at which anything may change by time alone; [`Millis::MAX`] for none.
    pub(super) due: Millis,
    /// The bucket of the calendar in which the user stands; [`Millis::MAX`] for none.
    pub(super) scheduled: Millis,
}

/// A user's measures that were touched, with what they said before.
pub(super) type TouchedMeasures = Vec<(MeasureId, Reading)>;

/// Users by slot, beside the registry of what is computed for them.
#[derive(Default)]
pub(super) struct UserRows {
    pub(super) registry: Registry,
    pub(super) users: Vec<UserSlot>,
    /// The number of known users.
    pub(super) known_users: u64,
    pub(super) calendar: Calendar,
    /// Those of the user at hand. The buffer is used again for every user.
    pub(super) touched: TouchedMeasures,
    /// Measures that an event may feed; a buffer that is used again.
    pub(super) candidates: Vec<MeasureId>,
}

impl UserRows {
    pub(super) fn become_known(&mut self, slot: u32) {
        let was_known = std::mem::replace(&mut self.users[slot as usize].known, true);
        self.known_users += u64::from(!was_known);
    }

    /// The number of a user, given where they have none.
    pub(super) fn slot_of(&mut self, id: &str, membership: &mut Membership) -> u32 {
        self.slot_of_hash(user_hash(id.as_bytes()), id.as_bytes(), membership)
    }

    /// As [`slot_of`](Self::slot_of), the hash being known.
    pub(super) fn slot_of_hash(&mut self, hash: u64, id: &[u8], membership: &mut Membership) -> u32 {
        let (slot, is_new) = membership.users.find_or_add(hash, id);
        if is_new {
            self.users.push(UserSlot { due: Millis::MAX, scheduled: Millis::MAX, ..UserSlot::default() });
        }
        slot
    }
}

impl UserSlot {
    /// Returns the index of the cell of a measure.
    pub(super) fn cell(&self, measure: MeasureId) -> Option<usize> {
        self.cells.binary_search_by_key(&measure, |cell| cell.measure()).ok()
    }

    /// Takes a cell out, leaving its place; `Err` where it would be.
    pub(super) fn take(&mut self, measure: MeasureId) -> (Result<usize, usize>, Option<Cell>) {
        match self.cells.binary_search_by_key(&measure, |cell| cell.measure()) {
            Ok(at) => {
                let hole = Cell::Count { measure, count: 0 };
                (Ok(at), Some(std::mem::replace(&mut self.cells[at], hole)))
            }
            Err(at) => (Err(at), None),
        }
    }

    /// Puts a cell where [`take`](Self::take) found its place.
    pub(super) fn put(&mut self, at: Result<usize, usize>, cell: Option<Cell>) {
        match (at, cell) {
            (Ok(at), Some(cell)) => self.cells[at] = cell,
            (Ok(at), None) => drop(self.cells.remove(at)),
            (Err(at), Some(cell)) => {
                if self.cells.len() == self.cells.capacity() {
                    self.cells.reserve_exact(2 + self.cells.len() / 4);
                }
                self.cells.insert(at, cell);
            }
            (Err(_), None) => {}
        }
    }
}
