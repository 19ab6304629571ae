//! Closing a consumer, which may take long.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;

use crate::watch::Watch;

/// How long a consumer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Closes a consumer on a thread of its own. That waits for the answer to the offsets that are just noted, where brokers halt for a
/// minute: nobody needs to, and a process that ends takes the consumer with it.
pub fn close(consumer: BaseConsumer<Watch>, source: &str) {
    let (closed, is_closed) = sync_channel::<()>(1);
    let closing = std::thread::Builder::new().name("closing consumer".to_owned()).spawn(move || {
        drop(consumer);
        drop(closed);
    });
    if let Err(error) = closing {
        tracing::warn!(source, %error, "no thread to close the consumer with; it was closed on this one");
    }
    if is_closed.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!(
            source,
            "the brokers do not answer: going on without waiting for offsets that are being noted there"
        );
    }
}
