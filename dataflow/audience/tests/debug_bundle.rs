//! `audience debug bundle`: it has what a report of a fault needs, and no secret.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use audience_tests::program;
use audience_tests::serve::Setup;
use serde_json::json;

/// Settings with a secret in each place that has one. No such server is there.
const SETTINGS: &str = r#"
[kafka]
brokers = "127.0.0.1:1"
properties = { "sasl.username" = "me", "sasl.password" = "planted-1" }
[redis]
url = "redis://:planted-2@127.0.0.1:1/0"
"#;

/// The files of a bundle.
fn files(bundle: &Path, directory: &Path) -> BTreeMap<String, String> {
    let status = Command::new("tar").arg("-xzf").arg(bundle).arg("-C").arg(directory).status().unwrap();
    assert!(status.success());
    let (mut left, mut files) = (vec![directory.join("audience-debug")], BTreeMap::new());
    while let Some(place) = left.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(directory.join("audience-debug")).unwrap().display().to_string();
                    files.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
    }
    files
}

#[test]
fn a_bundle_tells_the_state_of_the_process_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    let webhook = json!({"url": "https://example.org/hook", "segments": ["x"]}).to_string();
    running.client().post("/api/webhooks", &webhook).unwrap();
    let (config, log) = (directory.path().join("audience.toml"), directory.path().join("lines"));
    fs::write(&config, SETTINGS).unwrap();
    fs::write(&log, "ERROR postgresql://me:planted-5@db/shop does not answer\n").unwrap();
    let bundle = directory.path().join("bundle.tar.gz");
    let command = |bundle: &Path| {
        let mut command = Command::new(program!());
        command.args(["debug", "bundle", "--listen", &running.address.to_string(), "--data"]).arg(&setup.data);
        command.arg("--config").arg(&config).arg("--log-file").arg(&log).arg("--output").arg(bundle);
        command.env("AUDIENCE_POSTGRES", "postgresql://me:planted-3@127.0.0.1:1/shop").env("AUDIENCE_KEY", "planted-4");
        command.output().unwrap()
    };
    let output = command(&bundle);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let place = directory.path().join("files");
    fs::create_dir(&place).unwrap();
    let files = files(&bundle, &place);
    for (name, text) in &files {
        assert!(!text.contains("planted-"), "{name}: {text}");
    }
    for (name, part) in [
        ("about.json", "\"version\""),
        ("settings.json", "\"sasl.username\": \"me\""),
        ("settings.json", "redis://[hidden]@127.0.0.1:1/0"),
        ("settings.json", "\"postgres\""),
        ("doctor.json", "PostgreSQL"),
        ("data-directory.json", "FORMAT"),
        ("checkpoints.json", "numbers"),
        ("process/health.json", "\"UP\""),
        ("process/metrics.txt", "audience_build_info"),
        ("process/system.json", "{"),
        ("log.txt", "postgresql://[hidden]@db/shop does not answer"),
    ] {
        assert!(files[name].contains(part), "{name} has no {part}: {}", files[name]);
    }
    assert!(!command(&bundle).status.success(), "a file that is there is not replaced");
    running.stop();
}
