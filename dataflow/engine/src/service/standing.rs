//! Where the running engine stands: what was submitted, and what each tick under way will have brought.

use std::collections::VecDeque;
use std::time::Instant;

use audience_contract::Progress;
use audience_kernel::registry::Boundary;
use audience_rules::ast::Millis;
use parking_lot::Mutex;

use super::clock;
use crate::edit::Position;

#[derive(Debug)]
struct State {
    sequence: u64,
    clock: Millis,
    catalogue_version: u64,
    next_catalogue_version: u64,
    /// The clock does not run yet: history is being replayed.
    is_held: bool,
    /// Of each tick under way, what will be true once it is done.
    under_way: VecDeque<UnderWay>,
    first_tick: u64,
    oldest: Option<Instant>,
}

/// A tick under way.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    /// What will be true once it is done, but for the clock, which the workers tell.
    pub progress: Progress,
    /// When the oldest event in it was taken.
    pub oldest: Option<Instant>,
}

/// Where the running engine stands.
#[derive(Debug)]
pub struct Standing(Mutex<State>);

impl Standing {
    /// At the progress given out before; the clock stands still until [`release`](Self::release).
    pub fn new(progress: Progress, sequence: u64) -> Self {
        Standing(Mutex::new(State {
            sequence,
            clock: progress.clock,
            catalogue_version: progress.catalogue_version,
            next_catalogue_version: progress.catalogue_version,
            is_held: true,
            under_way: VecDeque::new(),
            first_tick: progress.tick + 1,
            oldest: None,
        }))
    }

    /// Lets the clock run.
    pub fn release(&self) {
        self.0.lock().is_held = false;
    }

    /// Events below this were submitted.
    pub fn sequence(&self) -> u64 {
        self.0.lock().sequence
    }

    /// As the tick is made that submits events up to `sequence`, the oldest taken then: gives its clock.
    pub fn submitting(&self, sequence: u64, oldest: Option<Instant>) -> Millis {
        let mut state = self.0.lock();
        state.sequence = sequence;
        state.oldest = oldest;
        state.now()
    }

    /// Moves a clock that stands still.
    pub fn hold_at(&self, clock: Millis) {
        self.0.lock().clock = clock;
    }

    /// The catalogue that the edit about to be applied leads to.
    pub fn editing(&self, catalogue_version: u64) {
        self.0.lock().next_catalogue_version = catalogue_version;
    }

    /// As the tick `tick` is made, whatever it is for: notes what it will have brought.
    pub fn made(&self, tick: u64) {
        let mut state = self.0.lock();
        let progress = Progress {
            tick: state.first_tick + tick,
            clock: state.clock,
            sequence: state.sequence,
            catalogue_version: state.catalogue_version,
            run: 0,
        };
        let oldest = state.oldest.take();
        state.under_way.push_back(UnderWay { progress, oldest });
    }

    /// The number that a tick of this run has in progress.
    pub fn number(&self, tick: u64) -> u64 {
        self.0.lock().first_tick + tick
    }

    /// What a tick has brought, now that it is done.
    pub fn done(&self, tick: u64) -> Option<UnderWay> {
        let mut state = self.0.lock();
        let number = state.first_tick + tick;
        while let Some(under_way) = state.under_way.pop_front() {
            if under_way.progress.tick == number {
                return Some(under_way);
            }
        }
        None
    }
}

impl State {
    fn now(&mut self) -> Millis {
        if !self.is_held {
            self.clock = self.clock.max(clock::now());
        }
        self.clock
    }
}

impl Position for Standing {
    fn boundary(&self) -> Boundary {
        let mut state = self.0.lock();
        Boundary { sequence: state.sequence, clock: state.now() }
    }

    fn publishing(&self) {
        let mut state = self.0.lock();
        state.catalogue_version = state.next_catalogue_version;
    }
}
