//! A store of memberships behind a breaker: where it is away, or not whole, nobody waits for it.
//!
//! Reads have a short time each, and few of them fail before the breaker opens. While it is open no read goes to the store: a look
//! by itself finds out when it is whole again. Reads that hang take a part of the places for requests at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audience_background::Stop;
use audience_contract::{HeldMembership, ServingError, ServingStore};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Between two looks. A look takes a second at most, so that a store that is away is noticed within two.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Reads that fail one after the other before the breaker opens.
const FAILURES: u32 = 3;
/// Reads at once. Beyond them the store is slow, and whoever asks is answered otherwise.
const READS: usize = 64;

/// A store of memberships, and whether it is asked.
pub(crate) struct GuardedStore {
    store: Arc<dyn ServingStore>,
    breaker: Mutex<Breaker>,
    reading: AtomicUsize,
    metrics: ServingMetrics,
}

#[derive(Debug, Default)]
struct Breaker {
    /// Why the store is not asked.
    fault: Option<String>,
    /// Reads that failed, one after the other.
    failures: u32,
}

/// Figures of the reads.
struct ServingMetrics {
    reads: Counter,
    errors: Counter,
    refused: Counter,
    is_up: Gauge,
}

impl ServingMetrics {
    fn new(registry: &mut Registry) -> ServingMetrics {
        let metrics = ServingMetrics {
            reads: Counter::default(),
            errors: Counter::default(),
            refused: Counter::default(),
            is_up: Gauge::default(),
        };
        let reads = "Users' segments asked of the store of memberships";
        registry.register("serving_store_reads", reads, metrics.reads.clone());
        let failed = "Users' segments that the store of memberships could not give";
        registry.register("serving_store_read_errors", failed, metrics.errors.clone());
        let refused = "Users' segments for which the store was not asked, since it is away, slow or not whole";
        registry.register("serving_store_reads_passed_over", refused, metrics.refused.clone());
        let is_up = "Whether the store of memberships is asked: 1, or 0 while it is away, empty or being filled";
        registry.register("serving_store_up", is_up, metrics.is_up.clone());
        metrics
    }
}

impl GuardedStore {
    /// A store that is asked from the first look on that finds it whole.
    pub(crate) fn new(store: Arc<dyn ServingStore>, registry: &mut Registry) -> GuardedStore {
        let unseen = Breaker { fault: Some("it has not answered yet".to_owned()), failures: 0 };
        let (breaker, metrics) = (Mutex::new(unseen), ServingMetrics::new(registry));
        GuardedStore { store, breaker, reading: AtomicUsize::new(0), metrics }
    }

    /// The store's name.
    pub(crate) fn name(&self) -> &str {
        self.store.name()
    }

    /// Why the store is not asked.
    pub(crate) fn fault(&self) -> Option<String> {
        self.breaker.lock().fault.clone()
    }

    /// Looks at the store until the stop is requested. A change of state is logged once.
    pub(crate) fn watch(&self, stop: &Stop) {
        loop {
            let looked = self.store.state().map_err(ServingError::from).and_then(|state| state.check());
            match looked {
                Ok(()) => self.close(),
                Err(error) => self.open(&error),
            }
            if stop.wait(LOOK_INTERVAL) {
                return;
            }
        }
    }

    /// The segments that a user is in; or why the store cannot be asked.
    pub(crate) fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, String> {
        if let Some(fault) = self.fault() {
            self.metrics.refused.inc();
            return Err(fault);
        }
        let Some(_place) = ReadPlace::take(&self.reading) else {
            self.metrics.refused.inc();
            return Err("it is slow".to_owned());
        };
        self.metrics.reads.inc();
        match self.store.segments_of(user_id) {
            Ok(held) => {
                self.breaker.lock().failures = 0;
                Ok(held)
            }
            Err(error) => {
                self.metrics.errors.inc();
                self.count_failure(&error);
                Err(error.to_string())
            }
        }
    }

