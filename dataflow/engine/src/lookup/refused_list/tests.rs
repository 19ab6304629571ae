use std::collections::BTreeMap;

use audience_contract::VisitNote;
use audience_protocol::KEPT_REFUSED_BYTES;
use audience_rules::fault::Fault;

use super::*;

#[derive(Default)]
struct MapNotes(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Notes for MapNotes {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()> {
        for (key, value) in self.0.lock().range(from.to_vec()..to.to_vec()) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, notes: &[Note]) -> Result<()> {
        for (key, value) in notes {
            let mut map = self.0.lock();
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        Ok(())
    }
}

fn message(text: &str) -> RefusedMessage {
    RefusedMessage::new(0, "/v1/track", text.as_bytes(), Fault::whole("missing_member", "`event` is missing"))
}

fn texts(list: &RefusedList, before: Option<u64>, limit: usize) -> (Vec<String>, Option<String>) {
    let page = list.page(before, PageLimit::new(limit).unwrap()).unwrap();
    (page.items.into_iter().map(|item| item.text).collect(), page.next_cursor)
}

#[test]
fn the_newest_come_first_in_pages_and_over_a_restart() {
    let notes: Arc<MapNotes> = Arc::default();
    let list = RefusedList::new(notes.clone());
    list.keep(&["1", "2", "3"].map(message)).unwrap();
    let list = RefusedList::new(notes);
    list.keep(&[message("4")]).unwrap();
    assert_eq!(texts(&list, None, 2), (vec!["4".into(), "3".into()], Some("3".into())));
    assert_eq!(texts(&list, Some(3), 2), (vec!["2".into(), "1".into()], None));
    let kept = &list.page(None, PageLimit::default()).unwrap().items[0];
    assert_eq!((kept.id, kept.bytes, kept.is_whole, kept.fault.code.as_str()), (4, 1, true, "missing_member"));
}

#[test]
fn the_oldest_go_where_there_are_too_many_or_too_large_ones() {
    let list = RefusedList::new(Arc::<MapNotes>::default());
    let many: Vec<RefusedMessage> = (0..KEPT_REFUSED + 7).map(|nth| message(&nth.to_string())).collect();
    list.keep(&many[..5]).unwrap();
    list.keep(&many).unwrap();
    assert_eq!(list.kept.lock().as_ref().unwrap().sizes.len(), KEPT_REFUSED);
    assert_eq!(texts(&list, None, 1).0, [(KEPT_REFUSED + 6).to_string()]);
    let large = message(&"x".repeat(KEPT_REFUSED_BYTES + 1));
    for _ in 0..LIST_BYTES / KEPT_REFUSED_BYTES + 3 {
        list.keep(std::slice::from_ref(&large)).unwrap();
    }
    assert!(list.kept.lock().as_ref().unwrap().bytes <= LIST_BYTES);
    let page = list.page(None, PageLimit::default()).unwrap();
    assert!(!page.items[0].is_whole && page.items[0].bytes == KEPT_REFUSED_BYTES + 1);
    assert!(page.items.len() < 9 && page.next_cursor.is_some(), "a page of long ones ends early");
}

#[test]
fn a_user_is_given_their_messages_and_is_erased_from_all() {
    let list = RefusedList::new(Arc::<MapNotes>::default());
    let own = r#"{"type":"track","userId":"ann","properties":{}}"#;
    let device = r#"{"event":"$set","properties":{"distinct_id":"ann"}}"#;
    let other = r#"{"type":"track","userId":"bob","properties":{"friend":"ann"}}"#;
    let (number, broken) = (r#"{"userId":7}"#, r#"{"batch":[{"userId":"ann","#);
    list.keep(&[own, device, other, number, broken].map(message)).unwrap();
    let of = |id: &str| list.of_user(&[id.to_owned()]).unwrap().into_iter().map(|kept| kept.text).collect::<Vec<_>>();
    assert_eq!((of("ann"), of("7")), (vec![own.to_owned(), device.to_owned()], vec![number.to_owned()]));
    list.erase(&["ann".to_owned()]).unwrap();
    assert_eq!(texts(&list, None, 9), (vec![number.to_owned()], None));
    list.keep(&[message("later")]).unwrap();
    assert_eq!(list.page(None, PageLimit::default()).unwrap().items[0].id, 6);
}
