//! Previews as the API asks for them: they wait for the thread of edits, which does one at a time; edits go first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use audience_kernel::message::SampledCount;
use audience_kernel::program::Program;
use audience_protocol::{
    MissingOnly, PlatformError, Preview, PreviewInput, PreviewPhase, PreviewProgress, Result, SPANS, SegmentKind,
};
use audience_rules::ast::SegmentId;
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::{Fault, code};
use audience_rules::json::parse_json;
use parking_lot::Mutex;

use super::documents::Documents;
use super::editor::{Editor, Target};
use crate::edit::Watch;
use crate::engine::EngineError;
use crate::preview::{Asked, Outcome, Previews};
use crate::rule_set::RuleSet;

/// Previews that wait at a time.
const MOST_WAITING: usize = 32;
/// How many users are named of each kind where nothing is said, and at most.
const SAMPLES: u32 = 10;
const MOST_SAMPLES: u32 = 100;
/// Between looks at how far a preview is.
const LOOK: Duration = Duration::from_millis(100);
/// How long the measures of a preview stay: as long as somebody may be typing.
const KEPT: Duration = Duration::from_secs(60);

/// A preview that was asked for.
struct Job {
    input: PreviewInput,
    state: Arc<State>,
    answer: SyncSender<Result<Preview>>,
    begun: Instant,
}

/// How far a preview is, and whether anybody still wants it.
#[derive(Default)]
struct State {
    is_unwanted: AtomicBool,
    is_running: AtomicBool,
    scanned: AtomicU64,
    total: AtomicU64,
}

impl State {
    fn progress(&self) -> PreviewProgress {
        let is_running = self.is_running.load(Ordering::Relaxed);
        let phase = if is_running { PreviewPhase::Scanning } else { PreviewPhase::Waiting };
        let (done, total) = (self.scanned.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        PreviewProgress { phase, done: done.min(total), total }
    }
}

/// Looks on while history is scanned: stops where nobody wants the preview any more, or an edit waits.
struct Scan<'a> {
    state: &'a State,
    editor: &'a Editor,
}

impl Watch for Scan<'_> {
    fn scanned(&self, events: u64, of: u64) -> bool {
        self.state.scanned.store(events, Ordering::Relaxed);
        self.state.total.store(of, Ordering::Relaxed);
        let is_wanted = !self.state.is_unwanted.load(Ordering::Relaxed);
        is_wanted && !self.editor.has_waiting() && !self.editor.is_closed()
    }
}

/// The previews that wait.
#[derive(Default)]
pub struct Waiting(Mutex<VecDeque<Job>>);

impl Waiting {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Lets nobody wait any longer.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Editor {
    /// What rules would change. Blocks until that is counted.
    pub fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        let _span = tracing::info_span!(target: SPANS, "preview").entered();
        // Faults are told at once, however long the queue is.
        self.read(|documents| checked(documents, &input).map(drop))?;
        let (answer, answered) = sync_channel(1);
        let state = Arc::new(State::default());
        {
            let mut waiting = self.previews.0.lock();
            waiting.retain(|job| !job.state.is_unwanted.load(Ordering::Relaxed));
            if waiting.len() >= MOST_WAITING {
                return Err(PlatformError::Busy { retry_after_seconds: 1 });
            }
            waiting.push_back(Job { input, state: state.clone(), answer, begun: Instant::now() });
        }
        self.wake();
        if self.is_closed() {
            // Whoever closed it has let go of those that waited, or had not seen this one.
            self.previews.clear();
        }
        loop {
            match answered.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if watch(state.progress()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    state.is_unwanted.store(true, Ordering::Relaxed);
                    return Err(PlatformError::Unavailable("the preview was given up".to_owned()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PlatformError::Unavailable("the engine is stopping".to_owned()));
                }
            }
        }
    }

    /// Does the next preview that waits; gives whether there was one. Only the thread of edits calls this.
    pub(super) fn do_preview(
        &self,
        target: &Target<'_>,
        in_force: &RuleSet,
        previews: &mut Previews,
    ) -> Result<bool, EngineError> {
        let Some(job) = self.previews.0.lock().pop_front() else {
            let is_old = previews.kept_since().is_some_and(|since| since.elapsed() > KEPT);
            return if is_old { previews.forget(target.engine, target.standing).map(|()| true) } else { Ok(false) };
        };
        if job.state.is_unwanted.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let prepared = match self.read(|documents| prepare(documents, &job.input)) {
            Ok(prepared) => prepared,
            Err(fault) => {
                let _ = job.answer.send(Err(fault));
                return Ok(true);
            }
        };
        job.state.is_running.store(true, Ordering::Relaxed);
        let scan = Scan { state: &job.state, editor: self };
        let lacking = previews.lacking(in_force, &prepared.asked);
        // No checkpoint holds a part of a measure's history.
        let turn = (!lacking.measures.is_empty()).then(|| target.turn.lock());
        let outcome = previews.run(target.engine, target.log, target.standing, &prepared.asked, lacking, &scan)?;
        drop(turn);
        job.state.is_running.store(false, Ordering::Relaxed);
        match outcome {
            Some(outcome) => {
                let _ = job.answer.send(Ok(prepared.answer(outcome, job.begun)));
            }
            // An edit waits: it goes first.
            None if !job.state.is_unwanted.load(Ordering::Relaxed) => self.previews.0.lock().push_front(job),
            None => {}
        }
        Ok(true)
    }
}

