//! Checks of [`SizeStore`].

use std::collections::BTreeSet;

use crate::{SizeSample, SizeStore};

const DAY: i64 = 86_400_000;

/// Every sentence of [`SizeStore`]; `read` gives what its readers find.
pub fn size_store(open: &mut dyn FnMut() -> Box<dyn SizeStore>, read: &mut dyn FnMut() -> BTreeSet<SizeSample>) {
    let of = |segment: &str, at, size| SizeSample { segment_id: segment.into(), at, size };
    let mut store = open();
    assert_eq!(store.reached().expect("reached"), None);
    store.write(&[]).expect("write");
    // In no order, over several days, and with ids that are like parts of one another.
    let first = [
        of("s", 20_000 * DAY + 60_000, 2),
        of("s/20000", 20_000 * DAY + 60_000, 7),
        of("s \"1\" ü", 0, 0),
        of("s", 20_001 * DAY, 1_000_000_000_000),
        of("s", 20_000 * DAY, 1),
        of("s", 20_001 * DAY - 1, 3),
    ];
    store.write(&first).expect("write");
    assert_eq!(store.reached().expect("reached"), None, "a write reaches nothing by itself");
    store.reach(20_001 * DAY).expect("reach");
    assert_eq!(store.reached().expect("reached"), Some(20_001 * DAY));
    assert_eq!(read(), first.clone().into());
    drop(store);
    let mut store = open();
    assert_eq!(store.reached().expect("reached"), Some(20_001 * DAY));
    let then = [of("s", 20_001 * DAY + 60_000, 4), of("s", 20_001 * DAY, 5)];
    for _ in 0..2 {
        store.write(&first).expect("write");
        store.write(&then).expect("write");
    }
    store.reach(20_001 * DAY + 60_000).expect("reach");
    let mut expected: BTreeSet<SizeSample> = first.into();
    expected.remove(&of("s", 20_001 * DAY, 1_000_000_000_000));
    expected.extend(then);
    assert_eq!(read(), expected, "twice is once, and the last of an instant is what stays");
}
