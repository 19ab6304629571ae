//! The states of a condition over time, as far as they are known.

use crate::ast::{Logic, Millis};

use super::NextChange;

/// Changes of one track, at most.
const MOST_CHANGES: usize = 256;

/// The states of a verdict from now on: each with the instant that it begins at, no two neighbours alike. `None` is not
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track(Vec<(Millis, Option<bool>)>);

impl Track {
    /// One state for good.
    pub(super) fn always(now: Millis, held: Option<bool>) -> Self {
        Track(vec![(now, held)])
    }

    /// One state up to an instant, and nothing known from then on.
    pub(super) fn until(now: Millis, held: Option<bool>, until: Option<Millis>) -> Self {
        let mut track = Track::always(now, held);
        if let Some(until) = until {
            track.push(until, None);
        }
        track
    }

    /// Adds the state from a later instant on.
    pub(super) fn push(&mut self, at: Millis, held: Option<bool>) {
        if self.0.last().is_none_or(|(_, last)| *last != held) {
            self.0.push((at, held));
        }
    }

    /// Returns whether it has as many states as are worth keeping.
    pub(super) fn is_long(&self) -> bool {
        self.0.len() >= MOST_CHANGES
    }

    /// The state now.
    pub(super) fn now(&self) -> Option<bool> {
        self.0.first().and_then(|(_, held)| *held)
    }

    fn at(&self, instant: Millis) -> Option<bool> {
        let behind = self.0.partition_point(|(at, _)| *at <= instant);
        behind.checked_sub(1).and_then(|index| self.0[index].1)
    }

    /// The first change of state.
    pub(super) fn next_change(&self) -> Option<NextChange> {
        let (now, held) = self.0.first()?;
        if held.is_none() {
            return Some(NextChange { at: None, is_certain: false });
        }
        let (at, held) = self.0.get(1)?;
        // What may change at once is not known to stay for any time.
        let is_known = held.is_some() || *at > now + 1;
        Some(NextChange { at: is_known.then_some(*at), is_certain: held.is_some() })
    }

    /// The states of conditions joined. What is decided by those that are known is known.
    pub(super) fn joined(logic: Logic, now: Millis, tracks: &[Track]) -> Track {
        let mut instants: Vec<Millis> = tracks.iter().flat_map(|track| track.0.iter().map(|(at, _)| *at)).collect();
        instants.sort_unstable();
        instants.dedup();
        let mut joined = Track(Vec::new());
        for at in std::iter::once(now).chain(instants.into_iter().filter(|at| *at > now)) {
            if joined.is_long() {
                joined.push(at, None);
                break;
            }
            let mut states = tracks.iter().map(|track| track.at(at));
            joined.push(at, join(logic, &mut states));
        }
        joined
    }
}

fn join(logic: Logic, states: &mut dyn Iterator<Item = Option<bool>>) -> Option<bool> {
    // All is decided by one that does not hold, any and none by one that does.
    let decisive = logic != Logic::And;
    let mut is_known = true;
    for state in states {
        match state {
            Some(held) if held == decisive => return Some(logic == Logic::Or),
            Some(_) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(logic != Logic::Or)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(states: &[(Millis, Option<bool>)]) -> Track {
        Track(states.to_vec())
    }

    #[test]
    fn track_joins_states_instant_by_instant() {
        let one = track(&[(10, Some(true)), (20, Some(false)), (30, Some(true))]);
        let other = track(&[(10, Some(true)), (25, None)]);
        let all = track(&[(10, Some(true)), (20, Some(false)), (30, None)]);
        assert_eq!(Track::joined(Logic::And, 10, &[one.clone(), other.clone()]), all);
        let any = track(&[(10, Some(true)), (25, None), (30, Some(true))]);
        assert_eq!(Track::joined(Logic::Or, 10, &[one.clone(), other.clone()]), any);
        let none = track(&[(10, Some(false)), (25, None), (30, Some(false))]);
        assert_eq!(Track::joined(Logic::Not, 10, &[one, other]), none);
    }

    #[test]
    fn track_tells_the_next_change() {
        let next = |states: &[_]| track(states).next_change();
        assert_eq!(next(&[(10, Some(true))]), None);
        let certain = NextChange { at: Some(20), is_certain: true };
        assert_eq!(next(&[(10, Some(true)), (20, Some(false))]), Some(certain));
        assert_eq!(next(&[(10, Some(true)), (20, None)]), Some(NextChange { is_certain: false, ..certain }));
        let at_once = NextChange { at: None, is_certain: false };
        assert_eq!(next(&[(10, Some(true)), (11, None)]), Some(at_once));
        assert_eq!(next(&[(10, None), (20, Some(true))]), Some(at_once));
    }
}
