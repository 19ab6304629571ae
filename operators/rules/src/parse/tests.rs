//! Rules accepted and refused. What they mean is tested where they are evaluated.

use super::*;
use crate::ast::*;
use crate::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use crate::decimal::Decimal;
use crate::testing::json;
use crate::unparse::{behaviour_to_json, node_to_json_with};

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::with_shipped_traits();
    for computed in [
        r#"{"name": "lapse", "event": "*", "measure": {"fn": "since_last"}}"#,
        r#"{"name": "mean", "event": "p", "measure": {"fn": "avg", "of": "v"}}"#,
    ] {
        let computed = catalogue.check_trait(&json(computed)).expect("valid");
        catalogue.put_trait(computed);
    }
    catalogue
}

fn rule(text: &str) -> Node {
    match parse_rules(&json(text), &catalogue()) {
        Ok(node) => node,
        Err(faults) => panic!("{text}: {faults:?}"),
    }
}

fn pointers(text: &str) -> Vec<String> {
    match parse_rules(&json(text), &catalogue()) {
        Ok(node) => panic!("{text} is {node:?}"),
        Err(faults) => {
            assert!(faults.iter().all(|fault| !fault.message.is_empty() && !fault.code.is_empty()));
            faults.into_iter().map(|fault| fault.pointer).collect()
        }
    }
}

fn test_of(text: &str) -> Test {
    match rule(text) {
        Node::Trait { test, .. } | Node::Behaviour { test, .. } => test,
        other => panic!("no test: {other:?}"),
    }
}

#[test]
fn parser_gives_every_refusal_its_pointers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/refused.ndjson");
    let lines = std::fs::read_to_string(path).expect("the conformance cases");
    let mut catalogue = Catalogue::with_shipped_traits();
    let (mut refused, text) = (0, |json: &Value| match json {
        Value::Text(text) => text.to_string(),
        other => panic!("no text: {other:?}"),
    });
    for line in lines.lines() {
        let line = json(line);
        if let Some(segment) = line.get("segment") {
            let id = segment.get("id").map(text).expect("an id");
            let rules = catalogue.check_rules(&id, segment.get("rules").expect("rules")).expect("valid");
            let definition = Definition::Dynamic(rules.into());
            catalogue.put_segment(Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition });
        }
        if let Some(case) = line.get("refused") {
            let id = case.get("id").map(text).expect("an id");
            let rules = case.get("rules").expect("rules");
            let Some(Value::Array(expected)) = case.get("pointers") else { panic!("no pointers") };
            let expected: Vec<String> = expected.iter().map(text).collect();
            let faults = catalogue.check_rules(&id, rules).expect_err("refused");
            let found: Vec<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
            assert_eq!(found, expected, "{rules:?}: {faults:?}");
            refused += 1;
        }
    }
    assert!(refused > 50, "{refused} cases");
}

