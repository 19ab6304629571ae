//! Brings one writer of a sink up to date: exactly what the change log says of its users, in order, from its position.

use std::ops::RangeInclusive;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::changes::ChangeRef;
use audience_contract::{ChangeKind, MembershipChange, Progress, Reach, StoreError, Writer};
use audience_protocol::SPANS;

use super::differences::Differences;
use super::error::FollowError;
use super::pieces::{Piece, PieceReading};
use super::repair::Repairs;
use super::round::Round;
use super::status::{Order, SinkStatus};
use super::upstream::Upstream;

/// Between two writes of the position alone while nothing changes: the change log does not go back for ever.
const IDLE_REACH: Duration = Duration::from_secs(60);
/// Between checks whether the sink is to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// The fault of a sink that holds a part of the users.
const FILLING: &str = "it is being filled";
/// Pieces that were read and wait to be written, besides the one that is.
const PIECES_WAITING: usize = 1;

/// Brings one writer of a sink what is emitted for its users.
pub(super) struct Follower<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) status: &'a SinkStatus,
    /// Requested once the sink is to end when it holds everything.
    pub(super) stop: &'a Stop,
    /// The round that all writers of the sink share.
    pub(super) round: &'a Round,
    /// Its number among them.
    pub(super) index: usize,
    pub(super) writer: &'a mut Writer,
    /// The tick up to which the writer's spans are below those of ticks.
    pub(super) traced: u64,
}

impl<'a> Follower<'a> {
    /// Follows until the sink is to end and holds everything, or holds what the round is to bring, or the round is broken
    /// off.
    pub(super) fn follow(&mut self) -> Result<(), FollowError> {
        let mut reached = self.open()?;
        self.status.set(self.index, |writer| writer.written = Some(reached.tick));
        let (mut told, mut told_tick) = (Instant::now(), reached.tick);
        while !self.round.is_broken() {
            self.obey(&mut reached)?;
            self.status.set(self.index, |writer| writer.reached = Some(reached.tick));
            let newest = self.newest();
            if newest.tick > reached.tick {
                let (begun, is_due) = (Instant::now(), told.elapsed() >= IDLE_REACH);
                if self.bring(&mut reached, newest, None, is_due)? {
                    self.set_fault(None);
                    (told, told_tick) = (Instant::now(), reached.tick);
                    self.wait_until(begun + self.writer.sink.interval());
                }
                continue;
            }
            if self.stop.is_requested() || self.round.until().is_some() {
                if told_tick < reached.tick {
                    self.write(&self.reach(reached, None), &mut Vec::new())?;
                }
                return Ok(());
            }
            self.set_fault(self.writer.sink.fault());
            self.round.note_well();
            self.upstream.emitted.wait_beyond(reached.tick, PATIENCE);
        }
        Ok(())
    }

    /// Opens the sink, and makes it hold everything as of the progress that is returned: changes can go on from there.
    fn open(&mut self) -> Result<Progress, FollowError> {
        match self.writer.sink.open()? {
            Some(Reach::All(progress)) if self.can_follow_from(progress)? => Ok(progress),
            Some(Reach::Users { progress, up_to }) if self.can_follow_from(progress)? => {
                self.fill(progress.tick, Some((progress, up_to)))
            }
            // Everything that there was is still in the change log, and all of it is wanted.
            None if self.writer.sink.keeps_history() && self.can_follow_from(Progress::default())? => {
                self.mark(&self.reach(Progress::default(), None))?;
                Ok(Progress::default())
            }
            None => self.fill(0, None),
            Some(old) => {
                let (sink, tick, run) = (self.status.name(), old.progress().tick, old.progress().run);
                if self.upstream.runs.has_emitted(old.progress()) {
                    tracing::warn!(
                        sink,
                        tick,
                        "The change log does not go back to the sink's position; the sink is written what differs"
                    );
                } else {
                    tracing::error!(
                        sink,
                        tick,
                        run,
                        "The sink holds what another data directory emitted; the sink is written what differs"
                    );
                }
                self.restart()
            }
        }
    }

