//! Brings a writer of a sink what is given out to its users: exactly what the change log says, in its order, from where the writer
//! is.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use audience_contract::{ChangeKind, ChangeLog, MembershipChange, Progress, Reach, SinkError, StoreError, Writer};
use audience_protocol::SPANS;
use hashbrown::HashMap;

use super::Service;
use super::changes::decode;
use super::writers::{FollowerStatus, Round};
use crate::engine::EngineError;

/// How often a sink is told how far it is where nothing changes: the change log does not go back for ever.
const IDLE_REACH: Duration = Duration::from_secs(60);
/// How long to wait for a change before looking whether all is over.
const PATIENCE: Duration = Duration::from_millis(200);
/// Pieces that were read and wait to be written, beside the one that is.
const PIECES_WAITING: usize = 1;

/// Why following was broken off.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("another writer of the sink has failed")]
    Broken,
}

/// The error for a tick whose changes cannot be read.
pub fn undecoded(tick: u64) -> StoreError {
    StoreError::Corrupt { place: format!("the changes of tick {tick}"), detail: "they cannot be decoded".to_owned() }
}

/// Brings one of the writers of a sink what is given out to its users.
pub struct Follower<'a> {
    pub(super) service: &'a Service,
    pub(super) status: &'a FollowerStatus,
    /// What all writers of the sink share.
    pub(super) round: &'a Round,
    /// Its number among them.
    pub(super) index: usize,
    pub(super) writer: &'a mut Writer,
}

