//! Looks at the store of a sink beside its writer: whether it answers, and whether it still has what was written to it.

use std::time::Duration;

use audience_background::Stop;
use audience_contract::{ServingState, ServingStore};

use super::status::{Order, SinkStatus};

/// Between two looks. A look takes a second at most, so that a store that is away is noticed within two.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks until the stop is requested. A change of state is logged once.
pub(super) fn watch(store: &dyn ServingStore, status: &SinkStatus, stop: &Stop) {
    while !stop.wait(INTERVAL) {
        // Read before the look: what is there then is never older.
        let written = status.written();
        let looked = store.state();
        let fault = looked.as_ref().err().map(ToString::to_string);
        if status.set_store_fault(fault.clone()) {
            match fault {
                Some(fault) => tracing::error!(sink = status.name(), fault, "The store of the sink does not answer"),
                None => tracing::info!(sink = status.name(), "The store of the sink answers again"),
            }
        }
        if let (Ok(state), Some(written)) = (looked, written)
            && has_lost(state, written)
        {
            tracing::error!(
                sink = status.name(),
                tick = written,
                ?state,
                "The store of the sink has lost what it held; it is filled again"
            );
            status.order(Order::Reopen);
        }
    }
}

fn has_lost(state: ServingState, written: u64) -> bool {
    match state {
        ServingState::Empty => true,
        ServingState::Whole(progress) => progress.tick < written,
        // Another process has taken it over, and fills it: this one hears of that when it writes.
        ServingState::Partial => false,
    }
}
