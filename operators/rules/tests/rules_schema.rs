//! The JSON Schema of rules and the parser agree: every rule of the reference page and of the conformance cases is valid by
//! it, and what the parser refuses for its form is not. What no schema can say is listed here by name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use audience_rules::RULES_SCHEMA;
use regex::Regex;
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Refusals of the conformance cases that are beyond a schema: bounds against each other, regular expressions, references
/// to segments, the number of levels, names of zones, lengths of durations, days that a month lacks, and what depends on a
/// computed trait or stands inside a rank.
const BEYOND: [&str; 28] = [
    r#"{"field":"a","operator":"between","value":[5,1]}"#,
    r#"{"field":"a","operator":"matches","value":"("}"#,
    r#"{"event":"p","within":{"from":"2026-02-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}}"#,
    r#"{"event":"p","within":{"ago":["1d","2d"]}}"#,
    r#"{"segment":"no-such-segment"}"#,
    r#"{"segment":"refused-self"}"#,
    r#"{"sample":{"from":6,"salt":"x","to":5}}"#,
    "17 levels",
    r#"{"event":"p","within":{"ago":["1mo","31d"]}}"#,
    r#"{"event":"p","within":"121mo"}"#,
    r#"{"event":"p","within":{"last":"11y"}}"#,
    r#"{"event":"p","within":{"calendar":"day","from":-1,"to":-2}}"#,
    r#"{"event":"p","within":{"calendar":"day","from":-1,"zone":"Mars/Olympus"}}"#,
    r#"{"event":"p","within":{"last":"1mo","zone":"User"}}"#,
    r#"{"event":"p","within":{"from":"2026-06-30","to":"2026-06-29"}}"#,
    r#"{"event":"p","within":{"from":"2026-06-31"}}"#,
    r#"{"event":"p","each":"l","unless":{"event":"q","same":"item.x"}}"#,
    r#"{"field":"purchaseCount","operator":"eq","value":1,"ignoreCase":true}"#,
    r#"{"field":"x","operator":"anniversary","value":{"from":1}}"#,
    r#"{"field":"x","operator":"before","value":"151y"}"#,
    r#"{"field":"x","operator":"before","value":"1801mo"}"#,
    r#"{"field":"x","operator":"before","value":"54789d"}"#,
    r#"{"rank":{"by":"own"},"top":1}"#,
    r#"{"rank":{"by":{"event":"p","measure":{"fn":"days","zone":"user"}}},"top":1}"#,
    r#"{"rank":{"by":"x"},"top":1,"among":{"field":"y","operator":"anniversary","value":{"zone":"user"}}}"#,
    r#"{"rank":{"by":"x"},"top":1,"among":{"field":"own","operator":"gte","value":1}}"#,
    r#"{"rank":{"by":{"event":"p","within":{"calendar":"day","from":0,"zone":"UTC"},"where":{"field":"x","operator":"before","value":"1mo","zone":"user"}}},"top":1}"#,
    r#"{"sequence":[{"event":"a"},{"not":{"event":"b"},"for":"1h"},{"event":"c"}]}"#,
];

#[test]
fn schema_takes_every_rule_of_the_reference_pages() {
    let names = ["rules", "rules-sequences", "rules-measures", "rules-orders", "rules-times", "rules-values"];
    let pages = names.map(|name| fs::read_to_string(format!("{ROOT}/docs/{name}.md")).expect("the page"));
    let pages = pages.concat();
    let blocks = pages.split("```json rules\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let rules: Vec<Value> = blocks.map(|(text, _)| serde_json::from_str(text).expect(text)).collect();
    assert!(rules.len() > 30, "{} rules", rules.len());
    for rule in &rules {
        assert_eq!(refusal(rule), None, "{rule}");
    }
}

#[test]
fn schema_takes_every_rule_of_the_conformance_cases_and_refuses_what_the_parser_refuses() {
    let (mut taken, mut refused, mut beyond) = (0, 0, BTreeSet::new());
    for line in conformance() {
        if let Some(rules) = line.pointer("/segment/rules") {
            assert_eq!(refusal(rules), None, "{rules}");
            taken += 1;
        }
        if let Some(rules) = line.pointer("/refused/rules") {
            match refusal(rules) {
                Some(_) => refused += 1,
                None if levels(rules) > 16 => drop(beyond.insert("17 levels".to_owned())),
                None => drop(beyond.insert(sorted(rules))),
            }
        }
    }
    assert_eq!(beyond, BEYOND.map(|text| text.parse::<Value>().map_or(text.to_owned(), |json| sorted(&json))).into());
    assert!(taken > 100 && refused > 40, "{taken} taken, {refused} refused");
}

/// A new operator or measure that the schema does not know fails here, not with a user.
#[test]
fn schema_takes_every_operator_and_measure_that_messages_name() {
    let faulty = |rule: &str| {
        let json = audience_rules::json::parse_json(rule.as_bytes()).expect("JSON");
        let faults = audience_rules::parse::parse_rules(&json, &audience_rules::parse::NoTraits).expect_err("refused");
        faults[0].message.clone()
    };
    let operators = faulty(r#"{"field": "a", "operator": "?", "value": 1}"#);
    let operators = operators.split("allowed are ").nth(1).expect("a list");
    for operator in operators.split(", ") {
        let fits = ["1", "\"30d\"", "[1, 2]", "{}"]
            .map(|value| format!(r#"{{"field": "a", "operator": "{operator}", "value": {value}}}"#));
        let without = format!(r#"{{"field": "a", "operator": "{operator}"}}"#);
        let is_taken = fits.iter().chain([&without]).any(|rule| refusal(&rule.parse().expect("JSON")).is_none());
        assert!(is_taken, "{operator}");
    }
    let measures = faulty(r#"{"event": "a", "measure": {"fn": "?"}}"#);
    let measures = measures.split("must be one of ").nth(1).and_then(|list| list.split(" (").next()).expect("a list");
    for measure in measures.split(", ") {
        let rules = [r#""of": "x""#, r#""gap": "1h""#, ""].map(|of| {
            let comma = if of.is_empty() { "" } else { ", " };
            format!(r#"{{"event": "a", "measure": {{"fn": "{measure}"{comma}{of}}}, "operator": "exists"}}"#)
        });
        assert!(rules.iter().any(|rule| refusal(&rule.parse().expect("JSON")).is_none()), "{measure}");
    }
}

fn conformance() -> Vec<Value> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("tests/conformance")).expect("the cases") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("text");
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line)));
    }
    lines
}

