use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_rules};

use super::*;
use crate::testing::{event, for_each_case, pick, record};

const HOUR: Millis = 3_600_000;
/// 2026-03-28T00:00:00Z, the day before the clocks of Europe change.
const START: Millis = 1_774_656_000_000;

/// A question of each kind.
const QUESTIONS: [&str; 7] = [
    r#"{"event": "a", "within": {"calendar": "day", "from": -1, "zone": "user"}}"#,
    r#"{"event": "a", "each": "lines", "where": {"field": "item.n", "operator": "gt", "value": 1}, "within": "1d"}"#,
    r#"{"event": "a", "within": {"last": "1mo"}, "unless": {"event": "b", "same": "n"}}"#,
    r#"{"sequence": [{"event": "a"}, {"not": {"event": "b"}, "for": "2h"}], "within": "1d"}"#,
    r#"{"event": "a", "measure": {"fn": "sessions", "gap": "1h"}, "operator": "gte", "value": 2, "within": "1d"}"#,
    r#"{"left": {"event": "a", "within": "6h"}, "operator": "gt", "right": {"event": "b", "within": "1d"}}"#,
    r#"{"field": "born", "operator": "anniversary", "value": {"from": 0, "to": 1, "zone": "user"}}"#,
];

fn question(text: &str) -> UserQuestion {
    let node = parse_rules(&parse_json(text.as_bytes()).expect("JSON"), &NoTraits).expect("a rule");
    UserQuestion::whether(&node, &Catalogue::default()).expect("a question")
}

fn random_event(random: &mut fastrand::Rng, now: Millis) -> String {
    let at = now - random.i64(0..30) * HOUR / 2;
    let (n, other) = (random.u8(0..3), random.u8(0..3));
    match random.u8(..5) {
        0 => {
            let zone = *pick(random, &["Europe/Berlin", "America/New_York", "none"]);
            format!(
                r#"{{"userId": "u", "eventType": "identify", "timestamp": {at}, "traits": {{"timezone": "{zone}", "born": {at}}}}}"#
            )
        }
        kind => {
            let name = if kind == 1 { "b" } else { "a" };
            format!(
                r#"{{"userId": "u", "eventType": "{name}", "timestamp": {at}, "properties": {{"n": {n}, "lines": [{{"n": {n}}}, {{"n": {other}}}]}}}}"#
            )
        }
    }
}

#[test]
fn an_answer_that_was_made_ready_is_the_one_of_its_instant() {
    let ready = std::cell::Cell::new(0);
    for_each_case(700, |random| {
        let question = question(pick::<&str>(random, &QUESTIONS));
        let (mut plain, mut prepared) = (KeptEvents::default(), KeptEvents::default());
        let mut now = START;
        for sequence in 0..random.u64(2..25) {
            match random.u8(..3) {
                0 => {
                    let record = record(&random_event(random, now), now, sequence);
                    let applied = AppliedEvent { event: &event(&record), record: &SharedRecord::default(), now };
                    let is_wanted = plain.add(&question, applied);
                    assert_eq!(prepared.add(&question, applied), is_wanted);
                }
                1 if plain.next_change() < now + 24 * HOUR => now = plain.next_change().max(now),
                _ => now += random.i64(0..5) * HOUR / 2,
            }
            plain.advance(&question, now);
            prepared.advance(&question, now);
            if random.bool() {
                prepared.prepare(&question, now + random.i64(0..40) * HOUR);
                ready.set(ready.get() + u32::from(prepared.prepared.is_some()));
            }
            assert_eq!(prepared.reading(&question, now), plain.reading(&question, now), "{:?}", question.node);
            assert_eq!(prepared.next_change(), plain.next_change(), "{:?}", question.node);
        }
    });
    // As few cases as `scripts/test --local` asks for must do.
    assert!(ready.get() > 20, "{}", ready.get());
}
