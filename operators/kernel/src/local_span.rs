//! Windows of whole local units in a zone that is one for all users: the span in which an event counts.
//!
//! Law: an event counts from the start of the unit that is `to` after its own, or from its own time where `to` is 0, until the
//! start of the one that is `from` + 1 after it; later events never count before earlier ones. Cost: a look at the spans that
//! were asked for last, since events of one local unit share theirs; a few lookups among the zone's changes otherwise.

use std::cell::RefCell;
use std::sync::Arc;

use audience_rules::ast::{Behaviour, Measurable, Millis, Node, Test, Window, Zone};
use audience_rules::catalogue::Catalogue;
use audience_rules::zone::{CalendarUnit, ZoneId};

/// The spans that a thread remembers, by the hour of the event.
const REMEMBERED: usize = 256;
const HOUR: Millis = 3_600_000;

/// A window of whole local units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalSpan {
    unit: CalendarUnit,
    from: u16,
    to: u16,
    zone: ZoneId,
}

/// The span of the events of one unit.
#[derive(Clone, Copy)]
struct RememberedSpan {
    of: LocalSpan,
    /// The unit's own first instant, and the next one's.
    unit: (Millis, Millis),
    enter: Millis,
    leave: Millis,
}

thread_local! {
    static SPANS: RefCell<Vec<Option<RememberedSpan>>> = RefCell::new(vec![None; REMEMBERED]);
}

impl LocalSpan {
    /// The span of a window, if that is one of whole units in a named zone.
    pub fn of(window: Window) -> Option<LocalSpan> {
        match window {
            Window::Calendar { unit, from, to, zone: Zone::Named(zone) } => Some(LocalSpan { unit, from, to, zone }),
            _ => None,
        }
    }

    /// The first instant at which an event of that time counts, and the first at which it does no longer.
    pub fn of_event(self, timestamp: Millis) -> (Millis, Millis) {
        let place = timestamp.div_euclid(HOUR).rem_euclid(REMEMBERED as Millis) as usize;
        let remembered = SPANS.with_borrow_mut(|spans| match spans.get_mut(place) {
            Some(Some(known)) if known.of == self && (known.unit.0..known.unit.1).contains(&timestamp) => *known,
            Some(slot) => *slot.insert(self.look_up(timestamp)),
            None => self.look_up(timestamp),
        });
        let enter = if self.to == 0 { timestamp } else { remembered.enter };
        (enter, remembered.leave)
    }

    fn look_up(self, timestamp: Millis) -> RememberedSpan {
        let index = self.unit.of(timestamp, self.zone);
        let start = |after: i64| self.unit.start(index + after, self.zone);
        let (enter, leave) = (start(self.to.into()), start(i64::from(self.from) + 1));
        RememberedSpan { of: self, unit: (start(0), start(1)), enter, leave }
    }
}

/// The same measure with the zone of its calendar by name, if whole local units of one zone are all that keeps it from being one
/// of the first page.
pub(crate) fn by_local_units(behaviour: &Behaviour, platform: ZoneId) -> Option<Arc<Behaviour>> {
    let Some(Window::Calendar { unit, from, to, zone }) = behaviour.window else { return None };
    let zone = match zone {
        Zone::User => return None,
        Zone::Platform => platform,
        Zone::Named(zone) => zone,
    };
    let rest = Behaviour { window: None, ..behaviour.clone() };
    let is_plain = rest.is_plain() && (platform == ZoneId::UTC || !rest.zones().platform);
    let window = Some(Window::Calendar { unit, from, to, zone: Zone::Named(zone) });
    is_plain.then(|| Arc::new(Behaviour { window, ..rest }))
}

/// The measure and the test of such a condition.
pub(crate) fn condition_by_local_units(node: &Node, catalogue: &Catalogue) -> Option<(Arc<Behaviour>, Test)> {
    let Node::Behaviour { behaviour, test } = node.resolved(catalogue) else { return None };
    let platform = catalogue.timezone;
    let is_plain = test.is_plain() && (platform == ZoneId::UTC || !test.zones().platform);
    let behaviour = is_plain.then(|| by_local_units(&behaviour, platform)).flatten()?;
    Some((behaviour, test))
}

/// The measure of such an order of users.
pub(crate) fn order_by_local_units(by: &Measurable, catalogue: &Catalogue) -> Option<Arc<Behaviour>> {
    match by.resolved(catalogue) {
        Measurable::Behaviour(behaviour) => by_local_units(&behaviour, catalogue.timezone),
        Measurable::Field(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::scope::LocalNow;

    use super::*;
    use crate::testing::{for_each_case, pick};

    const UNITS: [CalendarUnit; 6] = [
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::SundayWeek,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
    ];
    /// With days of 23, 24 and 25 hours, without a midnight, and one that was left out.
    const ZONES: [&str; 6] =
        ["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu"];
    /// 2011-12-30, which Apia left out.
    const LEFT_OUT: Millis = 1_325_203_200_000;

    #[test]
    fn an_event_counts_just_while_the_window_of_the_evaluator_has_it() {
        for_each_case(4_000, |random| {
            let to = random.u16(0..3);
            let (unit, from) = (*pick(random, &UNITS), to + random.u16(0..3));
            let zone = ZoneId::named(pick::<&str>(random, &ZONES)).unwrap();
            let window = Window::Calendar { unit, from, to, zone: Zone::Named(zone) };
            let around = *pick(random, &[LEFT_OUT, LEFT_OUT + 200 * 24 * HOUR, LEFT_OUT - 5_000 * 24 * HOUR]);
            let event = around + random.i64(-72..72) * HOUR / 2 + *pick(random, &[-1, 0, 1]);
            let (enter, leave) = LocalSpan::of(window).unwrap().of_event(event);
            assert!(event <= enter && enter < leave, "{enter} {leave}");
            for (now, expected) in
                [(enter - 1, false), (enter, true), (leave - 1, true), (leave, false), (event - 1, false)]
            {
                assert_eq!(window.contains(event, &LocalNow::from(now)), expected, "{window:?} of {event} at {now}");
            }
            let (later, _) = LocalSpan::of(window).unwrap().of_event(event + random.i64(0..100) * HOUR);
            assert!(later >= enter, "{window:?}");
        });
    }
}
