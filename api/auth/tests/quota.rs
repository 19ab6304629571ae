//! Counters in memory hold the contract of quotas.

use std::time::{SystemTime, UNIX_EPOCH};

use audience_auth::MemoryQuota;
use audience_contract::suite;

#[expect(clippy::disallowed_methods, reason = "a test of counters that follow the wall clock")]
fn wall_clock() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[test]
fn counters_in_memory() {
    let store = MemoryQuota::new(wall_clock);
    suite::quota_store(&[&store, &store]);
}
