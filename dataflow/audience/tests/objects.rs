//! The real program with its checkpoints outside of the data directory.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audience_contract::suite::SmallDisk;
use audience_tests::client::Client;
use audience_tests::ledger::{Ledger, members_at, same};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, metric, wait_until, wall_clock};
use serde_json::{Value, json};

fn setup(directory: &Path, url: &str) -> Setup {
    let flags = vec!["--checkpoints".to_owned(), url.to_owned()];
    Setup { flags, ..Setup::within(program!(), directory) }
}

fn file_url(directory: &Path) -> String {
    format!("file://{}", directory.display())
}

fn send(client: Client, users: u64) {
    let lines: Vec<String> = (0..users).map(|user| format!(r#"{{"userId":"u{user}","eventType":"buy"}}"#)).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn size(client: Client) -> u64 {
    client.get("/api/segments/buyers").unwrap().json()["size"].as_u64().unwrap()
}

fn with_buyers(client: Client, users: u64) {
    let answer = client.put("/api/segments/buyers", r#"{"name":"b","rules":{"event":"buy"}}"#).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    send(client, users);
    wait_until("the members", || size(client) == users);
}

/// The folders of finished checkpoints, oldest first.
fn finished(store: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(store.join("checkpoints")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("manifest").exists());
    found.sort();
    found
}

fn checkpoint(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(&setup.program);
    command.arg("checkpoint").args(arguments).args(&setup.flags[..2]).envs(setup.variables.iter().cloned());
    command.output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_damaged_checkpoint_is_named_and_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let mut setup = setup(directory.path(), &file_url(&store));
    let served = setup.start();
    with_buyers(served.client(), 500);
    wait_until("two checkpoints", || finished(&store).len() >= 2);
    served.stop();
    assert!(fs::read_dir(setup.data.join("checkpoints")).unwrap().next().is_none(), "none is in the data directory");
    let verified = checkpoint(&setup, &["verify", "--json"]);
    assert!(verified.status.success(), "{verified:?}");
    let newest = rows(&verified)[0].clone();
    assert_eq!((newest["toSequence"].as_u64(), newest["faults"].as_array()), (Some(500), None), "{newest}");
    assert!(newest["shards"].as_u64() > Some(100) && newest["bytes"].as_u64() > Some(500), "{newest}");

    let damaged = finished(&store).pop().unwrap();
    let shard = fs::read_dir(&damaged).unwrap().map(|entry| entry.unwrap().path());
    let shard = shard.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("shard-00"));
    let shard = shard.min().unwrap();
    fs::write(&shard, b"x").unwrap();
    let verified = checkpoint(&setup, &["verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{said}");
    assert!(said.contains(&*shard.file_name().unwrap().to_string_lossy()) && said.contains("good"), "{said}");
    assert_eq!(checkpoint(&setup, &["list"]).status.code(), Some(0));

    // No other is written meanwhile, so that it is this one that would be found.
    setup.checkpoint_seconds = 3600;
    let served = setup.start();
    let said = served.said();
    assert!(said.contains("is damaged") && said.contains("from_checkpoint=true"), "{said}");
    assert_eq!((size(served.client()), metric(served.client(), "audience_checkpoints_passed_over_total")), (500, 1.0));
    served.kill();
    let manifest = damaged.join("manifest");
    let text = fs::read(&manifest).unwrap();
    fs::write(&manifest, [b"audience-checkpoint 2", &text[b"audience-checkpoint 1".len()..]].concat()).unwrap();
    let listed = rows(&checkpoint(&setup, &["list", "--json"]));
    assert!(listed[0]["faults"][0].as_str().unwrap().contains("this program knows format 1"), "{listed:?}");
    let served = setup.start();
    assert!(served.said().contains("knows format 1") && served.said().contains("from_checkpoint=true"));
    served.stop();
}

#[test]
fn a_full_disk_of_checkpoints_stops_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(disk) = SmallDisk::mount(&disk, "size=24m") else { return };
    let setup = setup(directory.path(), &file_url(disk.path()));
    let served = setup.start();
    let client = served.client();
    with_buyers(client, 500);
    wait_until("a checkpoint", || !finished(disk.path()).is_empty());
    let ballast = disk.path().join("ballast");
    // As much as there is room for.
    let mut file = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    let health = || client.get("/actuator/health").unwrap().json()["components"]["checkpoints"].clone();
    wait_until("a checkpoint that fails", || metric(client, "audience_checkpoint_errors_total") > 0.0);
    wait_until("health that says so", || health().to_string().contains("space"));
    send(client, 700);
    wait_until("the new members", || size(client) == 700);
    assert_eq!(client.get("/health/ready").unwrap().status, 200, "events are taken and served");
    fs::remove_file(&ballast).unwrap();
    wait_until("checkpoints again", || health() == json!({"status": "UP"}));
    served.kill();
    let served = setup.start();
    assert_eq!(size(served.client()), 700);
    served.stop();
}

#[test]
fn one_url_is_of_one_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let one = setup(directory.path(), &file_url(&store));
    let other = Setup { data: directory.path().join("other"), ..one.clone() };
    let served = Setup { flags: Vec::new(), ..other.clone() }.start();
    with_buyers(served.client(), 3);
    served.stop();
    one.start().stop();
    // Those of before are not left behind in the data directory.
    let embedded = Setup { flags: Vec::new(), data: directory.path().join("embedded"), ..one.clone() };
    embedded.start().stop();
    assert!(!finished(&embedded.data).is_empty());
    let url = file_url(&directory.path().join("its own"));
    Setup { flags: vec!["--checkpoints".to_owned(), url.replace(' ', "%20")], ..embedded.clone() }.start().stop();
    assert!(finished(&embedded.data).is_empty() && !finished(&directory.path().join("its own")).is_empty());
    let mut refused = other.spawn();
    let status = refused.wait();
    assert!(!status.success() && refused.said().contains("belongs to another data directory"), "{}", refused.said());
    one.start().stop();
}

/// Checks that the members that are served follow from everything stored.
fn check_members(setup: &Setup, served: Served) {
    let members = served.client().members("buyers").unwrap().unwrap();
    served.stop();
    let world = Ledger::read(&setup.data).unwrap().newest_world().unwrap();
    let expected = members_at(&world, wall_clock());
    same("it serves", &[("buyers".to_owned(), members.into_iter().collect())].into(), &expected).unwrap();
}

#[test]
fn a_lost_data_directory_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let mut setup = setup(directory.path(), &file_url(&store));
    let config = directory.path().join("audience.toml");
    let with_history =
        |seconds: u64| fs::write(&config, format!("[history]\nevents = 200\nseconds = {seconds}\n")).unwrap();
    setup.flags.extend(["--config".to_owned(), config.display().to_string()]);
    with_history(0);
    let served = setup.start();
    with_buyers(served.client(), 500);
    wait_until("history", || metric(served.client(), "audience_history_lag_events") == 0.0);
    wait_until("a checkpoint of all", || {
        rows(&checkpoint(&setup, &["list", "--json"])).first().is_some_and(|row| row["fromSequence"] == 500)
    });
    served.kill();
    fs::remove_dir_all(&setup.data).unwrap();

    with_history(3600);
    let served = setup.start();
    let said = served.said();
    assert!(said.contains("is made anew") && said.contains("from_checkpoint=true"), "{said}");
    assert_eq!(size(served.client()), 500);
    // 501 to 600 wait for more to make a file.
    send(served.client(), 600);
    wait_until("the new members", || size(served.client()) == 600);
    wait_until("the history", || metric(served.client(), "audience_history_lag_events") == 0.0);
    send(served.client(), 100);
    wait_until("a checkpoint ahead of the history", || {
        rows(&checkpoint(&setup, &["list", "--json"])).first().is_some_and(|row| row["toSequence"] == 1200)
    });
    assert_eq!(metric(served.client(), "audience_history_lag_events"), 100.0);
    served.kill();
    fs::remove_dir_all(&setup.data).unwrap();

    setup.checkpoint_seconds = 3600;
    let served = setup.start();
    let said = served.said();
    assert!(said.contains("is ahead of the history") && said.contains("events=1100"), "{said}");
    assert_eq!(size(served.client()), 600);
    let view = served.client().get("/api/users/u7").unwrap().json();
    assert_eq!(view["eventCount"].as_u64(), Some(2), "the third was not kept");
    send(served.client(), 650);
    wait_until("the new members", || size(served.client()) == 650);
    served.kill();
    let served = setup.start();
    assert_eq!(size(served.client()), 650);
    check_members(&setup, served);
    // As it was stopped everything was kept.
    fs::remove_dir_all(&setup.data).unwrap();
    check_members(&setup, setup.start());
}