impl Follower<'_> {
    /// Follows until the sink is closed, or has what the round is to bring, or the round is broken off.
    pub fn follow(&mut self) -> Result<(), FollowError> {
        let mut reached = match self.writer.sink.open()? {
            Some(Reach::All(progress)) if self.can_follow_from(progress)? => progress,
            Some(Reach::Users { progress, up_to }) if self.can_follow_from(progress)? => {
                self.begin(progress.tick, Some((progress, up_to)))?
            }
            // Everything there was is still in the change log.
            None if self.can_follow_from(Progress::default())? => {
                self.mark(&self.reach(Progress::default(), None))?;
                Progress::default()
            }
            None => self.begin(0, None)?,
            Some(old) => {
                let (sink, at, run) = (self.status.name(), old.progress().tick, old.progress().run);
                match self.service.connectors.runs.gave_out(old.progress()) {
                    true => {
                        tracing::warn!(sink, at, "the change log does not go back to where the sink is; begun anew")
                    }
                    false => tracing::error!(
                        sink,
                        at,
                        run,
                        "the sink holds what another data directory gave out; begun anew"
                    ),
                }
                let (owns, newest) = (self.writer.owns.clone(), self.newest()?);
                self.mark(&Reach::nowhere())?;
                self.writer.sink.clear(newest, &*owns)?;
                self.begin(newest.tick, None)?
            }
        };
        let (mut told, mut told_tick) = (Instant::now(), reached.tick);
        self.set_fault(None);
        self.round.note_begun();
        while !self.round.is_broken() {
            self.status.set(self.index, |writer| writer.reached = Some(reached.tick));
            let newest = self.newest()?;
            if newest.tick > reached.tick {
                let (begun, is_due) = (Instant::now(), told.elapsed() >= IDLE_REACH);
                if self.bring(&mut reached, newest, None, is_due)? {
                    self.set_fault(None);
                    (told, told_tick) = (Instant::now(), reached.tick);
                    self.wait_until(begun + self.writer.sink.interval());
                }
                continue;
            }
            if self.status.is_closed() || self.round.until().is_some() {
                if told_tick < reached.tick {
                    self.write(&self.reach(reached, None), &mut Vec::new())?;
                }
                return Ok(());
            }
            self.set_fault(self.writer.sink.fault());
            self.service.committed.wait_beyond(reached.tick, PATIENCE);
        }
        Ok(())
    }

    /// Before what may be broken off in the middle: says what is to be made of it then.
    fn mark(&mut self, reach: &Reach) -> Result<(), FollowError> {
        if self.writer.sink.is_transactional() { Ok(()) } else { self.write(reach, &mut Vec::new()) }
    }

    fn reach(&self, progress: Progress, up_to: Option<&str>) -> Reach {
        self.service.connectors.runs.reach(progress, up_to)
    }

    fn set_fault(&self, fault: Option<String>) {
        self.status.set(self.index, |writer| writer.fault = fault);
    }

    fn wait_until(&self, instant: Instant) {
        while let Some(rest) = instant.checked_duration_since(Instant::now())
            && !rest.is_zero()
            && !self.status.is_closed()
            && !self.round.is_broken()
        {
            std::thread::park_timeout(rest.min(PATIENCE));
        }
    }

    fn newest(&self) -> Result<Progress, StoreError> {
        match self.round.until() {
            Some(until) => Ok(until),
            None => Ok(self.service.stores.changes.progress()?.unwrap_or_default()),
        }
    }

    /// Whether the change log has everything behind that. A sink that is ahead of the log has another history: that of
    /// another data directory, or of this one before an older copy took its place; and so may one that is not.
    fn can_follow_from(&self, progress: Progress) -> Result<bool, StoreError> {
        let is_ours = progress.tick <= self.newest()?.tick && self.service.connectors.runs.gave_out(progress);
        Ok(is_ours && self.service.stores.changes.floor()? <= progress.tick.saturating_add(1))
    }

    /// Writes what changed behind `reached` up to `newest`, in pieces; where `up_to` says so, of users up to that id. Of the others
    /// whoever left leaves, where a piece that was broken off may have entered them: as of `reached`, or of a tick since. Without
    /// changes it is written only where that `is_due`. Gives whether anything was written.
    fn bring(
        &mut self,
        reached: &mut Progress,
        newest: Progress,
        up_to: Option<&str>,
        is_due: bool,
    ) -> Result<bool, FollowError> {
        let (log, at_once) = (self.service.stores.changes.clone(), self.writer.sink.changes_at_once());
        let owns = self.writer.owns.clone();
        let is_whole = self.writer.sink.is_transactional();
        let is_asked_for = |change: &MembershipChange| {
            let may_be_there = !is_whole && change.change == ChangeKind::Left;
            owns(&change.user_id) && up_to.is_none_or(|up_to| *change.user_id <= *up_to || may_be_there)
        };
        let mut first = None;
        let mut last =
            read_pieces(&*log, reached.tick + 1..=newest.tick, at_once, self.round, &is_asked_for, &mut |piece| {
                first = Some(piece);
                false
            })?;
        let mut is_written = first.is_some();
        if let Some(first) = first {
            last = self.bring_pieces(reached, first, newest, up_to, &is_asked_for)?;
        }
        if !last.is_empty() || is_due || up_to.is_some() {
            self.write(&self.reach(newest, up_to), &mut last)?;
            is_written = true;
        }
        *reached = newest;
        Ok(is_written)
    }

    /// Writes a full piece and the full ones behind it; gives the changes behind those. While a piece is written the next one is
    /// read, on a thread of its own, and one more may wait.
    fn bring_pieces(
        &mut self,
        reached: &mut Progress,
        first: Piece,
        newest: Progress,
        up_to: Option<&str>,
        is_asked_for: &(dyn Fn(&MembershipChange) -> bool + Sync),
    ) -> Result<Vec<MembershipChange>, FollowError> {
        let (log, at_once) = (self.service.stores.changes.clone(), self.writer.sink.changes_at_once());
        let ticks = first.tick + 1..=newest.tick;
        let (give, pieces) = sync_channel(PIECES_WAITING);
        std::thread::scope(|scope| {
            // Nobody takes them any more where writing fails.
            let mut take = move |piece| give.send(piece).is_ok();
            let round = self.round;
            let reader = scope.spawn(move || read_pieces(&*log, ticks, at_once, round, is_asked_for, &mut take));
            for Piece { tick, mut changes } in std::iter::once(first).chain(pieces) {
                // Of a tick in between only its number is known.
                let progress = Progress { tick, ..*reached };
                self.write(&self.reach(progress, up_to), &mut changes)?;
                *reached = progress;
            }
            let read = reader.join().unwrap_or_else(|_| Err(unread()));
            Ok(read?)
        })
    }

    fn write(&mut self, reach: &Reach, changes: &mut Vec<MembershipChange>) -> Result<(), FollowError> {
        if self.round.is_broken() {
            return Err(FollowError::Broken);
        }
        let begun = Instant::now();
        let (sink, tick) = (self.status.name(), reach.progress().tick);
        let span = tracing::info_span!(target: SPANS, "sink.write", sink, tick, changes = changes.len());
        span.in_scope(|| self.writer.sink.write(reach, changes))?;
        self.service.metrics.connectors.written(self.status.name(), changes.len(), begun.elapsed());
        changes.clear();
        Ok(())
    }

    /// Gives a sink that has nothing, or only users up to some id, all memberships as of now, or of a tick not before `least`.
    fn begin(&mut self, least: u64, broken_off: Option<(Progress, String)>) -> Result<Progress, FollowError> {
        let snapshot = self.round.snapshot(self.service, least, self.newest()?)?;
        let newest = snapshot.progress();
        let up_to = match broken_off {
            Some((mut reached, up_to)) => {
                self.bring(&mut reached, newest, Some(&up_to), true)?;
                Some(up_to)
            }
            None => {
                self.mark(&self.reach(newest, Some("")))?;
                None
            }
        };
        let versions: HashMap<String, u64> = self.service.editor.read(|documents| {
            documents.segments.iter().map(|(id, known)| (id.clone(), known.stored.document.version)).collect()
        });
        let (mut changes, at_once) = (Vec::new(), self.writer.sink.changes_at_once());
        let owns = self.writer.owns.clone();
        for user in snapshot.users_behind(up_to.as_deref()).filter(|user| owns(snapshot.id(*user))) {
            snapshot.changes_of(user, &versions, &mut changes);
            if changes.len() >= at_once {
                self.write(&self.reach(newest, Some(snapshot.id(user))), &mut changes)?;
            }
        }
        self.write(&self.reach(newest, None), &mut changes)?;
        Ok(newest)
    }
}

