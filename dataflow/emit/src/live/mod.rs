//! Membership changes for subscribers of the live API, any number of them.
//!
//! One thread renders each tick once, as the text that everyone gets. A subscriber is a place in the order of all changes:
//! nothing is kept of subscribers, and a slow one costs nothing. The newest batches are in memory, a bounded number of
//! changes. A subscriber that lags more reads the change log, in batches that others at about the same place share.

mod past;
mod rendered;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::StoreError;
use audience_protocol::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, PlatformError, VisitChange};
use parking_lot::Mutex;

use self::rendered::{BATCH_CHANGES, PreparedFilter, RenderedBatch};
use crate::emitted::Emitted;

/// Rendered changes of the newest ticks in memory.
const RECENT_CHANGES: usize = 4 * BATCH_CHANGES;
/// Batches in memory that were read for subscribers who lag.
const OLDER_BATCHES: usize = 4;
/// Subscribers that read the change log at the same time.
const READERS: usize = 2;
/// Between two rounds: a single tick is passed on at once, and of many several together.
const PACE: Duration = Duration::from_millis(40);
/// Between checks whether the stop is requested.
const PATIENCE: Duration = Duration::from_millis(200);
/// After so long without a question there is no subscriber.
const IDLE: Duration = Duration::from_secs(60);

/// The whereabouts of a place.
enum Located {
    /// In a batch.
    In(Arc<RenderedBatch>),
    /// At the end: there is nothing after it yet.
    AtEnd,
    /// Not in memory.
    NotInMemory,
}

/// The changes in memory, and who is woken when there are more.
pub struct Live {
    emitted: Arc<Emitted>,
    recent: Mutex<RecentBatches>,
    older: Mutex<VecDeque<Arc<RenderedBatch>>>,
    readers: [Mutex<()>; READERS],
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

struct RecentBatches {
    /// One after the other, without a gap.
    batches: VecDeque<Arc<RenderedBatch>>,
    changes: usize,
    end: ChangePlace,
    asked: Option<Instant>,
}

impl Live {
    /// Nothing in memory: the next change is one after what is emitted now.
    pub fn new(emitted: Arc<Emitted>) -> Live {
        let end = ChangePlace::behind(emitted.newest().tick);
        let recent = RecentBatches { batches: VecDeque::new(), changes: 0, end, asked: None };
        Live {
            emitted,
            recent: Mutex::new(recent),
            older: Mutex::default(),
            readers: Default::default(),
            wakes: Mutex::default(),
        }
    }

    /// Finds a place, if what is committed ends at `newest`.
    fn locate(&self, place: ChangePlace, newest: ChangePlace) -> Located {
        let mut recent = self.recent.lock();
        recent.asked = Some(Instant::now());
        if recent.end <= place && place <= newest {
            return Located::AtEnd;
        }
        if place.tick >= recent.batches.front().map_or(recent.end, |batch| batch.from).tick {
            let at = recent.batches.partition_point(|batch| batch.to <= place);
            if let Some(batch) = recent.batches.get(at).filter(|batch| batch.holds(place)) {
                return Located::In(batch.clone());
            }
        }
        drop(recent);
        let older = self.older.lock();
        let found = older.iter().find(|batch| batch.holds(place));
        found.map_or(Located::NotInMemory, |batch| Located::In(batch.clone()))
    }

    /// Renders what is emitted for subscribers, until the stop is requested.
    pub fn run(&self, stop: &Stop) {
        while !stop.is_requested() {
            let end = self.recent.lock().end;
            let newest = self.emitted.wait_beyond(end.tick.saturating_sub(1), PATIENCE).tick;
            if newest < end.tick {
                continue;
            }
            if let Err(error) = self.render(newest) {
                tracing::error!(%error, "The live API cannot read changes and retries");
                stop.wait(PATIENCE);
                continue;
            }
            self.wakes.lock().iter().for_each(|wake| wake());
            stop.wait(PACE);
        }
    }

    /// Takes what is new into memory, if there is a subscriber.
    fn render(&self, newest: u64) -> Result<(), StoreError> {
        loop {
            let (end, is_idle) = {
                let mut recent = self.recent.lock();
                let is_idle = recent.asked.is_none_or(|asked| asked.elapsed() > IDLE);
                if is_idle {
                    recent.batches.clear();
                    (recent.changes, recent.end) = (0, ChangePlace::behind(newest));
                }
                (recent.end, is_idle)
            };
            if is_idle || end.tick > newest {
                return Ok(());
            }
            let batch = RenderedBatch::read(&self.emitted, end, newest)?;
            self.recent.lock().push(batch);
        }
    }

    /// Returns the place after all that is emitted.
    pub fn newest_place(&self) -> ChangePlace {
        ChangePlace::behind(self.emitted.newest().tick)
    }

    /// Reads a batch of the change log; none if the log does not have that place.
    fn read_older(&self, place: ChangePlace) -> Result<Option<Arc<RenderedBatch>>, StoreError> {
        let _turn = self.readers[place.tick as usize % READERS].lock();
        // Whoever had the turn before may have read just this.
        if let Some(batch) = self.older.lock().iter().find(|batch| batch.holds(place)) {
            return Ok(Some(batch.clone()));
        }
        let newest = self.emitted.newest().tick;
        if place > ChangePlace::behind(newest) {
            return Ok(None);
        }
        let batch = Arc::new(RenderedBatch::read(&self.emitted, place, newest)?);
        // After the reading: what was forgotten meanwhile may be missing in it.
        if self.emitted.floor()? > place.tick {
            return Ok(None);
        }
        let mut older = self.older.lock();
        older.push_back(batch.clone());
        while older.len() > OLDER_BATCHES {
            older.pop_front();
        }
        Ok(Some(batch))
    }
}

impl ChangeResource for Live {
    fn newest_change(&self) -> Result<ChangePlace, PlatformError> {
        Ok(self.newest_place())
    }

    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<(), PlatformError> {
        self.wakes.lock().push(wake);
        Ok(())
    }

    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead, PlatformError> {
        let filter = PreparedFilter::of(filter);
        let mut place = from;
        loop {
            let batch = match self.locate(place, self.newest_place()) {
                Located::In(batch) => batch,
                Located::AtEnd => return Ok(ChangesRead::UpTo(place)),
                Located::NotInMemory if place != from => return Ok(ChangesRead::UpTo(place)),
                Located::NotInMemory if !may_wait => return Ok(ChangesRead::NotInMemory),
                Located::NotInMemory => {
                    let read = self.read_older(place);
                    match read.map_err(|error| PlatformError::Unavailable(error.to_string()))? {
                        Some(batch) => batch,
                        None => return Ok(ChangesRead::Gone(self.newest_place())),
                    }
                }
            };
            if let ControlFlow::Break(reached) = batch.visit(place, &filter, visit) {
                return Ok(ChangesRead::UpTo(reached));
            }
            place = batch.to;
        }
    }
}

impl RecentBatches {
    fn push(&mut self, batch: RenderedBatch) {
        self.end = batch.to;
        if batch.len() == 0 && self.batches.back().is_some_and(|last| last.len() == 0) {
            // Ticks without changes are one batch, however many there are.
            if let Some(last) = self.batches.pop_back() {
                self.batches.push_back(Arc::new(batch.extended_to(last.from)));
            }
            return;
        }
        self.changes += batch.len();
        self.batches.push_back(Arc::new(batch));
        while self.changes > RECENT_CHANGES {
            let Some(oldest) = self.batches.pop_front() else { return };
            self.changes -= oldest.len();
        }
    }
}
