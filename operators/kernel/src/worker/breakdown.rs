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
use crate::message::{BreakdownRequest, MembersByValue};
use crate::program::MeasureKey;
use crate::reading::Reading;

use super::rows::{UserRows, UserSlot};

/// Values that are told apart on one worker; members with any further one are counted together.
const MOST_VALUES: usize = 10_000;
/// Bytes of a value that is told apart.
const MOST_BYTES: usize = 256;

/// A value in the form in which it is counted.
#[derive(PartialEq, Eq, Hash)]
enum CountedValue {
    Number(Decimal),
    Flat(Arc<[u8]>),
}

impl CountedValue {
    /// A reading's value; `None` where there is none.
    fn of(reading: Reading, now: Millis) -> Option<CountedValue> {
        match reading {
            Reading::Missing | Reading::Held(_) | Reading::Answered { .. } => None,
            Reading::Number(number) => Some(CountedValue::Number(number)),
            Reading::Ratio(sum, count) => {
                Some(CountedValue::Number(Decimal::from_units(sum.units() / i128::from(count))))
            }
            Reading::Since(at) => Some(CountedValue::Number(Decimal::from_integer(now - at))),
            Reading::Flat(bytes) => match ValueRef::read(&bytes)?.0 {
                ValueRef::Null => None,
                ValueRef::Number(number) => Some(CountedValue::Number(number)),
                _ => Some(CountedValue::Flat(bytes)),
            },
        }
    }

    fn is_short(&self) -> bool {
        match self {
            CountedValue::Number(_) => true,
            CountedValue::Flat(bytes) => bytes.len() <= MOST_BYTES,
        }
    }

    fn json(&self) -> String {
        match self {
            CountedValue::Number(number) => value_to_json(&Value::Number(*number)),
            CountedValue::Flat(bytes) => {
                ValueRef::read(bytes).map_or_else(String::new, |(value, _)| value_to_json(&value.to_value()))
            }
        }
    }
}

/// A reading's value as JSON; `None` where there is none.
pub(super) fn value_json(reading: Reading, now: Millis) -> Option<String> {
    CountedValue::of(reading, now).map(|value| value.json())
}

impl UserRows {
    /// Counts the members of a segment by their value of a measure that is computed.
    pub(super) fn break_down(&self, of: &BreakdownRequest, now: Millis, membership: &Membership) -> MembersByValue {
        let members = membership.segments.get(&of.segment).map(|bitmap| membership.bitmap(*bitmap));
        let mut counted = MembersByValue::default();
        let mut values: HashMap<CountedValue, u64> = HashMap::new();
        for slot in members.into_iter().flatten() {
            let reading = self.users.get(slot as usize).and_then(|user| self.reading_of(user, &of.measure, now));
            match reading.and_then(|reading| CountedValue::of(reading, now)) {
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
    pub(super) fn reading_of(&self, user: &UserSlot, measure: &MeasureKey, now: Millis) -> Option<Reading> {
        let measure = self.registry.measure_of(measure)?;
        let definition = self.registry.measures.get(measure).filter(|_| user.known)?;
        let cell = user.cell(measure).map(|at| &user.cells[at]);
        Some(cell.map_or_else(|| definition.default.clone(), |cell| cell.reading(&definition.kind, now)))
    }
}
