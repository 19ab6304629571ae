//! Bulk replay against the naive evaluator: the membership at the end, and at every second in between.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Arc;

use audience_engine::replay::bulk::definitions::{add_segments, add_traits};
use audience_engine::replay::bulk::{BulkInput, BulkOptions, Summary, replay};
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::json::parse_json;
use audience_rules::oracle::World;
use audience_rules::record::EventRef;
use audience_rules::time::{format_time, parse_rfc3339};
use parking_lot::Mutex;

const BASE: Millis = 1_700_000_000_000;
const SPAN_SECONDS: i64 = 400;

const TRAITS: &str = r#"[
    {"name": "spent", "aggregate": "sum", "event": "p", "property": "v"},
    {"name": "viewsA", "aggregate": "count", "event": "v", "where": [{"field": "c", "operator": "eq", "value": "a"}]},
    {"name": "best", "event": "p", "measure": {"fn": "max", "of": "v"}, "within": "30s"}]"#;

const RULES: &str = r#"[
    {"id": "both", "rules": {"conditions": [{"segment": "busy"}, {"segment": "spender"}]}},
    {"id": "spender", "name": "Spender", "rules": {"field": "spent", "operator": "gt", "value": 40}},
    {"id": "busy", "rules": {"event": "*", "operator": "gte", "value": 3, "within": "20s"}},
    {"id": "quiet", "rules": {"event": "*", "measure": {"fn": "since_last"}, "operator": "gt", "value": "15s"}},
    {"id": "viewer", "rules": {"logic": "NOT", "conditions": [{"field": "viewsA", "operator": "lt", "value": 3},
        {"field": "plan", "operator": "eq", "value": "free"}]}},
    {"id": "path", "rules": {"sequence": [{"event": "v"}, {"event": "p", "maxGap": "10s"}], "within": "60s"}},
    {"id": "best", "rules": {"field": "best", "operator": "gte", "value": 20}},
    {"id": "ago", "rules": {"event": "v", "within": {"ago": ["60s", "30s"]}}},
    {"id": "mean", "rules": {"event": "p", "measure": {"fn": "avg", "of": "v"}, "operator": "lt", "value": 5}},
    {"id": "absent", "rules": {"event": "p", "operator": "eq", "value": 0, "within": "45s"}},
    {"id": "share", "rules": {"sample": {"salt": "s", "from": 0, "to": 4999}}},
    {"id": "one", "rules": {"event": ["p", "v"], "operator": "eq", "value": 1, "within": "5s"}}]"#;

const RANKS: &str = r#"[
    {"id": "top", "rules": {"rank": {"by": "spent"}, "top": 3}},
    {"id": "recent", "rules": {"rank": {"by": {"event": "v", "within": "40s"}}, "percent": 50,
        "among": {"segment": "spender"}}},
    {"id": "last", "rules": {"rank": {"by": {"event": "*", "measure": {"fn": "since_last"}}, "order": "asc"}, "top": 2}}]"#;

/// The same numbers every time.
struct BulkRandom(u64);

impl BulkRandom {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64).rem_euclid(bound)
    }
}

