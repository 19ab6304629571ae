//! Checks of [`MessageIndex`] and [`CheckpointStore`].

use std::sync::Arc;
use std::thread;

use crate::{CheckpointStore, MessageIndex};

/// Every sentence of [`MessageIndex`].
pub fn message_index(open: &mut dyn FnMut() -> Arc<dyn MessageIndex>) {
    let index = open();
    assert_eq!(index.first(&[1, u128::MAX]).expect("first"), [None, None]);
    assert!(index.note(&[]).expect("note").is_empty());
    assert_eq!(index.note(&[(1, 50), (2, 60), (1, 55), (u128::MAX, 70)]).expect("note"), [50, 60, 50, 70]);
    assert_eq!(index.note(&[(1, 50), (2, 60), (1, 55), (u128::MAX, 70)]).expect("note"), [50, 60, 50, 70], "repeated");
    assert_eq!(index.note(&[(2, 61), (1, 49), (3, 5), (3, 4)]).expect("note"), [60, 49, 5, 4], "the least counts");
    let first = [Some(49), Some(60), Some(4), None, Some(70)];
    assert_eq!(index.first(&[1, 2, 3, 4, u128::MAX]).expect("first"), first);
    assert_eq!(index.note(&[(5, 10), (6, 20)]).expect("note"), [10, 20]);
    for _ in 0..2 {
        index.forget(&[5, 6, 7], 20).expect("forget");
        assert_eq!(index.first(&[5, 6, 7]).expect("first"), [None, Some(20), None], "what is below is forgotten");
    }
    assert_eq!(index.note(&[(5, 30)]).expect("note"), [30], "a forgotten key is new");
    index.forget(&[5], u64::MAX).expect("forget");
    notes_together(&index);
    index.flush().expect("flush");
    drop(index);
    let index = open();
    assert_eq!(index.first(&[1, 2, 3, 4, u128::MAX]).expect("first"), first, "what was flushed is durable");
    assert_eq!(index.first(&[1_000_077, 5, 6]).expect("first"), [Some(77), None, Some(20)]);
    assert_eq!(index.note(&[(1, 100)]).expect("note"), [49]);
}

fn notes_together(index: &Arc<dyn MessageIndex>) {
    let threads = (0..4u64).map(|thread| {
        let index = Arc::clone(index);
        thread::spawn(move || {
            for batch in 0..50 {
                let sequences = (0..100).map(|at| thread + 4 * (batch * 100 + at));
                let messages: Vec<_> = sequences.map(|at| (1_000_000 + u128::from(at), at)).collect();
                let least = index.note(&messages).expect("note");
                assert!(least.iter().zip(&messages).all(|(least, message)| *least == message.1));
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("a thread notes"));
    let keys: Vec<u128> = (1_000_000..1_020_000).collect();
    assert!(index.first(&keys).expect("first").into_iter().eq((0..20_000).map(Some)));
}

/// Every sentence of [`CheckpointStore`].
pub fn checkpoint_store(open: &mut dyn FnMut() -> Arc<dyn CheckpointStore>) {
    let store = open();
    assert!(store.list().expect("list").is_empty());
    assert!(store.manifest(7).is_err(), "there is none");
    let large = vec![3; 5 << 20];
    store.put_shard(7, 0, b"first try").expect("put_shard");
    store.put_shard(7, 0, b"seven zero").expect("put_shard");
    store.put_shard(7, 12, &large).expect("put_shard");
    assert!(store.list().expect("list").is_empty(), "it is not finished");
    assert!(store.shard(7, 0).is_err());
    store.finish(7, b"manifest of seven").expect("finish");
    assert!(store.put_shard(7, 1, b"late").is_err(), "it is finished");
    store.put_shard(20, 0, b"twenty").expect("put_shard");
    store.finish(20, b"").expect("finish");
    store.finish(15, b"has no shards").expect("finish");
    store.put_shard(30, 5, b"never finished").expect("put_shard");
    let check = |store: &dyn CheckpointStore| {
        assert_eq!(store.list().expect("list"), [20, 15, 7], "newest first");
        assert_eq!(store.manifest(7).expect("manifest"), b"manifest of seven");
        assert_eq!(store.manifest(20).expect("manifest"), b"");
        assert_eq!(store.shard(7, 0).expect("shard").as_deref(), Some(&b"seven zero"[..]), "the last one written");
        assert_eq!(store.shard(7, 12).expect("shard"), Some(large.clone()));
        assert_eq!(store.shard(7, 1).expect("shard"), None);
        assert_eq!(store.shard(15, 0).expect("shard"), None);
        assert!(store.manifest(30).is_err(), "it was never finished");
    };
    check(&*store);
    drop(store);
    let store = open();
    check(&*store);
    store.put_shard(30, 0, b"another run").expect("put_shard");
    store.finish(30, b"thirty").expect("finish");
    assert_eq!(store.shard(30, 5).expect("shard"), None, "shards of another run are gone");
    store.put_shard(25, 0, b"given up").expect("put_shard");
    store.put_shard(31, 0, b"being written").expect("put_shard");
    store.prune(2).expect("prune");
    assert_eq!(store.list().expect("list"), [30, 20]);
    assert!(store.manifest(7).is_err() && store.shard(15, 0).is_err());
    store.finish(31, b"thirty-one").expect("finish");
    for _ in 0..2 {
        store.remove(20).expect("remove");
        assert_eq!(store.list().expect("list"), [31, 30]);
    }
    assert_eq!((store.found().expect("found"), store.size(31).expect("size")), (vec![31, 30], Some(13)));
    assert_eq!(store.shard(31, 0).expect("shard").as_deref(), Some(&b"being written"[..]), "pruning spares it");
    store.prune(0).expect("prune");
    assert!(store.list().expect("list").is_empty());
    drop(store);
    assert!(open().list().expect("list").is_empty());
}