/// A preview that is ready to run.
struct Prepared {
    asked: Asked,
    samples: usize,
    running_version: Option<u64>,
    status: Option<SegmentStatus>,
}

fn samples(input: &PreviewInput) -> Result<u32> {
    let samples = input.sample_size.unwrap_or(SAMPLES);
    if samples <= MOST_SAMPLES {
        return Ok(samples);
    }
    let message = format!("at most {MOST_SAMPLES} users of each kind are named");
    Err(PlatformError::Invalid(vec![Fault { pointer: "/sampleSize".into(), code: code::OUT_OF_RANGE, message }]))
}

fn checked(documents: &Documents, input: &PreviewInput) -> Result<Program> {
    samples(input)?;
    let id = input.id.as_deref().unwrap_or_default();
    let known = documents.segments.get(id).map(|known| &known.stored.document);
    let fault = |pointer: &str, code, message: String| {
        PlatformError::Invalid(vec![Fault { pointer: pointer.to_owned(), code, message }])
    };
    if known.is_some_and(|document| document.kind == SegmentKind::Static) {
        let message = format!("segment {id:?} is a list of members: it has no rules");
        return Err(fault("/id", code::DOES_NOT_FIT, message));
    }
    let json = parse_json(input.rules.get().as_bytes())
        .map_err(|error| fault("/rules", "malformed_json", error.to_string()))?;
    let below_rules = |faults: Vec<Fault>| {
        let below = |fault: Fault| Fault { pointer: format!("/rules{}", fault.pointer), ..fault };
        PlatformError::Invalid(faults.into_iter().map(below).collect())
    };
    let rules = documents.catalogue.check_rules(id, &json).map_err(below_rules)?;
    Ok(Program::compile(&rules, &documents.catalogue))
}

fn prepare(documents: &Documents, input: &PreviewInput) -> Result<Prepared> {
    let program = Arc::new(checked(documents, input)?);
    let samples = samples(input)?;
    let id = input.id.as_deref().unwrap_or_default();
    let running = documents.catalogue.segments.get(id).filter(|segment| segment.status == SegmentStatus::Active);
    let against: Option<SegmentId> = running.map(|segment| segment.id.clone());
    Ok(Prepared {
        asked: Asked { program, against, samples },
        samples: samples as usize,
        running_version: running.map(|segment| segment.version),
        status: documents.segments.get(id).map(|known| known.stored.document.status),
    })
}

impl Prepared {
    fn answer(self, outcome: Outcome, begun: Instant) -> Preview {
        let Outcome { previewed, is_history_scanned } = outcome;
        let sample = |counted: SampledCount| spread(counted.sample, self.samples);
        Preview {
            size: previewed.members,
            entered: previewed.entered.count,
            left: previewed.left.count,
            missing_only: MissingOnly { size: previewed.by_missing.count, sample: sample(previewed.by_missing) },
            sample_entered: sample(previewed.entered),
            sample_left: sample(previewed.left),
            users: previewed.users,
            running_version: self.running_version,
            status: self.status,
            took_milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            history_scanned: is_history_scanned,
        }
    }
}

/// At most so many, from everywhere: they stand worker by worker.
fn spread(sample: Vec<String>, most: usize) -> Vec<String> {
    let (count, taken) = (sample.len(), sample.len().min(most));
    let mut wanted = (0..taken).map(|place| place * count / taken).peekable();
    let spread = sample.into_iter().enumerate().filter(|(at, _)| wanted.next_if_eq(at).is_some());
    let mut spread: Vec<String> = spread.map(|(_, user)| user).collect();
    spread.sort_unstable();
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread() {
        let users = |users: &[&str]| users.iter().map(|user| (*user).to_owned()).collect::<Vec<_>>();
        assert_eq!(spread(users(&["d", "c", "b", "a"]), 2), ["b", "d"]);
        assert_eq!(spread(users(&["b", "a"]), 10), ["a", "b"]);
        assert_eq!(spread(users(&["a"]), 0), users(&[]));
        assert_eq!(spread(users(&[]), 3), users(&[]));
    }
}
