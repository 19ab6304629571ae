//! How often a store came back older, for metrics and health.

use parking_lot::Mutex;

/// How often the store came back older.
#[derive(Debug, Default)]
pub(crate) struct WentBack(Mutex<(u64, Option<String>)>);

impl WentBack {
    /// Counts one time, and keeps it in words.
    pub(crate) fn note(&self, how: String) {
        let mut told = self.0.lock();
        *told = (told.0 + 1, Some(how));
    }

    /// The number of times, and the last one in words.
    pub(crate) fn told(&self) -> (u64, Option<String>) {
        self.0.lock().clone()
    }
}
