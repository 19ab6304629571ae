//! The state of a sink, as health and metrics show it.

use parking_lot::Mutex;

/// The fault of a sink that was not opened yet.
const UNOPENED: &str = "it has not answered yet";

/// The state of a sink, as health and metrics show it.
#[derive(Debug)]
pub struct SinkStatus {
    name: String,
    /// Why its writers cannot start.
    fault: Mutex<Option<String>>,
    writers: Mutex<Vec<WriterStatus>>,
}

/// The state of one writer.
#[derive(Clone, Debug, Default)]
pub struct WriterStatus {
    /// The fault that keeps it from going on.
    pub fault: Option<String>,
    /// The tick up to which it has written everything; none before it was first opened.
    pub reached: Option<u64>,
}

impl SinkStatus {
    /// A sink that was not opened yet.
    pub fn new(name: &str) -> Self {
        SinkStatus { name: name.to_owned(), fault: Mutex::new(Some(UNOPENED.to_owned())), writers: Mutex::default() }
    }

    /// The sink's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what keeps it, or one of its writers, from going on.
    pub fn fault(&self) -> Option<String> {
        let own = self.fault.lock().clone();
        own.or_else(|| self.writers.lock().iter().find_map(|writer| writer.fault.clone()))
    }

    /// Returns the tick up to which it holds everything; none before it was first opened.
    pub fn reached(&self) -> Option<u64> {
        self.writers.lock().iter().map(|writer| writer.reached).min().flatten()
    }

    /// Changes the state of a writer.
    pub fn set(&self, index: usize, change: impl FnOnce(&mut WriterStatus)) {
        self.writers.lock().get_mut(index).map(change);
    }

    /// Sets why its writers cannot start.
    pub fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock() = fault;
    }

    /// Notes that so many writers start. The state before counts until each of them has opened.
    pub fn begin(&self, writers: usize) {
        let known = WriterStatus { fault: self.fault(), reached: self.reached() };
        *self.writers.lock() = vec![known; writers];
        self.set_fault(None);
    }
}
