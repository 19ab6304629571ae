//! Random timelines against the oracle and the engine.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};

use audience_tests::case::Case;
use audience_tests::check::check;
use audience_tests::generate;
use audience_tests::random::Random;
use audience_tests::shrink::shrink;

/// The number of cases if nothing is said.
const CASES: u64 = 400;
/// The first seed where nothing is said: the same every time, so that a run that fails fails again.
const SEED: u64 = 1;
/// How often a failing case is run to make it small.
const TRIES: usize = 4000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs the case of a seed; a failing one is made small and written down.
fn run_seed(seed: u64) -> Option<String> {
    let case = generate::case(seed);
    let wrong = check(&case).err()?;
    let small = shrink(case, TRIES, &mut |candidate| check(candidate).is_err());
    let last = check(&small).err().unwrap_or(wrong);
    let Case { processes, workers, batch_events, scan_slice_users, every_line, .. } = small;
    let about = format!(
        "Found by seed {seed}: {processes} processes of {workers} workers, batches of {batch_events}, slices of {scan_slice_users}, every line: \
         {every_line}."
    );
    let path = small.write_regression(&about);
    let text =
        format!("seed {seed}: line {}: {}\n{about}\n{}see {}", last.line, last.message, small.text(), path.display());
    // At once: a long run may be given up before its end.
    eprintln!("{text}\n");
    Some(text)
}

/// `AUDIENCE_PROPTEST_CASES` and `AUDIENCE_PROPTEST_SEED` say how many cases, and from which seed on;
/// `AUDIENCE_PROPTEST_SECONDS` and `AUDIENCE_PROPTEST_FAILURES`, when to stop before.
#[test]
fn random_timelines() {
    let cases = setting("AUDIENCE_PROPTEST_CASES", CASES);
    let mut seeds = Random::new(setting("AUDIENCE_PROPTEST_SEED", SEED));
    let seeds: Vec<u64> = (0..cases).map(|_| seeds.next_number()).collect();
    let next = AtomicU64::new(0);
    let failed = parking_lot::Mutex::new(Vec::new());
    let most = setting("AUDIENCE_PROPTEST_FAILURES", 1) as usize;
    let (started, seconds) = (std::time::Instant::now(), setting("AUDIENCE_PROPTEST_SECONDS", u64::MAX));
    let ran = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failed.lock().len() < most && started.elapsed().as_secs() < seconds {
                    let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) else { return };
                    let wrong = run_seed(*seed);
                    failed.lock().extend(wrong);
                    ran.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let failed = failed.into_inner();
    eprintln!("{} random timelines", ran.into_inner());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
