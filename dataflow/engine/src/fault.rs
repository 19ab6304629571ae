//! The fault of one part of the platform, as health shows it.

use std::sync::Arc;

use parking_lot::Mutex;

/// The fault of a part, if it has one. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartFault(Arc<Mutex<Option<String>>>);

impl PartFault {
    /// Notes the fault, or that there is none any more.
    pub(crate) fn set(&self, fault: Option<String>) {
        *self.0.lock() = fault;
    }

    /// The fault, if there is one.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }
}
