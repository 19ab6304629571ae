//! Breakdowns: how many members of a segment have which value of a measure.
//!
//! Law: the counts of the values, of those without a value and of the others are the segment's members, each once.
//! Cost: one look at the row of each member, within a tick.

use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::decimal::Decimal;
use audience_rules::unparse::value_to_json;
use audience_rules::value::{Value, ValueRef};
use hashbrown::HashMap;

use crate::membership::Membership;
use crate::message::{BreakdownRequest, ValueCounts};
use crate::reading::Reading;

use super::{UserRow, WorkerState};

/// Values that are told apart on one worker; members with any further one are counted together.
const MOST_VALUES: usize = 10_000;
/// Bytes of a value that is told apart.
const MOST_BYTES: usize = 256;

/// A value in the form in which it is counted.
#[derive(PartialEq, Eq, Hash)]
enum Counted {
    Number(Decimal),
    Flat(Arc<[u8]>),
}

impl Counted {
    /// A reading's value; `None` where there is none.
    fn of(reading: Reading, now: Millis) -> Option<Counted> {
        match reading {
            Reading::Missing | Reading::Held(_) => None,
            Reading::Number(number) => Some(Counted::Number(number)),
            Reading::Ratio(sum, count) => Some(Counted::Number(Decimal::from_units(sum.units() / i128::from(count)))),
            Reading::Since(at) => Some(Counted::Number(Decimal::from_integer(now - at))),
            Reading::Flat(bytes) => match ValueRef::read(&bytes)?.0 {
                ValueRef::Null => None,
                ValueRef::Number(number) => Some(Counted::Number(number)),
                _ => Some(Counted::Flat(bytes)),
            },
        }
    }

    fn is_short(&self) -> bool {
        match self {
            Counted::Number(_) => true,
            Counted::Flat(bytes) => bytes.len() <= MOST_BYTES,
        }
    }

    fn json(&self) -> String {
        match self {
            Counted::Number(number) => value_to_json(&Value::Number(*number)),
            Counted::Flat(bytes) => {
                ValueRef::read(bytes).map_or_else(String::new, |(value, _)| value_to_json(&value.to_value()))
            }
        }
    }
}

impl WorkerState {
    /// Counts the members of a segment by their value of a measure that is computed.
    pub(super) fn break_down(&self, of: &BreakdownRequest, membership: &Membership) -> ValueCounts {
        let members = membership.segments.get(&of.segment).map(|bitmap| membership.bitmap(*bitmap));
        let mut counted = ValueCounts::default();
        let mut values: HashMap<Counted, u64> = HashMap::new();
        for slot in members.into_iter().flatten() {
            let reading = self.users.get(slot as usize).and_then(|user| self.reading_of(user, of));
            match reading.and_then(|reading| Counted::of(reading, self.clock)) {
                None => counted.missing += 1,
                Some(value) if value.is_short() && (values.len() < MOST_VALUES || values.contains_key(&value)) => {
                    *values.entry(value).or_default() += 1;
                }
                Some(_) => counted.other += 1,
            }
        }
        counted.values = values.into_iter().map(|(value, count)| (value.json(), count)).collect();
        counted
    }

    /// A user's reading; `None` of one who is in a list and was never seen.
    fn reading_of(&self, user: &UserRow, of: &BreakdownRequest) -> Option<Reading> {
        let measure = self.registry.measure_of(&of.measure)?;
        let definition = self.registry.measures.get(measure).filter(|_| user.known)?;
        let cell = user.cell(measure).map(|at| &user.cells[at]);
        Some(cell.map_or_else(|| definition.default.clone(), |cell| cell.reading(&definition.kind, self.clock)))
    }
}