    /// Brings a sink whose position leads nowhere to the memberships of now: what differs is written where the sink says what it
    /// holds, and otherwise everything. Broken off, it is repeated.
    fn restart(&mut self) -> Result<Progress, FollowError> {
        let (owns, newest) = (self.writer.owns.clone(), self.newest());
        let Some(leaves) = self.writer.sink.leaves(newest, &*owns)? else {
            tracing::warn!(sink = self.status.name(), "The sink does not say what it holds and restarts from scratch");
            return self.begin_anew();
        };
        self.set_fault(Some(FILLING.to_owned()));
        let snapshot = self.round.snapshot(self.upstream, newest.tick, newest)?;
        let mut differences = Differences::new(leaves);
        let (versions, at_once) = (self.upstream.segments.versions(), self.writer.sink.changes_at_once());
        let mut changes = Vec::new();
        for user in snapshot.users_after(None).filter(|user| owns(snapshot.id(*user))) {
            differences.append(&snapshot, user, &versions, &mut changes);
            if changes.len() >= at_once {
                self.write(&Reach::nowhere(), &mut changes)?;
            }
        }
        for leave in differences.into_rest() {
            changes.push(leave);
            if changes.len() >= at_once {
                self.write(&Reach::nowhere(), &mut changes)?;
            }
        }
        let progress = snapshot.progress();
        self.write(&self.reach(progress, None), &mut changes)?;
        Ok(progress)
    }

    /// Empties the sink of its users, and fills it.
    fn begin_anew(&mut self) -> Result<Progress, FollowError> {
        let (owns, newest) = (self.writer.owns.clone(), self.newest());
        self.mark(&Reach::nowhere())?;
        self.writer.sink.clear(newest, &*owns)?;
        self.fill(newest.tick, None)
    }

    /// Writes what the store has lost of single records.
    fn repair(&mut self, repairs: Repairs<'a>, reached: Progress) -> Result<(), FollowError> {
        let mut changes = repairs.into_changes();
        if changes.is_empty() {
            return Ok(());
        }
        tracing::debug!(sink = self.status.name(), changes = changes.len(), "Records of the sink are written again");
        self.write(&self.reach(reached, None), &mut changes)?;
        // Of those nothing more is asked.
        self.writer.sink.take_created();
        Ok(())
    }

    /// Does what it was ordered to do.
    fn obey(&mut self, reached: &mut Progress) -> Result<(), FollowError> {
        let mut repairs = Repairs::new(self.upstream, *reached);
        self.status.take_repairs().into_iter().for_each(|repair| repairs.add(repair));
        self.repair(repairs, *reached)?;
        match self.status.take_order() {
            None => {}
            Some(Order::Reopen) => return Err(FollowError::Lost),
            Some(Order::Rebuild) => {
                tracing::warn!(sink = self.status.name(), "The sink is rebuilt: it is emptied and filled again");
                *reached = self.begin_anew()?;
            }
        }
        Ok(())
    }

    /// Before a write that may be broken off halfway: says what is to be made of it then.
    fn mark(&mut self, reach: &Reach) -> Result<(), FollowError> {
        if self.writer.sink.is_transactional() { Ok(()) } else { self.write(reach, &mut Vec::new()) }
    }

    fn reach(&self, progress: Progress, up_to: Option<&str>) -> Reach {
        self.upstream.runs.reach(progress, up_to)
    }

    fn set_fault(&self, fault: Option<String>) {
        self.status.set(self.index, |writer| writer.fault = fault);
    }

    fn wait_until(&self, instant: Instant) {
        while let Some(rest) = instant.checked_duration_since(Instant::now())
            && !rest.is_zero()
            && !self.round.is_broken()
            && !self.stop.wait(rest.min(PATIENCE))
        {}
    }

    fn newest(&self) -> Progress {
        self.round.until().unwrap_or_else(|| self.upstream.emitted.newest())
    }

    /// Returns whether the change log has everything after that. A sink that is ahead of the log has another history: that of
    /// another data directory, or of this one before an older copy took its place. A sink that is not ahead may have one, too.
    fn can_follow_from(&self, progress: Progress) -> Result<bool, StoreError> {
        let is_ours = progress.tick <= self.newest().tick && self.upstream.runs.has_emitted(progress);
        Ok(is_ours && self.upstream.emitted.floor()? <= progress.tick.saturating_add(1))
    }

