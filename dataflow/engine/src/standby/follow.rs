//! Shipments one after the other, until the promotion: a standby takes over the lease once it has run out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::{Lease, Progress};
use parking_lot::{Condvar, Mutex};

use super::fence::Fence;
use super::keep::Keeper;
use super::shipment::{Shipment, Shipped};
use crate::engine::{Engine, EngineError, StartError};
use crate::start::{StartPhase, StartProgress};
use crate::stores::PlatformStores;

/// Between attempts to reach the primary.
const RETRY: Duration = Duration::from_millis(50);
/// Silence after which an answer is given up at first, since a lease is to be looked at meanwhile. It doubles with each that is.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the patience doubles, at most: a primary may have to read old events from far away.
const DOUBLINGS: u32 = 5;
/// Between looks at the lease.
const LOOK: Duration = Duration::from_millis(100);
/// How long an order waits for a lease to run out, in the times that the lease lasts.
const ORDER_PATIENCE: u32 = 5;

/// The primary, as its standby reaches it.
pub trait PrimaryLog: Send + Sync {
    /// Asks for what comes after what the standby has; both as bytes. MUST give up after about so long a silence.
    fn ask(&self, held: &[u8], patience: Duration) -> Result<Vec<u8>, String>;

    /// Takes what the standby does just now, for those who ask.
    fn tell(&self, what: String);
}

/// Settings of a standby that follows.
#[derive(Clone)]
pub struct StandbyOptions {
    /// The primary.
    pub primary: Arc<dyn PrimaryLog>,
    /// The lease, which the primary holds.
    pub fence: Arc<Fence>,
    /// True if it takes over by itself, where the lease says that nothing is lost by that.
    pub is_automatic: bool,
    /// True if the catalogue is in the data directory.
    pub keeps_catalogue: bool,
    /// Orders to take over.
    pub orders: Arc<PromotionOrders>,
}

/// Orders to take over, from whoever runs the standby.
#[derive(Default)]
pub struct PromotionOrders {
    state: Mutex<OrderState>,
    answered: Condvar,
}

#[derive(Default)]
struct OrderState {
    order: Option<PromotionOrder>,
    answer: Option<Result<(), String>>,
}

/// An order to take over.
#[derive(Clone, Copy, Debug)]
struct PromotionOrder {
    accepts_loss: bool,
    at: Instant,
    /// The version of the lease when it was first looked at.
    seen: Option<u64>,
}

impl PromotionOrders {
    /// Orders the standby to take over; waits until it has, or says why not.
    pub fn order(&self, accepts_loss: bool, patience: Duration) -> Result<(), String> {
        let mut state = self.state.lock();
        let order = PromotionOrder { accepts_loss, at: Instant::now(), seen: None };
        (state.order, state.answer) = (Some(order), None);
        let until = order.at + patience;
        while state.answer.is_none() && !self.answered.wait_until(&mut state, until).timed_out() {}
        let late = "the standby does not follow yet, or no more; ask its health".to_owned();
        state.answer.take().unwrap_or(Err(late))
    }

    fn pending(&self) -> Option<PromotionOrder> {
        self.state.lock().order
    }

    fn note_seen(&self, version: u64) {
        if let Some(order) = &mut self.state.lock().order {
            order.seen = Some(version);
        }
    }

    fn answer(&self, answer: Result<(), String>) {
        let mut state = self.state.lock();
        if state.order.take().is_some() {
            state.answer = Some(answer);
        }
        drop(state);
        self.answered.notify_all();
    }
}

/// The lease as this process sees it, and since when it is the same.
struct LeaseWatch {
    seen: Option<Lease>,
    since: Instant,
    looked: Option<Instant>,
}

