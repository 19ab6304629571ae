//! Previews on their way: the queue of those that wait, the check of a request, and its answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use audience_protocol::{
    MissingOnly, PlatformError, Preview, PreviewInput, PreviewPhase, PreviewProgress, Result, SegmentKind,
};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::code;
use audience_rules::json::parse_json;
use parking_lot::Mutex;

use crate::checks::{below_rules, invalid, malformed_rules};
use crate::documents::Documents;
use crate::documents_with::DocumentsWith;
use crate::enforcement::{CountedUsers, PreviewCounts, PreviewedRule};

/// The most previews that wait at a time.
const MAX_WAITING: usize = 32;
/// The number of users of each kind that are named if the request does not say.
const DEFAULT_SAMPLES: u32 = 10;
/// The most users of each kind that are named.
const MAX_SAMPLES: u32 = 100;

/// A preview that waits, or that is being counted.
pub(crate) struct QueuedPreview {
    pub input: PreviewInput,
    pub state: Arc<PreviewState>,
    pub answer: SyncSender<Result<Preview>>,
    pub begun: Instant,
}

/// The progress of a preview, and whether its caller still waits.
#[derive(Default)]
pub(crate) struct PreviewState {
    is_cancelled: AtomicBool,
    is_running: AtomicBool,
    scanned: AtomicU64,
    total: AtomicU64,
}

impl PreviewState {
    /// The progress as the API shows it.
    pub(crate) fn progress(&self) -> PreviewProgress {
        let is_running = self.is_running.load(Ordering::Relaxed);
        let phase = if is_running { PreviewPhase::Scanning } else { PreviewPhase::Waiting };
        let (done, total) = (self.scanned.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        PreviewProgress { phase, done: done.min(total), total }
    }

    /// Notes that so many events are scanned of so many.
    pub(crate) fn scanned(&self, events: u64, of: u64) {
        self.scanned.store(events, Ordering::Relaxed);
        self.total.store(of, Ordering::Relaxed);
    }

    /// Notes whether it is being counted.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Ordering::Relaxed);
    }

    /// Notes that nobody waits for the answer any more.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns whether nobody waits for the answer any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}

/// The previews that wait, oldest first.
#[derive(Default)]
pub(crate) struct PreviewQueue(Mutex<VecDeque<QueuedPreview>>);

impl PreviewQueue {
    /// Returns whether no preview waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Drops all previews: their callers learn that the engine stops.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Adds a preview at the end. Refuses where too many wait whose callers still do.
    pub(crate) fn push(&self, preview: QueuedPreview) -> Result<()> {
        let mut waiting = self.0.lock();
        waiting.retain(|preview| !preview.state.is_cancelled());
        if waiting.len() >= MAX_WAITING {
            return Err(PlatformError::Busy { retry_after_seconds: 1 });
        }
        waiting.push_back(preview);
        Ok(())
    }

    /// Puts a preview back that was interrupted: it is the next one.
    pub(crate) fn put_back(&self, preview: QueuedPreview) {
        self.0.lock().push_front(preview);
    }

    /// Takes the oldest preview.
    pub(crate) fn pop(&self) -> Option<QueuedPreview> {
        self.0.lock().pop_front()
    }
}

fn samples(input: &PreviewInput) -> Result<u32> {
    let samples = input.sample_size.unwrap_or(DEFAULT_SAMPLES);
    if samples <= MAX_SAMPLES {
        return Ok(samples);
    }
    Err(invalid("/sampleSize", code::OUT_OF_RANGE, format!("at most {MAX_SAMPLES} users of each kind are named")))
}

/// A preview whose request is checked.
pub(crate) struct CheckedPreview {
    /// The rule.
    pub rule: PreviewedRule,
    running_version: Option<u64>,
    status: Option<SegmentStatus>,
}

impl CheckedPreview {
    /// Checks a request against the documents.
    pub(crate) fn new(documents: Arc<Documents>, input: &PreviewInput) -> Result<CheckedPreview> {
        let samples = samples(input)?;
        let id = input.id.as_deref().unwrap_or_default();
        let known = documents.segments.get(id).map(|segment| segment.stored.document.clone());
        if known.as_ref().is_some_and(|document| document.kind == SegmentKind::Static) {
            let message = format!("segment {id:?} is a list of members: it has no rules");
            return Err(invalid("/id", code::DOES_NOT_FIT, message));
        }
        let json = parse_json(input.rules.get().as_bytes()).map_err(|fault| malformed_rules(&fault))?;
        let (rule, documents) = match &input.with_trait {
            None => (documents.catalogue.check_rules(id, &json).map_err(below_rules)?, documents),
            Some(definition) => {
                let with = DocumentsWith::read(&documents, definition)?;
                let rule = with.documents.catalogue.check_rules(id, &json).map_err(below_rules)?;
                (with.inline(&rule), with.documents)
            }
        };
        let running = documents.catalogue.segments.get(id).filter(|segment| segment.status == SegmentStatus::Active);
        let (against, running_version) = (running.map(|one| one.id.clone()), running.map(|one| one.version));
        let status = known.map(|document| document.status);
        let break_down = input.break_down.as_deref().map(Into::into);
        let rule = PreviewedRule { rule, documents, against, samples, break_down };
        Ok(CheckedPreview { rule, running_version, status })
    }