    /// Writes what changed after `reached` up to `newest`, in pieces. With `up_to`, it writes the changes of users up to that
    /// id. Of the others it writes who left, since a piece that was broken off may have entered them: as of `reached`, or of a
    /// tick since. Without changes it writes only if that `is_due`. Returns whether it wrote.
    fn bring(
        &mut self,
        reached: &mut Progress,
        newest: Progress,
        up_to: Option<&str>,
        is_due: bool,
    ) -> Result<bool, FollowError> {
        let owns = self.writer.owns.clone();
        let is_whole = self.writer.sink.is_transactional();
        let is_asked_for = |change: &ChangeRef<'_>| {
            let may_be_there = !is_whole && change.change == ChangeKind::Left;
            owns(change.user_id) && up_to.is_none_or(|up_to| change.user_id <= up_to || may_be_there)
        };
        let mut first = None;
        let reading = self.reading(reached.tick + 1..=newest.tick, &is_asked_for);
        let mut last = reading.read(&mut |piece| {
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

    /// Writes a full piece and the full ones after it; returns the changes after those. While a piece is written the next one
    /// is read, on a thread of its own, and one more may wait.
    fn bring_pieces(
        &mut self,
        reached: &mut Progress,
        first: Piece,
        newest: Progress,
        up_to: Option<&str>,
        is_asked_for: &(dyn Fn(&ChangeRef<'_>) -> bool + Sync),
    ) -> Result<Vec<MembershipChange>, FollowError> {
        let reading = self.reading(first.tick + 1..=newest.tick, is_asked_for);
        let (give, pieces) = sync_channel(PIECES_WAITING);
        std::thread::scope(|scope| {
            // Nobody takes pieces any more if a write fails.
            let mut take = move |piece| give.send(piece).is_ok();
            let reader = scope.spawn(move || reading.read(&mut take));
            for Piece { tick, mut changes } in std::iter::once(first).chain(pieces) {
                // Of a tick in between only the number is known.
                let progress = Progress { tick, ..*reached };
                self.write(&self.reach(progress, up_to), &mut changes)?;
                *reached = progress;
            }
            let read = reader.join().unwrap_or_else(|_| Err(unread()));
            Ok(read?)
        })
    }

    /// The changes of those ticks, in pieces as large as the sink asks for.
    fn reading<'r>(
        &self,
        ticks: RangeInclusive<u64>,
        is_asked_for: &'r (dyn Fn(&ChangeRef<'_>) -> bool + Sync),
    ) -> PieceReading<'r>
    where
        'a: 'r,
    {
        let (emitted, round) = (&*self.upstream.emitted, self.round);
        PieceReading { emitted, ticks, at_once: self.writer.sink.changes_at_once(), round, is_asked_for }
    }

    fn write(&mut self, reach: &Reach, changes: &mut Vec<MembershipChange>) -> Result<(), FollowError> {
        if self.round.is_broken() {
            return Err(FollowError::Broken);
        }
        let begun = Instant::now();
        let (sink, tick) = (self.status.name(), reach.progress().tick);
        let span = tracing::info_span!(target: SPANS, "sink.write", sink, tick, changes = changes.len());
        if tick != u64::MAX && tick > self.traced {
            audience_trace::carry_on(&span, &self.upstream.emitted.traces().between(self.traced, tick));
            self.traced = tick;
        }
        span.in_scope(|| self.writer.sink.write(reach, changes))?;
        self.upstream.metrics.written(self.status.name(), changes.len(), begun.elapsed());
        if !changes.is_empty() {
            self.round.note_well();
        }
        let written = match reach {
            Reach::All(progress) if progress.tick != u64::MAX => Some(progress.tick),
            _ => None,
        };
        self.status.set(self.index, |writer| writer.written = written);
        self.status.set_notice(self.writer.sink.notice());
        let created = self.writer.sink.take_created();
        let mut repairs = Repairs::new(self.upstream, reach.progress());
        if written.is_some() {
            repairs.add_created(&created, changes);
        }
        changes.clear();
        self.repair(repairs, reach.progress())
    }

    /// Fills a sink that has nothing, or only users up to some id, from a snapshot as of now, or of a tick not before `least`.
    fn fill(&mut self, least: u64, broken_off: Option<(Progress, String)>) -> Result<Progress, FollowError> {
        self.set_fault(Some(FILLING.to_owned()));
        let snapshot = self.round.snapshot(self.upstream, least, self.newest())?;
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
        let versions = self.upstream.segments.versions();
        let (mut changes, at_once) = (Vec::new(), self.writer.sink.changes_at_once());
        let owns = self.writer.owns.clone();
        for user in snapshot.users_after(up_to.as_deref()).filter(|user| owns(snapshot.id(*user))) {
            snapshot.append_entries(user, &versions, &mut changes);
            if changes.len() >= at_once {
                self.write(&self.reach(newest, Some(snapshot.id(user))), &mut changes)?;
            }
        }
        self.write(&self.reach(newest, None), &mut changes)?;
        Ok(newest)
    }
}

/// The error where the reader of changes died.
fn unread() -> StoreError {
    StoreError::Unavailable { action: "reading changes", detail: "the thread that reads them died".to_owned() }
}
