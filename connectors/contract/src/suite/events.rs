//! Checks of [`EventLog`].

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::thread;

use audience_rules::record::{self, EventRef, RecordHead, RecordKind};
use audience_rules::value::{ContainerWriter, encode_text};

use crate::{EventLog, SourcePosition};

/// Appends to `out` a record of that user and other id (perhaps empty), whose message id is `message`.
pub fn record(user: &str, other: &str, message: &str, out: &mut Vec<u8>) {
    let kind = if other.is_empty() { RecordKind::Event } else { RecordKind::Identify };
    let head = RecordHead { timestamp: 1, accepted_at: 2, kind, user, other, message, event_type: "page_view" };
    let start = record::begin(head, out);
    if !other.is_empty() {
        record::set_place(&mut out[start..], record::UserPlace::UserId);
    }
    let mut properties = ContainerWriter::object(out);
    properties.key("path", out);
    encode_text("/a/page", out);
    properties.finish(out);
    ContainerWriter::object(out).finish(out);
    ContainerWriter::object(out).finish(out);
    record::finish(start, out);
}

/// Every sentence of [`EventLog`] but those that need many events.
pub fn event_log(open: &mut dyn FnMut() -> Arc<dyn EventLog>) {
    let log = open();
    empty(&*log);
    let ranges = numbers(&*log);
    refuses_damaged(&*log);
    scans(&*log);
    splits(&*log);
    users(&*log);
    appends_together(&log);
    let before = (log.end(), read(&*log, 0..u64::MAX));
    drop(log);
    let log = open();
    assert_eq!((log.end(), read(&*log, 0..u64::MAX)), before, "what was appended is durable");
    assert_eq!(read(&*log, ranges), before.1[3..6], "a range is the same after opening");
    users(&*log);
    erases(&*log, &before.1);
    let left = read(&*log, 0..u64::MAX);
    drop(log);
    let log = open();
    assert_eq!(read(&*log, 0..u64::MAX), left, "an erasure is durable");
    log.purge().expect("purge");
    assert!(!log.purge().expect("purge"), "a purge leaves nothing to be purged");
    assert_eq!(read(&*log, 0..u64::MAX), left, "a purge takes nothing else");
}

/// Erases `x`, who is the other id of all three of bob's events, which he keeps without it, and what ann has before her
/// fifth; twice.
fn erases(log: &dyn EventLog, all: &[Read]) {
    let gone = [0, 1, 2, 6];
    for _ in 0..2 {
        log.erase(&[("x".to_owned(), 9), ("ann".to_owned(), 7), ("nobody".to_owned(), 100)]).expect("erase");
        let left = read(log, 0..u64::MAX);
        assert_eq!(left.len(), all.len(), "places stay");
        for (at, (before, after)) in all.iter().zip(&left).enumerate() {
            let blank = (before.0, String::new(), String::new());
            assert_eq!(after, if gone.contains(&at) { &blank } else { before }, "event {at}");
        }
        assert!(log.of_users(&["x"], u64::MAX).expect("of_users").is_empty());
        let of_bob = log.of_users(&["bob"], u64::MAX).expect("of_users");
        assert_eq!(sequences(&of_bob), [3, 4, 5]);
        assert!(record::records(&of_bob).all(|record| record.other().is_none() && record.is_naming()));
        assert_eq!(sequences(&log.of_users(&["ann", ""], u64::MAX).expect("of_users")), [7, 8, 9]);
        let mut records = Vec::new();
        log.scan(0..10, &mut |run| {
            records.extend_from_slice(run);
            ControlFlow::Continue(())
        })
        .expect("scan");
        assert!(sequences(&records).starts_with(&[3, 4, 5, 7, 8, 9]), "blank records are passed over");
    }
    log.erase(&[]).expect("erase");
}

