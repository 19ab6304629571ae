//! The signal that ends background work.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A request to end, which wakes everyone who waits with it. Clones are the same signal.
///
/// A [`child`](Stop::child) ends with its parent, and can be ended alone before it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<StopState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct StopState {
    is_requested: bool,
    /// The next wait ends at once, or the one that is under way.
    is_woken: bool,
    children: Vec<Weak<Signal>>,
}

impl Stop {
    /// A signal that nobody has given yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// A signal that is given with this one, or alone.
    pub fn child(&self) -> Stop {
        let child = Stop::new();
        let mut state = self.0.state.lock();
        if state.is_requested {
            child.request();
        } else {
            state.children.retain(|child| child.strong_count() > 0);
            state.children.push(Arc::downgrade(&child.0));
        }
        child
    }

    /// Gives the signal; returns whether this was the first time.
    pub fn request(&self) -> bool {
        let children = {
            let mut state = self.0.state.lock();
            if std::mem::replace(&mut state.is_requested, true) {
                return false;
            }
            std::mem::take(&mut state.children)
        };
        self.0.changed.notify_all();
        for child in children.iter().filter_map(Weak::upgrade) {
            Stop(child).request();
        }
        true
    }

    /// Returns whether the signal was given.
    pub fn is_requested(&self) -> bool {
        self.0.state.lock().is_requested
    }

    /// Waits for `duration`, or until the signal is given; returns whether it was.
    pub fn wait(&self, duration: Duration) -> bool {
        self.pause(Some(duration))
    }

    /// Waits until the signal is given.
    pub fn wait_until_requested(&self) {
        while !self.pause(None) {}
    }

    /// Ends the wait of the one who waits with this signal, or the next wait, without giving the signal.
    pub fn wake(&self) {
        self.0.state.lock().is_woken = true;
        self.0.changed.notify_all();
    }

    /// Waits until the signal is given or a wake comes, at most for that long; returns whether the signal was given.
    fn pause(&self, duration: Option<Duration>) -> bool {
        let deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
        let mut state = self.0.state.lock();
        while !state.is_requested && !state.is_woken {
            match deadline {
                Some(deadline) if self.0.changed.wait_until(&mut state, deadline).timed_out() => break,
                Some(_) => {}
                None => self.0.changed.wait(&mut state),
            }
        }
        state.is_woken = false;
        state.is_requested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_wait_ends_when_the_stop_is_requested() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        let waiting = stop.clone();
        let begun = Instant::now();
        let thread = std::thread::spawn(move || waiting.wait(LONG));
        assert!(stop.request());
        assert!(thread.join().unwrap());
        assert!(begun.elapsed() < LONG);
        assert!(!stop.request(), "it was requested before");
        assert!(stop.wait(LONG), "a wait after the request does not wait");
    }

    #[test]
    fn a_child_ends_with_its_parent_and_alone() {
        let parent = Stop::new();
        let (alone, with) = (parent.child(), parent.child());
        alone.request();
        assert!(alone.is_requested() && !parent.is_requested() && !with.is_requested());
        let grandchild = with.child();
        parent.request();
        assert!(with.is_requested() && grandchild.is_requested());
        assert!(parent.child().is_requested(), "a late child is ended from the start");
    }

    #[test]
    fn a_wake_ends_one_wait_and_requests_nothing() {
        let stop = Stop::new();
        stop.wake();
        let begun = Instant::now();
        assert!(!stop.wait(LONG));
        assert!(begun.elapsed() < LONG);
        assert!(!stop.wait(Duration::from_millis(1)) && !stop.is_requested());
    }
}
