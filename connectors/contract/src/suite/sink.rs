//! Checks of [`Sink`].

use std::collections::BTreeSet;

use crate::{Cause, ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError};

/// Memberships: user and segment.
pub type SuiteMembers = BTreeSet<(String, String)>;

/// Every sentence of [`Sink`] that can be checked from outside.
///
/// `make` gives sinks that stand for the same writer, at first of an empty medium. `read` gives the memberships as a
/// reader of the medium finds them; where the medium keeps every change, it checks that those of a membership come in
/// turns.
pub fn sink(make: &mut dyn FnMut() -> Box<dyn Sink>, read: &mut dyn FnMut() -> SuiteMembers) {
    let mut sink = make();
    assert_eq!(sink.open().expect("open"), None, "it holds nothing at first");
    assert_eq!(read(), SuiteMembers::new());
    in_pieces(&mut *sink, read);
    fences(make, read, sink);
    let mut sink = make();
    assert_eq!(sink.open().expect("open"), Some(Reach::All(progress(7))));
    in_order(&mut *sink, read);
    many(&mut *sink, make, read);
    clears(make, read);
}

/// A first snapshot, broken off.
fn in_pieces(sink: &mut dyn Sink, read: &mut dyn FnMut() -> SuiteMembers) {
    let first = [entered("ann", "s1"), entered("bob", "s1"), entered("bob", "s \"2\" ü")];
    sink.write(&up_to(5, "bob"), &first).expect("write");
    assert_eq!(read(), members(&[("ann", "s1"), ("bob", "s1"), ("bob", "s \"2\" ü")]));
    assert_eq!(sink.open().expect("open"), Some(up_to(5, "bob")), "opened again, it says how far it came");
    sink.write(&up_to(6, "bob"), &[left("ann", "s1")]).expect("write");
    sink.write(&Reach::All(progress(6)), &[entered("zoe", "s1")]).expect("write");
    assert_eq!(read(), members(&[("bob", "s1"), ("bob", "s \"2\" ü"), ("zoe", "s1")]));
}

/// The later one of two writers of one name writes.
fn fences(make: &mut dyn FnMut() -> Box<dyn Sink>, read: &mut dyn FnMut() -> SuiteMembers, mut early: Box<dyn Sink>) {
    let mut late = make();
    assert_eq!(late.open().expect("open"), Some(Reach::All(progress(6))));
    let before = read();
    let refused = early.write(&Reach::All(progress(7)), &[entered("eve", "s1")]);
    assert!(matches!(refused, Err(SinkError::Fenced(_))), "an earlier writer is told: {refused:?}");
    assert_eq!(read(), before, "and writes nothing");
    late.write(&Reach::All(progress(7)), &[entered("ann", "s1")]).expect("write");
    assert!(read().contains(&("ann".to_owned(), "s1".to_owned())), "the later one writes");
}

fn in_order(sink: &mut dyn Sink, read: &mut dyn FnMut() -> SuiteMembers) {
    let turns = [left("ann", "s1"), entered("ann", "s1"), left("ann", "s1"), entered("cid", "s1"), left("cid", "s1")];
    sink.write(&Reach::All(progress(8)), &turns).expect("write");
    assert_eq!(read(), members(&[("bob", "s1"), ("bob", "s \"2\" ü"), ("zoe", "s1")]), "the last change counts");
    sink.write(&Reach::All(progress(12)), &[]).expect("write");
    assert_eq!(sink.open().expect("open"), Some(Reach::All(progress(12))), "progress without changes");
}

fn many(sink: &mut dyn Sink, make: &mut dyn FnMut() -> Box<dyn Sink>, read: &mut dyn FnMut() -> SuiteMembers) {
    const USERS: usize = 20_000;
    let before = read();
    let changes: Vec<_> = (0..USERS).map(|user| entered(&format!("many{user}"), "s3")).collect();
    sink.write(&Reach::All(progress(13)), &changes).expect("write");
    assert_eq!(read().len(), before.len() + USERS);
    let mut sink = make();
    assert_eq!(sink.open().expect("open"), Some(Reach::All(progress(13))));
    let changes: Vec<_> = (0..USERS).map(|user| left(&format!("many{user}"), "s3")).collect();
    sink.write(&Reach::All(progress(14)), &changes).expect("write");
    assert_eq!(read(), before);
}

fn clears(make: &mut dyn FnMut() -> Box<dyn Sink>, read: &mut dyn FnMut() -> SuiteMembers) {
    let mut sink = make();
    sink.open().expect("open");
    sink.clear(progress(20), &|_| true).expect("clear");
    assert_eq!(read(), SuiteMembers::new(), "everybody has left");
    assert_eq!(sink.open().expect("open"), None, "and it holds nothing");
    sink.clear(progress(21), &|_| true).expect("clear");
    sink.write(&Reach::All(progress(22)), &[entered("ann", "s1"), entered("bob", "s1")]).expect("write");
    sink.clear(progress(23), &|user| user == "ann").expect("clear");
    assert_eq!(read(), members(&[("bob", "s1")]), "only those of the writer leave");
    sink.write(&Reach::All(progress(24)), &[entered("ann", "s1")]).expect("write");
    let mut sink = make();
    assert_eq!(sink.open().expect("open"), Some(Reach::All(progress(24))));
    assert_eq!(read(), members(&[("ann", "s1"), ("bob", "s1")]));
}

fn progress(tick: u64) -> Progress {
    Progress { tick, clock: 1_000 * tick as i64, sequence: 7 * tick, catalogue_version: 3, run: 11 }
}

fn up_to(tick: u64, user: &str) -> Reach {
    Reach::Users { progress: progress(tick), up_to: user.to_owned() }
}

fn entered(user: &str, segment: &str) -> MembershipChange {
    change(user, segment, ChangeKind::Entered)
}

fn left(user: &str, segment: &str) -> MembershipChange {
    change(user, segment, ChangeKind::Left)
}

pub(super) fn change(user: &str, segment: &str, change: ChangeKind) -> MembershipChange {
    let (user_id, segment_id) = (user.into(), segment.into());
    MembershipChange { user_id, segment_id, change, at: 1_700_000_000_123, version: 2, cause: Cause::Event }
}

fn members(expected: &[(&str, &str)]) -> SuiteMembers {
    expected.iter().map(|(user, segment)| ((*user).to_owned(), (*segment).to_owned())).collect()
}