    fn count_failure(&self, error: &ServingError) {
        let is_enough = {
            let mut breaker = self.breaker.lock();
            breaker.failures += 1;
            breaker.failures >= FAILURES
        };
        // A store that says that it is not whole says so to everybody.
        if is_enough || !matches!(error, ServingError::Store(_)) {
            self.open(error);
        }
    }

    fn open(&self, error: &ServingError) {
        self.metrics.is_up.set(0);
        let fault = error.to_string();
        let before = self.breaker.lock().fault.replace(fault.clone());
        if before.is_none() {
            tracing::error!(
                store = self.name(),
                fault,
                "The store of memberships is not asked; the engine is, where there is one"
            );
        }
    }

    fn close(&self) {
        self.metrics.is_up.set(1);
        let before = std::mem::take(&mut *self.breaker.lock());
        if before.fault.is_some() {
            tracing::info!(store = self.name(), "The store of memberships is whole, and is asked");
        }
    }
}

/// A place for a read.
struct ReadPlace<'a>(&'a AtomicUsize);

impl<'a> ReadPlace<'a> {
    fn take(reading: &'a AtomicUsize) -> Option<ReadPlace<'a>> {
        if reading.fetch_add(1, Ordering::AcqRel) < READS {
            return Some(ReadPlace(reading));
        }
        reading.fetch_sub(1, Ordering::AcqRel);
        None
    }
}

impl Drop for ReadPlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use audience_contract::{Progress, ServingState, StoreError};

    use super::*;

    /// A store that does as it is told, and counts who asks it.
    struct ScriptedStore {
        state: Mutex<Option<ServingState>>,
        asked: AtomicU32,
    }

    impl ServingStore for ScriptedStore {
        fn name(&self) -> &str {
            "told"
        }

        fn state(&self) -> Result<ServingState, StoreError> {
            let away = || StoreError::Unavailable { action: "asking", detail: "away".to_owned() };
            self.state.lock().ok_or_else(away)
        }

        fn segments_of(&self, _: &str) -> Result<Vec<HeldMembership>, ServingError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.state()?.check().map(|()| Vec::new())
        }
    }

    fn look(guarded: &GuardedStore) {
        let stop = Stop::new();
        stop.request();
        guarded.watch(&stop);
    }

    #[test]
    fn a_store_is_asked_only_while_it_is_whole_and_answers() {
        let told = Arc::new(ScriptedStore { state: Mutex::new(None), asked: AtomicU32::new(0) });
        let guarded = GuardedStore::new(told.clone(), &mut Registry::default());
        let asked = || told.asked.load(Ordering::Relaxed);
        assert!(guarded.segments_of("u").is_err() && asked() == 0, "before it was seen");
        let whole = Some(ServingState::Whole(Progress::default()));
        *told.state.lock() = whole;
        look(&guarded);
        assert!(guarded.segments_of("u").is_ok() && guarded.fault().is_none());
        *told.state.lock() = None;
        for _ in 0..10 {
            assert!(guarded.segments_of("u").is_err());
        }
        assert_eq!(asked(), 1 + FAILURES, "then nobody waits for it");
        *told.state.lock() = whole;
        look(&guarded);
        assert!(guarded.segments_of("u").is_ok());
        *told.state.lock() = Some(ServingState::Partial);
        let before = asked();
        assert!((0..5).all(|_| guarded.segments_of("u").is_err()));
        assert_eq!((asked(), guarded.fault().as_deref()), (before + 1, Some("it is being filled")));
        *told.state.lock() = Some(ServingState::Empty);
        look(&guarded);
        assert!(guarded.fault().is_some_and(|fault| fault.contains("holds nothing")));
    }

    #[test]
    fn reads_at_once_are_bounded() {
        let reading = AtomicUsize::new(0);
        let taken: Vec<_> = (0..READS).map(|_| ReadPlace::take(&reading)).collect();
        assert!(taken.iter().all(Option::is_some) && ReadPlace::take(&reading).is_none());
        drop(taken);
        assert!(ReadPlace::take(&reading).is_some());
    }
}
