//! The suite of leases.

use crate::{Lease, LeaseStore};

fn lease(version: u64, holder: &str) -> Lease {
    Lease { version, epoch: 1, holder: holder.to_owned(), lasts_ms: 1000, is_followed: false }
}

/// A store that holds nothing yet, seen by two processes.
pub fn lease_store(one: &dyn LeaseStore, other: &dyn LeaseStore) {
    assert_eq!(one.read().expect("read"), None);
    let first = lease(1, "one");
    assert!(one.replace(None, &first).expect("replace"));
    assert!(!other.replace(None, &lease(1, "other")).expect("replace"), "there is one already");
    assert_eq!(other.read().expect("read"), Some(first.clone()));
    let mut held = first.clone();
    for version in 2..=20 {
        let renewed = Lease { is_followed: version % 3 == 0, ..lease(version, "one") };
        assert!(one.replace(Some(&held), &renewed).expect("replace"), "{version}");
        held = renewed;
    }
    assert!(!other.replace(Some(&first), &lease(2, "other")).expect("replace"), "the first is long replaced");
    let taken = Lease { epoch: 2, ..lease(21, "other") };
    assert!(other.replace(Some(&held), &taken).expect("replace"));
    assert!(!one.replace(Some(&held), &lease(21, "one")).expect("replace"), "it is taken over");
    assert_eq!((one.read().expect("read"), other.read().expect("read")), (Some(taken.clone()), Some(taken.clone())));
    assert!(one.replace(Some(&taken), &lease(30, "one")).is_err(), "it does not come next");
    race(one, other, &taken);
}

/// Exactly one succeeds of two that replace the same lease at once.
fn race(one: &dyn LeaseStore, other: &dyn LeaseStore, from: &Lease) {
    let mut held = from.clone();
    for _ in 0..50 {
        let next = |holder: &str| Lease { epoch: held.epoch + 1, ..lease(held.version + 1, holder) };
        let (mine, theirs) = (next("one"), next("other"));
        let (won, lost) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| other.replace(Some(&held), &theirs).expect("replace"));
            (one.replace(Some(&held), &mine).expect("replace"), theirs.join().expect("a thread"))
        });
        assert_ne!(won, lost, "exactly one has it");
        held = one.read().expect("read").expect("a lease");
        assert_eq!(held, if won { mine } else { theirs });
    }
}
