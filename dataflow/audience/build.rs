//! Tells the program which commit it is built from.

use std::process::Command;

fn main() {
    // Outside of a checkout, as in an image, a variable says it; without both the version stands alone.
    let given = std::env::var("AUDIENCE_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let built_from = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
    println!("cargo::rerun-if-env-changed=AUDIENCE_COMMIT");
    println!("cargo::rustc-env=AUDIENCE_BUILT_FROM={built_from}");
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
