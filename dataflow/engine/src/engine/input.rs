//! The input of the workers: ticks are made at its head, one at a time, and go to every worker's door.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::error::{EngineError, EngineFailure};
use super::head::{Beginning, Head, TickItems, Time};
use super::progress::SharedProgress;
use super::workers::TickDoor;

/// Between looks for a failure while events are waited for.
const FAILURE_LOOK: Duration = Duration::from_millis(100);

/// The input of an engine.
pub(super) struct Input {
    /// The number of the next tick in this run, and the doors of the workers; no doors once it is closed.
    doors: Mutex<(u64, Vec<TickDoor>)>,
    head: Mutex<Head>,
    head_moved: Condvar,
    time: Time,
    first_number: AtomicU64,
    /// The start of the engine, which labels count from.
    started: Instant,
}

impl Input {
    /// An input that begins there. Labels count from `started`.
    pub(super) fn new(beginning: Beginning, doors: Vec<TickDoor>, started: Instant) -> Input {
        let Beginning { head, first_number, time, .. } = beginning;
        let (doors, head) = (Mutex::new((0, doors)), Mutex::new(head));
        let first_number = AtomicU64::new(first_number);
        Input { doors, head, head_moved: Condvar::new(), time, first_number, started }
    }

    /// The end of the input.
    pub(super) fn head(&self) -> Head {
        *self.head.lock()
    }

    /// Moves the head to a version of the catalogue that needs no tick of its own.
    pub(super) fn set_catalogue_version(&self, version: u64) {
        self.head.lock().catalogue_version = version;
    }

    /// The number over all runs of a tick of this run.
    pub(super) fn number_of(&self, tick: u64) -> u64 {
        self.first_number.load(Ordering::Relaxed) + tick
    }

    /// Numbers the ticks from the next on as later ones than `first`.
    pub(super) fn number_from(&self, first: u64) {
        self.first_number.store(first, Ordering::Relaxed);
    }

    /// Submits a tick and returns its number in this run; see [`Engine::submit`](super::Engine::submit). `make` is given the
    /// number over all runs.
    pub(super) fn submit(
        &self,
        shared: &SharedProgress,
        make: impl FnOnce(&mut Head, u64) -> TickItems,
    ) -> Result<u64, EngineError> {
        let mut doors = self.doors.lock();
        let tick = doors.0;
        let stopped = || EngineError::Stopped(shared.failure().unwrap_or(EngineFailure::Told));
        if doors.1.is_empty() {
            return Err(stopped());
        }
        let items = {
            let mut head = self.head.lock();
            head.clock = (self.time)(head.clock);
            let number = self.number_of(tick);
            let items = make(&mut head, number);
            let label = head.label(number, self.started);
            items.by_worker(doors.1.len(), head.clock, label)
        };
        for (door, items) in doors.1.iter().zip(items) {
            door.give((tick, items)).map_err(|()| stopped())?;
        }
        doors.0 += 1;
        self.head_moved.notify_all();
        Ok(tick)
    }

    /// Waits until all events below that sequence number are submitted.
    pub(super) fn wait_submitted(&self, shared: &SharedProgress, sequence: u64) -> Result<(), EngineError> {
        let mut head = self.head.lock();
        while head.sequence < sequence {
            if let Some(failure) = shared.failure() {
                return Err(EngineError::Stopped(failure));
            }
            // A failure wakes nobody here.
            self.head_moved.wait_for(&mut head, FAILURE_LOOK);
        }
        Ok(())
    }

    /// Closes every door: no more ticks come.
    pub(super) fn close(&self) {
        self.doors.lock().1.drain(..).for_each(TickDoor::close);
    }
}
