use super::*;
use crate::testing::{TestStore, list, rule, segment};

/// A receiver that keeps what it gets, and fails while it is told to.
#[derive(Default)]
struct Received {
    updates: Mutex<Vec<(String, u64, String)>>,
    is_away: Mutex<bool>,
}

impl SegmentUpdates for Received {
    fn send(&self, updates: &[SegmentUpdate]) -> Result<(), String> {
        if *self.is_away.lock() {
            return Err("it is away".to_owned());
        }
        let shown = updates.iter().map(|one| (one.segment_id.clone(), one.version, one.action.clone()));
        self.updates.lock().extend(shown);
        Ok(())
    }
}

fn shown(id: &str, version: u64, action: &str) -> (String, u64, String) {
    (id.to_owned(), version, action.to_owned())
}

#[test]
fn every_change_of_a_segment_is_sent_in_order_and_once() {
    let editor = Editor::open_without_engine(TestStore::open()).unwrap();
    let receiver = Received::default();
    editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
    editor.create_segment(list("l", &["u"]), "ann").unwrap();
    editor.erase_user(&["u".to_owned()], true, "ann").unwrap();
    editor.delete_segment("a", None, "ann").unwrap();
    assert_eq!(send_some(&editor, &receiver), Ok(true));
    let expected =
        [shown("a", 1, "created"), shown("l", 1, "created"), shown("l", 2, "updated"), shown("a", 1, "deleted")];
    assert_eq!(*receiver.updates.lock(), expected);
    assert_eq!(send_some(&editor, &receiver), Ok(true));
    assert_eq!(receiver.updates.lock().len(), 4, "nothing is sent again");
}

#[test]
fn a_receiver_that_is_away_gets_the_changes_later() {
    let editor = Arc::new(Editor::open_without_engine(TestStore::open()).unwrap());
    let receiver = Arc::new(Received::default());
    *receiver.is_away.lock() = true;
    editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
    assert!(send_some(&editor, &*receiver).is_err());

    *receiver.is_away.lock() = false;
    let sender = UpdateSender::default();
    assert_eq!(sender.fault(), None, "there is no receiver yet");
    sender.start(receiver.clone(), editor.clone()).unwrap();
    editor.close();
    sender.finish(Instant::now());
    assert_eq!(*receiver.updates.lock(), [shown("a", 1, "created")]);
    assert_eq!(sender.fault(), Some(None));
}
