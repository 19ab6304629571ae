//! Traits that `identify` events set, in their cells.

use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::decimal::Decimal;
use audience_rules::record::EventRef;
use audience_rules::value::ValueRef;
use serde::{Deserialize, Serialize};

use super::{Cell, LargeState, TraitNumber};
use crate::measure::MeasureId;
use crate::window_log::flat;

/// A trait's value (`None`: unset), with its timestamp and place of arrival.
type TraitSetting = (Millis, u64, Option<Arc<[u8]>>);

/// A trait at a path with dots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DottedTrait {
    /// By its whole path as a name, which goes first.
    flat: Option<TraitSetting>,
    /// Below the trait of the path's first part.
    nested: Option<TraitSetting>,
}

impl DottedTrait {
    pub(super) fn value(&self) -> Option<&Arc<[u8]>> {
        [&self.flat, &self.nested].into_iter().find_map(|setting| setting.as_ref()?.2.as_ref())
    }
}

/// An `identify`'s value for the trait of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppliedTrait<'a> {
    /// The name: the first part of the path or, where that has dots, all of it.
    pub name: &'a str,
    /// The value.
    pub value: ValueRef<'a>,
    /// The event.
    pub event: &'a EventRef<'a>,
}

/// Applies an `identify`'s value to a trait at a path.
pub(crate) fn apply_trait(
    cell: Option<Cell>,
    measure: MeasureId,
    path: &[Arc<str>],
    applied: AppliedTrait<'_>,
) -> Result<Cell, Option<Cell>> {
    let place = (applied.event.timestamp(), applied.event.sequence());
    let Some((first, below)) = path.split_first() else { return Err(cell) };
    let is_flat = *applied.name != **first;
    let value = if is_flat { Some(applied.value) } else { applied.value.path(below) };
    let value = value.filter(|value| !value.is_null());
    let is_dotted = matches!(&cell, Some(Cell::Other { state, .. }) if matches!(**state, LargeState::Dotted(_)));
    if is_flat || is_dotted {
        return apply_dotted(cell, measure, is_flat, (place.0, place.1, value.map(flat)));
    }
    if setting_of(&cell).is_some_and(|(at, sequence, _)| (at, sequence) > place) {
        return Err(cell);
    }
    if let Some(ValueRef::Number(number)) = value
        && let Ok(units) = i64::try_from(number.units())
    {
        let value = TraitNumber { at: place.0, sequence: place.1, units };
        return Ok(Cell::TraitNumber { measure, value: Box::new(value) });
    }
    Ok(Cell::Other { measure, state: Box::new(LargeState::Trait(place.0, place.1, value.map(flat))) })
}

/// The setting of a trait that is not by its whole path.
fn setting_of(cell: &Option<Cell>) -> Option<(Millis, u64, Option<ValueRef<'_>>)> {
    match cell {
        Some(Cell::TraitNumber { value, .. }) => {
            let number = Decimal::from_units(i128::from(value.units));
            Some((value.at, value.sequence, Some(ValueRef::Number(number))))
        }
        Some(Cell::Other { state, .. }) => match &**state {
            LargeState::Trait(at, sequence, value) => {
                let value = value.as_ref().and_then(|bytes| ValueRef::read(bytes)).map(|(value, _)| value);
                Some((*at, *sequence, value))
            }
            _ => None,
        },
        _ => None,
    }
}

fn apply_dotted(
    cell: Option<Cell>,
    measure: MeasureId,
    is_flat: bool,
    setting: TraitSetting,
) -> Result<Cell, Option<Cell>> {
    let nested = setting_of(&cell).map(|(at, sequence, value)| (at, sequence, value.map(flat)));
    let mut dotted = match cell {
        Some(Cell::Other { state, .. }) => match *state {
            LargeState::Dotted(dotted) => dotted,
            _ => DottedTrait { flat: None, nested },
        },
        _ => DottedTrait { flat: None, nested },
    };
    let known = if is_flat { &mut dotted.flat } else { &mut dotted.nested };
    if known.as_ref().is_none_or(|(at, sequence, _)| (*at, *sequence) <= (setting.0, setting.1)) {
        *known = Some(setting);
    }
    Ok(Cell::Other { measure, state: Box::new(LargeState::Dotted(dotted)) })
}
