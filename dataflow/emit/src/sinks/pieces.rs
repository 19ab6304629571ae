//! The change log in pieces of whole ticks, as a sink writes them.

use std::ops::{ControlFlow, RangeInclusive};

use audience_contract::changes::ChangeRef;
use audience_contract::{MembershipChange, StoreError};

use super::round::Round;
use crate::emitted::Emitted;

/// Changes up to the end of a tick.
pub(super) struct Piece {
    /// The tick.
    pub tick: u64,
    /// The changes that are asked for, in order.
    pub changes: Vec<MembershipChange>,
}

/// The changes of some ticks, to be read in pieces.
pub(super) struct PieceReading<'a> {
    pub emitted: &'a Emitted,
    pub ticks: RangeInclusive<u64>,
    /// A piece ends with the tick that brings it to so many changes.
    pub at_once: usize,
    /// Nothing more is read once it is broken off.
    pub round: &'a Round,
    pub is_asked_for: &'a (dyn Fn(&ChangeRef<'_>) -> bool + Sync),
}

impl PieceReading<'_> {
    /// Gives full pieces to `take`, as long as that returns `true`; returns the changes after the last of them.
    pub(super) fn read(self, take: &mut dyn FnMut(Piece) -> bool) -> Result<Vec<MembershipChange>, StoreError> {
        let mut changes: Vec<MembershipChange> = Vec::new();
        self.emitted.read(self.ticks, &mut |tick| {
            if self.round.is_broken() {
                return Ok(ControlFlow::Break(()));
            }
            tick.visit(&mut |change| {
                if (self.is_asked_for)(&change) {
                    change.append_to(&mut changes);
                }
                ControlFlow::Continue(())
            })?;
            let is_full = changes.len() >= self.at_once;
            let is_over = is_full && !take(Piece { tick: tick.number, changes: std::mem::take(&mut changes) });
            Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use audience_contract::{ChangeLog, Progress, Result};

    use super::*;

    const TICKS: u64 = 100;

    /// A log in which one user enters with every tick; counts what was read of it.
    #[derive(Default)]
    struct Entries(AtomicU64);

    impl ChangeLog for Entries {
        fn commit(&self, _: Progress, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn progress(&self) -> Result<Option<Progress>> {
            Ok(None)
        }

        fn read(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<()> {
            for tick in from..=TICKS {
                self.0.fetch_add(1, Ordering::Relaxed);
                // One segment, "s", version 1; one change, entered, at 0, of a user of one letter.
                let user = b'a' + (tick % 26) as u8;
                let block = [10, 0, 0, 0, 0, 0, 0, 0, 1, 1, b's', 1, 1, 1, 0, 0, 1, user];
                if visit(tick, &block).is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn forget(&self, _: u64) -> Result<()> {
            Ok(())
        }

        fn floor(&self) -> Result<u64> {
            Ok(0)
        }
    }

    fn read(
        log: &Arc<Entries>,
        ticks: RangeInclusive<u64>,
        at_once: usize,
        is_asked_for: &(dyn Fn(&ChangeRef<'_>) -> bool + Sync),
        take: &mut dyn FnMut(Piece) -> bool,
    ) -> Vec<MembershipChange> {
        let newest = Progress { tick: TICKS, ..Progress::default() };
        let (emitted, round) = (Emitted::new(log.clone(), newest), Round::default());
        PieceReading { emitted: &emitted, ticks, at_once, round: &round, is_asked_for }.read(take).unwrap()
    }

    #[test]
    fn pieces_are_whole_ticks_and_nothing_is_left_out() {
        let (mut pieces, log) = (Vec::new(), Arc::default());
        let mut take = |piece: Piece| {
            pieces.push((piece.tick, piece.changes.len()));
            true
        };
        let rest = read(&log, 5..=98, 10, &|_| true, &mut take);
        let expected: Vec<(u64, usize)> = (1..=9).map(|number| (4 + 10 * number, 10)).collect();
        assert_eq!((pieces, rest.len()), (expected, 4));
        let rest = read(&log, 1..=26, 100, &|change| change.user_id <= "c", &mut |_| false);
        let mut users: Vec<&str> = rest.iter().map(|change| &*change.user_id).collect();
        users.sort_unstable();
        assert_eq!(users, ["a", "b", "c"]);
    }

    #[test]
    fn what_nobody_takes_is_not_read_on() {
        let log = Arc::<Entries>::default();
        let rest = read(&log, 1..=TICKS, 10, &|_| true, &mut |_| false);
        assert_eq!((log.0.load(Ordering::Relaxed), rest.len()), (10, 0));
    }
}
