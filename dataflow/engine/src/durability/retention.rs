//! The part of the event log that stays in the data directory: what is older stands in the history alone.

use std::ops::ControlFlow;
use std::time::Duration;

use audience_background::clock;
use audience_contract::{EventLog, Result};
use audience_rules::ast::Millis;
use audience_rules::record::records;

/// Events that are forgotten at once, at least: less is not worth the files that are written anew for it.
const LEAST_AT_ONCE: u64 = 1 << 16;
/// The least part of the events in the data directory that is forgotten at once.
const LEAST_PART: u64 = 8;

/// The limits of the event log in the data directory. Events beyond either of them go, the oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLimits {
    /// How long ago an event was accepted, at most.
    pub age: Option<Duration>,
    /// The bytes of all events, about.
    pub bytes: Option<u64>,
}

impl LogLimits {
    /// The number of the first event within the limits. Costs a look at some events.
    fn first_within(&self, log: &dyn EventLog, now: Millis) -> Result<u64> {
        let (floor, end) = (log.floor(), log.end());
        let young = match self.age {
            None => floor,
            Some(age) => {
                let since = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
                first_accepted_since(log, floor, end, since)?
            }
        };
        let Some(most) = self.bytes else { return Ok(young) };
        let bytes = log.bytes()?;
        let over = u128::from(bytes.saturating_sub(most));
        let share = over * u128::from(end.saturating_sub(floor)) / u128::from(bytes.max(1));
        Ok(young.max(floor + share as u64))
    }
}

/// The number of the first event that was accepted at that instant or later; events stand in the order of their acceptance.
fn first_accepted_since(log: &dyn EventLog, floor: u64, end: u64, since: Millis) -> Result<u64> {
    let (mut low, mut high) = (floor, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match accepted_from(log, middle, end)? {
            Some(accepted) if accepted < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// When the first event from that number on was accepted that is not blank.
fn accepted_from(log: &dyn EventLog, from: u64, end: u64) -> Result<Option<Millis>> {
    let mut accepted = None;
    log.scan(from..end, &mut |run| {
        accepted = records(run).find(|record| record.sequence() >= from).map(|record| record.accepted_at());
        if accepted.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(accepted)
}

/// Forgets events that are beyond the limits. `held` is the number below which the history has every event, and a start replays
/// none.
pub(super) fn forget(log: &dyn EventLog, limits: LogLimits, held: u64) -> Result<()> {
    let floor = log.floor();
    let below = limits.first_within(log, clock::now())?.min(held);
    let least = LEAST_AT_ONCE.max(log.end().saturating_sub(floor) / LEAST_PART);
    if below >= floor + least {
        let floor = log.forget(below)?;
        tracing::info!(below = floor, "Older events stand in the history alone from now on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use audience_rules::record::{RecordHead, RecordKind, begin, finish};
    use audience_rules::value::ContainerWriter;

    use super::*;
    use crate::memory::MemoryLog;

    #[test]
    fn the_first_event_within_an_age_is_found() {
        let log = MemoryLog::default();
        let mut bytes = Vec::new();
        for accepted_at in [10, 10, 20, 30, 30, 30, 40] {
            let (kind, user) = (RecordKind::Event, "u");
            let head = RecordHead { timestamp: 1, accepted_at, kind, user, other: "", message: "", event_type: "e" };
            let start = begin(head, &mut bytes);
            (0..3).for_each(|_| ContainerWriter::object(&mut bytes).finish(&mut bytes));
            finish(start, &mut bytes);
        }
        log.append(&mut bytes).expect("append");
        let first = |age| LogLimits { age: Some(Duration::from_millis(age)), bytes: None }.first_within(&log, 50);
        for (age, expected) in [(0, 7), (10, 6), (19, 6), (20, 3), (39, 2), (40, 0), (1_000, 0)] {
            assert_eq!(first(age).expect("read"), expected, "{age}");
        }
        log.erase(&[("u".to_owned(), 4)]).expect("erase");
        assert_eq!(
            (first(20).expect("read"), first(40).expect("read")),
            (0, 0),
            "a blank place is as old as the next event"
        );
        assert_eq!(LogLimits::default().first_within(&log, 50).expect("read"), 0);
    }
}
