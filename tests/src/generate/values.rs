//! Values: of properties and traits, and the literals that they are compared with.

use serde_json::{Value, json};

use super::{Maker, Takes};

impl Maker {
    /// A value of a property or a trait.
    pub(super) fn value(&mut self) -> Value {
        match self.random.weighted(&[45, 20, 12, 6, 6, 4, 7]) {
            0 => self.number(),
            1 => json!(*self.random.pick(&["x", "xy", "yx", "é", "", "true", "1", "2", "1.0", " 1", "1e2", "-0"])),
            2 => self.time(),
            3 => json!(self.random.percent(50)),
            4 => self.array(),
            5 => self.object(),
            _ => Value::Null,
        }
    }

    /// A number; few, so that they meet.
    pub(super) fn number(&mut self) -> Value {
        let rare = ["-1", "0.5", "-2.5", "3.333333333", "1e1", "1e19", "1e18", "0.0000000005"];
        let numbers = if self.random.percent(75) { &["0", "1", "1", "2", "2", "3", "10"][..] } else { &rare[..] };
        let text = *self.random.pick(numbers);
        serde_json::from_str(text).unwrap_or(Value::Null)
    }

    fn array(&mut self) -> Value {
        let count = self.random.between(0, 3);
        (0..count)
            .map(|_| match self.random.weighted(&[30, 30, 10, 10, 20]) {
                0 => self.number(),
                1 => json!(*self.random.pick(&["x", "y", "1"])),
                2 => Value::Null,
                3 => self.random.pick(&[json!([1]), json!({"b": 1})]).clone(),
                _ => self.time(),
            })
            .collect()
    }

    fn object(&mut self) -> Value {
        let mut object = json!({});
        for key in ["b", "c"] {
            if self.random.percent(60) {
                object[key] = if self.random.percent(85) { self.number() } else { json!({"b": "x"}) };
            }
        }
        object
    }

    /// The members of a `properties`, `context` or `traits`.
    pub(super) fn members(&mut self, keys: &[&str]) -> Value {
        let mut members = json!({});
        for key in keys {
            if self.random.percent(55) {
                members[*key] = if *key == "amount" && self.random.percent(70) { self.number() } else { self.value() };
            }
        }
        members
    }

    /// An operator with its value, written into a node.
    pub(super) fn test(&mut self, node: &mut Value, takes: Takes) {
        let numbers = ["eq", "ne", "gt", "gte", "lt", "lte", "between", "not_between", "in", "not_in"];
        let more =
            ["contains", "not_contains", "starts_with", "ends_with", "matches", "before", "after", "before", "after"];
        let operator = if self.random.percent(10) {
            *self.random.pick(&["exists", "not_exists"])
        } else {
            match takes {
                Takes::Numbers => *self.random.pick(&numbers),
                Takes::Durations => *self.random.pick(&numbers[..8]),
                Takes::Anything if self.random.percent(45) => *self.random.pick(&more),
                Takes::Anything => *self.random.pick(&numbers),
            }
        };
        node["operator"] = json!(operator);
        match operator {
            "exists" | "not_exists" => {}
            "starts_with" | "ends_with" => node["value"] = json!(*self.random.pick(&["x", "1", "", "2026"])),
            "matches" => node["value"] = json!(*self.random.pick(&["^x", "1$", "[xy]{2}", "", "é"])),
            "before" | "after" if self.random.percent(70) => node["value"] = json!(self.duration_text()),
            "before" | "after" => node["value"] = self.time(),
            "between" | "not_between" => node["value"] = self.interval(takes),
            "in" | "not_in" => {
                let count = if self.random.percent(10) { 12 } else { self.random.between(1, 3) };
                node["value"] = (0..count).map(|_| self.literal(takes, true)).collect();
            }
            "gt" | "gte" | "lt" | "lte" => node["value"] = self.literal(takes, false),
            _ => node["value"] = self.literal(takes, true),
        }
    }

    fn interval(&mut self, takes: Takes) -> Value {
        let (mut low, mut high) = (self.literal(takes, false), self.literal(takes, false));
        if takes == Takes::Durations {
            let (one, other) = (self.duration(), self.duration());
            low = json!(audience_rules::time::format_duration(one.min(other)));
            high = json!(audience_rules::time::format_duration(one.max(other)));
        } else if low.as_f64() > high.as_f64() || low.as_str() > high.as_str() {
            (low, high) = (high, low);
        }
        if low.is_string() != high.is_string() { json!([0, 2]) } else { json!([low, high]) }
    }

    fn literal(&mut self, takes: Takes, booleans: bool) -> Value {
        match takes {
            Takes::Durations => json!(self.duration_text()),
            Takes::Numbers if self.random.percent(6) => json!(self.instant()),
            Takes::Numbers => self.small_number(),
            Takes::Anything => match self.random.weighted(&[50, 25, if booleans { 10 } else { 0 }, 10]) {
                0 => self.small_number(),
                1 => json!(*self.random.pick(&["x", "xy", "1", "2", "true", ""])),
                2 => json!(self.random.percent(50)),
                _ => self.time(),
            },
        }
    }

    fn small_number(&mut self) -> Value {
        let text = *self.random.pick(&["0", "1", "1", "2", "2", "3", "4", "0.5", "-1", "3.333333333", "10"]);
        serde_json::from_str(text).unwrap_or(Value::Null)
    }
}
