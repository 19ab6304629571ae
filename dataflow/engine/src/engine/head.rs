//! The head of the input: where it ends, and how the next tick is put together there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::Progress;
use audience_kernel::message::{Control, TickClock, TickLabel};
use audience_kernel::operator::Inward;
use audience_kernel::registry::Boundary;
use audience_rules::ast::Millis;

/// The end of the input: the next tick is labelled with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    /// All events below this sequence number were submitted.
    pub sequence: u64,
    /// The clock of the newest tick.
    pub clock: Millis,
    /// The version of the catalogue that is in force once the newest tick is done.
    pub catalogue_version: u64,
    /// When the oldest event of the tick that is being made was accepted.
    pub oldest_accepted: Option<Instant>,
}

impl Head {
    /// The head of an engine that goes on after `progress`, with the events from `sequence` on still to be submitted.
    pub fn after(progress: Progress, sequence: u64) -> Head {
        let Progress { clock, catalogue_version, .. } = progress;
        Head { sequence, clock, catalogue_version, oldest_accepted: None }
    }

    /// The end of the events and the clock.
    pub fn boundary(&self) -> Boundary {
        Boundary { sequence: self.sequence, clock: self.clock }
    }

    /// Labels a tick, and forgets what belongs to that tick alone.
    pub(super) fn label(&mut self, number: u64, started: Instant) -> TickLabel {
        let since_start = |at: Instant| at.saturating_duration_since(started);
        let oldest_accepted = self.oldest_accepted.take().map(since_start);
        TickLabel { number, sequence: self.sequence, catalogue_version: self.catalogue_version, oldest_accepted }
    }
}

/// The content of a tick, beside its clock.
#[derive(Debug, Default)]
pub struct TickItems {
    /// Steps of an edit, the same for every worker, in their order.
    pub steps: Vec<Control>,
    /// Events, and the worker at which each part comes in.
    pub parts: Vec<(usize, Inward)>,
    /// The instant up to which what is due is done in this tick; the clock without one.
    pub limit: Option<Millis>,
}

impl TickItems {
    /// A tick of these steps.
    pub fn of(steps: Vec<Control>) -> TickItems {
        TickItems { steps, ..TickItems::default() }
    }

    /// A tick of records, dealt over the workers in turn.
    pub fn dealt(runs: Vec<Vec<u8>>, workers: usize) -> TickItems {
        let parts = runs.into_iter().enumerate().map(|(index, run)| (index % workers, Inward::Records(run)));
        TickItems { parts: parts.collect(), ..TickItems::default() }
    }

    /// The items of each worker: clock and label, then the steps, then its parts.
    pub(super) fn by_worker(self, workers: usize, now: Millis, label: TickLabel) -> Vec<Vec<Inward>> {
        let clock = Control::Clock(TickClock { now, limit: self.limit.unwrap_or(now) });
        let controls = [clock, Control::Label(label)].into_iter().chain(self.steps);
        let controls: Vec<Inward> = controls.map(|control| Inward::Control(Arc::new(control))).collect();
        let mut items = vec![controls; workers];
        for (worker, part) in self.parts {
            items[worker].push(part);
        }
        items
    }
}

/// The instant that a label tells, if it tells one.
pub(super) fn oldest_accepted(label: &TickLabel, started: Instant) -> Option<Instant> {
    label.oldest_accepted.and_then(|since: Duration| started.checked_add(since))
}

/// Gives the clock of the next tick, from that of the newest: it never goes back.
pub type Time = Box<dyn Fn(Millis) -> Millis + Send + Sync>;

/// A clock that moves only when told, as in replays.
pub fn told_time() -> Time {
    Box::new(|clock| clock)
}

/// The beginning of an engine.
pub struct Beginning {
    /// The end of the input before the first tick.
    pub head: Head,
    /// The number of the first tick over all runs.
    pub first_number: u64,
    /// The clock.
    pub time: Time,
    /// Given once the engine has failed.
    pub failed: Stop,
}

impl Beginning {
    /// A beginning without a history, at that clock, which moves only when told.
    pub fn at(clock: Millis) -> Beginning {
        Beginning { head: Head { clock, ..Head::default() }, first_number: 0, time: told_time(), failed: Stop::new() }
    }
}
