//! The memory of all bodies together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

use crate::problem::Problem;

/// The bytes of a body that count as its beginning.
const BEGINNING: usize = 1 << 20;
/// The share of the budget that is kept for beginnings.
const BEGINNINGS_SHARE: usize = 4;

/// A budget of bytes for all bodies together, as sent and as unpacked. A quarter is kept for the first MiB of each body, so
/// that a few large bodies do not keep out the many small ones.
pub(crate) struct BodyMemory {
    beginnings: Pool,
    rests: Pool,
    gauge: Gauge,
}

/// A part of the budget.
struct Pool {
    free: AtomicUsize,
}

impl Pool {
    fn new(bytes: usize) -> Self {
        Pool { free: AtomicUsize::new(bytes) }
    }

    fn take(&self, bytes: usize) -> Result<(), Problem> {
        let less = |free: usize| free.checked_sub(bytes);
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(drop).map_err(|_| Problem::busy(1))
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl BodyMemory {
    /// A budget of so many bytes; the gauge says how many are taken.
    pub(crate) fn new(bytes: usize, gauge: Gauge) -> Arc<Self> {
        let beginnings = bytes / BEGINNINGS_SHARE;
        Arc::new(BodyMemory { beginnings: Pool::new(beginnings), rests: Pool::new(bytes - beginnings), gauge })
    }

    /// The memory of a body, nothing yet.
    pub(crate) fn hold(self: &Arc<Self>) -> HeldMemory {
        HeldMemory { memory: Arc::clone(self), bytes: 0 }
    }
}

/// The memory that one body takes; given back when dropped.
pub(crate) struct HeldMemory {
    memory: Arc<BodyMemory>,
    bytes: usize,
}

impl HeldMemory {
    /// Takes or gives back memory, so that it is this much. 429 where the budget is used up; then nothing changes.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Problem> {
        let (beginning, rest) = split(bytes);
        let (held_beginning, held_rest) = split(self.bytes);
        let more = beginning.saturating_sub(held_beginning);
        self.memory.beginnings.take(more)?;
        let more_rest = self.memory.rests.take(rest.saturating_sub(held_rest));
        more_rest.inspect_err(|_| self.memory.beginnings.give_back(more))?;
        self.memory.beginnings.give_back(held_beginning.saturating_sub(beginning));
        self.memory.rests.give_back(held_rest.saturating_sub(rest));
        self.memory.gauge.inc_by(bytes as i64 - self.bytes as i64);
        self.bytes = bytes;
        Ok(())
    }

    /// Takes memory, so that it is at least this much.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Problem> {
        self.set(bytes.max(self.bytes))
    }

    /// The bytes that are taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        let (beginning, rest) = split(self.bytes);
        self.memory.beginnings.give_back(beginning);
        self.memory.rests.give_back(rest);
        self.memory.gauge.dec_by(self.bytes as i64);
    }
}

/// The bytes of a beginning, and those after it.
fn split(bytes: usize) -> (usize, usize) {
    let beginning = bytes.min(BEGINNING);
    (beginning, bytes - beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let gauge = Gauge::default();
        let memory = BodyMemory::new(8 << 20, gauge.clone());
        let mut large = memory.hold();
        large.set(7 << 20).unwrap();
        let mut next = memory.hold();
        assert!(next.set(2 << 20).is_err(), "the six MiB after the beginnings are taken");
        assert_eq!((next.bytes(), gauge.get()), (0, 7 << 20), "what was refused takes nothing");
        next.set(1 << 20).unwrap();
        assert!(memory.hold().set(1).is_err(), "both beginnings are taken");
        next.set(1 << 10).unwrap();
        memory.hold().set(1).unwrap();
        drop((large, next));
        assert_eq!(gauge.get(), 0);
        memory.hold().set(7 << 20).unwrap();
    }
}
