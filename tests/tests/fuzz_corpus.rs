//! The fuzzer's targets over its seeds, and over some thousand mutations of them.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use audience_tests::fuzz_targets;
use audience_tests::random::Random;

/// Mutations of all seeds together, for each target.
const MUTATIONS: usize = 6_000;
/// The bytes that a mutation may put in.
const PIECES: [&str; 28] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "0.0000000005",
    "9999999999999999999",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "é",
    "\"*\"",
    "\"7d\"",
    "\"within\":\"1d\"",
    "\"conditions\"",
    "\"operator\":\"ne\"",
    "\"matches\"",
    "\"timestamp\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"userId\":\"x\"",
    " ",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 20, "the seeds are missing");
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes a few places: bytes go, come, turn into others, or are taken from another seed.
fn mutated(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.between(1, 4) {
        let at = random.between(0, bytes.len() as u64) as usize;
        let end = (at + random.between(0, 12) as usize).min(bytes.len());
        match random.between(0, 4) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..end, random.pick(&PIECES).bytes())),
            2 => drop(bytes.splice(at..at, random.pick(&PIECES).bytes())),
            3 => {
                let from = random.between(0, other.len() as u64) as usize;
                let to = (from + random.between(0, 60) as usize).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
        }
    }
    bytes
}

fn run(target: &str, check: fn(&[u8])) {
    let seed = 20_260_101;
    let mut random = Random::new(seed);
    let seeds = seeds(target);
    let mut inputs = seeds.clone();
    inputs.extend((0..MUTATIONS).map(|_| {
        let (one, other) = (random.pick(&seeds).clone(), random.pick(&seeds).clone());
        mutated(&mut random, &one, &other)
    }));
    for (index, input) in inputs.iter().enumerate() {
        let outcome = catch_unwind(|| check(input));
        assert!(outcome.is_ok(), "{target}, seed {seed}, input {index}: {}", String::from_utf8_lossy(input));
    }
}

#[test]
fn rules() {
    run("rules", fuzz_targets::rules);
}

#[test]
fn tracking() {
    run("tracking", fuzz_targets::tracking);
}

#[test]
fn events() {
    run("event", fuzz_targets::event);
}

#[test]
fn credentials() {
    run("credentials", fuzz_targets::credentials);
}
