use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;
use crate::documents::Documents;
use crate::enforcement::{CountedUsers, PreviewCounts, PreviewedRule};
use crate::testing::{TestStore, preview, rule, segment};

/// The requests of reconciliation to the engine.
#[derive(Debug, PartialEq, Eq)]
enum RequestCounts {
    Enforce(u64),
    Interrupted,
    Counted,
}

/// An engine that writes down what it is asked, and fails from a version on.
struct FakeEngine {
    asked: SyncSender<RequestCounts>,
    fails_from: u64,
    /// True if the next preview takes until it is stopped.
    is_slow: bool,
}

impl FakeEngine {
    fn new() -> (FakeEngine, Receiver<RequestCounts>) {
        let (asked, seen) = sync_channel(100);
        (FakeEngine { asked, fails_from: u64::MAX, is_slow: false }, seen)
    }

    fn note(&self, asked: RequestCounts) {
        self.asked.send(asked).unwrap();
    }
}

impl Enforcement for FakeEngine {
    type Error = String;

    fn enforce(&mut self, documents: &Documents) -> Result<(), String> {
        self.note(RequestCounts::Enforce(documents.version));
        if documents.version < self.fails_from { Ok(()) } else { Err("the engine failed".to_owned()) }
    }

    fn preview(
        &mut self,
        _: &PreviewedRule,
        watch: &(dyn Fn(u64, u64) -> bool + Sync),
    ) -> Result<Option<PreviewCounts>, String> {
        if std::mem::take(&mut self.is_slow) {
            while watch(1, 2) {
                std::thread::yield_now();
            }
            self.note(RequestCounts::Interrupted);
            return Ok(None);
        }
        self.note(RequestCounts::Counted);
        let entered = CountedUsers { count: 2, sample: vec!["b".to_owned(), "a".to_owned()] };
        Ok(Some(PreviewCounts { users: 5, members: 3, entered, ..PreviewCounts::default() }))
    }

    fn free_preview(&mut self) -> Result<bool, String> {
        Ok(false)
    }
}

fn editor() -> Editor {
    Editor::open(TestStore::open(), 0).unwrap()
}

#[test]
fn an_edit_is_answered_once_it_is_in_force() {
    let editor = editor();
    let (mut engine, seen) = FakeEngine::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| editor.reconcile(&mut engine));
        editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
        assert_eq!(editor.in_force(), 1);
        editor.create_segment(segment("b", &rule("see")), "ann").unwrap();
        assert_eq!(editor.in_force(), 2);
        editor.close();
        running.join().unwrap().unwrap();
    });
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [RequestCounts::Enforce(1), RequestCounts::Enforce(2)]);
}

#[test]
fn an_edit_that_waits_at_the_close_still_comes_into_force() {
    let editor = editor();
    let (mut engine, _seen) = FakeEngine::new();
    let input = serde_json::from_value(serde_json::json!({"name": "d", "status": "DRAFT", "members": []})).unwrap();
    editor.create_segment(input, "ann").unwrap();
    editor.close();
    editor.reconcile(&mut engine).unwrap();
    assert_eq!(editor.in_force(), 1);
}

#[test]
fn nobody_waits_for_an_edit_once_the_engine_has_failed() {
    let editor = editor();
    let (mut engine, _seen) = FakeEngine::new();
    engine.fails_from = 1;
    std::thread::scope(|scope| {
        // As a start waits for edits that another process made while nothing ran.
        let waiting = scope.spawn(|| editor.wait_until_in_force(1, Duration::from_secs(600)));
        let running = scope.spawn(|| editor.reconcile(&mut engine));
        // Its own wait ends as well, and the edit stands, without effect.
        editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
        running.join().unwrap().unwrap_err();
        waiting.join().unwrap();
    });
    assert_eq!(editor.in_force(), 0);
}

#[test]
fn a_preview_is_counted_and_its_sample_is_in_order() {
    let editor = editor();
    let (mut engine, _seen) = FakeEngine::new();
    std::thread::scope(|scope| {
        scope.spawn(|| editor.reconcile(&mut engine));
        let counted = editor.preview(preview(&rule("buy")), &mut |_| true).unwrap();
        assert_eq!((counted.users, counted.size, counted.entered, counted.left), (5, 3, 2, 0));
        assert_eq!(counted.sample_entered, ["a", "b"]);
        editor.close();
    });
}

#[test]
fn an_edit_goes_before_a_preview_that_is_being_counted() {
    let editor = editor();
    let (mut engine, seen) = FakeEngine::new();
    engine.is_slow = true;
    std::thread::scope(|scope| {
        scope.spawn(|| editor.reconcile(&mut engine));
        let caller = scope.spawn(|| {
            let mut is_edited = false;
            editor.preview(preview(&rule("buy")), &mut |progress| {
                // The scan is under way: an edit comes.
                if progress.done == 1 && !std::mem::replace(&mut is_edited, true) {
                    editor.create_segment(segment("a", &rule("see")), "ann").unwrap();
                }
                true
            })
        });
        assert_eq!(caller.join().unwrap().unwrap().size, 3);
        editor.close();
    });
    let expected = [RequestCounts::Interrupted, RequestCounts::Enforce(1), RequestCounts::Counted];
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_preview_whose_caller_leaves_is_given_up() {
    let editor = editor();
    let (mut engine, seen) = FakeEngine::new();
    engine.is_slow = true;
    std::thread::scope(|scope| {
        scope.spawn(|| editor.reconcile(&mut engine));
        let refused = editor.preview(preview(&rule("buy")), &mut |_| false);
        assert!(matches!(refused, Err(PlatformError::Unavailable(_))));
        assert_eq!(seen.recv_timeout(Duration::from_secs(10)).unwrap(), RequestCounts::Interrupted);
        editor.close();
    });
    assert!(seen.try_recv().is_err(), "it is not counted again");
}

#[test]
fn an_engines_failure_ends_reconciliation() {
    let editor = editor();
    let (mut engine, _seen) = FakeEngine::new();
    engine.fails_from = 1;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| editor.reconcile(&mut engine));
        // The edit is stored, and its answer waits no longer than its patience.
        editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
        assert_eq!(running.join().unwrap().unwrap_err(), "the engine failed");
    });
    assert_eq!((editor.in_force(), editor.newest()), (0, 1));
}

#[test]
fn a_preview_after_the_close_is_refused() {
    let editor = editor();
    editor.close();
    let refused = editor.preview(preview(&rule("buy")), &mut |_| true);
    assert!(matches!(refused, Err(PlatformError::Unavailable(why)) if why == "the engine is stopping"));
}
