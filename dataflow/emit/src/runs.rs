//! The runs of a data directory, each from one start to the next. A sink holds what one of them emitted, or what another data
//! directory did.
//!
//! Ticks are numbered within a data directory. Two directories, or a directory and a copy of it that both went on, emit
//! different changes under the same numbers. A sink that took one's ticks for the other's would lose some changes and repeat
//! others. So each run has a number that no other has, and a sink stores it with its position.

use audience_background::{Backoff, Stop};
use audience_contract::{Notes, Progress, Reach, StoreError};

use crate::change_log_name::CHANGE_LOG;

/// The key of the note that holds the runs.
const RUNS: &[u8] = b"runs";

/// Forgets the name of the change log and the runs that wrote it: no position in it counts any more, and every follower begins
/// anew. Called before the start of a run.
pub fn take_changes_as_new(notes: &dyn Notes) -> Result<(), StoreError> {
    notes.write(&[(RUNS.to_vec(), None), (CHANGE_LOG.to_vec(), None)])
}

/// Runs that are remembered at most: an earlier run counts as one of another directory.
const KNOWN: usize = 10_000;

/// Which run emitted which ticks, as far as the change log goes back.
#[derive(Debug)]
pub struct Runs {
    /// Per run its number, and the last tick before it; oldest first. The last is the current run.
    known: Vec<(u64, u64)>,
}

impl Runs {
    /// Begins a run after the tick `newest` of a change log that goes back to `floor`. If the notes cannot be written just now,
    /// it retries until they can.
    pub fn begin(notes: &dyn Notes, newest: u64, floor: u64) -> Result<Runs, StoreError> {
        let (mut backoff, never) = (Backoff::default(), Stop::new());
        loop {
            match Runs::try_begin(notes, newest, floor) {
                Err(error @ StoreError::Unavailable { .. }) => {
                    let wait = backoff.next();
                    tracing::error!(%error, ?wait, "The start cannot note its run and retries");
                    never.wait(wait);
                }
                begun => return begun,
            }
        }
    }

    fn try_begin(notes: &dyn Notes, newest: u64, floor: u64) -> Result<Runs, StoreError> {
        let mut runs = Runs { known: Vec::new() };
        if let Some(noted) = notes.get(RUNS)? {
            let damaged = |error: bincode::Error| StoreError::Corrupt {
                place: "the runs of the data directory".to_owned(),
                detail: error.to_string(),
            };
            runs.known = bincode::deserialize(&noted).map_err(damaged)?;
        }
        // A note about ticks that this log does not have is about another log.
        runs.known.iter_mut().for_each(|(_, begin)| *begin = newest.min(*begin));
        // No run has the number 0, which stands for an unknown one.
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

    /// Returns whether this data directory emitted everything up to `progress`, and nothing else. A progress without a run is older
    /// than runs are, and counts as this directory's.
    pub fn has_emitted(&self, progress: Progress) -> bool {
        let Some(index) = self.known.iter().position(|(run, _)| *run == progress.run) else {
            return progress.run == 0;
        };
        // It emitted the ticks after the next run's start in another copy of the directory.
        self.known.get(index + 1).is_none_or(|(_, end)| progress.tick <= *end)
    }

    /// Returns the position of a sink that holds everything up to `progress`; with `up_to`, of users up to that id alone.
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
    struct MemoryNotes(std::sync::Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

    impl MemoryNotes {
        fn copied(&self) -> MemoryNotes {
            MemoryNotes(std::sync::Arc::new(Mutex::new(self.0.lock().clone())))
        }

        fn run(&self, newest: u64, floor: u64) -> Runs {
            Runs::try_begin(self, newest, floor).unwrap()
        }
    }

    impl Notes for MemoryNotes {
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

    /// The progress of a sink that this run brought to that tick.
    fn at(runs: &Runs, tick: u64) -> Progress {
        runs.reach(Progress { tick, ..Progress::default() }, None).progress()
    }

    #[test]
    fn a_directory_knows_what_its_own_runs_emitted() {
        let notes = MemoryNotes::default();
        let first = notes.run(0, 0);
        assert!(first.has_emitted(at(&first, 0)) && first.has_emitted(at(&first, 100)));
        let second = notes.run(100, 0);
        assert!(second.has_emitted(at(&first, 100)) && second.has_emitted(at(&second, 150)));
        assert!(!second.has_emitted(at(&first, 101)), "a copy emitted that");
        assert!(second.has_emitted(Progress { tick: 7, ..Progress::default() }), "it is older than runs are");
        assert!(!second.has_emitted(at(&MemoryNotes::default().run(0, 0), 7)), "another directory emitted that");
    }

    #[test]
    fn a_copy_that_went_on_alone_counts_as_another_directory() {
        let notes = MemoryNotes::default();
        let first = notes.run(0, 0);
        let copy = notes.copied();
        let (here, there) = (notes.run(100, 0), copy.run(60, 0));
        assert!(!there.has_emitted(at(&here, 61)) && !here.has_emitted(at(&there, 101)));
        assert!(there.has_emitted(at(&first, 60)) && !there.has_emitted(at(&first, 61)));
        assert!(here.has_emitted(at(&first, 100)));
    }

    #[test]
    fn runs_that_ended_before_the_change_log_begins_are_forgotten() {
        let notes = MemoryNotes::default();
        let old = notes.run(0, 0);
        for tick in 1..=20 {
            notes.run(10 * tick, 0);
        }
        let runs = notes.run(300, 102);
        assert_eq!(runs.known.first().map(|(_, begin)| *begin), Some(100), "{:?}", runs.known);
        assert!(!runs.has_emitted(at(&old, 5)));
        let known: Vec<(u64, u64)> = (1..=KNOWN as u64).map(|run| (run, 300)).collect();
        notes.write(&[(RUNS.to_vec(), Some(bincode::serialize(&known).unwrap()))]).unwrap();
        let runs = notes.run(300, 102);
        assert_eq!((runs.known.len(), runs.known[0].0), (KNOWN, 2));
    }
}
