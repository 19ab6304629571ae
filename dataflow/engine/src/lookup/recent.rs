//! The newest events: those accepted are read from the event log when somebody asks, those refused are kept for a while.
//!
//! Accepting an event does nothing for it. A refused one costs a lock a request, and the newest are kept in memory only,
//! until as many newer ones came or a user is erased, who may stand in any of them.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use audience_catalogue::unavailable;
use audience_protocol::{IntakeOutcome, RECENT_EVENTS, RecentEvent, RecentEvents, RefusedEvent, Result};
use audience_rules::event::event_to_json;
use audience_rules::record::{RecordKind, records};
use audience_rules::time::format_time;
use hashbrown::HashMap;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::Lookup;

/// The newest events that were refused, and how many there were.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    newest: VecDeque<RefusedEvent>,
    count: u64,
}

impl Refusals {
    /// Notes the newest of so many refused events.
    pub fn note(&self, newest: Vec<RefusedEvent>, count: usize) {
        let mut kept = self.0.lock();
        kept.count += count as u64;
        kept.newest.extend(newest);
        let over = kept.newest.len().saturating_sub(RECENT_EVENTS);
        kept.newest.drain(..over);
    }

    /// Forgets the events, and not how many there were.
    pub fn forget(&self) {
        self.0.lock().newest.clear();
    }

    /// The events, the oldest first, and how many there were.
    fn told(&self) -> (Vec<RecentEvent>, u64) {
        let kept = self.0.lock();
        let told = kept.newest.iter().map(|refused| RecentEvent {
            at: format_time(refused.at),
            outcome: IntakeOutcome::Refused,
            event: None,
            source: Some(refused.source.clone()),
            text: Some(refused.text.clone()),
            fault: Some(refused.fault.clone()),
        });
        (told.collect(), kept.count)
    }
}

impl Lookup {
    /// The newest events. Cost: the last pieces of the event log, however long it is.
    pub fn recent_events(&self) -> Result<RecentEvents> {
        let (refused_events, refused) = self.refusals.told();
        let mut items = self.newest_accepted()?;
        items.extend(refused_events);
        // Stable: of one instant the accepted ones stay in their order.
        items.sort_by(|one, other| other.at.cmp(&one.at));
        Ok(RecentEvents { accepted: self.events.end(), refused, items })
    }

    /// The newest accepted events that are not erased, the newest first.
    fn newest_accepted(&self) -> Result<Vec<RecentEvent>> {
        let erased: HashMap<String, u64> = self.engine.aliases().read().erased().into_iter().collect();
        let end = self.events.end();
        let begin = end.saturating_sub(RECENT_EVENTS as u64);
        let mut newest = Vec::new();
        self.events
            .scan(begin..end, &mut |run| {
                for event in records(run).filter(|event| (begin..end).contains(&event.sequence())) {
                    let is_erased = |id: &str| erased.get(id).is_some_and(|below| event.sequence() < *below);
                    let is_event = !matches!(event.kind(), RecordKind::Erasure | RecordKind::Blank);
                    if !is_event || is_erased(event.user()) || event.other().is_some_and(is_erased) {
                        continue;
                    }
                    newest.push(RecentEvent {
                        at: format_time(event.accepted_at()),
                        outcome: IntakeOutcome::Accepted,
                        event: RawValue::from_string(event_to_json(&event)).ok(),
                        source: None,
                        text: None,
                        fault: None,
                    });
                }
                ControlFlow::Continue(())
            })
            .map_err(unavailable)?;
        newest.reverse();
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::fault::Fault;

    use super::*;

    #[test]
    fn only_the_newest_are_kept_and_all_are_counted() {
        let refusals = Refusals::default();
        let refused = |at| RefusedEvent::new(at, "HTTP", b"{}", Fault::whole("missing_member", "no user"));
        for request in 0..20 {
            refusals.note((0..7).map(|nth| refused(request * 7 + nth)).collect(), 1_000);
        }
        let (told, count) = refusals.told();
        let times: Vec<String> = told.into_iter().map(|event| event.at).collect();
        assert_eq!(times, (90..140).map(format_time).collect::<Vec<_>>());
        assert_eq!(count, 20_000);
        refusals.forget();
        assert!(refusals.told().0.is_empty() && refusals.told().1 == 20_000);
    }
}
