//! Every timeline of `tests/conformance`, run against the naive evaluator.

use std::path::Path;

use audience_rules::timeline::{Line, LineFailure, OracleSubject, TimelineOutcome, parse_timeline, run};

#[test]
fn oracle_passes_every_timeline() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).expect("the timelines are in the repository") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "ndjson") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).expect("readable");
        let lines = parse_timeline(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        let TimelineOutcome { failures, refusals } = run(&lines, &mut OracleSubject::default());
        let show = |LineFailure { line, message }: &LineFailure| format!("{}:{line}: {message}", path.display());
        // Events and edits that are refused may be what a timeline is about; its expectations show it.
        let is_segment = |refusal: &&LineFailure| {
            lines.iter().any(|(line, statement)| *line == refusal.line && matches!(statement, Line::Segment(_)))
        };
        failed.extend(failures.iter().chain(refusals.iter().filter(is_segment)).map(show));
    }
    assert!(count > 0, "no timelines in {}", directory.display());
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