/// Every sentence of [`EventLog`] about positions.
pub fn event_log_positions(open: &mut dyn FnMut() -> Arc<dyn EventLog>) {
    let log = open();
    assert!(log.positions().expect("positions").is_empty(), "there is none at first");
    let mut records = Vec::new();
    record("ann", "", "m0", &mut records);
    let first = [position("b", 0, 7), position("a", 1, 3), position("a", 300, 1)];
    assert_eq!(log.append_from(&mut records, &first).expect("append_from"), 0..1);
    assert_eq!(log.append_from(&mut [], &[position("a", 1, 5)]).expect("append_from"), 1..1, "without records");
    let expected = [position("a", 1, 5), position("a", 300, 1), position("b", 0, 7)];
    assert_eq!(log.positions().expect("positions"), expected, "the newest, in order");
    let refused = [position("b", 0, 8), position("a", 1, 4)];
    assert!(log.append_from(&mut records, &refused).is_err(), "a position is never taken back");
    assert_eq!((log.end(), log.positions().expect("positions")), (1, expected.to_vec()), "and nothing has changed");
    log.append_from(&mut records, &[position("a", 1, 5)]).expect("the same position again");
    log.append(&mut records).expect("append");
    assert_eq!((log.end(), log.positions().expect("positions")), (3, expected.to_vec()));
    positions_together(&log);
    reach_together(&log);
    let before = log.positions().expect("positions");
    assert_eq!(log.reach().expect("reach"), (log.end(), before.clone()));
    drop(log);
    let log = open();
    assert_eq!(log.positions().expect("positions"), before, "positions are durable");
    assert_eq!(log.reach().expect("reach"), (log.end(), before));
}

/// Whenever it is asked, positions are those of just the records that are below the number.
fn reach_together(log: &Arc<dyn EventLog>) {
    const APPENDS: u64 = 200;
    let first = log.end();
    let writer = {
        let log = Arc::clone(log);
        thread::spawn(move || {
            for at in 1..=APPENDS {
                let mut records = Vec::new();
                record("ann", "", "", &mut records);
                log.append_from(&mut records, &[position("reach", 0, at)]).expect("append_from");
            }
        })
    };
    let mut seen = 0;
    while seen < APPENDS {
        let (end, positions) = log.reach().expect("reach");
        let found = positions.iter().find(|found| found.source == "reach").map_or(0, |found| found.next_offset);
        assert_eq!(end - first, found, "the positions are those of these records");
        seen = found;
    }
    writer.join().expect("a thread appends");
}