    /// The answer, for a request that came at `begun`.
    pub(crate) fn answer(self, counts: PreviewCounts, begun: Instant) -> Preview {
        let sample = |users: CountedUsers| spread(users.sample, self.rule.samples as usize);
        Preview {
            size: counts.members,
            entered: counts.entered.count,
            left: counts.left.count,
            missing_only: MissingOnly { size: counts.by_missing.count, sample: sample(counts.by_missing) },
            sample_entered: sample(counts.entered),
            sample_left: sample(counts.left),
            users: counts.users,
            running_version: self.running_version,
            status: self.status,
            took_milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            history_scanned: counts.is_history_scanned,
            warnings: Vec::new(),
            values: counts.values,
        }
    }
}

/// At most `limit` users of a sample that stands worker by worker: some of every worker's.
fn spread(sample: Vec<String>, limit: usize) -> Vec<String> {
    let (count, taken) = (sample.len(), sample.len().min(limit));
    let mut wanted = (0..taken).map(|place| place * count / taken).peekable();
    let spread = sample.into_iter().enumerate().filter(|(at, _)| wanted.next_if_eq(at).is_some());
    let mut spread: Vec<String> = spread.map(|(_, user)| user).collect();
    spread.sort_unstable();
    spread
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use serde_json::json;

    use super::*;

    fn input(rules: &serde_json::Value, samples: Option<u32>) -> PreviewInput {
        serde_json::from_value(json!({"rules": rules, "sampleSize": samples})).unwrap()
    }

    fn queued() -> QueuedPreview {
        let (input, state) = (input(&json!({"event": "buy"}), None), Arc::default());
        QueuedPreview { input, state, answer: sync_channel(1).0, begun: Instant::now() }
    }

    #[test]
    fn a_sample_is_spread() {
        let users = |users: &[&str]| users.iter().map(|user| (*user).to_owned()).collect::<Vec<_>>();
        assert_eq!(spread(users(&["d", "c", "b", "a"]), 2), ["b", "d"]);
        assert_eq!(spread(users(&["b", "a"]), 10), ["a", "b"]);
        assert_eq!(spread(users(&["a"]), 0), users(&[]));
        assert_eq!(spread(users(&[]), 3), users(&[]));
    }

    #[test]
    fn a_full_queue_refuses_unless_a_caller_has_gone() {
        let queue = PreviewQueue::default();
        let first = queued();
        let state = first.state.clone();
        queue.push(first).unwrap();
        (1..MAX_WAITING).for_each(|_| queue.push(queued()).unwrap());
        assert!(matches!(queue.push(queued()), Err(PlatformError::Busy { .. })));
        state.cancel();
        queue.push(queued()).unwrap();
    }

    #[test]
    fn an_interrupted_preview_is_the_next() {
        let queue = PreviewQueue::default();
        let (first, second) = (queued(), queued());
        let state = first.state.clone();
        queue.push(first).unwrap();
        queue.push(second).unwrap();
        queue.put_back(queue.pop().unwrap());
        assert!(Arc::ptr_eq(&queue.pop().unwrap().state, &state));
    }

    #[test]
    fn faults_of_a_request_are_at_their_place() {
        let pointer = |rules: &serde_json::Value, samples: Option<u32>| match CheckedPreview::new(
            Arc::default(),
            &input(rules, samples),
        )
        .err()
        {
            Some(PlatformError::Invalid(faults)) => faults[0].pointer.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(&json!({"event": "buy", "operator": "no"}), None), "/rules/operator");
        assert_eq!(pointer(&json!({"event": "buy"}), Some(101)), "/sampleSize");
    }
}
