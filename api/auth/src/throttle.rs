//! Limits of attempts to sign in: by account and address, and without locking anybody out.
//!
//! - 5 failures a minute of one account from one address, and 30 of one address whatever the account: then `429`.
//! - Failures of one account from everywhere only slow the next attempt down, at most two seconds. So nobody is kept out of
//!   an account by others who guess at it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

/// The window in milliseconds.
const WINDOW: i64 = 60_000;
const PER_ACCOUNT_AND_ADDRESS: u32 = 5;
const PER_ADDRESS: u32 = 30;
/// Entries of each table; beyond that the oldest goes.
const ENTRIES: usize = 10_000;
/// The longest that an attempt is slowed down.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
const FIRST_DELAY: Duration = Duration::from_millis(50);

/// The failures that are known.
#[derive(Default)]
pub(crate) struct Throttle {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    pairs: Counts<(String, IpAddr)>,
    addresses: Counts<IpAddr>,
    accounts: Counts<String>,
}

/// Failures since the beginning of a window, with its beginning.
struct Counts<K> {
    counts: HashMap<K, (i64, u32)>,
    order: VecDeque<K>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts { counts: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    fn now(&self, key: &K, now: i64) -> (i64, u32) {
        self.counts.get(key).copied().filter(|(begun, _)| now - begun < WINDOW).unwrap_or((now, 0))
    }

    fn add(&mut self, key: K, now: i64) {
        let (begun, count) = self.now(&key, now);
        if self.counts.insert(key.clone(), (begun, count.saturating_add(1))).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > ENTRIES {
            if let Some(oldest) = self.order.pop_front() {
                self.counts.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, key: &K) {
        if self.counts.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

impl Throttle {
    /// Says how long to wait before the password is looked at; an error is the number of seconds until an attempt is taken.
    pub(crate) fn before(&self, account: &str, address: IpAddr, now: i64) -> Result<Duration, u64> {
        let tables = self.tables.lock();
        let pair = tables.pairs.now(&(account.to_owned(), address), now);
        let of_address = tables.addresses.now(&address, now);
        for ((begun, count), most) in [(pair, PER_ACCOUNT_AND_ADDRESS), (of_address, PER_ADDRESS)] {
            if count >= most {
                return Err(((begun + WINDOW - now).max(1_000) as u64).div_ceil(1_000));
            }
        }
        let (_, failures) = tables.accounts.now(&account.to_owned(), now);
        Ok(match failures {
            0 => Duration::ZERO,
            failures => FIRST_DELAY.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_DELAY),
        })
    }

    /// Counts an attempt before its password is looked at, so that many at once count as well.
    pub(crate) fn attempt(&self, account: &str, address: IpAddr, now: i64) {
        let mut tables = self.tables.lock();
        tables.pairs.add((account.to_owned(), address), now);
        tables.addresses.add(address, now);
        tables.accounts.add(account.to_owned(), now);
    }

    /// Forgets the failures of an account at an address once it has signed in from there.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        let mut tables = self.tables.lock();
        tables.pairs.forget(&(account.to_owned(), address));
        tables.accounts.forget(&account.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn there(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn guesses_of_others_keep_nobody_out() {
        let throttle = Throttle::default();
        for number in 0..200 {
            throttle.attempt("ann", there(number), 0);
        }
        assert_eq!(throttle.before("ann", HERE, 1), Ok(LONGEST_DELAY), "slowed down, not refused");
        assert_eq!(throttle.before("bob", HERE, 1), Ok(Duration::ZERO));
    }

    #[test]
    fn one_who_guesses_is_refused_until_the_window_ends() {
        let throttle = Throttle::default();
        for number in 0..5 {
            assert!(throttle.before("ann", HERE, number).is_ok());
            throttle.attempt("ann", HERE, number);
        }
        assert_eq!(throttle.before("ann", HERE, 10_000), Err(50));
        assert!(throttle.before("ann", HERE, WINDOW).is_ok());
        for number in 0..30 {
            throttle.attempt(&format!("account {number}"), there(1), 0);
        }
        assert!(throttle.before("ann", there(1), 1).is_err(), "whatever the account");
    }

    #[test]
    fn a_sign_in_ends_the_wait() {
        let throttle = Throttle::default();
        throttle.attempt("ann", HERE, 0);
        assert!(throttle.before("ann", HERE, 1).unwrap() > Duration::ZERO);
        throttle.succeeded("ann", HERE);
        assert_eq!(throttle.before("ann", HERE, 2), Ok(Duration::ZERO));
    }

    #[test]
    fn a_flood_of_accounts_does_not_fill_memory() {
        let throttle = Throttle::default();
        for number in 0..ENTRIES + 500 {
            throttle.attempt(&number.to_string(), HERE, 0);
        }
        let tables = throttle.tables.lock();
        assert_eq!((tables.accounts.counts.len(), tables.accounts.order.len()), (ENTRIES, ENTRIES));
    }
}