#[test]
fn checkpoints_on_s3() {
    let endpoint = std::env::var("AUDIENCE_TEST_S3").unwrap_or_else(|_| {
        panic!("AUDIENCE_TEST_S3 is not set: start the services with: eval \"$(scripts/services start)\"")
    });
    let directory = tempfile::tempdir().unwrap();
    let url = format!("s3://audience-test/serve-{}", audience_tests::serve::wall_clock());
    let variables = [
        ("AWS_ENDPOINT_URL", &*endpoint),
        ("AWS_ACCESS_KEY_ID", "not-to-be-shown"),
        ("AWS_SECRET_ACCESS_KEY", "not-to-be-shown"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let setup = Setup { variables, ..setup(directory.path(), &url) };
    let served = setup.start();
    with_buyers(served.client(), 300);
    wait_until("a checkpoint", || metric(served.client(), "audience_checkpoint_size_bytes") > 0.0);
    served.stop();
    for _ in 0..2 {
        let served = setup.start();
        assert!(served.said().contains("from_checkpoint=true"), "{}", served.said());
        assert_eq!(size(served.client()), 300);
        served.stop();
        // The second time it comes back from there.
        fs::remove_dir_all(&setup.data).unwrap();
    }
    let verified = checkpoint(&setup, &["verify", "--json"]);
    assert!(verified.status.success() && !rows(&verified).is_empty(), "{verified:?}");
    assert!(!fs::read_to_string(&setup.log).unwrap().contains("not-to-be-shown"));
}
