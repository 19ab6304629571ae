//! Random timelines and the hand-written ones against the reference in differential dataflow.
#![allow(missing_docs)]

use audience_rules::timeline::{Line, OracleSubject, Subject, TimelineOutcome, parse_timeline, run};
use audience_tests::case::{Case, timelines};
use audience_tests::check::step;
use audience_tests::generate;
use audience_tests::random::Random;

/// The number of cases if nothing is said. The engine is held to the oracle on random timelines elsewhere; that the
/// oracle and this reference agree closes the triangle.
const CASES: u64 = 40;

fn compare(case: Case) -> Result<(), String> {
    audience_reference::run(move |reference| {
        let mut oracle = OracleSubject::default();
        for (number, json) in (1..).zip(&case.lines) {
            for (_, line) in parse_timeline(&json.to_string()).map_err(|fault| fault.to_string())? {
                if matches!(line, Line::At(now) if now < oracle.now) {
                    continue;
                }
                let (expected, found) = (step(&mut oracle, &line), step(reference, &line));
                if expected != found {
                    return Err(format!("line {number}: the oracle says {expected:?}, the reference {found:?}"));
                }
                let ids: Vec<String> = oracle.world.catalogue.segments.keys().map(|id| id.to_string()).collect();
                for id in ids {
                    let (expected, found) = (oracle.members(&id), reference.members(&id));
                    if expected != found {
                        return Err(format!(
                            "line {number}: `{id}`: the oracle has {expected:?}, the reference {found:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    })
}

#[test]
fn random_timelines() {
    let cases = std::env::var("AUDIENCE_PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases: u64 = cases.map_or(CASES, |cases: u64| cases.div_ceil(10));
    let mut seeds = Random::new(2);
    for _ in 0..cases {
        let seed = seeds.next_number();
        let case = generate::case(seed);
        let text = case.text();
        compare(case).unwrap_or_else(|message| panic!("seed {seed}: {message}\n{text}"));
    }
}

#[test]
fn hand_written_timelines() {
    for folder in ["conformance", "timelines", "regressions"] {
        for (path, text) in timelines(folder) {
            let lines = parse_timeline(&text).expect("a timeline");
            let outcome: TimelineOutcome = audience_reference::run(move |reference| run(&lines, reference));
            assert_eq!(outcome.failures, [], "{}", path.display());
        }
    }
}
