//! The answers of the naive evaluator for a platform between real servers, and requests to one that may just be away.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use audience_rules::timeline::{OracleSubject, Subject, parse_timeline};
use audience_tests::check::step;
use audience_tests::serve::{Served, pause, wall_clock};
use serde_json::{Value, json};

use crate::between::ClusterMembers;

/// The longest that anything may take to come back.
pub(crate) const PATIENCE_MILLISECONDS: i64 = 90_000;

/// Puts a segment, however often it takes.
pub(crate) fn put_surely(served: &Served, id: &str, rules: &Value) {
    let body = json!({"name": id, "rules": rules}).to_string();
    let deadline = wall_clock() + PATIENCE_MILLISECONDS;
    loop {
        match served.client().put(&format!("/api/segments/{id}"), &body) {
            Ok(answer) if answer.status < 300 => return,
            Ok(answer) if answer.status < 500 && answer.status != 429 => panic!("{}", answer.text()),
            _ => assert!(wall_clock() < deadline, "{id} cannot be put:\n{}", served.said()),
        }
        pause(50);
    }
}

pub(crate) fn wait_until_ready(served: &Served) {
    let deadline = wall_clock() + PATIENCE_MILLISECONDS;
    while !served.client().get("/health/ready").is_ok_and(|answer| answer.status == 200) {
        assert!(wall_clock() < deadline, "it does not come back:\n{}", served.said());
        pause(20);
    }
}

/// The members of each segment, by the naive evaluator.
pub(crate) fn expected(events: &[Value], rules: &[(&str, Value)]) -> ClusterMembers {
    let mut oracle = OracleSubject::default();
    oracle.at(wall_clock());
    let segments = rules.iter().map(|(id, rules)| json!({"segment": {"id": id, "rules": rules}}));
    let events = events.iter().map(|event| json!({"event": event}));
    for line in segments.chain(events) {
        for (_, line) in parse_timeline(&line.to_string()).unwrap() {
            step(&mut oracle, &line).unwrap();
        }
    }
    let members = rules.iter().map(|(id, _)| ((*id).to_owned(), oracle.members(id).into_iter().collect()));
    members.filter(|(_, members): &(_, std::collections::BTreeSet<String>)| !members.is_empty()).collect()
}
