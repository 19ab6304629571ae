//! `--kernel standard`: the same inputs on the specification in standard differential operators.
//!
//! Cost: users × leaves × events. A file of events is one step of logical time, so only its end is computed.

use std::io::Read;

use anyhow::Context;
use audience_engine::replay::bulk::decode::{REFUSALS_TOLD, decode};
use audience_engine::replay::bulk::members::member_line;
use audience_engine::replay::bulk::{BulkOptions, Summary};
use audience_reference as reference;
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::timeline::{self, Line, TimelineOutcome};

/// Runs a timeline to its end.
pub(super) fn run_timeline(lines: Vec<(usize, Line)>) -> TimelineOutcome {
    reference::run(move |subject| timeline::run(&lines, subject))
}

/// Every record of a file, as the engine accepts it: the clock follows the greatest timestamp.
pub(super) fn read(events: Box<dyn Read + Send>) -> anyhow::Result<(Vec<u8>, Summary)> {
    let BulkOptions { block_bytes, .. } = BulkOptions::new(1);
    let (mut records, mut summary) = (Vec::new(), Summary::default());
    std::thread::scope(|scope| {
        for promise in decode(scope, events, block_bytes, 1) {
            let block = promise.context("the events cannot be read")?.recv();
            let mut block = block.context("a decoder died; this is a fault of the program")?;
            summary.clock = block.raise(summary.clock);
            summary.events += block.count;
            summary.refused += block.refused;
            let told = REFUSALS_TOLD.saturating_sub(summary.refusals.len());
            summary.refusals.extend(block.refusals.drain(..).take(told));
            records.append(&mut block.records);
        }
        Ok((records, summary))
    })
}

/// The memberships of the records at `clock`, as lines `user TAB segment`, sorted by bytes.
pub(super) fn members(catalogue: Catalogue, records: Vec<u8>, clock: Millis) -> Vec<String> {
    let memberships = reference::run(move |reference| {
        reference.set_catalogue(catalogue);
        reference.accept(&records, clock);
        reference.memberships()
    });
    let mut lines: Vec<String> = memberships.iter().map(|(user, segment)| member_line(user, segment)).collect();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, ReplayArgs, run};

    #[test]
    fn both_kernels_write_the_same_members_and_the_standard_one_refuses_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut events = String::from("no event\n");
        for n in 0..60 {
            let (user, at, amount) = (n * 7 % 13, 1_700_000_000_000_i64 + n * 86_400_000, n % 5);
            events.push_str(&format!(
                r#"{{"userId":"u{user}","eventType":"purchase","timestamp":{at},"properties":{{"amount":{amount}}}}}"#
            ));
            events.push('\n');
        }
        events.push_str("{\"userId\":\"u1\",\"eventType\":\"alias\",\"previousId\":\"u2\"}\n");
        std::fs::write(path("e.ndjson"), events).unwrap();
        let rules = r#"[
            {"id": "often", "name": "o", "rules": {"field": "purchaseCount", "operator": "gte", "value": 5}},
            {"id": "rich", "name": "r", "rules": {"conditions": [
                {"field": "totalSpent", "operator": "gt", "value": 8}, {"segment": "often"}]}},
            {"id": "idle", "name": "i", "rules": {"logic": "NOT", "conditions": [
                {"event": "purchase", "within": "7d", "operator": "gte", "value": 1}]}}
        ]"#;
        std::fs::write(path("r.json"), rules).unwrap();
        let args = |kernel, members, changes| ReplayArgs {
            timelines: Vec::new(),
            events: Some(path("e.ndjson")),
            rules: Some(path("r.json")),
            traits: None,
            members: Some(path(members)),
            changes,
            workers: 2,
            kernel,
        };
        for (kernel, members) in [(Kernel::Rows, "rows.tsv"), (Kernel::Standard, "standard.tsv")] {
            run(&args(kernel, members, None)).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert_eq!(read("standard.tsv"), read("rows.tsv"));
        assert!(
            ["often", "rich", "idle"].iter().all(|segment| read("rows.tsv").contains(segment)),
            "{}",
            read("rows.tsv")
        );
        let refused = run(&args(Kernel::Standard, "m.tsv", Some(path("c.ndjson")))).unwrap_err().to_string();
        assert!(refused.starts_with("--changes: "), "{refused}");
    }
}
