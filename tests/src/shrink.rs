//! A failing timeline made small: fewer lines, simpler settings, then simpler JSON, as long as it fails.
//!
//! Simpler JSON need not be a valid rule: what both sides refuse fails nobody.

use serde_json::Value;

use crate::case::Case;

/// The smallest case found that still fails, after at most `tries`.
pub fn shrink(mut case: Case, mut tries: usize, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut attempt = |candidate: Case, case: &mut Case| {
        if tries == 0 {
            return false;
        }
        tries -= 1;
        let still = fails(&candidate);
        if still {
            *case = candidate;
        }
        still
    };
    loop {
        let before = case.clone();
        shrink_settings(&mut case, &mut attempt);
        shrink_lines(&mut case, &mut attempt);
        shrink_values(&mut case, &mut attempt);
        if case == before {
            return case;
        }
    }
}

type ShrinkAttempt<'a> = dyn FnMut(Case, &mut Case) -> bool + 'a;

fn shrink_settings(case: &mut Case, attempt: &mut ShrinkAttempt<'_>) {
    for processes in 1..case.processes {
        if attempt(Case { processes, ..case.clone() }, case) {
            break;
        }
    }
    for workers in 1..case.workers {
        if attempt(Case { workers, ..case.clone() }, case) {
            break;
        }
    }
    if case.batch_events > 1 {
        attempt(Case { batch_events: 1, ..case.clone() }, case);
    }
    if case.scan_slice_users < 1000 {
        attempt(Case { scan_slice_users: 1000, ..case.clone() }, case);
    }
    if !case.every_line {
        attempt(Case { every_line: true, ..case.clone() }, case);
    }
}

fn shrink_lines(case: &mut Case, attempt: &mut ShrinkAttempt<'_>) {
    let mut size = case.lines.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < case.lines.len() {
            let mut candidate = case.clone();
            candidate.lines.drain(at..(at + size).min(case.lines.len()));
            if !attempt(candidate, case) {
                at += size;
            }
        }
        size /= 2;
    }
}

fn shrink_values(case: &mut Case, attempt: &mut ShrinkAttempt<'_>) {
    for at in 0..case.lines.len() {
        let mut next = 0;
        loop {
            let candidates = simpler(&case.lines[at]);
            let Some(line) = candidates.into_iter().nth(next) else { break };
            let mut candidate = case.clone();
            candidate.lines[at] = line;
            if !attempt(candidate, case) {
                next += 1;
            }
        }
    }
}

/// Values that are simpler in one place, the simplest first.
fn simpler(value: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    match value {
        Value::Object(members) => {
            for child in members.values() {
                out.extend(nested(child));
            }
            for key in members.keys() {
                let mut less = members.clone();
                less.remove(key);
                out.push(Value::Object(less));
            }
            for (key, child) in members {
                out.extend(simpler(child).into_iter().map(|simple| {
                    let mut other = members.clone();
                    other.insert(key.clone(), simple);
                    Value::Object(other)
                }));
            }
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                let mut less = items.clone();
                less.remove(at);
                out.push(Value::Array(less));
            }
            for at in 0..items.len() {
                out.extend(simpler(&items[at]).into_iter().map(|simple| {
                    let mut other = items.clone();
                    other[at] = simple;
                    Value::Array(other)
                }));
            }
        }
        Value::Number(number) if number.as_u64().is_none_or(|number| number > 1 && number < 1_000_000_000) => {
            out.extend([Value::from(0), Value::from(1)]);
        }
        _ => {}
    }
    out
}

/// Objects below that may stand in the place of the one around them.
fn nested(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(_) => vec![value.clone()],
        Value::Array(items) => items.iter().filter(|item| item.is_object()).cloned().collect(),
        _ => Vec::new(),
    }
}
