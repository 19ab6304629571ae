//! The fence: the lease of a data directory, as its process holds, renews and loses it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::{Lease, LeaseStore, StoreError};
use parking_lot::{Condvar, Mutex};

/// Renewals in the time that a lease lasts.
const RENEWALS: u32 = 4;

/// Why a lease is not held.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FenceError {
    /// Another data directory has it.
    #[error(
        "the lease is held by the data directory {holder} since epoch {epoch}; this directory may lack what that one \
         accepted: start it as a standby, on an empty directory"
    )]
    Lost {
        /// The holder.
        holder: String,
        /// Its epoch.
        epoch: u64,
    },
    /// The place of the lease does not answer.
    #[error("the lease cannot be read or renewed: {0}")]
    Store(StoreError),
}

impl From<StoreError> for FenceError {
    fn from(error: StoreError) -> Self {
        FenceError::Store(error)
    }
}

/// The lease of a data directory. The process may accept and give out while it is held.
pub struct Fence {
    store: Arc<dyn LeaseStore>,
    holder: String,
    lasts: Duration,
    state: Mutex<FenceState>,
    poked: Condvar,
}

#[derive(Default)]
struct FenceState {
    lease: Option<Lease>,
    /// By the clock of this machine, from before the last renewal.
    held_until: Option<Instant>,
    /// True if the lease is to say that the holder is followed.
    wish: bool,
    /// True if it may say so: a renewal whose end is not known may have come to pass.
    may_say: bool,
    is_lost: bool,
}

impl Fence {
    /// The fence of a data directory whose lease lasts so long after each renewal. It is not held yet.
    pub fn new(store: Arc<dyn LeaseStore>, holder: String, lasts: Duration) -> Fence {
        Fence { store, holder, lasts, state: Mutex::default(), poked: Condvar::new() }
    }

    /// The lease as it is stored.
    pub fn read(&self) -> Result<Option<Lease>, FenceError> {
        Ok(self.store.read()?)
    }

    /// Returns whether this data directory is the holder of a stored lease.
    pub fn is_own(&self, lease: &Lease) -> bool {
        lease.holder == self.holder
    }

    /// Acquires a lease that nobody has, or that this data directory had before.
    pub fn acquire(&self) -> Result<(), FenceError> {
        let found = self.store.read()?;
        match &found {
            Some(lease) if !self.is_own(lease) => return Err(lost_to(lease)),
            found => self.adopt(found.clone()),
        }
        self.renew()
    }

    fn adopt(&self, lease: Option<Lease>) {
        let mut state = self.state.lock();
        let is_followed = lease.as_ref().is_some_and(|lease| lease.is_followed);
        (state.wish, state.may_say, state.lease) = (is_followed, is_followed, lease);
    }

    /// Renews the lease, and has it say what is wished.
    pub fn renew(&self) -> Result<(), FenceError> {
        let renewed = self.try_renew();
        if let Ok(false) = renewed {
            // It may have come to pass without an answer.
            return match self.store.read()? {
                Some(found) if self.is_own(&found) => {
                    self.state.lock().lease = Some(found);
                    match self.try_renew()? {
                        true => Ok(()),
                        false => Err(self.lose()?),
                    }
                }
                _ => Err(self.lose()?),
            };
        }
        renewed.map(drop)
    }

    fn lose(&self) -> Result<FenceError, FenceError> {
        let mut state = self.state.lock();
        (state.is_lost, state.held_until) = (true, None);
        drop(state);
        let nobody = || Lease { version: 0, epoch: 0, holder: "nobody".to_owned(), lasts_ms: 0, is_followed: false };
        Ok(lost_to(&self.store.read()?.unwrap_or_else(nobody)))
    }

    fn try_renew(&self) -> Result<bool, FenceError> {
        let begun = Instant::now();
        let (expected, wish) = {
            let mut state = self.state.lock();
            state.may_say |= state.wish;
            (state.lease.clone(), state.wish)
        };
        let version = expected.as_ref().map_or(1, |lease| lease.version + 1);
        let epoch = expected.as_ref().map_or(1, |lease| lease.epoch);
        self.put(begun, expected.as_ref(), self.lease(version, epoch, wish))
    }

