//! Up to which tick changes are committed, for those who follow.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The newest tick that is committed.
#[derive(Debug)]
pub struct Committed {
    tick: Mutex<u64>,
    changed: Condvar,
}

impl Committed {
    /// At the tick that was given out before.
    pub fn new(tick: u64) -> Self {
        Committed { tick: Mutex::new(tick), changed: Condvar::new() }
    }

    /// This tick and all before it are.
    pub fn reach(&self, tick: u64) {
        *self.tick.lock() = tick;
        self.changed.notify_all();
    }

    /// The newest tick that is committed.
    pub fn newest(&self) -> u64 {
        *self.tick.lock()
    }

    /// Waits until a tick behind this one is, but no longer than that; gives the newest that is.
    pub fn wait_beyond(&self, tick: u64, patience: Duration) -> u64 {
        let mut newest = self.tick.lock();
        if *newest <= tick {
            self.changed.wait_for(&mut newest, patience);
        }
        *newest
    }
}
