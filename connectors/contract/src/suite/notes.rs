//! Checks of [`Notes`].

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::Notes;

/// Every sentence of [`Notes`].
pub fn notes(open: &mut dyn FnMut() -> Arc<dyn Notes>) {
    let notes = open();
    assert_eq!(notes.get(b"a").expect("get"), None);
    let (long, large) = (vec![b'z'; 1024], vec![7; 1 << 20]);
    let written = [
        (b"a".to_vec(), Some(b"1".to_vec())),
        (b"b\0".to_vec(), Some(Vec::new())),
        (b"b\xff".to_vec(), Some(b"3".to_vec())),
        (long.clone(), Some(large.clone())),
        (b"none".to_vec(), None),
    ];
    notes.write(&written).expect("write");
    let check = |notes: &dyn Notes| {
        assert_eq!(notes.get(&long).expect("get"), Some(large.clone()));
        assert_eq!(notes.get(b"none").expect("get"), None);
        assert_eq!(keys(notes, b"a", b"c"), [b"a".to_vec(), b"b\0".to_vec(), b"b\xff".to_vec()]);
        assert_eq!(keys(notes, b"b", b"b\xff"), [b"b\0".to_vec()], "from is in, to is not");
        assert_eq!(keys(notes, b"c", b"d"), Vec::<Vec<u8>>::new());
        let mut visits = 0;
        let stopped = notes.visit(b"a", b"zz", &mut |_, _| {
            visits += 1;
            ControlFlow::Break(())
        });
        assert!(stopped.is_ok() && visits == 1, "a visit can stop");
    };
    check(&*notes);
    drop(notes);
    let notes = open();
    check(&*notes);
    notes.write(&[(b"a".to_vec(), Some(b"2".to_vec())), (b"b\0".to_vec(), None)]).expect("write");
    drop(notes);
    let notes = open();
    assert_eq!(notes.get(b"a").expect("get"), Some(b"2".to_vec()));
    assert_eq!(keys(&*notes, b"a", b"c"), [b"a".to_vec(), b"b\xff".to_vec()]);
}

/// Notes that are copied say what was written since a mark, and all where they do not know it.
pub fn copied_notes(open: &mut dyn FnMut() -> Arc<dyn Notes>) {
    let notes = open();
    notes.write(&[(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), Some(b"2".to_vec()))]).expect("write");
    let all = notes.changed_since(None).expect("all");
    let expected = [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), Some(b"2".to_vec()))];
    assert!(all.is_all && all.notes == expected, "{all:?}");
    let none = notes.changed_since(Some(all.mark)).expect("none");
    assert!(!none.is_all && none.notes.is_empty() && none.mark == all.mark, "{none:?}");
    let written = [(b"a".to_vec(), None), (b"c".to_vec(), Some(b"3".to_vec()))];
    written.iter().for_each(|note| notes.write(std::slice::from_ref(note)).expect("write"));
    let changed = notes.changed_since(Some(all.mark)).expect("changed");
    assert!(!changed.is_all && changed.notes == written, "{changed:?}");
    for _ in 0..40 {
        notes.write(&[(b"large".to_vec(), Some(vec![7; 1 << 20]))]).expect("write");
    }
    assert!(notes.changed_since(Some(changed.mark)).expect("all").is_all, "not everything is remembered");
    drop(notes);
    let notes = open();
    let anew = notes.changed_since(Some(changed.mark)).expect("all");
    assert!(anew.is_all && anew.notes.len() == 3, "a mark counts until the store is opened again");
}

fn keys(notes: &dyn Notes, from: &[u8], to: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let visited = notes.visit(from, to, &mut |key, value| {
        assert_eq!(notes.get(key).expect("get").as_deref(), Some(value));
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    });
    visited.expect("visit");
    keys
}