impl LeaseWatch {
    /// Looks, unless it has just done so.
    fn look(&mut self, fence: &Fence) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        match fence.read() {
            Ok(found) if found == self.seen => {}
            Ok(found) => (self.seen, self.since) = (found, Instant::now()),
            Err(error) => tracing::warn!(%error, "The standby cannot see the lease, and looks again"),
        }
    }

    /// The lease, where its holder cannot have it any more.
    fn run_out(&self) -> Option<&Lease> {
        // Clocks of two machines differ by less than a twentieth.
        let lasts = |lease: &Lease| Duration::from_millis(lease.lasts_ms.saturating_add(lease.lasts_ms / 20));
        self.seen.as_ref().filter(|lease| self.since.elapsed() > lasts(lease))
    }
}

/// A standby on its stores.
pub(crate) struct Standby<'a> {
    options: &'a StandbyOptions,
    keeper: Keeper,
    watch: LeaseWatch,
    start: &'a StartProgress,
    told: Instant,
    /// Questions without an answer since the last one.
    unanswered: u32,
}

/// The outcome of a question to the primary.
enum Pulled {
    Whole(Option<Progress>),
    Part,
    Nothing,
}

impl<'a> Standby<'a> {
    /// A standby on empty stores, or on those of a standby. It fills them until they have all of something that was.
    pub(crate) fn fill(
        options: &'a StandbyOptions,
        stores: &PlatformStores,
        start: &'a StartProgress,
    ) -> Result<Standby<'a>, EngineError> {
        start.enter(StartPhase::Restore);
        let keeper = Keeper::new(stores, options.keeps_catalogue)?;
        let watch = LeaseWatch { seen: None, since: Instant::now(), looked: None };
        let mut standby = Standby { options, keeper, watch, start, told: Instant::now(), unanswered: 0 };
        let mut has_all = standby.keeper.is_whole();
        while !has_all {
            has_all = matches!(standby.pull()?, Pulled::Whole(_));
            let why = "the standby does not have everything yet, and cannot take over";
            options.orders.answer(Err(why.to_owned()));
        }
        Ok(standby)
    }

    /// Follows until the promotion, and says each progress that is kept.
    pub(crate) fn follow(&mut self, engine: &Engine, on_progress: &dyn Fn(Progress)) -> Result<(), EngineError> {
        loop {
            if let Some(failure) = engine.failure() {
                return Err(failure.into());
            }
            if let Pulled::Whole(Some(progress)) = self.pull()? {
                on_progress(progress);
            }
            self.watch.look(&self.options.fence);
            if self.is_promoted()? {
                return Ok(());
            }
        }
    }

    /// Asks the primary once, and keeps what it gives.
    fn pull(&mut self) -> Result<Pulled, EngineError> {
        let refused = |why: String| EngineError::from(StartError::Restore(format!("the primary refuses: {why}")));
        let held = self.keeper.held()?;
        let asked = bincode::serialize(&held).map_err(|error| EngineError::write("a question", error))?;
        let answer = self.options.primary.ask(&asked, PATIENCE * (1 << self.unanswered.min(DOUBLINGS)));
        self.unanswered = if answer.is_ok() { 0 } else { self.unanswered.saturating_add(1) };
        let shipped = answer.and_then(|bytes| bincode::deserialize(&bytes).map_err(|error| error.to_string()));
        match shipped {
            Ok(Shipped::Log(shipment)) => self.keep(*shipment),
            Ok(Shipped::Refused(why)) => Err(refused(why)),
            Err(error) => {
                self.tell(|| format!("the primary does not answer: {error}"));
                Stop::new().wait(RETRY);
                Ok(Pulled::Nothing)
            }
        }
    }

    fn keep(&mut self, shipment: Shipment) -> Result<Pulled, EngineError> {
        let (end, is_whole) = (shipment.end, shipment.is_whole);
        let progress = self.keeper.keep(shipment)?;
        let behind = end.saturating_sub(self.keeper.held()?.events);
        self.start.hears_primary(behind);
        self.tell(|| format!("this standby follows its primary, and lacks {behind} events"));
        Ok(if is_whole { Pulled::Whole(progress) } else { Pulled::Part })
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.told.elapsed() >= Duration::from_millis(500) {
            self.told = Instant::now();
            self.options.primary.tell(what());
        }
    }

    /// Takes over where that is ordered, or due, and possible.
    fn is_promoted(&mut self) -> Result<bool, EngineError> {
        let StandbyOptions { fence, orders, is_automatic, .. } = self.options;
        let order = orders.pending();
        if order.is_none() && !is_automatic {
            return Ok(false);
        }
        let Some(lease) = self.watch.run_out().cloned() else {
            order.into_iter().for_each(|order| self.check_order(order));
            return Ok(false);
        };
        if let Some(why) = self.obstacle(&lease, order) {
            orders.answer(Err(why.to_owned()));
            return Ok(false);
        }
        match fence.take(&lease) {
            Ok(true) => {
                tracing::warn!(epoch = fence.epoch(), "The standby takes over");
                orders.answer(Ok(()));
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                tracing::error!(%error, "The standby cannot take over, and retries");
                Ok(false)
            }
        }
    }

    /// Why the standby does not take over from a lease that has run out.
    fn obstacle(&self, lease: &Lease, order: Option<PromotionOrder>) -> Option<&'static str> {
        if !self.keeper.is_whole() {
            return Some("this standby was catching up, and has a part of what came last: it cannot take over");
        }
        let accepts_loss = order.is_some_and(|order| order.accepts_loss);
        let why = "the primary went on without this standby: what it accepted then would be lost; `--accept-loss` takes \
                   over all the same";
        (!lease.is_followed && !accepts_loss).then_some(why)
    }

    /// Answers an order where the lease is still renewed, or is not there.
    fn check_order(&self, order: PromotionOrder) {
        let orders = &self.options.orders;
        let Some(lease) = &self.watch.seen else {
            return orders.answer(Err("there is no lease where the settings say".to_owned()));
        };
        match order.seen {
            None => orders.note_seen(lease.version),
            Some(seen) if seen != lease.version => {
                orders.answer(Err("the primary runs and renews its lease: stop it first".to_owned()));
            }
            Some(_) if order.at.elapsed() > Duration::from_millis(lease.lasts_ms) * ORDER_PATIENCE => {
                orders.answer(Err("the lease does not run out".to_owned()));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_contract::LeaseStore as _;

    use super::super::fence::tests::{MemoryLease, fence};
    use super::*;

    #[test]
    fn a_lease_has_run_out_once_it_was_seen_unchanged_for_longer_than_it_lasts() {
        let store = Arc::new(MemoryLease::default());
        let (primary, standby) = (fence(&store, "primary", 300), fence(&store, "standby", 300));
        primary.acquire().unwrap();
        let mut watch = LeaseWatch { seen: None, since: Instant::now(), looked: None };
        let look = |watch: &mut LeaseWatch| {
            watch.looked = None;
            watch.look(&standby);
        };
        look(&mut watch);
        Stop::new().wait(Duration::from_millis(200));
        primary.renew().unwrap();
        look(&mut watch);
        Stop::new().wait(Duration::from_millis(200));
        look(&mut watch);
        assert!(watch.run_out().is_none(), "it was renewed meanwhile");
        Stop::new().wait(Duration::from_millis(200));
        let lease = watch.run_out().cloned().unwrap();
        assert!(!primary.is_held(), "its holder knows, too");
        assert!(standby.take(&lease).unwrap());
        assert_eq!(store.read().unwrap().unwrap().holder, "standby");
    }

    #[test]
    fn an_order_that_nobody_takes_is_answered() {
        let orders = PromotionOrders::default();
        assert!(orders.order(false, Duration::from_millis(20)).unwrap_err().contains("does not follow"));
        let answered = std::thread::scope(|scope| {
            let ordered = scope.spawn(|| orders.order(true, Duration::from_secs(60)));
            while !orders.pending().is_some_and(|order| order.accepts_loss) {
                Stop::new().wait(Duration::from_millis(1));
            }
            orders.answer(Err("no".to_owned()));
            ordered.join().unwrap()
        });
        assert_eq!(answered, Err("no".to_owned()));
    }
}
