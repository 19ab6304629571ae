//! Checks of [`History`].

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use audience_rules::record::{EventRef, RecordKind, blank, set_sequence};

use super::record;
use crate::{History, SourcePosition};

fn records(range: Range<u64>) -> Vec<u8> {
    let mut all = Vec::new();
    for sequence in range {
        let start = all.len();
        match sequence % 5 {
            4 => blank(sequence, &mut all),
            other => record(&format!("u{other}"), if other == 2 { "b" } else { "" }, &format!("m{sequence}"), &mut all),
        }
        set_sequence(&mut all[start..], sequence);
    }
    all
}

fn read(history: &dyn History, range: Range<u64>) -> Vec<u8> {
    let mut all = Vec::new();
    let scanned = history.scan(range, &mut |run| {
        all.extend_from_slice(run);
        ControlFlow::Continue(())
    });
    scanned.expect("scan");
    all
}

fn position(next_offset: u64) -> Vec<SourcePosition> {
    vec![SourcePosition { source: "topic".to_owned(), partition: 7, next_offset }]
}

/// Every sentence of [`History`].
pub fn history(open: &mut dyn FnMut() -> Arc<dyn History>) {
    let history = open();
    assert_eq!((history.end().expect("end"), history.positions().expect("positions")), (0, (0, vec![])));
    assert!(read(&*history, 0..10).is_empty());
    assert!(history.append(&records(1..3), None).is_err(), "the first is missing");
    assert!(history.append(b"no record", None).is_err());
    assert_eq!(history.end().expect("end"), 0, "nothing has come of it");
    history.append(&records(0..100), None).expect("append");
    assert_eq!((history.end().expect("end"), history.positions().expect("positions")), (100, (0, vec![])), "unknown");
    history.append(&records(100..40_000), Some(&position(3))).expect("append");
    history.append(&records(40_000..40_001), Some(&[])).expect("append");
    history.append(&records(40_001..40_010), None).expect("append");
    assert!(history.append(&records(40_001..40_010), None).is_err(), "it is there");
    assert!(history.append(&records(40_011..40_020), None).is_err(), "one is missing");
    drop(history);
    let history = open();
    assert_eq!((history.end().expect("end"), history.positions().expect("positions")), (40_010, (40_001, vec![])));
    for range in [0..40_010, 0..1, 99..101, 39_999..40_002, 35_000..35_000, 40_009..50_000] {
        let expected = records(range.start..range.end.min(40_010));
        assert!(read(&*history, range.clone()) == expected, "{range:?}");
    }
    visit_some(&*history);
    let mut runs = 0;
    let broken_off = history.scan(0..40_010, &mut |_| {
        runs += 1;
        ControlFlow::Break(())
    });
    broken_off.expect("scan");
    assert_eq!(runs, 1);
    erase(&*history);
    assert!(history.truncate(39_000).is_err(), "no file begins there");
    history.truncate(40_001).expect("truncate");
    history.truncate(40_000).expect("truncate");
    assert_eq!(history.positions().expect("positions"), (40_000, position(3)));
    history.append(&records(40_000..40_003), None).expect("it goes on from there");
    drop(history);
    let history = open();
    assert_eq!(history.end().expect("end"), 40_003);
    history.truncate(0).expect("truncate");
    assert_eq!(history.end().expect("end"), 0);
}

fn visit_some(history: &dyn History) {
    for wanted in [&[][..], &[0], &[3, 99, 100, 33_000, 39_999, 40_000, 40_009]] {
        let expected: Vec<u8> = wanted.iter().flat_map(|sequence| records(*sequence..sequence + 1)).collect();
        let mut found = Vec::new();
        let visited = history.visit(wanted, &mut |run| {
            found.extend_from_slice(run);
            ControlFlow::Continue(())
        });
        visited.expect("visit");
        assert!(found == expected, "{wanted:?}");
    }
    assert!(history.visit(&[5, 40_010], &mut |_| ControlFlow::Continue(())).is_err(), "one of them is missing");
}

fn erase(history: &dyn History) {
    let (erased, parted) = ([0, 99, 101, 39_998, 40_001], [7, 102, 39_997]);
    for _ in 0..2 {
        history.erase(&erased, &parted).expect("erase");
        history.erase(&[], &[]).expect("erase");
        let (all, whole) = (read(history, 0..40_010), records(0..40_010));
        let (mut rest, mut before) = (&all[..], &whole[..]);
        let mut sequence = 0;
        while let (Some((now, next)), Some((then, behind))) = (EventRef::read(rest), EventRef::read(before)) {
            (rest, before) = (next, behind);
            assert_eq!(now.sequence(), sequence, "every number keeps its place");
            let (is_erased, mut alone) = (erased.contains(&sequence), then.bytes().to_vec());
            if parted.contains(&sequence) {
                alone.clear();
                then.write_alone(&mut alone);
                assert!(alone.len() < then.bytes().len(), "it had another id");
            }
            assert!(if is_erased { now.kind() == RecordKind::Blank } else { now.bytes() == alone }, "{sequence}");
            sequence += 1;
        }
        assert_eq!(sequence, 40_010);
        assert_eq!(history.positions().expect("positions").0, 40_001, "positions stay");
    }
}