#[test]
fn parser_reads_every_accepted_rule_back() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance");
    let mut read = 0;
    for entry in std::fs::read_dir(directory).expect("the conformance cases") {
        let lines = std::fs::read_to_string(entry.expect("a file").path()).expect("text");
        let mut catalogue = Catalogue::with_shipped_traits();
        for line in lines.lines().map(json) {
            if let Some(computed) = line.get("trait") {
                let computed = catalogue.check_trait(computed).expect("valid");
                let again = behaviour_to_json(&computed.name, &computed.behaviour);
                assert_eq!(parse_behaviour(&json(&again)).expect("valid").1, *computed.behaviour);
                catalogue.put_trait(computed);
            }
            if let Some(rules) = line.get("segment").and_then(|segment| segment.get("rules")) {
                let rules = parse_rules(rules, &catalogue).expect("valid");
                let again = node_to_json_with(&rules, &catalogue);
                assert_eq!(parse_rules(&json(&again), &catalogue).as_ref(), Ok(&rules), "{again}");
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read} rules");
}

#[test]
fn parser_makes_operator_aliases_canonical() {
    for (alias, canonical) in [
        ("equals", "eq"),
        ("=", "eq"),
        ("==", "eq"),
        ("EQ", "eq"),
        ("not_equals", "ne"),
        ("!=", "ne"),
        (">", "gt"),
        (">=", "gte"),
        ("<", "lt"),
        ("<=", "lte"),
        ("greaterThan", "gt"),
        ("GREATERTHANOREQUAL", "gte"),
        ("lessThan", "lt"),
        ("lessthanorequal", "lte"),
        ("Regex", "matches"),
    ] {
        let with = |operator| test_of(&format!(r#"{{"field": "a", "operator": "{operator}", "value": "1"}}"#));
        assert_eq!(with(alias), with(canonical), "{alias}");
    }
    let list = |operator| {
        test_of(&format!(r#"{{"field": "a", "operator": "{operator}", "value": ["b", 1, "a", 1.0, true]}}"#))
    };
    assert_eq!(list("NIN"), list("not_in"));
    let number = Literal::Number(Decimal::from_integer(1));
    let sorted = vec![Literal::Text("a".into()), Literal::Text("b".into()), number, Literal::Bool(true)];
    assert_eq!(list("in"), Test { negated: false, condition: Condition::In(sorted) });
}

#[test]
fn parser_resolves_defaults_and_older_forms() {
    let bare = rule(r#"{"event": "p"}"#);
    assert_eq!(bare, rule(r#"{"event": ["p", "p"], "measure": "count", "operator": "gte", "value": 1.0}"#));
    assert_eq!(
        rule(r#"{"criteria": [{"event": "p"}], "logic": "or"}"#),
        rule(r#"{"conditions": [{"event": "p"}], "logic": "OR"}"#)
    );
    let one = r#"{"field": "properties.v", "operator": "eq", "value": 1}"#;
    let same = |left: &str, right: &str| {
        assert_eq!(rule(&format!(r#"{{"event": "p", {left}}}"#)), rule(&format!(r#"{{"event": "p", {right}}}"#)));
    };
    same(&format!(r#""where": [{one}]"#), r#""where": {"field": "v", "operator": "eq", "value": 1}"#);
    same(&format!(r#""where": [{one}, {one}]"#), &format!(r#""where": {{"conditions": [{one}, {one}]}}"#));
    same(r#""within": "30d""#, r#""within": {"last": "720h"}"#);
    same(r#""within": {"from": 1767225600000}"#, r#""within": {"from": "2026-01-01T02:00:00+02:00"}"#);
    let first_gap =
        |gap| rule(&format!(r#"{{"sequence": [{{"event": "a"{gap}}}, {{"event": "b", "maxGap": "1d"}}]}}"#));
    assert_eq!(first_gap(""), first_gap(r#", "maxGap": "1h""#));
}

#[test]
fn parser_reads_durations_as_milliseconds_for_measures_that_are_durations() {
    let day = Literal::Number(Decimal::from_integer(86_400_000));
    let expected = Test { negated: false, condition: Condition::Compare(Comparison::Greater, day) };
    assert_eq!(
        test_of(r#"{"event": "p", "measure": {"fn": "since_last"}, "operator": "gt", "value": "1d"}"#),
        expected
    );
    assert_eq!(test_of(r#"{"field": "lapse", "operator": "gt", "value": "24h"}"#), expected);
    let text = Test { negated: false, condition: Condition::Compare(Comparison::Greater, Literal::Text("24h".into())) };
    assert_eq!(test_of(r#"{"field": "other", "operator": "gt", "value": "24h"}"#), text);
}

#[test]
fn parser_tests_computed_traits_as_their_measure() {
    for (node, pointer) in [
        (r#"{"field": "totalSpent", "operator": "contains", "value": "x"}"#, "/operator"),
        (r#"{"field": "totalSpent", "operator": "gt", "value": "3"}"#, "/value"),
        (r#"{"field": "totalSpent", "operator": "in", "value": [1, "3"]}"#, "/value/1"),
        (r#"{"field": "mean", "operator": "before", "value": "1d"}"#, "/operator"),
        (r#"{"field": "lapse", "operator": "in", "value": ["1d"]}"#, "/operator"),
        (r#"{"field": "lapse", "operator": "between", "value": ["2d", "1d"]}"#, "/value"),
        (r#"{"field": "lapse", "operator": "between", "value": ["1d", "1y"]}"#, "/value/1"),
        (r#"{"field": "lapse", "operator": "eq", "value": 5}"#, "/value"),
    ] {
        assert_eq!(pointers(node), [pointer], "{node}");
    }
    rule(r#"{"field": "lastSeen", "operator": "matches", "value": "x"}"#);
    rule(r#"{"field": "lapse", "operator": "not_exists"}"#);
}

#[test]
fn parser_points_at_the_place_of_each_fault() {
    for (node, expected) in [
        ("null", &[""][..]),
        ("[]", &[""]),
        (r#"{"field": "", "operator": "eq", "value": 1}"#, &["/field"]),
        (r#"{"field": "a"}"#, &[""]),
        (r#"{"field": "a", "operator": null, "value": 1}"#, &["/operator"]),
        (r#"{"field": "a", "operator": "between", "value": [1]}"#, &["/value"]),
        (r#"{"field": "a", "operator": "between", "value": [null, 1]}"#, &["/value/0"]),
        (r#"{"field": "a", "operator": "between", "value": ["b", "a"]}"#, &["/value"]),
        (r#"{"field": "a", "operator": "not_exists", "value": null}"#, &["/value"]),
        (r#"{"field": "a", "operator": "before", "value": "2026-01"}"#, &["/value"]),
        (r#"{"field": "a", "operator": "matches", "value": "(\\w{100}){100}"}"#, &["/value"]),
        (r#"{"field": "a", "operator": "matches", "value": "(?=x)"}"#, &["/value"]),
        (r#"{"field": "a", "event": "p", "operator": "eq", "value": 1, "x/y": 1}"#, &["", "/x~1y"]),
        (r#"{"conditions": {}, "logic": 1}"#, &["/conditions", "/logic"]),
        (r#"{"criteria": [], "conditions": []}"#, &[""]),
        (r#"{"event": "p", "logic": "AND"}"#, &["/logic"]),
        (r#"{"event": "p", "value": 1}"#, &[""]),
        (r#"{"event": "p", "operator": "gt"}"#, &[""]),
        (r#"{"event": ""}"#, &["/event"]),
        (r#"{"event": [1, "a", ""]}"#, &["/event/0", "/event/2"]),
        (r#"{"event": "p", "measure": "days"}"#, &["/measure"]),
        (r#"{"event": "p", "measure": {"of": "v"}}"#, &["/measure"]),
        (r#"{"event": "p", "measure": {"fn": "count"}}"#, &["/measure/fn"]),
        (r#"{"event": "p", "measure": {"fn": "sum", "of": "v", "x": 1}}"#, &["/measure/x"]),
        (r#"{"event": "p", "measure": {"fn": "last", "of": "v"}}"#, &[""]),
        (
            r#"{"event": "p", "measure": {"fn": "since_last", "of": "v"}, "operator": "in", "value": []}"#,
            &["/measure/of", "/operator"],
        ),
        (r#"{"event": "p", "where": {"field": "v", "event": "p", "operator": "eq", "value": 1}}"#, &["/where"]),
        (r#"{"event": "p", "where": "v"}"#, &["/where"]),
        (r#"{"event": "p", "where": {"conditions": [{"segment": "s"}]}}"#, &["/where/conditions/0"]),
        (r#"{"event": "p", "within": {"last": "1d", "x": 1}}"#, &["/within/x"]),
        (r#"{"event": "p", "within": {"ago": ["1q", "1d"]}}"#, &["/within/ago/0"]),
        (r#"{"event": "p", "within": {"ago": ["1d", "1d"]}}"#, &["/within/ago"]),
        (r#"{"event": "p", "within": {"from": "x", "to": 1.5}}"#, &["/within/from", "/within/to"]),
        (
            r#"{"sequence": [{"event": "a", "field": "x"}, {"where": []}]}"#,
            &["/sequence/0/field", "/sequence/1", "/sequence/1/where"],
        ),
        (r#"{"segment": ""}"#, &["/segment"]),
        (r#"{"rank": {}, "top": 1.5}"#, &["/rank", "/top"]),
        (
            r#"{"rank": {"by": {"measure": "count", "operator": "gt"}}, "percent": 0}"#,
            &["/percent", "/rank/by", "/rank/by/operator"],
        ),
        (r#"{"rank": {"by": ""}, "top": 1000001, "among": {}}"#, &["/among", "/rank/by", "/top"]),
        (r#"{"sample": {"salt": 1, "from": -1}}"#, &["/sample", "/sample/from", "/sample/salt"]),
    ] {
        assert_eq!(pointers(node), expected, "{node}");
    }
}

#[test]
fn parser_points_into_the_first_of_several_paths() {
    for (of, expected) in [
        (r#"{"firstOf": ["v"]}"#, &["/measure/of/firstOf"][..]),
        (r#"{"firstOf": ["v", 1], "x": 1}"#, &["/measure/of/firstOf/1", "/measure/of/x"]),
        (r#"{"firstOf": ["v", "w"], "minus": "*"}"#, &["/measure/of/minus"]),
    ] {
        let node = format!(r#"{{"event": "p", "measure": {{"fn": "sum", "of": {of}}}}}"#);
        assert_eq!(pointers(&node), expected, "{node}");
    }
}

/// A number is rounded first; one that is beyond the range then is refused where it stands, and never taken for another.
#[test]
fn parser_bounds_literals() {
    for most in ["1000000000000000000", "-1000000000000000000", "1e18", "1000000000000000000.0000000004"] {
        let read = test_of(&format!(r#"{{"field": "f", "operator": "eq", "value": {most}}}"#));
        let whole = Decimal::from_integer(if most.starts_with('-') { -1 } else { 1 } * 1_000_000_000_000_000_000);
        assert_eq!(read.condition, Condition::Equals(Literal::Number(whole)), "{most}");
    }
    let beyond = [
        "1000000000000000001",
        "-1000000000000000001",
        "1e19",
        "1000000000000000000.0000000006",
        "18446744073709551617",
    ];
    for number in beyond {
        for (text, pointer) in [
            (format!(r#"{{"field": "f", "operator": "gt", "value": {number}}}"#), "/value"),
            (format!(r#"{{"event": "e", "operator": "gt", "value": {number}}}"#), "/value"),
            (format!(r#"{{"field": "f", "operator": "in", "value": [1, {number}]}}"#), "/value/1"),
            (format!(r#"{{"field": "f", "operator": "between", "value": [{number}, 1]}}"#), "/value/0"),
            (
                format!(r#"{{"event": "e", "where": {{"field": "f", "operator": "eq", "value": {number}}}}}"#),
                "/where/value",
            ),
            (format!(r#"{{"rank": {{"by": "f"}}, "top": {number}}}"#), "/top"),
        ] {
            let faults = parse_rules(&json(&text), &catalogue()).expect_err(&text);
            assert_eq!(faults.iter().map(|fault| &*fault.pointer).collect::<Vec<_>>(), [pointer], "{text}");
            assert!(faults[0].message.contains("10^18"), "{text}: {faults:?}");
        }
    }
}

#[test]
fn parser_bounds_levels_and_nodes() {
    let nested = |levels: usize, leaf: &str| {
        let open = r#"{"conditions": ["#.repeat(levels);
        format!("{open}{leaf}{}", "]}".repeat(levels))
    };
    let leaf = r#"{"event": "p"}"#;
    let filtered = r#"{"event": "p", "where": {"field": "v", "operator": "exists"}}"#;
    rule(&nested(15, leaf));
    rule(&nested(14, filtered));
    let deep = "/conditions/0".repeat(16);
    assert_eq!(pointers(&nested(16, leaf)), [deep.as_str()]);
    assert_eq!(pointers(&nested(30, leaf)), [deep]);
    assert_eq!(pointers(&nested(15, filtered)), [format!("{}/where", "/conditions/0".repeat(15))]);
    let wide = |nodes: usize, leaf: &str| format!(r#"{{"conditions": [{}]}}"#, vec![leaf; nodes].join(","));
    rule(&wide(255, leaf));
    assert_eq!(pointers(&wide(256, leaf)), [""]);
    rule(&wide(127, filtered));
    assert_eq!(pointers(&wide(128, filtered)), [""]);
    let large = r#"{"field": "a", "operator": "matches", "value": "\\w{30}"}"#;
    rule(&wide(16, large));
    assert_eq!(pointers(&wide(17, large)), ["/conditions/16/value"]);
    let list =
        |count: usize| format!(r#"{{"field": "a", "operator": "in", "value": [{}]}}"#, vec!["1"; count].join(","));
    rule(&list(1000));
    assert_eq!(pointers(&list(1001)), ["/value"]);
    let pattern = |length| format!(r#"{{"field": "a", "operator": "matches", "value": "{}"}}"#, "é".repeat(length));
    rule(&pattern(1000));
    assert_eq!(pointers(&pattern(1001)), ["/value"]);
}

#[test]
fn parser_reads_computed_traits_in_old_and_new_forms() {
    let read = |text: &str| parse_behaviour(&json(text));
    let old = r#"{"name": "t", "aggregate": "sum", "event": "p", "property": "amount", "where": [{"field": "c", "operator": "equals", "value": "x"}]}"#;
    let new = r#"{"name": "t", "measure": {"fn": "sum", "of": "amount"}, "event": "p", "where": {"field": "c", "operator": "eq", "value": "x"}}"#;
    assert_eq!(read(old), read(new));
    assert!(read(new).is_ok());
    assert_eq!(read(r#"{"name": "t", "event": "p"}"#), read(r#"{"name": "t", "event": "p", "aggregate": "count"}"#));
    for (text, expected) in [
        (r#"{"event": "p"}"#, &[""][..]),
        (r#"{"name": "a.b", "event": "p", "operator": "gt"}"#, &["/name", "/operator"]),
        (r#"{"name": "t", "event": "p", "property": "v"}"#, &[""]),
        (r#"{"name": "t", "event": "p", "aggregate": "sum"}"#, &[""]),
        (r#"{"name": "t", "event": "p", "aggregate": "count", "property": "v"}"#, &["/property"]),
        (r#"{"name": "t", "event": "p", "aggregate": "median", "property": "v"}"#, &["/aggregate"]),
        (r#"{"name": "t", "event": "p", "aggregate": "count", "measure": "count"}"#, &[""]),
    ] {
        let found: Vec<String> = read(text).expect_err(text).into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn parser_reads_paths_into_events() {
    let keys = |keys: &[&str]| keys.iter().map(|key| Arc::from(*key)).collect();
    for (text, path) in [
        ("amount", EventPath::Properties(keys(&["amount"]))),
        ("properties.amount", EventPath::Properties(keys(&["amount"]))),
        ("properties", EventPath::Properties(keys(&["properties"]))),
        ("properties.timestamp", EventPath::Properties(keys(&["timestamp"]))),
        ("properties.context.a", EventPath::Properties(keys(&["context", "a"]))),
        ("properties.properties.a", EventPath::Properties(keys(&["properties", "a"]))),
        ("timestamp.x", EventPath::Properties(keys(&["timestamp", "x"]))),
        ("context.a.b", EventPath::Context(keys(&["a", "b"]))),
        ("timestamp", EventPath::Timestamp),
    ] {
        let computed = format!(r#"{{"name": "t", "event": "p", "measure": {{"fn": "last", "of": "{text}"}}}}"#);
        let (name, behaviour) = parse_behaviour(&json(&computed)).expect("valid");
        assert_eq!(behaviour.measure, Measure::Of(Function::Last, path), "{text}");
        assert_eq!(parse_behaviour(&json(&behaviour_to_json(&name, &behaviour))), Ok((name, behaviour)));
    }
}

/// The value with one place in it, the `at`th in order, replaced or (with `None`) removed; `None` where there are fewer.
fn mutated(json: &Value, at: &mut usize, junk: Option<&Value>) -> Option<Value> {
    fn inner(json: &Value, at: &mut usize, junk: Option<&Value>) -> Option<Option<Value>> {
        if *at == 0 {
            return Some(junk.cloned());
        }
        *at -= 1;
        match json {
            Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                let (new, mut items) = (inner(item, at, junk)?, items.clone());
                items.splice(index..=index, new);
                Some(Some(Value::Array(items)))
            }),
            Value::Object(members) => members.iter().enumerate().find_map(|(index, (key, value))| {
                let (new, mut members) = (inner(value, at, junk)?, members.clone());
                members.splice(index..=index, new.map(|new| (key.clone(), new)));
                Some(Some(Value::Object(members)))
            }),
            _ => None,
        }
    }
    inner(json, at, junk).map(|value| value.unwrap_or_default())
}

#[test]
fn parser_refuses_damaged_rules_or_reads_them_back() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance");
    let catalogue = catalogue();
    let junk =
        ["null", "0", "-1.5", "\"\"", "\"7d\"", "\"*\"", "[]", "{}", "[1, 2]", "[\"2d\", \"1d\"]", "true"].map(json);
    let (mut refused, mut accepted) = (0, 0);
    for entry in std::fs::read_dir(directory).expect("the conformance cases") {
        let lines = std::fs::read_to_string(entry.expect("a file").path()).expect("text");
        let rules = lines.lines().map(json).filter_map(|line| line.get("segment")?.get("rules").cloned());
        for rules in rules {
            for junk in junk.iter().map(Some).chain([None]) {
                for place in 0.. {
                    let Some(damaged) = mutated(&rules, &mut { place }, junk) else { break };
                    match parse_rules(&damaged, &catalogue) {
                        Ok(node) => {
                            accepted += 1;
                            let again = node_to_json_with(&node, &catalogue);
                            assert_eq!(parse_rules(&json(&again), &catalogue).as_ref(), Ok(&node), "{again}");
                        }
                        Err(faults) => {
                            refused += 1;
                            assert!(!faults.is_empty());
                            let places: std::collections::BTreeSet<_> =
                                faults.iter().map(|f| (&f.pointer, f.code, &f.message)).collect();
                            assert_eq!(places.len(), faults.len(), "said twice: {faults:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 5_000 && accepted > 500, "{refused} refused, {accepted} accepted");
}

#[test]
fn parser_gives_every_message_a_subject() {
    let message = |text: &str| parse_rules(&json(text), &catalogue()).expect_err("refused")[0].message.clone();
    assert_eq!(message(r#"{"rank": {"by": "a", "order": "up"}, "top": 3}"#), "`order` must be desc or asc");
    let list = message(r#"{"event": "p", "where": [{"field": "v", "operator": "in", "value": [1, null]}]}"#);
    assert!(list.starts_with("null, or a number"), "{list}");
    let item = message(r#"{"field": "a", "operator": "between", "value": [1, true]}"#);
    assert_eq!(item, "item 2 of `value` must be a string or number, not a boolean");
}
