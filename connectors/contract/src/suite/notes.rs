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
