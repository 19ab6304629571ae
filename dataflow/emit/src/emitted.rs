//! The change log as its followers read it: what is committed, in order, from memory or from the log.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use audience_contract::changes::{self, ChangeRef, ChangesError};
use audience_contract::{ChangeLog, Progress, StoreError, failpoint};
use audience_trace::TickTraces;
use parking_lot::{Condvar, Mutex};

use crate::recent::{RecentTick, RecentTicks};

/// The membership changes that are committed, and who waits for more.
///
/// A follower sees every tick that has changes once, in order, from the tick that it asks for. The newest ticks come from
/// memory, decoded once for all; a follower that lags more reads the change log itself.
pub struct Emitted {
    log: Arc<dyn ChangeLog>,
    state: Mutex<EmittedState>,
    committed: Condvar,
    traces: Arc<TickTraces>,
}

struct EmittedState {
    newest: Progress,
    recent: RecentTicks,
    /// Followers see no more than this while somebody is waited for.
    held_back: Option<Progress>,
}

impl EmittedState {
    fn visible(&self) -> Progress {
        self.held_back.unwrap_or(self.newest)
    }
}

/// A tick that has changes.
pub struct Tick<'a> {
    /// Its number.
    pub number: u64,
    changes: TickChanges<'a>,
}

enum TickChanges<'a> {
    Recent(&'a RecentTick),
    Encoded(&'a [u8]),
}

impl Tick<'_> {
    /// Visits the changes in their order, until `take` breaks off.
    pub fn visit(&self, take: &mut dyn FnMut(ChangeRef<'_>) -> ControlFlow<()>) -> Result<(), StoreError> {
        let visited = match self.changes {
            TickChanges::Recent(tick) => tick.decoded().map(|tick| tick.visit(take)),
            TickChanges::Encoded(bytes) => changes::visit(bytes, take),
        };
        visited.map_err(|error| undecoded(self.number, error))
    }
}

fn undecoded(tick: u64, error: ChangesError) -> StoreError {
    StoreError::Corrupt { place: format!("the changes of tick {tick}"), detail: error.to_string() }
}

impl Emitted {
    /// A change log that has reached `newest`.
    pub fn new(log: Arc<dyn ChangeLog>, newest: Progress) -> Emitted {
        let recent = RecentTicks::new(newest.tick);
        let state = Mutex::new(EmittedState { newest, recent, held_back: None });
        Emitted { log, state, committed: Condvar::new(), traces: Arc::default() }
    }

    /// The spans of ticks, from which those of followers go on.
    pub fn traces(&self) -> &Arc<TickTraces> {
        &self.traces
    }

    /// Commits a tick's changes, `count` of them, and wakes who waits for them. It takes the bytes if that succeeds.
    pub fn commit(&self, progress: Progress, changes: &mut Vec<u8>, count: usize) -> Result<(), StoreError> {
        self.log.commit(progress, changes)?;
        failpoint("changes_committed");
        let mut state = self.state.lock();
        state.newest = progress;
        if !changes.is_empty() {
            state.recent.push(RecentTick::new(progress.tick, std::mem::take(changes), count));
        }
        drop(state);
        self.committed.notify_all();
        Ok(())
    }

    /// Returns the newest progress that followers may give out: the one that is committed, unless it is held back.
    pub fn newest(&self) -> Progress {
        self.state.lock().visible()
    }

    /// Waits until a tick after `tick` may be given out, at most for `patience`; returns the newest progress.
    pub fn wait_beyond(&self, tick: u64, patience: Duration) -> Progress {
        let mut state = self.state.lock();
        if state.visible().tick <= tick {
            self.committed.wait_for(&mut state, patience);
        }
        state.visible()
    }

    /// Holds back what is committed from here on, until it is released. Returns the progress up to which followers see.
    pub fn hold_back(&self) -> Progress {
        let mut state = self.state.lock();
        let visible = state.visible();
        state.held_back = Some(visible);
        visible
    }

    /// Lets followers see up to `progress`, where they are held back before it.
    pub fn release(&self, progress: Progress) {
        let mut state = self.state.lock();
        let newest = state.newest;
        if let Some(held) = state.held_back.as_mut().filter(|held| held.tick < progress.tick) {
            *held = if progress.tick < newest.tick { progress } else { newest };
            drop(state);
            self.committed.notify_all();
        }
    }

    /// Lets followers see everything, and holds nothing back any more.
    pub fn release_all(&self) {
        self.state.lock().held_back = None;
        self.committed.notify_all();
    }

    /// Goes on after a progress that was committed to the log by somebody else.
    pub fn go_on_after(&self, newest: Progress) {
        let mut state = self.state.lock();
        (state.newest, state.recent) = (newest, RecentTicks::new(newest.tick));
    }

    /// Returns the tick below which changes are forgotten.
    pub fn floor(&self) -> Result<u64, StoreError> {
        self.log.floor()
    }

    /// Visits those of the ticks that have changes, in order, until `visit` breaks off or fails. `ticks` ends at the newest
    /// tick or before.
    pub fn read(
        &self,
        ticks: RangeInclusive<u64>,
        visit: &mut dyn FnMut(Tick<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let recent = {
            let state = self.state.lock();
            if *ticks.end() <= state.newest.tick { state.recent.get(&ticks) } else { None }
        };
        let Some(recent) = recent else { return self.read_log(ticks, visit) };
        for tick in recent {
            if visit(Tick { number: tick.number(), changes: TickChanges::Recent(&tick) })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read_log(
        &self,
        ticks: RangeInclusive<u64>,
        visit: &mut dyn FnMut(Tick<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        self.log.read(*ticks.start(), &mut |number, bytes| {
            if number > *ticks.end() {
                return ControlFlow::Break(());
            }
            visit(Tick { number, changes: TickChanges::Encoded(bytes) }).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Visits every change of the ticks with the number of its tick, in order.
    pub fn each_change(
        &self,
        ticks: RangeInclusive<u64>,
        take: &mut dyn FnMut(u64, ChangeRef<'_>),
    ) -> Result<(), StoreError> {
        self.read(ticks, &mut |tick| {
            tick.visit(&mut |change| {
                take(tick.number, change);
                ControlFlow::Continue(())
            })?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::recent::RECENT_CHANGES;
    use crate::recent::tests::encoded;

    /// A change log in memory that counts how many ticks were read of it.
    #[derive(Default)]
    pub(crate) struct MemoryChanges {
        ticks: Mutex<BTreeMap<u64, Vec<u8>>>,
        pub read: AtomicUsize,
    }

    impl ChangeLog for MemoryChanges {
        fn commit(&self, progress: Progress, changes: &[u8]) -> Result<(), StoreError> {
            if !changes.is_empty() {
                self.ticks.lock().insert(progress.tick, changes.to_vec());
            }
            Ok(())
        }

        fn progress(&self) -> Result<Option<Progress>, StoreError> {
            Ok(None)
        }

        fn read(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
            for (tick, bytes) in self.ticks.lock().range(from..) {
                self.read.fetch_add(1, Ordering::Relaxed);
                if visit(*tick, bytes).is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn forget(&self, tick: u64) -> Result<(), StoreError> {
            self.ticks.lock().retain(|kept, _| *kept >= tick);
            Ok(())
        }

        fn floor(&self) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    /// Commits a tick of so many changes.
    pub(crate) fn commit(emitted: &Emitted, tick: u64, changes: usize) {
        let progress = Progress { tick, ..Progress::default() };
        emitted.commit(progress, &mut encoded(changes as u32), changes).unwrap();
    }

    fn seen(emitted: &Emitted, ticks: RangeInclusive<u64>) -> Vec<(u64, i64)> {
        let mut seen = Vec::new();
        emitted.each_change(ticks, &mut |tick, change| seen.push((tick, change.at))).unwrap();
        seen
    }

    #[test]
    fn a_follower_sees_the_same_from_memory_and_from_the_log() {
        let log = Arc::new(MemoryChanges::default());
        let emitted = Emitted::new(log.clone(), Progress::default());
        for (tick, changes) in [(1, 3), (2, 0), (3, 5), (7, 2)] {
            commit(&emitted, tick, changes);
        }
        let expected: Vec<(u64, i64)> =
            [(1, 3), (3, 5), (7, 2)].into_iter().flat_map(|(tick, end)| (0..end).map(move |at| (tick, at))).collect();
        assert_eq!(seen(&emitted, 1..=7), expected);
        assert_eq!(log.read.load(Ordering::Relaxed), 0, "the newest ticks are in memory");
        let later = Emitted::new(log.clone(), emitted.newest());
        assert_eq!(seen(&later, 1..=7), expected);
        assert_eq!((seen(&later, RangeInclusive::new(8, 7)), seen(&later, 2..=3)), (vec![], expected[3..8].to_vec()));
        commit(&later, 9, 1);
        assert_eq!(
            seen(&later, 4..=9),
            [(7, 0), (7, 1), (9, 0)],
            "from the log what was before, and what is in memory"
        );
    }

    #[test]
    fn a_follower_that_asks_ahead_of_what_is_committed_reads_the_log() {
        let log = Arc::new(MemoryChanges::default());
        let emitted = Emitted::new(log.clone(), Progress::default());
        commit(&emitted, 1, 1);
        log.commit(Progress { tick: 2, ..Progress::default() }, &encoded(1)).unwrap();
        assert_eq!(seen(&emitted, 1..=2), [(1, 0), (2, 0)], "memory does not know of the second yet");
    }

    #[test]
    fn followers_see_what_is_held_back_only_once_it_is_released() {
        let emitted = Emitted::new(Arc::new(MemoryChanges::default()), Progress::default());
        commit(&emitted, 1, 1);
        assert_eq!(emitted.hold_back().tick, 1);
        commit(&emitted, 2, 1);
        commit(&emitted, 3, 1);
        let at = |tick| Progress { tick, ..Progress::default() };
        assert_eq!((emitted.newest().tick, emitted.wait_beyond(1, Duration::ZERO).tick), (1, 1));
        emitted.release(at(2));
        emitted.release(at(1));
        assert_eq!(emitted.newest().tick, 2, "it never goes back");
        emitted.release(at(9));
        assert_eq!(emitted.newest().tick, 3, "no more than is committed");
        commit(&emitted, 4, 1);
        assert_eq!(emitted.newest().tick, 3);
        emitted.release_all();
        assert_eq!(emitted.newest().tick, 4);
        emitted.release(at(2));
        commit(&emitted, 5, 1);
        assert_eq!(emitted.newest().tick, 5);
    }

    #[test]
    fn a_tick_that_is_too_large_for_memory_is_read_from_the_log() {
        let log = Arc::new(MemoryChanges::default());
        let emitted = Emitted::new(log.clone(), Progress::default());
        commit(&emitted, 1, 1);
        commit(&emitted, 2, RECENT_CHANGES + 1);
        assert_eq!(seen(&emitted, 2..=2).len(), RECENT_CHANGES + 1);
        commit(&emitted, 3, 1);
        let before = log.read.load(Ordering::Relaxed);
        assert_eq!((seen(&emitted, 3..=3).len(), log.read.load(Ordering::Relaxed)), (1, before));
    }

    #[test]
    fn a_tick_that_cannot_be_decoded_is_named() {
        let emitted = Emitted::new(Arc::new(MemoryChanges::default()), Progress::default());
        emitted.commit(Progress { tick: 5, ..Progress::default() }, &mut vec![1], 1).unwrap();
        let error = emitted.each_change(5..=5, &mut |_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), "the changes of tick 5 is damaged: they cannot be decoded");
    }
}