fn positions_together(log: &Arc<dyn EventLog>) {
    let before = log.end();
    let threads = (0..4u32).map(|partition| {
        let log = Arc::clone(log);
        thread::spawn(move || {
            for next_offset in 1..=100 {
                let mut records = Vec::new();
                record("bob", "", "", &mut records);
                log.append_from(&mut records, &[position("t", partition, next_offset)]).expect("append_from");
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("a thread appends"));
    let found = log.positions().expect("positions");
    let found: Vec<_> = found.into_iter().filter(|position| position.source == "t").collect();
    assert_eq!(found, (0..4).map(|partition| position("t", partition, 100)).collect::<Vec<_>>());
    assert_eq!(log.end() - before, 400);
}

fn position(source: &str, partition: u32, next_offset: u64) -> SourcePosition {
    SourcePosition { source: source.to_owned(), partition, next_offset }
}

/// `of_users` and `scan` over more events than any index block or file run is likely to have.
pub fn event_log_of_many_blocks(open: &mut dyn FnMut() -> Arc<dyn EventLog>) {
    const EVENTS: u64 = 150_000;
    const USERS: u64 = 1_000;
    let log = open();
    let mut records = Vec::new();
    for event in 0..EVENTS {
        let other = if event % 1_009 == 0 { "anon" } else { "" };
        record(&format!("u{}", event % USERS), other, "", &mut records);
        if event % 700 == 699 || event + 1 == EVENTS {
            log.append(&mut records).expect("append");
            records.clear();
        }
    }
    let check = |log: &dyn EventLog| {
        for before in [0, 1, 65_536, 65_537, 131_072, EVENTS, u64::MAX] {
            let expected: Vec<u64> = (0..EVENTS.min(before)).filter(|event| event % USERS == 17).collect();
            assert_eq!(sequences(&log.of_users(&["u17"], before).expect("of_users")), expected, "before {before}");
        }
        let expected: Vec<u64> = (0..EVENTS).filter(|event| event % 1_009 == 0 || event % USERS == 3).collect();
        assert_eq!(sequences(&log.of_users(&["anon", "u3"], u64::MAX).expect("of_users")), expected, "two ids");
        let users: Vec<String> = (0..USERS).step_by(2).map(|user| format!("u{user}")).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let expected: Vec<u64> = (0..140_000).filter(|event| (event % USERS).is_multiple_of(2)).collect();
        assert_eq!(sequences(&log.of_users(&users, 140_000).expect("of_users")), expected, "many ids");
        let all: Vec<u64> = read(log, 0..EVENTS).into_iter().map(|(sequence, ..)| sequence).collect();
        assert!(all.into_iter().eq(0..EVENTS), "every event once, in order");
    };
    check(&*log);
    drop(log);
    check(&*open());
}

type Read = (u64, String, String);

/// The records that a scan gives of a range, without those around it; checks that they are in order.
fn read(log: &dyn EventLog, range: Range<u64>) -> Vec<Read> {
    let mut found = Vec::new();
    let mut last = None;
    let scanned = log.scan(range.clone(), &mut |run| {
        assert!(run.len() <= 16 << 20, "a run is at most a few MiB");
        let mut rest = run;
        while !rest.is_empty() {
            let (event, next) = EventRef::read(rest).expect("a run is whole records");
            assert!(last < Some(event.sequence()), "records come in order");
            last = Some(event.sequence());
            if range.contains(&event.sequence()) {
                let message = event.message().unwrap_or_default();
                found.push((event.sequence(), event.user().to_owned(), message.to_owned()));
            }
            rest = next;
        }
        ControlFlow::Continue(())
    });
    scanned.expect("scan");
    found
}

fn sequences(bytes: &[u8]) -> Vec<u64> {
    record::records(bytes).map(|event| event.sequence()).collect()
}

fn empty(log: &dyn EventLog) {
    assert_eq!(log.end(), 0, "sequence numbers begin with 0");
    assert!(read(log, 0..100).is_empty());
    assert!(log.of_users(&["ann"], u64::MAX).expect("of_users").is_empty());
    assert!(log.split(0..0, 4).iter().all(Range::is_empty));
}

/// Appends ten events of ann and bob, where bob's first is also anonymous `x`; gives the second range.
fn numbers(log: &dyn EventLog) -> Range<u64> {
    let mut ranges = Vec::new();
    for (count, user, other) in [(3, "ann", ""), (3, "bob", "x"), (4, "ann", "")] {
        let mut records = Vec::new();
        for at in 0..count {
            record(user, other, &format!("{user}{at}"), &mut records);
        }
        let range = log.append(&mut records).expect("append");
        assert_eq!(range.end - range.start, count);
        assert_eq!(sequences(&records), range.clone().collect::<Vec<_>>(), "numbers are set in place");
        assert_eq!(log.end(), range.end);
        ranges.push(range);
    }
    assert_eq!(ranges, [0..3, 3..6, 6..10], "numbers are consecutive");
    ranges.swap_remove(1)
}

fn refuses_damaged(log: &dyn EventLog) {
    let mut records = Vec::new();
    record("eve", "", "", &mut records);
    records.pop();
    let end = log.end();
    assert!(log.append(&mut records).is_err(), "half a record is refused");
    assert_eq!(log.end(), end, "and nothing has changed");
    assert!(log.of_users(&["eve"], u64::MAX).expect("of_users").is_empty());
}

fn scans(log: &dyn EventLog) {
    for start in 0..=10 {
        for end in 0..=12 {
            let found: Vec<u64> = read(log, start..end).into_iter().map(|(sequence, ..)| sequence).collect();
            assert_eq!(found, (start..end.min(10)).collect::<Vec<_>>(), "scan of {start}..{end}");
        }
    }
    let mut runs = 0;
    let stopped = log.scan(0..10, &mut |_| {
        runs += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.is_ok() && runs == 1, "a visit can stop the scan");
}

fn splits(log: &dyn EventLog) {
    for parts in [1, 2, 3, 7, 100] {
        let split = log.split(2..10, parts);
        assert!(split.len() <= parts, "at most {parts} parts");
        let covered: Vec<u64> = split.into_iter().flatten().collect();
        assert_eq!(covered, (2..10).collect::<Vec<_>>(), "parts cover the range once, in order");
    }
}

fn users(log: &dyn EventLog) {
    let cases: [(&[&str], u64, &[u64]); 7] = [
        (&["ann"], 10, &[0, 1, 2, 6, 7, 8, 9]),
        (&["ann"], 7, &[0, 1, 2, 6]),
        (&["x"], 10, &[3, 4, 5]),
        (&["bob", "x"], 10, &[3, 4, 5]),
        (&["ann", "x", "ann"], 5, &[0, 1, 2, 3, 4]),
        (&["nobody"], 10, &[]),
        (&[], 10, &[]),
    ];
    for (ids, before, expected) in cases {
        let found = log.of_users(ids, before).expect("of_users");
        assert_eq!(sequences(&found), expected, "{ids:?} before {before}");
        let may_name = log.may_name(ids).expect("may_name");
        assert_eq!(may_name.len(), ids.len());
        for (id, may_name) in ids.iter().zip(may_name) {
            let is_named = !log.of_users(&[*id], before).expect("of_users").is_empty();
            assert!(may_name || !is_named, "{id} is named");
        }
        let mut visited = Vec::new();
        let all = log.visit_users(ids, before, &mut |run| {
            assert!(!run.is_empty() && run.len() <= 16 << 20, "a run is some records, and at most a few MiB");
            visited.extend_from_slice(run);
            ControlFlow::Continue(())
        });
        assert!(all.is_ok() && visited == found, "visits what `of_users` gives");
    }
    let mut runs = 0;
    let stopped = log.visit_users(&["ann"], 10, &mut |_| {
        runs += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.is_ok() && runs == 1, "a visit can stop");
}

fn appends_together(log: &Arc<dyn EventLog>) {
    const THREADS: u64 = 8;
    const APPENDS: u64 = 40;
    let first = log.end();
    let threads = (0..THREADS).map(|thread| {
        let log = Arc::clone(log);
        thread::spawn(move || {
            let mut got = BTreeMap::new();
            for at in 0..APPENDS {
                let mut records = Vec::new();
                for part in 0..=at % 5 {
                    record(&format!("t{thread}"), "", &format!("{thread}-{at}-{part}"), &mut records);
                }
                let range = log.append(&mut records).expect("append");
                assert!(log.end() >= range.end, "an append is readable on return");
                assert_eq!(sequences(&records), range.clone().collect::<Vec<_>>());
                got.extend(range.zip((0..=at % 5).map(|part| format!("{thread}-{at}-{part}"))));
            }
            got
        })
    });
    let threads = threads.collect::<Vec<_>>();
    let mut expected = BTreeMap::new();
    for thread in threads {
        expected.extend(thread.join().expect("a thread appends"));
    }
    let found = read(&**log, first..u64::MAX);
    let found: BTreeMap<u64, String> = found.into_iter().map(|(sequence, _, message)| (sequence, message)).collect();
    assert_eq!(found, expected, "each record is where its append said");
    assert_eq!(log.end() - first, THREADS * APPENDS * 3);
    let own = log.of_users(&["t5"], u64::MAX).expect("of_users");
    assert_eq!(record::records(&own).count() as u64, APPENDS * 3);
}
