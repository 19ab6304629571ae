//! Operators against values, as tests in rules say them.

use super::*;
use crate::ast::{Millis, Node};
use crate::parse::{NoTraits, parse_rules};
use crate::record::{RecordHead, RecordKind, begin, finish};
use crate::testing::json;
use crate::time::{DAY, parse_rfc3339};

const NOW: Millis = 1_767_225_600_000;

fn test(operator: &str, literal: &str) -> Test {
    let value = if literal.is_empty() { String::new() } else { format!(r#", "value": {literal}"#) };
    let rule = format!(r#"{{"field": "f", "operator": "{operator}"{value}}}"#);
    match parse_rules(&json(&rule), &NoTraits) {
        Ok(Node::Trait { test, .. }) => test,
        other => panic!("{rule}: {other:?}"),
    }
}

fn holds(value: &str, operator: &str, literal: &str) -> bool {
    let test = test(operator, literal);
    if value.is_empty() {
        return test.holds(Operand::Missing, NOW);
    }
    let mut bytes = Vec::new();
    json(value).encode(&mut bytes);
    let (value, _) = ValueRef::read(&bytes).expect("whole");
    test.holds(Operand::Value(value), NOW)
}

/// Values, an operator and its literal: for which it holds, for which not.
fn check(operator: &str, literal: &str, yes: &[&str], no: &[&str]) {
    for value in yes {
        assert!(holds(value, operator, literal), "{value} {operator} {literal}");
    }
    for value in no {
        assert!(!holds(value, operator, literal), "not {value} {operator} {literal}");
    }
}

const NOTHING: [&str; 2] = ["", "null"];

#[test]
fn test_casts_the_value_to_the_type_of_its_literal() {
    check(
        "eq",
        "1500",
        &["1500", "1500.0", r#""1500""#, r#""1.5e3""#, r#""+01500.""#],
        &["\" 1500\"", "\"x\"", "true", "{}", "1e19"],
    );
    check("eq", "\"1500\"", &["1500", "1.5e3", "\"1500\""], &["\"01500\"", "1500.5", "{}"]);
    check("eq", "\"0.000000001\"", &["1e-9"], &["0"]);
    check("eq", "true", &["true", "\"true\""], &["\"True\"", "1", "false"]);
    check("eq", "\"false\"", &["false", "\"false\""], &["0", "true"]);
    check("gt", "\"15\"", &["\"1500\"", "1500", "\"2\"", "true"], &["\"15\"", "\"10\"", "\"\"", "[]", "{}"]);
    check("gte", "10", &["10", "11", "\"1e1\""], &["9.999999999", "true", "\"x\""]);
    check("between", "[\"a\", \"c\"]", &["\"a\"", "\"b\"", "\"c\""], &["\"ca\"", "\"B\"", "1"]);
    check("between", "[-1, 1]", &["-1", "0", "1", "\"1\""], &["1.000000001", "\"a\""]);
    check("contains", "50", &["\"1500\"", "1500", "50"], &["5", "\"05.0\""]);
    check("contains", "true", &["\"untrue\"", "true"], &["1", "false"]);
    check("starts_with", "\"tr\"", &["true", "\"try\""], &["\"at\"", "1"]);
    check("ends_with", "\".5\"", &["1500.50", "\"x.5\""], &["15"]);
    check("matches", "\"^4+$\"", &["44", "\"4\""], &["45", "{}"]);
}

#[test]
fn test_with_a_negative_operator_is_the_exact_negation() {
    let values = [
        "",
        "null",
        "1",
        "\"1\"",
        "\"x\"",
        "true",
        "[]",
        "[1]",
        "[null]",
        "[\"x\", 2]",
        "{}",
        "{\"a\": 1}",
        "1e30",
        "1e100",
    ];
    for (positive, negative, literal) in [
        ("eq", "ne", "1"),
        ("eq", "ne", "\"x\""),
        ("between", "not_between", "[0, 5]"),
        ("in", "not_in", "[1, \"x\"]"),
        ("contains", "not_contains", "\"x\""),
        ("exists", "not_exists", ""),
    ] {
        for value in values {
            assert_ne!(
                holds(value, positive, literal),
                holds(value, negative, literal),
                "{value} {positive} {literal}"
            );
        }
        check(positive, literal, &[], &NOTHING);
        check(negative, literal, &NOTHING, &[]);
    }
    check("exists", "", &["0", "\"\"", "false", "[]", "{}"], &["", "null", "1e100"]);
}

#[test]
fn test_of_an_array_holds_if_one_of_an_element_does() {
    check("eq", "\"red\"", &["[\"blue\", \"red\"]"], &["[]", "[\"re\"]", "[[\"red\"]]", "[{\"red\": 1}]"]);
    check("gt", "10", &["[1, 20]", "[null, \"11\"]"], &["[1]", "[[20]]", "[]"]);
    check("contains", "\"re\"", &["\"red\"", "[\"re\"]"], &["[\"red\"]"]);
    check("contains", "1", &["[\"1.0\"]", "[1]"], &["[10]", "[true]"]);
    check("starts_with", "\"r\"", &["[\"red\"]"], &["[\"ar\"]", "[[\"r\"]]"]);
    check("in", "[1, 2]", &["[3, 2]"], &["[3]"]);
    check("before", "\"1d\"", &["[\"x\", \"2025-12-30T23:59:59.999Z\"]"], &["[\"2025-12-31T00:00:00Z\"]"]);
}

#[test]
fn test_of_a_long_list_agrees_with_short_ones() {
    let literals: Vec<String> = (0..50).map(|n| if n % 2 == 0 { n.to_string() } else { format!("\"{n}\"") }).collect();
    let long = format!("[{}, true]", literals.join(","));
    check(
        "in",
        &long,
        &["4", "\"4\"", "\"4.0\"", "7", "\"7\"", "true", "\"true\"", "[null, 48]"],
        &["\"7.0\"", "50", "false", "\"\"", "{}"],
    );
}

#[test]
fn test_of_times_is_strict() {
    let cut = "2025-12-18T00:00:00Z";
    assert_eq!(parse_rfc3339(cut), Some(NOW - 14 * DAY));
    let (before, at, after) = ("\"2025-12-17T23:59:59.999Z\"", "\"2025-12-18T01:00:00+01:00\"", "1766016000001");
    for literal in ["\"14d\"", "\"2025-12-18T00:00:00Z\"", "1766016000000"] {
        check(
            "before",
            literal,
            &[before, "1766015999999"],
            &[at, after, "\"1766015999999\"", "1766015999999.5", "\"2025-12\""],
        );
        check("after", literal, &[after, "\"2025-12-18T00:00:00.001Z\""], &[at, before, "", "true", "{}"]);
    }
    assert!(test("before", "\"14d\"").is_relative());
    assert!(!test("before", "\"2025-12-18T00:00:00Z\"").is_relative());
}

#[test]
fn test_of_an_average_compares_unrounded() {
    let third = Operand::Ratio { sum: Decimal::from_integer(1), count: 3 };
    for (operator, literal, expected) in [
        ("gt", "0.333333333", true),
        ("lt", "0.333333334", true),
        ("eq", "0.333333333", false),
        ("ne", "0.333333333", true),
        ("between", "[0.333333333, 0.333333334]", true),
        ("in", "[0.333333333, 1]", false),
        ("exists", "", true),
    ] {
        assert_eq!(test(operator, literal).holds(third, NOW), expected, "{operator} {literal}");
    }
    let two = Operand::Ratio { sum: Decimal::from_integer(-6), count: 3 };
    assert!(test("eq", "-2").holds(two, NOW) && test("in", "[-2, 5]").holds(two, NOW));
    assert!(!test("eq", "\"-2\"").holds(two, NOW));
    assert_eq!(compare_ratio(i128::MIN, u64::MAX, i128::MAX), Ordering::Less);
    assert_eq!(compare_ratio(i128::MAX, 1, i128::MAX), Ordering::Equal);
    assert_eq!(compare_ratio(-1, 2, 0), Ordering::Less);
    assert_eq!(compare_ratio(-1, 2, -1), Ordering::Greater);
    assert_eq!(compare_ratio(i128::MIN, 1, i128::MIN), Ordering::Equal);
}

#[test]
fn test_of_a_measure_compares_its_number() {
    let sum = Operand::Number(Decimal::parse("0.3").expect("a number"));
    assert!(test("eq", "0.3").holds(sum, NOW) && test("exists", "").holds(sum, NOW));
    assert!(!test("gt", "0.3").holds(sum, NOW) && test("not_in", "[1]").holds(sum, NOW));
}

#[test]
fn filter_tests_the_values_of_an_event() {
    let mut bytes = Vec::new();
    let head = RecordHead {
        timestamp: NOW,
        accepted_at: NOW,
        kind: RecordKind::Event,
        user: "u",
        other: "",
        message: "",
        event_type: "view",
    };
    let start = begin(head, &mut bytes);
    json(r#"{"item": {"cat": "toys", "price": 5}, "none": null}"#).encode(&mut bytes);
    json(r#"{"device": "ios"}"#).encode(&mut bytes);
    json("{}").encode(&mut bytes);
    finish(start, &mut bytes);
    let (event, _) = EventRef::read(&bytes).expect("whole");
    let filter = |text: &str| {
        let rule = format!(r#"{{"event": "view", "where": {text}}}"#);
        match parse_rules(&json(&rule), &NoTraits) {
            Ok(Node::Behaviour { behaviour, .. }) => behaviour.filter.clone().expect("a filter"),
            other => panic!("{rule}: {other:?}"),
        }
    };
    let toys = r#"{"field": "item.cat", "operator": "eq", "value": "toys"}"#;
    let dear = r#"{"field": "item.price", "operator": "gt", "value": 10}"#;
    let fresh = r#"{"field": "timestamp", "operator": "after", "value": "1d"}"#;
    for (text, expected) in [
        (toys.to_string(), true),
        (dear.to_string(), false),
        (format!("[{toys}, {dear}]"), false),
        (format!(r#"{{"logic": "OR", "conditions": [{toys}, {dear}]}}"#), true),
        (format!(r#"{{"logic": "NOT", "conditions": [{toys}, {dear}]}}"#), false),
        (format!(r#"{{"logic": "NOT", "conditions": [{dear}]}}"#), true),
        (r#"{"field": "context.device", "operator": "eq", "value": "ios"}"#.into(), true),
        (r#"{"field": "device", "operator": "exists"}"#.into(), false),
        (r#"{"field": "none", "operator": "not_exists"}"#.into(), true),
        (r#"{"field": "item", "operator": "exists"}"#.into(), true),
        (r#"{"field": "timestamp", "operator": "eq", "value": 1767225600000}"#.into(), true),
    ] {
        let filter = filter(&text);
        assert_eq!(filter_holds(&filter, &event, NOW), expected, "{text}");
        assert!(!filter_is_relative(&filter));
    }
    let relative = filter(&format!("[{toys}, {fresh}]"));
    assert!(filter_is_relative(&relative));
    assert!(filter_holds(&relative, &event, NOW + DAY - 1));
    assert!(!filter_holds(&relative, &event, NOW + DAY));
}