    fn lease(&self, version: u64, epoch: u64, is_followed: bool) -> Lease {
        let lasts_ms = u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX);
        Lease { version, epoch, holder: self.holder.clone(), lasts_ms, is_followed }
    }

    fn put(&self, begun: Instant, expected: Option<&Lease>, new: Lease) -> Result<bool, FenceError> {
        if !self.store.replace(expected, &new)? {
            return Ok(false);
        }
        let mut state = self.state.lock();
        state.may_say = new.is_followed;
        (state.lease, state.held_until) = (Some(new), Some(begun + self.lasts));
        Ok(true)
    }

    /// Takes over a lease that has run out; `false` where somebody was before this.
    pub fn take(&self, from: &Lease) -> Result<bool, FenceError> {
        let begun = Instant::now();
        self.state.lock().wish = false;
        self.put(begun, Some(from), self.lease(from.version + 1, from.epoch + 1, false))
    }

    /// Renews the lease until the stop; returns why, where it is lost before.
    pub fn keep(&self, stop: &Stop) -> Option<FenceError> {
        while !stop.is_requested() {
            match self.renew() {
                Ok(()) => {}
                Err(error @ FenceError::Lost { .. }) => return Some(error),
                Err(error) => {
                    tracing::warn!(%error, "The lease is not renewed, and the renewal is retried");
                    if !self.is_held() {
                        return Some(error);
                    }
                    stop.wait(self.lasts / (RENEWALS * RENEWALS));
                }
            }
            let mut state = self.state.lock();
            if state.wish == state.may_say {
                self.poked.wait_for(&mut state, self.lasts / RENEWALS);
            }
        }
        None
    }

    /// Returns whether the lease is held now.
    pub fn is_held(&self) -> bool {
        let state = self.state.lock();
        !state.is_lost && state.held_until.is_some_and(|until| Instant::now() < until)
    }

    /// The epoch of the lease that was held last; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.state.lock().lease.as_ref().map_or(0, |lease| lease.epoch)
    }

    /// Has the lease say soon whether its holder is followed.
    pub(crate) fn wish_followed(&self, is_followed: bool) {
        let mut state = self.state.lock();
        if state.wish != is_followed {
            state.wish = is_followed;
            drop(state);
            self.poked.notify_all();
        }
    }

    /// Returns whether the stored lease is known to say that its holder is followed, so that a standby may take over.
    pub(crate) fn says_followed(&self) -> bool {
        self.state.lock().lease.as_ref().is_some_and(|lease| lease.is_followed)
    }

    /// Returns whether the lease says, or may say, that its holder is followed.
    pub(crate) fn may_say_followed(&self) -> bool {
        self.state.lock().may_say
    }
}

fn lost_to(lease: &Lease) -> FenceError {
    FenceError::Lost { holder: lease.holder.clone(), epoch: lease.epoch }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A lease in memory.
    #[derive(Default)]
    pub(crate) struct MemoryLease(Mutex<Option<Lease>>);

    impl LeaseStore for MemoryLease {
        fn read(&self) -> audience_contract::Result<Option<Lease>> {
            Ok(self.0.lock().clone())
        }

        fn replace(&self, expected: Option<&Lease>, new: &Lease) -> audience_contract::Result<bool> {
            let mut held = self.0.lock();
            let is_expected = held.as_ref() == expected;
            if is_expected {
                *held = Some(new.clone());
            }
            Ok(is_expected)
        }
    }

    /// The fence of a holder on a lease of so many milliseconds.
    pub(crate) fn fence(store: &Arc<MemoryLease>, holder: &str, lasts_ms: u64) -> Fence {
        Fence::new(store.clone(), holder.to_owned(), Duration::from_millis(lasts_ms))
    }

    #[test]
    fn a_lease_has_one_holder_and_whoever_lost_it_does_not_get_it_back() {
        let store = Arc::new(MemoryLease::default());
        let (one, other) = (fence(&store, "one", 60_000), fence(&store, "other", 60_000));
        assert!(!one.is_held());
        one.acquire().unwrap();
        assert!(one.is_held() && one.epoch() == 1);
        assert!(matches!(other.acquire(), Err(FenceError::Lost { epoch: 1, .. })));
        one.wish_followed(true);
        one.renew().unwrap();
        assert!(fence(&store, "one", 1).acquire().is_ok(), "a restart of the holder");
        let lease = store.read().unwrap().unwrap();
        assert!(lease.is_followed && one.says_followed(), "a restart leaves it followed");
        assert!(other.take(&lease).unwrap() && other.is_held() && other.epoch() == 2);
        assert!(!fence(&store, "third", 1).take(&lease).unwrap(), "somebody was before it");
        assert!(matches!(one.renew(), Err(FenceError::Lost { epoch: 2, .. })));
        assert!(!one.is_held());
        assert!(one.acquire().is_err());
    }

    #[test]
    fn a_lease_that_is_not_renewed_runs_out_by_the_holders_own_clock() {
        let store = Arc::new(MemoryLease::default());
        let one = fence(&store, "one", 20);
        one.acquire().unwrap();
        Stop::new().wait(Duration::from_millis(40));
        assert!(!one.is_held(), "nobody took it, and yet it is not held");
        one.renew().unwrap();
        assert!(one.is_held());
    }

    #[test]
    fn a_lease_may_say_that_its_holder_is_followed_until_it_is_known_to_say_otherwise() {
        let store = Arc::new(MemoryLease::default());
        let one = fence(&store, "one", 60_000);
        one.acquire().unwrap();
        assert!(!one.may_say_followed());
        one.wish_followed(true);
        one.renew().unwrap();
        one.wish_followed(false);
        assert!(one.may_say_followed(), "the wish alone changes nothing");
        one.renew().unwrap();
        assert!(!one.may_say_followed());
    }
}
