//! The progress of a start, for those who wait for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A replay that is long: a checkpoint follows it at once.
const LONG_REPLAY: Duration = Duration::from_secs(2);
/// Events whose replay is long on any machine.
const MANY_EVENTS: u64 = 100_000;

/// A phase of a start, in this order. One that has nothing to do is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartPhase {
    /// Other servers are waited for, and the data directory is opened.
    Open,
    /// A lost data directory is made from the history outside.
    Restore,
    /// The newest checkpoint is loaded.
    Load,
    /// Events since the checkpoint are processed in silence.
    Replay,
    /// This process is a standby, and follows its primary.
    Standby,
    /// Events after the last progress are processed, and their changes emitted.
    CatchUp,
    /// Edits that were stored and not in force take effect.
    Edit,
    /// The start has ended.
    Ready,
}

impl StartPhase {
    const ALL: [StartPhase; 8] = [
        StartPhase::Open,
        StartPhase::Restore,
        StartPhase::Load,
        StartPhase::Replay,
        StartPhase::Standby,
        StartPhase::CatchUp,
        StartPhase::Edit,
        StartPhase::Ready,
    ];

    fn label(self) -> &'static str {
        match self {
            StartPhase::Open => "open",
            StartPhase::Restore => "restore",
            StartPhase::Load => "load",
            StartPhase::Replay => "replay",
            StartPhase::Standby => "standby",
            StartPhase::CatchUp => "catch-up",
            StartPhase::Edit => "edit",
            StartPhase::Ready => "ready",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

/// The phases of a start with their durations, and the events brought back.
#[derive(Debug)]
pub struct StartProgress {
    phases: Mutex<Phases>,
    events: AtomicU64,
    done: AtomicU64,
    /// The lag of a standby, and when it heard that from its primary.
    primary: Mutex<Option<(u64, Instant)>>,
}

#[derive(Debug)]
struct Phases {
    current: StartPhase,
    since: Instant,
    /// The times of the phases that have ended.
    took: [Duration; StartPhase::ALL.len()],
}

impl Default for StartProgress {
    fn default() -> StartProgress {
        let phases = Phases { current: StartPhase::Open, since: Instant::now(), took: Default::default() };
        StartProgress {
            phases: Mutex::new(phases),
            events: AtomicU64::new(0),
            done: AtomicU64::new(0),
            primary: Mutex::default(),
        }
    }
}

impl StartProgress {
    /// Ends the phase before, and enters a later one.
    pub fn enter(&self, phase: StartPhase) {
        let mut phases = self.phases.lock();
        if phase > phases.current {
            let (current, took) = (phases.current, phases.since.elapsed());
            phases.took[current as usize] = took;
            phases.current = phase;
            phases.since = Instant::now();
        }
    }

    /// Returns whether so much was replayed that the next start should not have to do it again, however soon it comes.
    pub fn was_long(&self) -> bool {
        let phases = self.phases.lock();
        let replay = phases.took[StartPhase::Replay as usize] + phases.took[StartPhase::CatchUp as usize];
        let now = phases.since.elapsed();
        let took = if phases.current <= StartPhase::CatchUp { replay + now } else { replay };
        took >= LONG_REPLAY || self.done.load(Ordering::Relaxed) >= MANY_EVENTS
    }

    /// Adds events that are to be brought back.
    pub fn expect(&self, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
    }

    /// Adds events that are brought back.
    pub fn advance(&self, events: u64) {
        self.done.fetch_add(events, Ordering::Relaxed);
    }

    /// A standby hears from its primary, and lacks so many events.
    pub fn hears_primary(&self, behind: u64) {
        *self.primary.lock() = Some((behind, Instant::now()));
    }

    /// Registers what a standby knows of its primary; nothing once it has taken over.
    fn register_standby(&self, registry: &mut Registry, is_standby: bool) {
        let (behind, silence) = (Gauge::<u64, AtomicU64>::default(), Gauge::<f64, AtomicU64>::default());
        registry.register("standby_behind_events", "Events that this standby lacks", behind.clone());
        let help = "Since this standby heard from its primary; 0 where it is none";
        registry.register_with_unit("standby_silence", help, Unit::Seconds, silence.clone());
        if let Some((events, heard)) = *self.primary.lock()
            && is_standby
        {
            behind.set(events);
            silence.set(heard.elapsed().as_secs_f64());
        }
    }

    /// The metrics of the start for `/metrics`.
    pub fn figures(&self) -> String {
        let mut registry = Registry::with_prefix("audience");
        let (now, took): (Family<PhaseLabel, Gauge>, Family<PhaseLabel, Gauge<f64, AtomicU64>>) = Default::default();
        let (events, done) = (Gauge::<u64, AtomicU64>::default(), Gauge::<u64, AtomicU64>::default());
        let help = "The phase of the start, 1 or 0";
        registry.register("start_phase", help, now.clone());
        let help = "Duration of each phase of the start, so far";
        registry.register_with_unit("start_phase_duration", help, Unit::Seconds, took.clone());
        registry.register("start_events", "Events that the start brings back", events.clone());
        registry.register("start_events_done", "Events that the start has brought back", done.clone());
        let phases = self.phases.lock();
        for phase in StartPhase::ALL {
            let label = PhaseLabel { phase: phase.label() };
            let is_current = phases.current == phase;
            now.get_or_create(&label).set(i64::from(is_current));
            if phase != StartPhase::Ready {
                let duration = if is_current { phases.since.elapsed() } else { phases.took[phase as usize] };
                took.get_or_create(&label).set(duration.as_secs_f64());
            }
        }
        let is_standby = phases.current == StartPhase::Standby;
        drop(phases);
        self.register_standby(&mut registry, is_standby);
        events.set(self.events.load(Ordering::Relaxed));
        done.set(self.done.load(Ordering::Relaxed));
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = encode_registry(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_go_forward_and_events_add_up() {
        let start = StartProgress::default();
        assert!(start.figures().contains("audience_start_phase{phase=\"open\"} 1"), "{}", start.figures());
        start.enter(StartPhase::Replay);
        start.enter(StartPhase::Load);
        start.expect(10);
        start.expect(5);
        start.advance(4);
        let text = start.figures();
        for line in [
            "audience_start_phase{phase=\"open\"} 0",
            "audience_start_phase{phase=\"replay\"} 1",
            "audience_start_phase_duration_seconds{phase=\"load\"} 0.0",
            "audience_start_events 15",
            "audience_start_events_done 4",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        start.enter(StartPhase::Ready);
        assert!(start.figures().contains("audience_start_phase{phase=\"ready\"} 1"));
    }
}