fn levels(rules: &Value) -> usize {
    let below = rules["conditions"].as_array().into_iter().flatten().map(levels).max();
    1 + below.unwrap_or(0)
}

/// The text of a value whose members are in order.
fn sorted(json: &Value) -> String {
    match json {
        Value::Object(members) => {
            let mut parts: Vec<_> = members.iter().map(|(key, value)| format!("{key:?}:{}", sorted(value))).collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Why the schema refuses a value, by pointer and keyword.
fn refusal(value: &Value) -> Option<String> {
    let root: Value = serde_json::from_str(RULES_SCHEMA).expect("the schema is JSON");
    Validator { root: &root }.refusal(&root, value, "").map(|keyword| format!("{keyword} in {value}"))
}

/// As much of JSON Schema 2020-12 as the schema uses; a keyword that is not known fails the test.
struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn refusal(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let Value::Object(keywords) = schema else {
            return (schema == &Value::Bool(false)).then(|| format!("{at}: nothing may stand here"));
        };
        keywords.iter().find_map(|(keyword, bound)| {
            let holds = self.holds(keyword, bound, schema, value);
            (!holds).then(|| format!("{at}/{keyword}: {bound:.80}"))
        })
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        self.refusal(schema, value, "").is_none()
    }

    fn holds(&self, keyword: &str, bound: &Value, schema: &Value, value: &Value) -> bool {
        let schemas = || bound.as_array().expect("a list").iter();
        let valid = |schema: &&Value| self.is_valid(schema, value);
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "then" | "else" => true,
            "$ref" => {
                let pointer = bound.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
                self.is_valid(self.root.pointer(pointer).expect(pointer), value)
            }
            "allOf" => schemas().all(|one| valid(&one)),
            "anyOf" => schemas().any(|one| valid(&one)),
            "oneOf" => schemas().filter(valid).count() == 1,
            "not" => !self.is_valid(bound, value),
            "if" => {
                let branch = schema.get(if self.is_valid(bound, value) { "then" } else { "else" });
                branch.is_none_or(|branch| self.is_valid(branch, value))
            }
            "type" => match bound {
                Value::Array(types) => types.iter().any(|one| is_of_type(value, one)),
                one => is_of_type(value, one),
            },
            "const" => value == bound,
            "enum" => schemas().any(|one| one == value),
            _ => self.bounds(keyword, bound, schema, value),
        }
    }

    /// Keywords for one type of value, which say nothing of others.
    fn bounds(&self, keyword: &str, bound: &Value, schema: &Value, value: &Value) -> bool {
        let length = |length: usize| (bound.as_u64().expect("a number") as usize, length);
        let known = |key: &str| schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
        match (keyword, value) {
            ("minLength", Value::String(text)) => length(text.chars().count()).1 >= length(0).0,
            ("maxLength", Value::String(text)) => length(text.chars().count()).1 <= length(0).0,
            ("pattern", Value::String(text)) => {
                Regex::new(bound.as_str().expect("a pattern")).expect("it compiles").is_match(text)
            }
            ("minItems", Value::Array(items)) => items.len() >= length(0).0,
            ("maxItems", Value::Array(items)) => items.len() <= length(0).0,
            ("items", Value::Array(items)) => items.iter().all(|item| self.is_valid(bound, item)),
            ("prefixItems", Value::Array(items)) => {
                bound.as_array().expect("a list").iter().zip(items).all(|(schema, item)| self.is_valid(schema, item))
            }
            ("required", Value::Object(members)) => {
                bound.as_array().expect("a list").iter().all(|key| members.contains_key(key.as_str().expect("a name")))
            }
            ("properties", Value::Object(members)) => {
                members.iter().all(|(key, member)| bound.get(key).is_none_or(|schema| self.is_valid(schema, member)))
            }
            ("additionalProperties", Value::Object(members)) => members.keys().all(|key| known(key)),
            ("minProperties", Value::Object(members)) => members.len() >= length(0).0,
            ("minimum", Value::Number(number)) => number.as_f64() >= bound.as_f64(),
            ("maximum", Value::Number(number)) => number.as_f64() <= bound.as_f64(),
            ("exclusiveMinimum", Value::Number(number)) => number.as_f64() > bound.as_f64(),
            ("multipleOf", Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
            (
                "minLength"
                | "maxLength"
                | "pattern"
                | "minItems"
                | "maxItems"
                | "items"
                | "prefixItems"
                | "required"
                | "properties"
                | "additionalProperties"
                | "minProperties"
                | "minimum"
                | "maximum"
                | "exclusiveMinimum"
                | "multipleOf",
                _,
            ) => true,
            (unknown, _) => panic!("the schema uses {unknown}, which this test does not know"),
        }
    }
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("the schema uses the type {other}"),
    }
}
