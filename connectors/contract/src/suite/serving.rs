//! Checks of [`ServingStore`].

use crate::{ChangeKind, HeldMembership, Progress, Reach, ServingStore, Sink};

use super::sink::change;

/// Every sentence of [`ServingStore`], of a store that reads what `sink` writes, which is empty at first.
pub fn serving_store(sink: &mut dyn Sink, store: &dyn ServingStore) {
    assert_eq!(sink.open().expect("open"), None);
    assert_eq!(store.segments_of("ann").expect("segments"), [], "an unknown user is in none");
    let reach = |tick| Reach::All(Progress { tick, ..Progress::default() });
    let entered = |user, segment, at| crate::MembershipChange { at, ..change(user, segment, ChangeKind::Entered) };
    let first = [entered("ann", "s2", 7), entered("ann", "s \"1\" ü", 8), entered("bob", "s2", 9)];
    sink.write(&reach(1), &first).expect("write");
    let held = |segment: &str, since| HeldMembership { segment_id: segment.to_owned(), since };
    assert_eq!(store.segments_of("ann").expect("segments"), [held("s \"1\" ü", 8), held("s2", 7)]);
    assert_eq!(store.segments_of("bob").expect("segments"), [held("s2", 9)]);
    let then = [change("ann", "s2", ChangeKind::Left), change("bob", "s2", ChangeKind::Left), entered("bob", "s2", 12)];
    sink.write(&reach(2), &then).expect("write");
    assert_eq!(store.segments_of("ann").expect("segments"), [held("s \"1\" ü", 8)]);
    assert_eq!(store.segments_of("bob").expect("segments"), [held("s2", 12)], "since when they are in it now");
    sink.clear(Progress::default(), &|_| true).expect("clear");
    assert_eq!(store.segments_of("ann").expect("segments"), []);
}
