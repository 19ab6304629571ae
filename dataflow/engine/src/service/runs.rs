//! The runs of a data directory, each from a start to the next one: what a sink says that it holds was given out by one of them,
//! or from another directory.
//!
//! Ticks are numbered within a directory. Two directories, or one and a copy of it that both went on, have given out different
//! things under the same numbers; who took the ones for the others would lose changes and repeat others. So each run has a
//! number that nobody else has, which sinks are told beside the tick.

use audience_background::Backoff;
use audience_contract::{Notes, Progress, Reach, StoreError};

use super::{PlatformStores, pause};

/// Where they are noted.
const RUNS: &[u8] = b"runs";

/// The most that are known: what comes from an earlier one is taken for that of another directory.
const KNOWN: usize = 10_000;

/// Which run has given out which ticks, as far as the change log goes back.
#[derive(Debug)]
pub struct Runs {
    /// Of each its number, and the tick behind which it begins; oldest first. The last is the one that runs.
    known: Vec<(u64, u64)>,
}

impl Runs {
    /// Begins a run behind the tick `newest` of these stores, of which nothing was given out yet. Waits for room where they have
    /// none.
    pub fn begin(stores: &PlatformStores, newest: u64) -> Result<Runs, StoreError> {
        let mut backoff = Backoff::default();
        loop {
            match Runs::begin_over(&*stores.notes, newest, stores.changes.floor()?) {
                Err(error @ StoreError::Unavailable { .. }) => {
                    tracing::error!(%error, "the start cannot be noted; trying again");
                    pause(backoff.next());
                }
                begun => return begun,
            }
        }
    }

    /// The same over a change log that has what came from the tick `floor` on.
    fn begin_over(notes: &dyn Notes, newest: u64, floor: u64) -> Result<Runs, StoreError> {
        let mut runs = Runs { known: Vec::new() };
        if let Some(noted) = notes.get(RUNS)? {
            let damaged = |error: bincode::Error| StoreError::Corrupt {
                place: "the runs of the data directory".to_owned(),
                detail: error.to_string(),
            };
            runs.known = bincode::deserialize(&noted).map_err(damaged)?;
        }
        // Whatever was said of ticks that are not there any more, it is not of this log.
        runs.known.iter_mut().for_each(|(_, begin)| *begin = newest.min(*begin));
        // None is 0, which says that it is not known.
        runs.known.push((fastrand::u64(1..), newest));
        let needless = runs.known.iter().skip(1).take_while(|(_, end)| end.saturating_add(1) < floor).count();
        runs.known.drain(..needless.max(runs.known.len().saturating_sub(KNOWN)));
        let noted = bincode::serialize(&runs.known).map_err(|error| StoreError::Corrupt {
            place: "the runs of the data directory".to_owned(),
            detail: error.to_string(),
        })?;
        notes.write(&[(RUNS.to_vec(), Some(noted))])?;
        Ok(runs)
    }

    /// Whether this directory gave out everything up to that, and nothing else. Of before runs were told nobody knows better.
    pub fn gave_out(&self, progress: Progress) -> bool {
        let Some(index) = self.known.iter().position(|(run, _)| *run == progress.run) else {
            return progress.run == 0;
        };
        // What it gave out behind the begin of the next one, it did in another copy.
        self.known.get(index + 1).is_none_or(|(_, end)| progress.tick <= *end)
    }

    /// What a sink that holds all of that is to say of itself; `up_to` where it has only users up to that id.
    pub fn reach(&self, progress: Progress, up_to: Option<&str>) -> Reach {
        let run = self.known.last().map_or(0, |(run, _)| *run);
        let progress = Progress { run, ..progress };
        match up_to {
            None => Reach::All(progress),
            Some(up_to) => Reach::Users { progress, up_to: up_to.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    use audience_contract::{Note, Result, VisitNote};
    use parking_lot::Mutex;

    use super::*;

    /// Notes in memory.
    #[derive(Clone, Default)]
    struct Held(std::sync::Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

    impl Held {
        fn copied(&self) -> Held {
            Held(std::sync::Arc::new(Mutex::new(self.0.lock().clone())))
        }

        fn run(&self, newest: u64, floor: u64) -> Runs {
            Runs::begin_over(self, newest, floor).unwrap()
        }
    }

    impl Notes for Held {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
            Ok(self.0.lock().get(key).cloned())
        }

        fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()> {
            for (key, value) in self.0.lock().range(from.to_vec()..to.to_vec()) {
                if let ControlFlow::Break(()) = visit(key, value) {
                    break;
                }
            }
            Ok(())
        }

        fn write(&self, notes: &[Note]) -> Result<()> {
            for (key, value) in notes {
                match value {
                    Some(value) => self.0.lock().insert(key.clone(), value.clone()),
                    None => self.0.lock().remove(key),
                };
            }
            Ok(())
        }
    }

    /// What a sink says that has come so far with that run.
    fn at(runs: &Runs, tick: u64) -> Progress {
        runs.reach(Progress { tick, ..Progress::default() }, None).progress()
    }

    #[test]
    fn a_directory_knows_what_its_own_runs_gave_out() {
        let notes = Held::default();
        let first = notes.run(0, 0);
        assert!(first.gave_out(at(&first, 0)) && first.gave_out(at(&first, 100)));
        let second = notes.run(100, 0);
        assert!(second.gave_out(at(&first, 100)) && second.gave_out(at(&second, 150)));
        assert!(!second.gave_out(at(&first, 101)), "that came from a copy");
        assert!(second.gave_out(Progress { tick: 7, ..Progress::default() }), "of before runs were told");
        assert!(!second.gave_out(at(&Held::default().run(0, 0), 7)), "of another directory");
    }

    #[test]
    fn a_copy_that_went_on_by_itself_is_another() {
        let notes = Held::default();
        let first = notes.run(0, 0);
        let copy = notes.copied();
        let (here, there) = (notes.run(100, 0), copy.run(60, 0));
        assert!(!there.gave_out(at(&here, 61)) && !here.gave_out(at(&there, 101)));
        assert!(there.gave_out(at(&first, 60)) && !there.gave_out(at(&first, 61)));
        assert!(here.gave_out(at(&first, 100)));
    }

    #[test]
    fn runs_that_ended_before_the_change_log_begins_are_forgotten() {
        let notes = Held::default();
        let old = notes.run(0, 0);
        for tick in 1..=20 {
            notes.run(10 * tick, 0);
        }
        let runs = notes.run(300, 102);
        assert_eq!(runs.known.first().map(|(_, begin)| *begin), Some(100), "{:?}", runs.known);
        assert!(!runs.gave_out(at(&old, 5)));
        let known: Vec<(u64, u64)> = (1..=KNOWN as u64).map(|run| (run, 300)).collect();
        notes.write(&[(RUNS.to_vec(), Some(bincode::serialize(&known).unwrap()))]).unwrap();
        let runs = notes.run(300, 102);
        assert_eq!((runs.known.len(), runs.known[0].0), (KNOWN, 2));
    }
}
