//! The phase of a platform's run, held once.
//!
//! ```text
//! Restoring ──► CatchingUp ──► Live ──► Stopping
//! ```

use audience_background::Stop;
use parking_lot::RwLock;

/// The phase of a run. A run goes through them in this order, and may stop in any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The state is brought back up to the last progress, in silence: the clock stands, and nothing is emitted.
    Restoring,
    /// The events after that progress are processed and emitted; the clock stands.
    CatchingUp,
    /// The clock runs.
    Live,
    /// The run ends: what was accepted is processed, and nothing more is accepted.
    Stopping,
}

/// The phase of a run, and the signal that it stops.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: RwLock<Phase>,
    stop: Stop,
    failed: Stop,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle { phase: RwLock::new(Phase::Restoring), stop: Stop::new(), failed: Stop::new() }
    }
}

impl Lifecycle {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.read()
    }

    /// Enters a later phase; returns whether it is later than the one before. [`Phase::Stopping`] gives the stop signal.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        let mut current = self.phase.write();
        let is_later = *current < phase;
        if is_later {
            *current = phase;
            drop(current);
            if phase == Phase::Stopping {
                self.stop.request();
            }
        }
        is_later
    }

    /// The signal that the run stops.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The signal that the engine has failed: nothing that is still tried can succeed.
    pub(crate) fn failed(&self) -> &Stop {
        &self.failed
    }

    /// Returns whether membership changes are emitted.
    pub(crate) fn is_emitting(&self) -> bool {
        self.phase() >= Phase::CatchingUp
    }

    /// Returns whether the clock follows the wall clock.
    pub(crate) fn is_clock_running(&self) -> bool {
        self.phase() >= Phase::Live
    }

    /// Returns whether requests are served.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase() == Phase::Live
    }

    /// Returns whether the run stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase() == Phase::Stopping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_forward_and_the_last_one_stops() {
        let run = Lifecycle::default();
        let seen = |run: &Lifecycle| (run.is_emitting(), run.is_clock_running(), run.is_ready(), run.is_stopping());
        assert_eq!(seen(&run), (false, false, false, false));
        assert!(run.enter(Phase::CatchingUp));
        assert_eq!(seen(&run), (true, false, false, false));
        assert!(run.enter(Phase::Live));
        assert_eq!(seen(&run), (true, true, true, false));
        assert!(!run.enter(Phase::Restoring) && run.phase() == Phase::Live);
        assert!(!run.stop().is_requested());
        assert!(run.enter(Phase::Stopping) && !run.enter(Phase::Stopping));
        assert_eq!(seen(&run), (true, true, false, true));
        assert!(run.stop().is_requested());
    }
}