/// Changes up to the end of a tick.
struct Piece {
    tick: u64,
    changes: Vec<MembershipChange>,
}

/// Reads the changes of those ticks, and gives them to `take` in pieces of `at_once` and a tick more, as long as it gives true;
/// gives those behind the last piece. Only those that are asked for, and nothing more once the round is broken off.
fn read_pieces(
    log: &dyn ChangeLog,
    ticks: RangeInclusive<u64>,
    at_once: usize,
    round: &Round,
    is_asked_for: &dyn Fn(&MembershipChange) -> bool,
    take: &mut dyn FnMut(Piece) -> bool,
) -> Result<Vec<MembershipChange>, StoreError> {
    let mut changes: Vec<MembershipChange> = Vec::new();
    let mut failed = None;
    log.read(*ticks.start(), &mut |tick, bytes| {
        if tick > *ticks.end() || round.is_broken() {
            return ControlFlow::Break(());
        }
        let Some(decoded) = decode(bytes) else {
            failed = Some(undecoded(tick));
            return ControlFlow::Break(());
        };
        changes.extend(decoded.into_iter().filter(is_asked_for));
        if changes.len() < at_once {
            return ControlFlow::Continue(());
        }
        match take(Piece { tick, changes: std::mem::take(&mut changes) }) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    failed.map_or(Ok(changes), Err)
}

/// The error where the reader of changes died.
fn unread() -> StoreError {
    StoreError::Unavailable { action: "reading changes", detail: "the thread that reads them died".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use audience_contract::Result;

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

    #[test]
    fn pieces_are_whole_ticks_and_nothing_is_left_out() {
        let mut pieces = Vec::new();
        let mut take = |piece: Piece| {
            pieces.push((piece.tick, piece.changes.len()));
            true
        };
        let rest = read_pieces(&Entries::default(), 5..=98, 10, &Round::default(), &|_| true, &mut take).unwrap();
        let expected: Vec<(u64, usize)> = (1..=9).map(|number| (4 + 10 * number, 10)).collect();
        assert_eq!((pieces, rest.len()), (expected, 4));
        let rest = read_pieces(
            &Entries::default(),
            1..=26,
            100,
            &Round::default(),
            &|change| &*change.user_id <= "c",
            &mut |_| false,
        )
        .unwrap();
        let mut users: Vec<&str> = rest.iter().map(|change| &*change.user_id).collect();
        users.sort_unstable();
        assert_eq!(users, ["a", "b", "c"]);
    }

    #[test]
    fn what_nobody_takes_is_not_read_on() {
        let log = Entries::default();
        let rest = read_pieces(&log, 1..=TICKS, 10, &Round::default(), &|_| true, &mut |_| false).unwrap();
        assert_eq!((log.0.into_inner(), rest.len()), (10, 0));
    }
}
