//! The program between topics, and who is in what by what is said in each place.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use serde_json::Value;

use crate::topics::variable;

/// Partitions of the topics of a test.
pub(crate) const PARTITIONS: i32 = 3;

/// The members of each segment.
pub(crate) type ClusterMembers = BTreeMap<String, BTreeSet<String>>;

/// Settings under topics that no other run has.
pub(crate) fn setup(directory: &Path, prefix: &str) -> Setup {
    let file = directory.join("audience.toml");
    let brokers = variable("AUDIENCE_TEST_KAFKA");
    let text = format!("[kafka]\nbrokers = \"{brokers}\"\npartitions = {PARTITIONS}\ntopic_prefix = \"{prefix}\"\n");
    let redis = variable("AUDIENCE_TEST_REDIS");
    let text = format!("{text}[redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n");
    std::fs::write(&file, text).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    Setup { flags, ..Setup::within(program!(), directory) }
}

/// The members of each segment, by what Redis has of these users.
pub(crate) fn in_redis(prefix: &str, users: u64) -> ClusterMembers {
    let mut connection = redis::Client::open(variable("AUDIENCE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let mut members = ClusterMembers::new();
    for user in (0..users).map(|user| format!("u{user}")) {
        let segments: Vec<String> =
            redis::cmd("HKEYS").arg(format!("{prefix}:user:{user}:segments")).query(&mut connection).unwrap();
        for segment in segments {
            members.entry(segment).or_default().insert(user.clone());
        }
    }
    members
}

/// The members of each segment by these changes; each must change something.
pub(crate) fn folded(changes: &[Value]) -> ClusterMembers {
    let mut members = ClusterMembers::new();
    for change in changes {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let segment = members.entry(text("segmentId")).or_default();
        let is_new = match change["change"].as_str() {
            Some("entered") => segment.insert(text("userId")),
            _ => segment.remove(&text("userId")),
        };
        assert!(is_new, "{change} changes nothing");
    }
    members.retain(|_, members| !members.is_empty());
    members
}

/// The members of these segments by what is served.
pub(crate) fn served(client: Client, segments: &[&str]) -> ClusterMembers {
    let of = |id: &&str| ((*id).to_owned(), client.members(id).unwrap().unwrap_or_default().into_iter().collect());
    segments.iter().map(of).filter(|(_, members): &(_, BTreeSet<_>)| !members.is_empty()).collect()
}

/// The sum of a figure over all labels.
pub(crate) fn metric(client: Client, name: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text();
    let values = text
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Waits until everything that was sent is served and given out.
pub(crate) fn settle(served: &Served) {
    let mut quiet = 0;
    for _ in 0..3_000 {
        let client = served.client();
        let waits = ["audience_source_lag_messages", "audience_source_lag_events", "audience_sink_lag_ticks{"];
        // Ticks without a change are not written to a sink at once.
        let lag: Vec<u64> = waits.iter().map(|name| metric(client, name)).collect();
        quiet = if lag[0] == 0 && lag[1] == 0 { quiet + 1 } else { 0 };
        if quiet > 60 {
            return;
        }
        pause(20);
    }
    panic!("it does not come to rest: {}", served.client().get("/metrics").unwrap().text());
}
