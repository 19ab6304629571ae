//! The real program with its old events in the history alone: killed while they go, on a lost data directory, and on a disk of
//! which space is freed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, metric, wait_until};
use serde_json::Value;

/// Events of a user of whom no rule asks: enough that those before them can go.
const FILLER: usize = 70_000;
/// Users who bought, before all else; every second one twice.
const BUYERS: usize = 100;

struct TierPlace<'a> {
    directory: &'a Path,
    setup: Setup,
}

impl TierPlace<'_> {
    fn new(directory: &Path) -> TierPlace<'_> {
        let mut setup = Setup::within(program!(), directory);
        let config = directory.join("audience.toml");
        let flags = ["--checkpoints", &TierPlace::url(directory), "--config", &config.display().to_string()];
        setup.flags = flags.map(str::to_owned).to_vec();
        let place = TierPlace { directory, setup };
        place.keep("");
        place
    }

    fn url(directory: &Path) -> String {
        format!("file://{}", directory.join("store").display())
    }

    /// Bounds the log in the data directory from the next start on.
    fn keep(&self, limit: &str) {
        let config = format!("[history]\nevents = 20000\nseconds = 0\n{limit}\n");
        fs::write(self.directory.join("audience.toml"), config).unwrap();
    }

    /// Starts the program, which ends at the first pass of a line.
    fn end_at(&mut self, failpoint: &str) {
        self.setup.variables = vec![("AUDIENCE_FAILPOINT".to_owned(), format!("{failpoint}:1"))];
        let mut served = self.setup.spawn();
        self.setup.variables.clear();
        served.wait();
        let said = served.said();
        assert!(said.contains(&format!("the failpoint {failpoint} is reached")), "{said}");
    }

    /// Sends what is old, and what comes after it.
    fn fill(&self) -> Served {
        let served = self.setup.start();
        let client = served.client();
        put(client, "buyers", r#"{"event":"buy"}"#);
        let buy = |user: usize| format!(r#"{{"userId":"u{user}","eventType":"buy","messageId":"first"}}"#);
        let again = |user: usize| format!(r#"{{"userId":"u{user}","eventType":"buy","messageId":"second"}}"#);
        send(client, (0..BUYERS).map(buy).chain((0..BUYERS).step_by(2).map(again)));
        for _ in 0..2 * FILLER / 10_000 {
            send(client, (0..10_000).map(|_| r#"{"userId":"filler","eventType":"noise"}"#.to_owned()));
        }
        wait_until("the history", || metric(client, "audience_history_lag_events") == 0.0);
        assert_eq!(size(client, "buyers"), BUYERS as u64);
        served
    }

    fn free_space(&self, flags: &[&str]) -> Output {
        let mut command = Command::new(&self.setup.program);
        command.args(["admin", "free-space", "--data"]).arg(&self.setup.data).args(flags).output().unwrap()
    }
}

fn send(client: Client, lines: impl Iterator<Item = String>) {
    let body = lines.collect::<Vec<_>>().join("\n");
    let answer = client.send("POST", "/api/events", "application/x-ndjson", body.as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn put(client: Client, id: &str, rules: &str) {
    let answer = client.put(&format!("/api/segments/{id}"), &format!(r#"{{"name":"{id}","rules":{rules}}}"#)).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn size(client: Client, segment: &str) -> u64 {
    client.get(&format!("/api/segments/{segment}")).unwrap().json()["size"].as_u64().unwrap()
}

/// Old events count for new rules, their messages repeat no more, and a merge brings them along.
fn check_old(client: Client, round: usize) {
    assert_eq!(size(client, "buyers"), (BUYERS - round) as u64);
    let twice = format!("twice-{round}");
    put(client, &twice, r#"{"event":"buy","operator":"gte","value":2}"#);
    assert_eq!(size(client, &twice), (BUYERS / 2) as u64, "of the history");
    // Both bought once, under the same message id, which counts once in whom they are now.
    let (user, previous) = (10 * round + 7, 2 * round + 1);
    let alias = format!(r#"{{"userId":"u{user}","previousId":"u{previous}","eventType":"alias"}}"#);
    let repeated = format!(r#"{{"userId":"u{user}","eventType":"buy","messageId":"first"}}"#);
    send(client, [repeated, alias].into_iter());
    wait_until("the merge", || size(client, "buyers") == (BUYERS - round - 1) as u64);
    assert_eq!(size(client, &twice), (BUYERS / 2) as u64);
}

#[test]
fn killed_while_old_events_go_nothing_is_lost_with_or_without_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let mut place = TierPlace::new(directory.path());
    place.fill().kill();
    place.keep("log_megabytes = 1");
    // The floor is noted and nothing has gone, some has gone, and the checkpoint that would let it go is half there.
    for failpoint in ["checkpoint_part", "floor_committed", "runs_forgotten"] {
        place.end_at(failpoint);
    }
    let served = place.setup.start();
    assert!(metric(served.client(), "audience_history_alone_events") > 60_000.0);
    check_old(served.client(), 0);
    wait_until("the history", || metric(served.client(), "audience_history_lag_events") == 0.0);
    served.kill();
    let served = place.setup.start();
    check_old(served.client(), 1);
    wait_until("the history", || metric(served.client(), "audience_history_lag_events") == 0.0);
    served.kill();
    fs::remove_dir_all(&place.setup.data).unwrap();
    let served = place.setup.start();
    check_old(served.client(), 2);
    served.stop();
}

fn parts(output: &Output) -> Vec<(u64, u64)> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    parts.iter().map(|part| (part["count"].as_u64().unwrap(), part["bytes"].as_u64().unwrap())).collect()
}

/// A standby is filled with what its primary has in the history alone, and with the places of those who were erased.
fn a_standby_has_old_events(place: &TierPlace<'_>) {
    let lease = format!("file://{}", place.directory.join("lease").display());
    let mut first = place.setup.clone();
    first.flags.extend(["--lease".to_owned(), lease.clone()]);
    let primary = first.start();
    send(primary.client(), [r#"{"userId":"gone","eventType":"noise"}"#.to_owned()].into_iter());
    assert_eq!(primary.client().send("DELETE", "/api/users/gone", "application/json", b"").unwrap().status, 204);
    wait_until("the erasure", || primary.said().contains("erased from the log"));
    let own = place.directory.join("second");
    fs::create_dir(&own).unwrap();
    let mut second = Setup::within(program!(), &own);
    let url = format!("http://{}", primary.address);
    let flags = ["--lease", &lease, "--standby-of", &url, "--standby-promotion", "automatic"];
    second.flags = flags.map(str::to_owned).to_vec();
    let mut standby = second.spawn();
    wait_until("a standby", || metric(primary.client(), "audience_standby_followed") == 1.0);
    primary.kill();
    standby.wait_ready().unwrap();
    check_old(standby.client(), 1);
    standby.stop();
}

#[test]
fn space_is_freed_offline_after_it_is_told_what_goes() {
    let directory = tempfile::tempdir().unwrap();
    let place = TierPlace::new(directory.path());
    let served = place.fill();
    let refused = place.free_space(&[]);
    assert!(!refused.status.success(), "the server runs");
    wait_until("a checkpoint", || metric(served.client(), "audience_checkpoint_timestamp_seconds") > 0.0);
    served.stop();
    fs::create_dir(place.setup.data.join("messages.new")).unwrap();
    fs::write(place.setup.data.join("messages.new/part"), [0; 1_000]).unwrap();
    let url = TierPlace::url(directory.path());
    let without = parts(&place.free_space(&["--json"]));
    assert_eq!((without[0], without[2]), ((1, 1_000), (0, 0)), "without the URL all events stay");
    let told = parts(&place.free_space(&["--json", "--checkpoints", &url]));
    assert!(told[2].0 > 130_000 && told[2].1 > 1_000_000, "{told:?}");
    assert!(place.setup.data.join("messages.new").exists(), "nothing is done before it is asked for");
    let freed = place.free_space(&["--checkpoints", &url, "--yes"]);
    let said = String::from_utf8_lossy(&freed.stdout).into_owned();
    assert!(freed.status.success() && said.contains("events that the history has: 1"), "{said}");
    assert!(!place.setup.data.join("messages.new").exists());
    let left = parts(&place.free_space(&["--json", "--checkpoints", &url]));
    assert!(left[2].0 < 20_000 && left[0].0 == 0, "{left:?}");

    let served = place.setup.start();
    assert!(metric(served.client(), "audience_history_alone_events") > 60_000.0);
    check_old(served.client(), 0);
    served.stop();
    a_standby_has_old_events(&place);
    fs::remove_dir_all(directory.path().join("store")).unwrap();
    let refused = place.free_space(&["--checkpoints", &url]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another data directory"), "{refused:?}");
}
