//! Servers of `scripts/services` that fail, and events that come in all the while.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_tests::random::Random;
use audience_tests::serve::{pause, wall_clock};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::topics::{client, variable};

/// Tells `scripts/services` something.
pub(crate) fn services(action: &str, service: &str) {
    let status = Command::new(variable("AUDIENCE_TEST_SERVICES")).args([action, service]).output().unwrap();
    assert!(status.status.success(), "{action} {service}: {}", String::from_utf8_lossy(&status.stderr));
}

/// A server that is paused: connections stay, and nothing is answered. Goes on when dropped, or all that is behind would hang.
pub(crate) struct Paused(&'static str);

impl Paused {
    /// Pauses it.
    pub(crate) fn begin(service: &'static str) -> Paused {
        services("pause", service);
        Paused(service)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        services("start", self.0);
    }
}

/// Sends events of that many users until told to stop; gives them. Each has a message id, since a broker that dies may have
/// one twice.
pub(crate) fn send(topic: &str, users: u64, seed: u64, is_stopping: &AtomicBool) -> Vec<Value> {
    let producer: BaseProducer =
        client().set("enable.idempotence", "true").set("message.timeout.ms", "120000").create().unwrap();
    let mut random = Random::new(seed);
    let mut sent = Vec::new();
    while !is_stopping.load(Ordering::Acquire) {
        let user = format!("u{}", random.between(0, users - 1));
        let kind = *random.pick(&["buy", "buy", "view"]);
        let event = json!({
            "messageId": format!("m{}", sent.len()), "userId": user, "eventType": kind, "timestamp": wall_clock(),
            "properties": {"amount": random.between(1, 50)}
        });
        let text = event.to_string();
        while producer.send(BaseRecord::to(topic).key(&user).payload(&text)).is_err() {
            producer.poll(Duration::from_millis(10));
        }
        sent.push(event);
        producer.poll(Duration::ZERO);
        pause(2);
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    sent
}

/// Ends the sender also where the test panics, which would else wait for it for good.
pub(crate) struct StopSending<'a>(pub &'a AtomicBool);

impl Drop for StopSending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
