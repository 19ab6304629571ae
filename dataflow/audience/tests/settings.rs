//! The real program with settings that are wrong: it ends at once, and says which and why.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use audience_tests::program;
use audience_tests::serve::pause;

/// The program's refusal of these flags and variables, and of a file of this text.
fn refusal(flags: &[&str], variables: &[(&str, &str)], file: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (data, config) = (directory.path().join("data"), directory.path().join("audience.toml"));
    std::fs::write(&config, file).unwrap();
    let mut command = Command::new(program!());
    command.args(["serve", "--listen", "127.0.0.1:0", "--listen-ingest", "127.0.0.1:0"]).args(flags);
    command.arg("--data").arg(&data).arg("--config").arg(&config).envs(variables.iter().copied());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // One that takes the setting runs on.
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        pause(10);
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{flags:?} {variables:?} {file}: {said}");
    assert!(!data.exists(), "nothing was begun: {said}");
    said
}

/// Flags, variables, a file; words that the answer must have.
type SettingsCase<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[test]
fn a_setting_that_is_wrong_ends_a_start_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n").unwrap();
    let ca_file = ca_file.to_str().unwrap();
    let cases: [SettingsCase<'_>; 13] = [
        (&["--workers", "5000"], &[], "", &["--workers", "AUDIENCE_WORKERS", "5000"]),
        (&["--log", "loud"], &[], "", &["--log", "AUDIENCE_LOG", "loud"]),
        (&[], &[("AUDIENCE_LOG", "loud")], "", &["AUDIENCE_LOG", "loud"]),
        (&["--otlp", "ftp://x"], &[], "", &["--otlp", "ftp://x", "http://"]),
        (&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x")], "", &["OTEL_EXPORTER_OTLP_ENDPOINT: ", "ftp://x"]),
        (&[], &[], "[redis]\nurl = \"redis://127.0.0.1:1\"\ntimeout_ms = 0", &["timeout_ms", "[redis]"]),
        (&["--redis", "nowhere"], &[], "", &["--redis", "AUDIENCE_REDIS"]),
        (&["--webhook-ca-file", ca_file], &[], "", &["--webhook-ca-file", "AUDIENCE_WEBHOOK_CA_FILE", "ca.pem"]),
        (&[], &[("AUDIENCE_WEBHOOK_CA_FILE", "/nowhere")], "", &["AUDIENCE_WEBHOOK_CA_FILE", "/nowhere"]),
        (&["--profiles"], &[], "", &["--profiles", "--redis", "--aerospike"]),
        (&["--checkpoint-seconds", "0"], &[], "", &["--checkpoint-seconds", "0"]),
        (&[], &[("AUDIENCE_MAX_STREAMS", "0")], "", &["--max-streams", "0"]),
        (&[], &[], "worker = 7", &["audience.toml", "`worker`", "did you mean `workers`?"]),
    ];
    for (flags, variables, file, words) in cases {
        let said = refusal(flags, variables, file);
        for word in words {
            assert!(said.contains(word), "{flags:?} {variables:?} {file}: {word} is not in {said}");
        }
    }
}
