//! Checks of [`ChangeLog`].

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::{ChangeLog, Progress};

/// Every sentence of [`ChangeLog`].
pub fn change_log(open: &mut dyn FnMut() -> Arc<dyn ChangeLog>) {
    let log = open();
    assert_eq!(log.progress().expect("progress"), None);
    assert_eq!(changes(&*log, 0), []);
    let large = vec![7; 3 << 20];
    for (tick, bytes) in [(3, &b"three"[..]), (4, b""), (5, &large), (9, b"nine"), (11, b"")] {
        log.commit(progress(tick), bytes).expect("commit");
        assert_eq!(log.progress().expect("progress"), Some(progress(tick)));
    }
    assert!(log.commit(progress(9), b"again").is_err(), "a tick has its changes once");
    assert_eq!(log.progress().expect("progress"), Some(progress(11)), "an error changes nothing");
    let expected = [(3, b"three".to_vec()), (5, large), (9, b"nine".to_vec())];
    let check = |log: &dyn ChangeLog| {
        assert_eq!(log.progress().expect("progress"), Some(progress(11)));
        for (from, skipped) in [(0, 0), (3, 0), (4, 1), (5, 1), (6, 2), (9, 2), (10, 3), (u64::MAX, 3)] {
            assert_eq!(changes(log, from), expected[skipped..], "from {from}");
        }
        let mut visits = 0;
        let stopped = log.read(0, &mut |_, _| {
            visits += 1;
            ControlFlow::Break(())
        });
        assert!(stopped.is_ok() && visits == 1, "a visit can stop the reading");
    };
    check(&*log);
    drop(log);
    let log = open();
    check(&*log);
    forgets(&*log, &expected[1..]);
    drop(log);
    let log = open();
    assert_eq!(changes(&*log, 0), [(12, b"twelve".to_vec())]);
    assert_eq!(log.progress().expect("progress"), Some(progress(12)));
}

/// A log that follows another takes several ticks with one commit, in order.
pub fn copied_change_log(open: &mut dyn FnMut() -> Arc<dyn ChangeLog>) {
    let log = open();
    let ticks = [(3, b"three".to_vec()), (7, b"seven".to_vec())];
    log.commit_ticks(progress(9), &ticks).expect("commit");
    log.commit_ticks(progress(10), &[]).expect("a progress alone");
    assert!(log.commit_ticks(progress(12), &[(11, b"eleven".to_vec()), (7, b"again".to_vec())]).is_err());
    assert_eq!(changes(&*log, 0), ticks, "an error changes nothing");
    drop(log);
    let log = open();
    assert_eq!((changes(&*log, 0), log.progress().expect("progress")), (ticks.to_vec(), Some(progress(10))));
    log.commit(progress(11), b"eleven").expect("it goes on by itself");
    assert_eq!(changes(&*log, 8), [(11, b"eleven".to_vec())]);
}

fn forgets(log: &dyn ChangeLog, kept: &[(u64, Vec<u8>)]) {
    log.forget(5).expect("forget");
    assert_eq!(changes(log, 0), kept, "ticks from the given one on stay");
    log.forget(2).expect("forget");
    assert_eq!(changes(log, 0), kept, "forgetting less changes nothing");
    assert_eq!(log.floor().expect("floor"), 5);
    log.forget(10).expect("forget");
    assert_eq!(changes(log, 0), []);
    assert_eq!(log.progress().expect("progress"), Some(progress(11)), "progress is not forgotten");
    log.commit(progress(12), b"twelve").expect("commit");
    assert_eq!(changes(log, 0), [(12, b"twelve".to_vec())]);
}

fn progress(tick: u64) -> Progress {
    Progress { tick, clock: -5 * tick as i64, sequence: tick * 100, catalogue_version: tick / 2, run: 0 }
}

fn changes(log: &dyn ChangeLog, from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let read = log.read(from, &mut |tick, bytes| {
        found.push((tick, bytes.to_vec()));
        ControlFlow::Continue(())
    });
    read.expect("read");
    found
}
