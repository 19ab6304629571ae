//! The state of a sink, as health and metrics show it.

use std::sync::Arc;

use parking_lot::Mutex;

/// The fault of a sink that was not opened yet.
const UNOPENED: &str = "it has not answered yet";

impl Verification {
    /// Returns whether it is ordered or under way.
    pub fn is_running(&self) -> bool {
        self.is_ordered || self.is_begun
    }
}

/// Records that wait for their repair, at most.
const MOST_REPAIRS: usize = 10_000;

/// The state of a sink, as health and metrics show it.
#[derive(Debug)]
pub(super) struct SinkStatus {
    name: String,
    /// True if it has a store that can be compared with the memberships.
    can_be_verified: bool,
    /// Why its writers cannot start.
    fault: Mutex<Option<String>>,
    writers: Mutex<Vec<WriterStatus>>,
    /// The fault that a look at the store has found.
    store_fault: Mutex<Option<String>>,
    /// The order that its writer carries out before it goes on.
    order: Mutex<Option<Order>>,
    /// Records that its writer is to repair.
    repairs: Mutex<Vec<Repair>>,
    verification: Mutex<Verification>,
    /// A notice of records that the sink left out.
    notice: Mutex<Option<String>>,
}

/// A record of a user that differs from what was written.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    /// The user.
    pub user: Arc<str>,
    /// Segments that it lacks.
    pub missing: Vec<Arc<str>>,
    /// Segments that are over.
    pub over: Vec<Arc<str>>,
}

/// The comparison of a store with the memberships that was ordered last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verification {
    /// It was ordered, and has not begun.
    is_ordered: bool,
    /// It is under way.
    is_begun: bool,
    /// Users whose records were compared.
    pub checked: u64,
    /// Those among them whose records were wrong, and are repaired.
    pub wrong: u64,
    /// The number of such comparisons that have ended.
    pub ended: u64,
}

/// An order that a writer carries out before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Open the store again: it has lost what it held.
    Reopen,
    /// Empty the store, and fill it again.
    Rebuild,
}

/// The state of one writer.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterStatus {
    /// The fault that keeps it from going on.
    pub fault: Option<String>,
    /// The tick up to which it has written everything; none before it was first opened.
    pub reached: Option<u64>,
    /// The tick that it has last written to the store as that up to which everything is there, since the store was opened.
    pub written: Option<u64>,
}

impl SinkStatus {
    /// A sink that was not opened yet.
    pub(super) fn new(name: &str, can_be_verified: bool) -> Self {
        SinkStatus {
            can_be_verified,
            name: name.to_owned(),
            fault: Mutex::new(Some(UNOPENED.to_owned())),
            writers: Mutex::default(),
            store_fault: Mutex::default(),
            order: Mutex::default(),
            repairs: Mutex::default(),
            verification: Mutex::default(),
            notice: Mutex::default(),
        }
    }

    /// The sink's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it has a store that can be compared with the memberships.
    pub(super) fn can_be_verified(&self) -> bool {
        self.can_be_verified
    }

    /// Returns what keeps it, or one of its writers, from going on.
    pub(super) fn fault(&self) -> Option<String> {
        let own = self.fault.lock().clone();
        let own = own.or_else(|| self.writers.lock().iter().find_map(|writer| writer.fault.clone()));
        own.or_else(|| self.store_fault.lock().clone())
    }

    /// Returns the tick up to which it holds everything; none before it was first opened.
    pub(super) fn reached(&self) -> Option<u64> {
        self.writers.lock().iter().map(|writer| writer.reached).min().flatten()
    }

    /// Returns the tick that the store itself must have by now; none while it is being opened or filled.
    pub(super) fn written(&self) -> Option<u64> {
        self.writers.lock().iter().map(|writer| writer.written).min().flatten()
    }

    /// Sets what a look at the store has found; returns whether that is news.
    pub(super) fn set_store_fault(&self, fault: Option<String>) -> bool {
        let mut known = self.store_fault.lock();
        let is_news = known.is_some() != fault.is_some();
        *known = fault;
        is_news
    }

    /// Has the writer do something before it goes on.
    pub(super) fn order(&self, order: Order) {
        *self.order.lock() = Some(order);
    }

    /// Has all records compared with the memberships, and repaired.
    pub(super) fn order_verification(&self) {
        self.verification.lock().is_ordered = true;
    }

    /// Begins the comparison that is ordered; returns whether one is.
    pub(super) fn begin_verifying(&self) -> bool {
        let mut verification = self.verification.lock();
        let is_ordered = verification.is_ordered;
        if is_ordered {
            *verification = Verification { is_begun: true, ended: verification.ended, ..Verification::default() };
        }
        is_ordered
    }

    /// The comparison that was ordered last.
    pub(super) fn verification(&self) -> Verification {
        *self.verification.lock()
    }

    /// Counts records that were compared; at the end, an ordered comparison has ended.
    pub(super) fn verified(&self, checked: u64, wrong: u64, is_end: bool) {
        let mut verification = self.verification.lock();
        if verification.is_begun {
            verification.checked += checked;
            verification.wrong += wrong;
            verification.is_begun = !is_end;
            verification.ended += u64::from(is_end);
        }
    }

    /// Has the writer repair a record. Beyond a number of records that wait for it, the next comparison finds them again.
    pub(super) fn order_repair(&self, repair: Repair) {
        let mut repairs = self.repairs.lock();
        if repairs.len() < MOST_REPAIRS {
            repairs.push(repair);
        }
    }

    /// Takes the records that are to be repaired.
    pub(super) fn take_repairs(&self) -> Vec<Repair> {
        std::mem::take(&mut self.repairs.lock())
    }

    /// A notice of records that the sink left out.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.lock().clone()
    }

    /// Sets what the sink left out.
    pub(super) fn set_notice(&self, notice: Option<String>) {
        *self.notice.lock() = notice;
    }

    /// Takes what the writer is to do.
    pub(super) fn take_order(&self) -> Option<Order> {
        self.order.lock().take()
    }

    /// Changes the state of a writer.
    pub(super) fn set(&self, index: usize, change: impl FnOnce(&mut WriterStatus)) {
        self.writers.lock().get_mut(index).map(change);
    }

    /// Sets why its writers cannot start.
    pub(super) fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock() = fault;
    }

    /// Notes that so many writers start. The state before counts until each of them has opened.
    pub(super) fn begin(&self, writers: usize) {
        let own = self.fault.lock().clone();
        let fault = own.or_else(|| self.writers.lock().iter().find_map(|writer| writer.fault.clone()));
        let known = WriterStatus { fault, reached: self.reached(), written: None };
        *self.writers.lock() = vec![known; writers];
        self.set_fault(None);
    }
}
