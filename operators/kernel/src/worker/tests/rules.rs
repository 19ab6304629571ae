//! Random rules over a few measures, so that they share them and the places at which they change.

use super::*;

const OPERATORS: [&str; 6] = ["gt", "gte", "lt", "lte", "eq", "ne"];

/// The test of a number.
fn number_test(random: &mut Rng) -> String {
    let number = |random: &mut Rng| *pick(random, &["-3", "0", "1", "2", "2.5", "3", "5", "10"]);
    match random.u8(..8) {
        0 => {
            let low = random.i32(-3..4);
            format!(r#""operator": "between", "value": [{low}, {}]"#, low + random.i32(0..6))
        }
        1 => format!(r#""operator": "in", "value": [{}, {}]"#, number(random), number(random)),
        _ => format!(r#""operator": "{}", "value": {}"#, pick(random, &OPERATORS), number(random)),
    }
}

fn window(random: &mut Rng) -> &'static str {
    pick::<&str>(
        random,
        &["", "", "", r#", "within": "2s""#, r#", "within": "10s""#, r#", "within": {"ago": ["9s", "3s"]}"#],
    )
}

/// A test of a measure that is a number and does not change by time alone.
pub(super) fn number_leaf(random: &mut Rng) -> String {
    let (event, function) = (pick(random, &["a", "b", "*"]), pick(random, &["sum", "avg", "min", "max", "distinct"]));
    let test = number_test(random);
    match random.u8(..3) {
        0 => format!(r#"{{"event": "{event}", {test}}}"#),
        1 => format!(r#"{{"field": "n", {test}}}"#),
        _ => format!(r#"{{"event": "{event}", "measure": {{"fn": "{function}", "of": "v"}}, {test}}}"#),
    }
}

/// Any test; segments before `own` may be referred to.
fn leaf(own: usize, random: &mut Rng) -> String {
    let event = *pick(random, &["a", "b"]);
    match random.u8(..14) {
        0 => format!(r#"{{"event": "{event}", "operator": "gte", "value": {}{}}}"#, random.u8(0..4), window(random)),
        1 => {
            let (test, window) = (number_test(random), window(random));
            format!(r#"{{"event": "{event}", "measure": {{"fn": "sum", "of": "v"}}, {test}{window}}}"#)
        }
        2 => format!(
            r#"{{"event": "{event}", "measure": {{"fn": "since_last"}}, "operator": "{}", "value": "{}s"}}"#,
            pick(random, &["gt", "lte"]),
            random.u8(1..9)
        ),
        3 => {
            let (function, operator) = (pick(random, &["first", "last"]), pick(random, &["eq", "ne", "ends_with"]));
            format!(
                r#"{{"event": "{event}", "measure": {{"fn": "{function}", "of": "v"}}, "operator": "{operator}", "value": "x"}}"#
            )
        }
        4 => format!(r#"{{"field": "n", "operator": "{}"}}"#, pick(random, &["exists", "not_exists"])),
        5 => format!(r#"{{"field": "n", "operator": "{}", "value": "x"}}"#, pick(random, &["eq", "ne", "starts_with"])),
        6 => format!(r#"{{"sequence": [{{"event": "a"}}, {{"event": "b"}}]{}}}"#, window(random)),
        7 if own > 0 => format!(r#"{{"segment": "s{}"}}"#, random.usize(..own)),
        8 => format!(r#"{{"sample": {{"salt": "x", "from": 0, "to": {}}}}}"#, random.u16(2_000..8_000)),
        _ => number_leaf(random),
    }
}

fn group(depth: usize, leaf: &mut impl FnMut(&mut Rng) -> String, random: &mut Rng) -> String {
    if depth == 0 || random.u8(..4) == 0 {
        return leaf(random);
    }
    let parts: Vec<String> = (0..random.usize(1..4)).map(|_| group(depth - 1, leaf, random)).collect();
    let logic = pick(random, &["AND", "AND", "OR", "NOT"]);
    format!(r#"{{"logic": "{logic}", "conditions": [{}]}}"#, parts.join(","))
}

/// The rule of the segment of this number.
pub(super) fn rule(own: usize, random: &mut Rng) -> String {
    group(2, &mut |random| leaf(own, random), random)
}

/// A rule that compares with numbers only.
pub(super) fn number_rule(random: &mut Rng) -> String {
    group(1, &mut number_leaf, random)
}
