//! The catalogue version in force, and the waits for it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The catalogue version in force, shared by the thread that brings versions into force and those who wait for one.
///
/// A thread that looks for work and then waits does both under one lock, and everybody who makes work takes that lock
/// before waking it. So no wake-up is lost.
#[derive(Debug)]
pub(crate) struct InForce {
    state: Mutex<InForceState>,
    changed: Condvar,
}

#[derive(Debug)]
struct InForceState {
    version: u64,
    is_closed: bool,
}

impl InForce {
    /// Starts with a version in force.
    pub(crate) fn new(version: u64) -> InForce {
        InForce { state: Mutex::new(InForceState { version, is_closed: false }), changed: Condvar::new() }
    }

    /// The version in force.
    pub(crate) fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// Notes that a version has come into force.
    pub(crate) fn reach(&self, version: u64) {
        self.state.lock().version = version;
        self.changed.notify_all();
    }

    /// Returns whether the platform stops.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Ends every wait, now and later.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Waits until a version is in force, at most `patience`. Ends early when closed.
    pub(crate) fn wait_for(&self, version: u64, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        while state.version < version && !state.is_closed {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Waits for one wake-up, at most `patience`, unless closed or `has_work`, which is given the version in force.
    pub(crate) fn wait_unless(&self, patience: Duration, has_work: impl FnOnce(u64) -> bool) {
        let mut state = self.state.lock();
        if !state.is_closed && !has_work(state.version) {
            self.changed.wait_for(&mut state, patience);
        }
    }

    /// Waits for `duration`, whatever else wakes it. Ends early when closed.
    pub(crate) fn pause(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        let mut state = self.state.lock();
        while !state.is_closed && !self.changed.wait_until(&mut state, deadline).timed_out() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_version_that_is_in_force_is_not_waited_for() {
        let in_force = InForce::new(3);
        in_force.wait_for(3, LONG);
        in_force.wait_for(4, Duration::from_millis(1));
        assert_eq!(in_force.version(), 3);
    }

    #[test]
    fn whoever_waits_for_a_version_is_woken_by_it() {
        let in_force = InForce::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| in_force.wait_for(2, LONG));
            in_force.reach(1);
            in_force.reach(2);
        });
    }

    #[test]
    fn closing_ends_every_wait() {
        let in_force = InForce::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| in_force.wait_for(1, LONG));
            scope.spawn(|| in_force.pause(LONG));
            in_force.close();
        });
        in_force.wait_unless(LONG, |_| false);
        assert!(in_force.is_closed());
    }

    #[test]
    fn whoever_finds_work_does_not_wait() {
        InForce::new(7).wait_unless(LONG, |version| version == 7);
    }
}
