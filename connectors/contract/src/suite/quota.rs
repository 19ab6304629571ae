//! Checks of [`QuotaStore`].

use std::time::{Duration, Instant};

use crate::{QuotaAnswer, QuotaPolicy, QuotaStore};

/// A window that a test can wait for.
const SHORT: u64 = 1_200;

/// Every sentence of [`QuotaStore`]: `stores` are openings of one store, as several processes have it.
pub fn quota_store(stores: &[&dyn QuotaStore]) {
    all_or_nothing(stores);
    exactly_the_quota_is_granted_to_many(stores);
    no_window_has_more(stores);
    after_a_window_the_whole_quota_is_there(stores);
}

fn take(store: &dyn QuotaStore, key: &str, count: u32, policy: QuotaPolicy) -> QuotaAnswer {
    store.take(key, count, policy).expect("take")
}

fn all_or_nothing(stores: &[&dyn QuotaStore]) {
    let policy = QuotaPolicy::per_minute(5);
    let (first, last) = (stores[0], stores[stores.len() - 1]);
    assert_eq!(take(first, "a", 0, policy), QuotaAnswer { is_granted: true, left: 5, reset_ms: 0 });
    let answer = take(first, "a", 3, policy);
    assert_eq!((answer.is_granted, answer.left), (true, 2));
    assert!((60_000..=65_000).contains(&answer.reset_ms), "{answer:?}");
    let refused = take(last, "a", 3, policy);
    assert_eq!((refused.is_granted, refused.left), (false, 2), "what is refused does not count");
    assert!(refused.reset_ms <= answer.reset_ms && refused.reset_ms > 50_000);
    assert_eq!(take(last, "a", 2, policy).left, 0);
    assert!(!take(first, "a", 1, policy).is_granted);
    assert_eq!(take(first, "other keys: {a} *", 1, policy).left, 4);
}

fn exactly_the_quota_is_granted_to_many(stores: &[&dyn QuotaStore]) {
    let policy = QuotaPolicy::per_minute(200);
    let granted: usize = std::thread::scope(|scope| {
        let ask = |store: &dyn QuotaStore| (0..100).filter(|_| take(store, "many", 1, policy).is_granted).count();
        let threads: Vec<_> = stores.iter().cycle().take(6).map(|store| scope.spawn(move || ask(*store))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that asks")).sum()
    });
    assert_eq!(granted, 200);
}

fn no_window_has_more(stores: &[&dyn QuotaStore]) {
    let policy = QuotaPolicy { most: 20, window_ms: SHORT };
    let (begun, mut granted) = (Instant::now(), Vec::new());
    let mut asked = 0;
    while begun.elapsed() < Duration::from_millis(4 * SHORT) {
        let before = begun.elapsed();
        asked += 1;
        if take(stores[asked % stores.len()], "windows", 1, policy).is_granted {
            granted.push((before, begun.elapsed()));
        }
        std::thread::park_timeout(Duration::from_millis(3));
    }
    assert!(granted.len() >= 60, "{} of four windows", granted.len());
    for (begin, _) in &granted {
        // Those that were surely granted between its beginning and its end.
        let end = *begin + Duration::from_millis(SHORT);
        let within = granted.iter().filter(|(before, after)| before >= begin && *after <= end).count();
        assert!(within <= 20, "{within} in a window");
    }
}

fn after_a_window_the_whole_quota_is_there(stores: &[&dyn QuotaStore]) {
    let policy = QuotaPolicy { most: 7, window_ms: SHORT };
    assert!(take(stores[0], "after", 7, policy).is_granted);
    assert!(!take(stores[0], "after", 1, policy).is_granted);
    std::thread::park_timeout(Duration::from_millis(SHORT + 2 * policy.sub_window_ms() + 50));
    assert_eq!(take(stores[stores.len() - 1], "after", 7, policy).left, 0);
}
