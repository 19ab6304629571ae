//! How the system is, in a few figures.

use std::collections::VecDeque;
use std::time::Instant;

use audience_protocol::{ChangeFigures, EventFigures, OperationsResource, SystemHealth, SystemView};
use audience_rules::time::format_time;

use crate::service::{Service, clock};

/// Looks that a rate is taken over; they come about once a second.
const LOOKS: usize = 10;

/// How fast events and changes come.
#[derive(Debug, Default)]
pub struct Rates(VecDeque<(Instant, u64, u64)>);

impl Rates {
    fn take(&mut self, at: Instant, events: u64, changes: u64) {
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        self.0.push_back((at, events, changes));
    }

    /// Events and changes a second, between the oldest look and the newest.
    fn per_second(&self) -> (f64, f64) {
        let (Some((begun, events, changes)), Some((ended, more, others))) = (self.0.front(), self.0.back()) else {
            return (0.0, 0.0);
        };
        let seconds = ended.duration_since(*begun).as_secs_f64();
        let rate =
            |before: u64, now: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
        (rate(*events, *more), rate(*changes, *others))
    }
}

impl Service {
    /// Notes how many events and changes there were until now.
    pub(super) fn take_rates(&self) {
        let (events, changes) = (self.stores.events.end(), self.metrics.changes_given());
        self.people.rates.lock().take(Instant::now(), events, changes);
    }

    /// How the system is.
    pub(in crate::service) fn figures(&self) -> SystemView {
        let done = self.engine.done();
        let (events_per_second, changes_per_second) = self.people.rates.lock().per_second();
        let health = self.health();
        SystemView {
            version: env!("CARGO_PKG_VERSION"),
            started_at: format_time(self.people.started_at),
            uptime_seconds: self.people.started.elapsed().as_secs_f64(),
            workers: self.engine.workers(),
            users: done.users,
            segments: self.editor.read(|documents| documents.segments.len()) as u64,
            events: EventFigures { accepted: self.stores.events.end(), rejected: 0, per_second: events_per_second },
            changes: ChangeFigures { total: self.metrics.changes_given(), per_second: changes_per_second },
            frontier_lag_seconds: (clock::now() - done.clock).max(0) as f64 / 1000.0,
            checkpoint: self.metrics.checkpoint_figures(),
            memory_bytes: memory_bytes(),
            health: SystemHealth { ready: health.ready, components: health.components },
        }
    }
}

/// What of this process is in memory; 0 where the system does not tell.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|number| number.trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_of_the_last_looks() {
        let mut rates = Rates::default();
        assert_eq!(rates.per_second(), (0.0, 0.0));
        let begun = Instant::now();
        rates.take(begun, 1_000_000, 0);
        assert_eq!(rates.per_second(), (0.0, 0.0));
        for second in 1..=20u32 {
            rates.take(
                begun + Duration::from_secs(second.into()),
                1_000_000 + u64::from(second) * 50,
                u64::from(second) * 2,
            );
        }
        assert_eq!(rates.per_second(), (50.0, 2.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_told() {
        assert!(memory_bytes() > 100_000);
    }
}
