//! Closing a consumer, which may take long.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;

use crate::watch::Watch;

/// The time that the closing of a consumer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Closes a consumer on a thread of its own. That waits for the answer to the offsets that are just noted, where brokers halt for a
/// minute: nobody needs to, and a process that ends takes the consumer with it.
pub(crate) fn close(consumer: BaseConsumer<Watch>, source: &str) {
    let (closed, is_closed) = sync_channel::<()>(1);
    let closing = std::thread::Builder::new().name("closing consumer".to_owned()).spawn(move || {
        drop(consumer);
        drop(closed);
    });
    if let Err(error) = closing {
        tracing::warn!(source, %error, "No thread could be started to close the consumer, which was closed on this one");
    }
    if is_closed.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        // Brokers that were just started take some seconds for the first commit, and answer everything else.
        tracing::debug!(source, "The source does not wait any longer for its commit of offsets");
    }
}
