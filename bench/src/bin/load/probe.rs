//! From the POST of one event to the user's served segments.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use audience_bench::http::BenchClient;
use audience_bench::report::Times;

use crate::flow::{EventFlow, pause, post};

/// Between two looks.
const LOOK: Duration = Duration::from_micros(500);
/// Between two events.
const GAP: Duration = Duration::from_millis(40);
/// An event that does not show by then is a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// The times measured.
#[derive(Default)]
pub(crate) struct Probed {
    /// From before the POST to the answer in which the segment is.
    pub served: Times,
    /// The time of each look.
    pub looks: Times,
}

/// Posts events that make their users enter `segment`, one at a time, until told to stop.
pub(crate) fn probe(
    address: SocketAddr,
    flow: &EventFlow,
    (event, segment): (&str, &str),
    stop: &AtomicBool,
) -> anyhow::Result<Probed> {
    let (mut writer, mut reader) = (BenchClient::connect(address)?, BenchClient::connect(address)?);
    let mut probed = Probed::default();
    let wanted = format!("\"{segment}\"");
    let mut user = 17;
    while !stop.load(Ordering::Relaxed) {
        user = (user + 7919) % flow.workload.users;
        let body = format!(r#"{{"userId":"u{user}","eventType":"{event}","properties":{{}}}}"#);
        let path = format!("/api/users/u{user}/segments");
        let begun = Instant::now();
        post(&mut writer, body.as_bytes())?;
        flow.others.fetch_add(1, Ordering::Relaxed);
        loop {
            let look = Instant::now();
            let answer = reader.get(&path)?;
            probed.looks.add(look.elapsed());
            if answer.body.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "u{user} is not in {segment} after {PATIENCE:?}");
            pause(LOOK);
        }
        probed.served.add(begun.elapsed());
        pause(GAP);
    }
    Ok(probed)
}
