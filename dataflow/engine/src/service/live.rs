//! What is given out, for any number of those who follow it over the APIs.
//!
//! One thread reads each tick from the change log once, as the text that everybody gets. Who follows is no more than a
//! place in that order: nothing is kept of them, and one who is slow costs nothing. The newest runs are in memory, of a
//! bounded number of changes; who is behind those reads from the log, in pieces that others at about the same place share.

mod run;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_catalogue::unavailable;
use audience_protocol::{ChangeFilter, ChangePlace, ChangesRead, PlatformError, VisitChange};
use parking_lot::Mutex;

use self::run::{RUN_CHANGES, Run, Wanted};
use super::Service;
use crate::engine::EngineError;

/// Changes of the newest ticks that are in memory.
const RECENT_CHANGES: usize = 4 * RUN_CHANGES;
/// Pieces of the log in memory that were read for those who are behind.
const OLDER_RUNS: usize = 4;
/// Readings of the log at once.
const READERS: usize = 2;
/// Between two looks: a tick that comes alone is given on at once, and of many several together.
const PACE: Duration = Duration::from_millis(40);
/// How long to wait for a change before looking whether all is over.
const PATIENCE: Duration = Duration::from_millis(200);
/// Nobody has asked for this long: nobody follows.
const IDLE: Duration = Duration::from_secs(60);

/// Where a place is.
enum Found {
    Run(Arc<Run>),
    /// At the end: there is nothing behind it yet.
    NothingYet,
    /// Not in memory.
    Nowhere,
}

/// The changes that are in memory, and who waits for more.
pub struct Live {
    recent: Mutex<Recent>,
    older: Mutex<VecDeque<Arc<Run>>>,
    readers: [Mutex<()>; READERS],
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

struct Recent {
    /// One behind the other, without a gap.
    runs: VecDeque<Arc<Run>>,
    changes: usize,
    end: ChangePlace,
    asked: Option<Instant>,
}

impl Live {
    /// Nothing is in memory before this tick is over.
    pub fn new(tick: u64) -> Live {
        let recent = Recent { runs: VecDeque::new(), changes: 0, end: ChangePlace::behind(tick), asked: None };
        Live {
            recent: Mutex::new(recent),
            older: Mutex::default(),
            readers: Default::default(),
            wakes: Mutex::default(),
        }
    }

    /// The run that a place is in, where all that is committed ends at `newest`.
    fn find(&self, place: ChangePlace, newest: ChangePlace) -> Found {
        let mut recent = self.recent.lock();
        recent.asked = Some(Instant::now());
        if recent.end <= place && place <= newest {
            return Found::NothingYet;
        }
        if place.tick >= recent.runs.front().map_or(recent.end, |run| run.from).tick {
            let at = recent.runs.partition_point(|run| run.to <= place);
            if let Some(run) = recent.runs.get(at).filter(|run| run.holds(place)) {
                return Found::Run(run.clone());
            }
        }
        drop(recent);
        let older = self.older.lock();
        older.iter().find(|run| run.holds(place)).map_or(Found::Nowhere, |run| Found::Run(run.clone()))
    }
}

impl Recent {
    fn push(&mut self, run: Run) {
        self.end = run.to;
        if run.len() == 0 && self.runs.back().is_some_and(|last| last.len() == 0) {
            // Ticks without changes are one run, however many there are.
            if let Some(last) = self.runs.pop_back() {
                self.runs.push_back(Arc::new(run.begun_at(last.from)));
            }
            return;
        }
        self.changes += run.len();
        self.runs.push_back(Arc::new(run));
        while self.changes > RECENT_CHANGES {
            let Some(oldest) = self.runs.pop_front() else { return };
            self.changes -= oldest.len();
        }
    }
}

impl Service {
    /// Reads what is given out for those who follow, until the platform ends.
    pub(super) fn read_live(&self) -> Result<(), EngineError> {
        while !self.is_ending() {
            let end = self.live.recent.lock().end;
            let newest = self.committed.wait_beyond(end.tick.saturating_sub(1), PATIENCE);
            if newest < end.tick {
                continue;
            }
            if let Err(error) = self.read_recent(newest) {
                tracing::error!(%error, "changes cannot be read for those who follow; trying again");
                super::pause(PATIENCE);
                continue;
            }
            self.live.wakes.lock().iter().for_each(|wake| wake());
            super::pause(PACE);
        }
        Ok(())
    }

    /// Takes what is new into memory where anybody follows.
    fn read_recent(&self, newest: u64) -> Result<(), EngineError> {
        loop {
            let (end, is_idle) = {
                let mut recent = self.live.recent.lock();
                let is_idle = recent.asked.is_none_or(|asked| asked.elapsed() > IDLE);
                if is_idle {
                    recent.runs.clear();
                    (recent.changes, recent.end) = (0, ChangePlace::behind(newest));
                }
                (recent.end, is_idle)
            };
            if is_idle || end.tick > newest {
                return Ok(());
            }
            let run = Run::read(&*self.stores.changes, end, newest)?;
            self.live.recent.lock().push(run);
        }
    }

    /// Where the changes given out end now.
    pub(super) fn newest_place(&self) -> ChangePlace {
        ChangePlace::behind(self.committed.newest())
    }

    /// Has this called whenever there is more.
    pub(super) fn wake_on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.live.wakes.lock().push(wake);
    }

    /// Visits what is wanted from a place on.
    pub(super) fn visit_changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead, PlatformError> {
        let wanted = Wanted::of(filter);
        let mut place = from;
        loop {
            let run = match self.live.find(place, self.newest_place()) {
                Found::Run(run) => run,
                Found::NothingYet => return Ok(ChangesRead::UpTo(place)),
                Found::Nowhere if place != from => return Ok(ChangesRead::UpTo(place)),
                Found::Nowhere if !may_wait => return Ok(ChangesRead::NotInMemory),
                Found::Nowhere => match self.read_older(place)? {
                    Some(run) => run,
                    None => return Ok(ChangesRead::Gone(self.newest_place())),
                },
            };
            if let ControlFlow::Break(reached) = run.visit(place, &wanted, visit) {
                return Ok(ChangesRead::UpTo(reached));
            }
            place = run.to;
        }
    }

    /// Reads a piece of the log; none where the log does not have that place.
    fn read_older(&self, place: ChangePlace) -> Result<Option<Arc<Run>>, PlatformError> {
        let _turn = self.live.readers[place.tick as usize % READERS].lock();
        // Whoever had the turn before may have read just this.
        if let Some(run) = self.live.older.lock().iter().find(|run| run.holds(place)) {
            return Ok(Some(run.clone()));
        }
        let (changes, newest) = (&*self.stores.changes, self.committed.newest());
        if place > ChangePlace::behind(newest) {
            return Ok(None);
        }
        let stopped = |error: EngineError| PlatformError::Unavailable(error.to_string());
        let run = Arc::new(Run::read(changes, place, newest).map_err(stopped)?);
        // Behind the reading: what was forgotten meanwhile may be missing in it.
        if changes.floor().map_err(unavailable)? > place.tick {
            return Ok(None);
        }
        let mut older = self.live.older.lock();
        older.push_back(run.clone());
        while older.len() > OLDER_RUNS {
            older.pop_front();
        }
        Ok(Some(run))
    }
}
