//! The newest events that were refused. Noting them costs a lock a request; they are kept in memory only, until as many
//! newer ones came or a user is erased, who may stand in any of them.

use std::collections::VecDeque;

use audience_protocol::{IntakeOutcome, RECENT_EVENTS, RecentEvent, RefusedEvent};
use audience_rules::time::format_time;
use parking_lot::Mutex;

/// The newest events that were refused, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<KeptRefusal>);

#[derive(Debug, Default)]
struct KeptRefusal {
    newest: VecDeque<RefusedEvent>,
    count: u64,
}

impl Refusals {
    /// Notes the newest of so many refused events.
    pub(crate) fn note(&self, newest: Vec<RefusedEvent>, count: usize) {
        let mut kept = self.0.lock();
        kept.count += count as u64;
        kept.newest.extend(newest);
        let over = kept.newest.len().saturating_sub(RECENT_EVENTS);
        kept.newest.drain(..over);
    }

    /// Forgets the events, and not how many there were.
    pub(crate) fn forget(&self) {
        self.0.lock().newest.clear();
    }

    /// The events, the oldest first, and how many there were.
    pub(super) fn told(&self) -> (Vec<RecentEvent>, u64) {
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