/// Lines of events, mostly in order, some late, some without a timestamp, some repeated, some no events.
fn workload(seed: u64, events: i64, with_aliases: bool) -> String {
    let mut random = BulkRandom(seed);
    let mut text = String::new();
    for index in 0..events {
        let base = BASE + index * SPAN_SECONDS * 1000 / events;
        let late = if random.below(3) == 0 { random.below(60_000) } else { random.below(900) };
        let user = random.below(9);
        let mut members = match random.below(10) {
            0..=3 => format!(r#""userId":"u{user}","type":"p","properties":{{"v":{}}}"#, random.below(60) - 20),
            4..=7 => {
                format!(r#""userId":"u{user}","type":"v","properties":{{"c":"{}"}}"#, ["a", "b"][user as usize % 2])
            }
            8 => format!(
                r#""userId":"u{user}","type":"identify","traits":{{"plan":"{}"}}"#,
                ["free", "paid"][random.below(2) as usize]
            ),
            _ if !with_aliases => format!(r#""anonymousId":"a{user}","userId":"u{user}","type":"p""#),
            _ => match random.below(4) {
                0 => format!(r#""userId":"u{}","previousId":"u{user}","type":"alias""#, random.below(12)),
                1 => format!(r#""userId":"u{user}","anonymousId":"a{}","type":"identify""#, random.below(4)),
                _ => format!(r#""anonymousId":"a{}","type":"v""#, random.below(4)),
            },
        };
        if random.below(8) > 0 {
            members.push_str(&format!(r#","timestamp":{}"#, base - late));
        }
        if random.below(6) == 0 {
            members.push_str(&format!(r#","messageId":"m{}""#, random.below(events / 4)));
        }
        text.push_str(&format!("{{{members}}}\n"));
        match random.below(40) {
            0 => text.push('\n'),
            1 => text.push_str("{\"userId\":\"x\"}\n"),
            _ => {}
        }
    }
    text
}

fn catalogue(with_ranks: bool) -> Catalogue {
    let mut catalogue = Catalogue::with_shipped_traits();
    add_traits(&mut catalogue, &parse_json(TRAITS.as_bytes()).expect("JSON")).expect("valid traits");
    let lists: &[&str] = if with_ranks { &[RULES, RANKS] } else { &[RULES] };
    for list in lists {
        add_segments(&mut catalogue, &parse_json(list.as_bytes()).expect("JSON")).expect("valid rules");
    }
    catalogue
}

type Pairs = BTreeSet<(String, String)>;

fn pairs(world: &World, now: Millis) -> Pairs {
    let moment = world.at(now);
    let segments = world.catalogue.segments.keys();
    segments
        .flat_map(|segment| moment.members(segment).into_iter().map(|user| (user.to_string(), segment.to_string())))
        .collect()
}

/// The membership at the end of each second, and at the end.
fn expected(text: &str, catalogue: &Catalogue) -> Vec<(Millis, Pairs)> {
    let mut world = World::new(catalogue.clone());
    let mut decoder = EventDecoder::new();
    let mut clock = 0;
    let mut states = Vec::new();
    for line in text.lines() {
        let mut record = Vec::new();
        if decoder.decode(line.as_bytes(), &EventDefaults { accepted_at: clock }, &mut record).is_err() {
            continue;
        }
        let timestamp = EventRef::read(&record).map_or(0, |(event, _)| event.timestamp());
        if timestamp.div_euclid(1000) > clock.div_euclid(1000) {
            let first = if clock == 0 { timestamp } else { clock };
            for second in first.div_euclid(1000)..timestamp.div_euclid(1000) {
                states.push((second * 1000 + 999, pairs(&world, second * 1000 + 999)));
            }
        }
        clock = clock.max(timestamp);
        world.accept(&record);
    }
    states.push((clock, pairs(&world, clock)));
    states
}

/// A writer whose text can be read back.
#[derive(Clone, Default)]
struct SharedText(Arc<Mutex<Vec<u8>>>);

impl Write for SharedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Output {
    summary: Summary,
    members: String,
    changes: String,
}

fn run(text: &str, catalogue: &Catalogue, options: BulkOptions) -> Output {
    let bytes: Arc<[u8]> = text.as_bytes().into();
    let written = SharedText::default();
    let events = || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>);
    let changes = || {
        written.0.lock().clear();
        Ok(Box::new(written.clone()) as Box<dyn Write + Send>)
    };
    let input = BulkInput { catalogue, events: &events, changes: Some(&changes) };
    let replayed = replay(options, &input).expect("a replay");
    let mut members = Vec::new();
    replayed.write_members(&mut members).expect("memory can be written");
    let summary = replayed.summary.clone();
    replayed.stop();
    let changes = String::from_utf8(std::mem::take(&mut *written.0.lock())).expect("text");
    Output { summary, members: String::from_utf8(members).expect("text"), changes }
}

/// A line of changes: when, who, what, and whether they entered.
fn read_change(line: &str) -> ((Millis, String, String), bool) {
    let value = parse_json(line.as_bytes()).expect("JSON");
    let text = |key: &str| match value.get(key) {
        Some(audience_rules::value::Value::Text(text)) => text.to_string(),
        other => panic!("{line}: {other:?}"),
    };
    let at = parse_rfc3339(&text("at")).expect("a time");
    assert_eq!(format_time(at), text("at"));
    ((at, text("userId"), text("segmentId")), text("change") == "entered")
}

fn check(output: &Output, expected: &[(Millis, Pairs)], context: &str) {
    let (last, at_end) = expected.last().expect("a state");
    let members: String = at_end.iter().map(|(user, segment)| format!("{user}\t{segment}\n")).collect();
    assert_eq!(output.members, members, "{context}");
    assert_eq!(output.summary.clock, *last, "{context}");
    let changes: Vec<_> = output.changes.lines().map(read_change).collect();
    assert!(changes.is_sorted_by(|left, right| left.0 < right.0), "{context}: out of order, or twice");
    let entered = changes.iter().filter(|(_, entered)| *entered).count() as u64;
    assert_eq!((output.summary.entered, output.summary.left), (entered, changes.len() as u64 - entered), "{context}");
    let mut folded = Pairs::new();
    let mut waiting = changes.into_iter().peekable();
    for (end, state) in expected {
        while let Some(((at, user, segment), entered)) = waiting.next_if(|((at, ..), _)| at <= end) {
            let pair = (user, segment);
            let told = if entered { folded.insert(pair.clone()) } else { folded.remove(&pair) };
            assert!(told, "{context}: {pair:?} at {at}, entered {entered}, changes nothing");
        }
        assert_eq!(&folded, state, "{context}: at {}", format_time(*end));
    }
    assert_eq!(waiting.next(), None, "{context}");
}

fn compare(seed: u64, with_aliases: bool, with_ranks: bool) {
    let text = workload(seed, 250, with_aliases);
    let catalogue = catalogue(with_ranks);
    let expected = expected(&text, &catalogue);
    assert!(expected.len() > SPAN_SECONDS as usize / 2);
    for (workers, block_bytes) in [(1, 1 << 20), (2, 1000), (3, 50), (4, 5000)] {
        let options = BulkOptions { block_bytes, ..BulkOptions::new(workers) };
        let output = run(&text, &catalogue, options);
        let context = format!("seed {seed}, {workers} workers, blocks of {block_bytes}");
        check(&output, &expected, &context);
        assert!(output.summary.refused > 0 && output.summary.events == 250, "{context}");
    }
}

#[test]
fn events_alone() {
    (1..6).for_each(|seed| compare(seed, false, false));
}

#[test]
fn with_aliases() {
    (11..16).for_each(|seed| compare(seed, true, false));
}

#[test]
fn with_ranks() {
    (21..24).for_each(|seed| compare(seed, false, true));
}

#[test]
fn with_aliases_and_ranks() {
    (31..34).for_each(|seed| compare(seed, true, true));
}

#[test]
fn nothing_and_no_rules() {
    let empty = Catalogue::with_shipped_traits();
    let output = run("", &empty, BulkOptions::new(2));
    assert_eq!((output.summary, output.members, output.changes), (Summary::default(), String::new(), String::new()));
    let output = run("{\"userId\":\"a\",\"type\":\"e\"}", &empty, BulkOptions::new(1));
    assert_eq!((output.summary.events, output.summary.clock), (1, 0));
}

#[test]
fn ids_are_sorted_by_the_bytes_of_lines() {
    let mut catalogue = Catalogue::default();
    let rules = r#"[{"id": "t", "rules": {"event": "e"}}, {"id": "s\tx", "rules": {"event": "e"}}]"#;
    add_segments(&mut catalogue, &parse_json(rules.as_bytes()).expect("JSON")).expect("valid");
    for ids in [&["a", "a\\u0001", "ab", "\\u00e9", "a b"][..], &["a", "a\\tt", "a\\ts\\tx"][..]] {
        let text: String = ids.iter().map(|id| format!("{{\"userId\":\"{id}\",\"type\":\"e\"}}\n")).collect();
        let output = run(&text, &catalogue, BulkOptions::new(3));
        let mut lines: Vec<&str> = output.members.lines().collect();
        assert_eq!(lines.len(), 2 * ids.len());
        assert!(lines.is_sorted());
        lines.dedup();
        assert!(lines.len() >= ids.len());
    }
}
