//! The newest events: those accepted are read from the event log when somebody asks, and [`refusals`](super::refusals)
//! keeps those that were refused. Accepting an event does nothing for it.

use std::ops::ControlFlow;

use audience_catalogue::unavailable;
use audience_protocol::{IntakeOutcome, RECENT_EVENTS, RecentEvent, RecentEvents, Result};
use audience_rules::event::event_to_json;
use audience_rules::record::{RecordKind, records};
use audience_rules::time::format_time;
use hashbrown::HashMap;
use serde_json::value::RawValue;

use super::Lookup;

impl Lookup {
    /// The newest events. Cost: the last pieces of the event log, however long it is.
    pub(crate) fn recent_events(&self) -> Result<RecentEvents> {
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
