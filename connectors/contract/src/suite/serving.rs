//! Checks of [`ServingStore`].

use crate::{ChangeKind, HeldMembership, Progress, Reach, ServingError, ServingState, ServingStore, Sink};

use super::sink::change;

/// Every sentence of [`ServingStore`], of a store that reads what `sink` writes, which is empty at first.
pub fn serving_store(sink: &mut dyn Sink, store: &dyn ServingStore) {
    assert_eq!(sink.open().expect("open"), None);
    assert_eq!(store.state().expect("state"), ServingState::Empty);
    assert!(matches!(store.segments_of("ann"), Err(ServingError::Empty)), "nothing is read out of an empty store");
    let reach = |tick| Reach::All(Progress { tick, ..Progress::default() });
    let entered = |user, segment, at| crate::MembershipChange { at, ..change(user, segment, ChangeKind::Entered) };
    let first = [entered("ann", "s2", 7), entered("ann", "s \"1\" ü", 8), entered("bob", "s2", 9)];
    let filled = |up_to: &str| Reach::Users { progress: reach(1).progress(), up_to: up_to.to_owned() };
    for (up_to, changes) in [("", &first[..0]), ("ann", &first[..2])] {
        sink.write(&filled(up_to), changes).expect("write");
        assert_eq!(store.state().expect("state"), ServingState::Partial, "up to {up_to:?}");
        assert!(matches!(store.segments_of("ann"), Err(ServingError::Partial)), "it is being filled");
    }
    sink.write(&reach(1), &first).expect("write");
    assert_eq!(store.state().expect("state"), ServingState::Whole(reach(1).progress()));
    assert_eq!(store.segments_of("zoe").expect("segments"), [], "an unknown user is in none");
    let held = |segment: &str, since| HeldMembership { segment_id: segment.to_owned(), since };
    assert_eq!(store.segments_of("ann").expect("segments"), [held("s \"1\" ü", 8), held("s2", 7)]);
    assert_eq!(store.segments_of("bob").expect("segments"), [held("s2", 9)]);
    let then = [change("ann", "s2", ChangeKind::Left), change("bob", "s2", ChangeKind::Left), entered("bob", "s2", 12)];
    sink.write(&reach(2), &then).expect("write");
    assert_eq!(store.segments_of("ann").expect("segments"), [held("s \"1\" ü", 8)]);
    assert_eq!(store.segments_of("bob").expect("segments"), [held("s2", 12)], "since when they are in it now");
    let own = sink.store().expect("a store that is read can be looked at");
    assert_eq!(own.state().expect("state"), ServingState::Whole(reach(2).progress()));
    sink.write(&Reach::nowhere(), &[]).expect("write");
    assert!(matches!(store.segments_of("ann"), Err(ServingError::Partial)), "it is about to be emptied");
    sink.clear(Progress::default(), &|_| true).expect("clear");
    assert_eq!(
        (store.state().expect("state"), own.state().expect("state")),
        (ServingState::Empty, ServingState::Empty)
    );
    assert!(matches!(store.segments_of("ann"), Err(ServingError::Empty)));
}
