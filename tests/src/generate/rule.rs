//! Rules: trees of every kind of node.

use serde_json::{Value, json};

use super::{Maker, Takes};

/// Computed traits, `identify` traits, and names that may be either.
const FIELDS: [&str; 13] = [
    "totalSpent",
    "purchaseCount",
    "lastSeen",
    "firstSeen",
    "c1",
    "c1",
    "c2",
    "n",
    "n",
    "n.b",
    "plan",
    "since",
    "since",
];

impl Maker {
    /// A rule.
    pub(super) fn rule(&mut self) -> Value {
        if self.is_counting && self.random.percent(85) {
            return self.counting_rule();
        }
        if self.random.percent(5) {
            let criteria: Vec<Value> = (0..self.random.between(1, 3)).map(|_| self.node(2)).collect();
            return json!({ "criteria": criteria, "logic": *self.random.pick(&["and", "or"]) });
        }
        if self.random.percent(20) { self.shared_tests() } else { self.node(3) }
    }

    /// The number of events of a type so far, alone or with another.
    fn counting_rule(&mut self) -> Value {
        let operator = *self.random.pick(&["ne", "ne", "eq", "gte", "lt", "between"]);
        let count = self.random.between(0, 4);
        let value = if operator == "between" { json!([count, count + 1]) } else { json!(count) };
        let (one, other) = *self.random.pick(&[("p", "q"), ("p", "q"), ("q", "p")]);
        let test = json!({ "event": other, "operator": operator, "value": value });
        if self.random.percent(25) { test } else { json!({ "conditions": [{ "event": one }, test] }) }
    }

    /// All of some tests that other rules of the timeline have too: the engine shares them, and looks at a rule only where
    /// its other tests do not bar it.
    fn shared_tests(&mut self) -> Value {
        let count = self.random.between(2, 4);
        let conditions: Vec<Value> = (0..count).map(|_| self.shared_test()).collect();
        json!({ "conditions": conditions })
    }

    fn shared_test(&mut self) -> Value {
        if self.shared.is_empty() || self.random.percent(30) {
            let measure = self.behaviour().0;
            for _ in 0..3 {
                let mut node = measure.clone();
                self.test(&mut node, Takes::Numbers);
                self.shared.push(node);
            }
        }
        self.random.pick(&self.shared).clone()
    }

    /// A node with at most so many levels of nodes below.
    fn node(&mut self, depth: usize) -> Value {
        let group = if depth > 0 { 25 } else { 0 };
        let second_page = if self.has_second_page { 60 } else { 0 };
        match self.random.weighted(&[group, 18, 30, 10, 14, 12, 4, second_page]) {
            0 => {
                let most = if self.random.percent(10) { 8 } else { 3 };
                let conditions: Vec<Value> = (0..self.random.between(1, most)).map(|_| self.node(depth - 1)).collect();
                json!({ "logic": *self.random.pick(&["AND", "OR", "NOT"]), "conditions": conditions })
            }
            1 => self.trait_node(),
            2 => self.behaviour_node(),
            3 => self.sequence(),
            4 => self.segment_node(),
            5 => self.rank(depth),
            7 => self.second_page(self.is_in_rank),
            _ => self.sample(),
        }
    }

    pub(super) fn field(&mut self) -> &'static str {
        self.random.word(&FIELDS)
    }

    fn trait_node(&mut self) -> Value {
        let field = self.field();
        let mut node = json!({ "field": field });
        let takes = self.takes(field);
        if takes == Takes::Anything && self.random.percent(30) {
            node["operator"] = json!(*self.random.pick(&["before", "after"]));
            node["value"] = json!(self.duration_text());
        } else {
            self.test(&mut node, takes);
        }
        node
    }

    fn behaviour_node(&mut self) -> Value {
        let (mut node, takes) = self.behaviour();
        if takes != Takes::Numbers || self.random.percent(60) {
            self.test(&mut node, takes);
        }
        node
    }

    fn sequence(&mut self) -> Value {
        let steps = if self.random.percent(85) { self.random.between(2, 3) } else { self.random.between(4, 5) };
        let steps: Vec<Value> = (0..steps)
            .map(|index| {
                let mut step = json!({ "event": self.events() });
                if self.random.percent(25) {
                    step["where"] = self.filter();
                }
                if index > 0 && self.random.percent(45) {
                    step["maxGap"] = json!(self.duration_text());
                }
                step
            })
            .collect();
        let mut node = json!({ "sequence": steps });
        self.window(&mut node);
        node
    }

    fn segment_node(&mut self) -> Value {
        let ids = self.segment_ids();
        if ids.is_empty() { self.trait_node() } else { json!({ "segment": self.random.pick(&ids) }) }
    }

    fn rank(&mut self, depth: usize) -> Value {
        let outer = std::mem::replace(&mut self.is_in_rank, true);
        let by = match self.random.percent(40) {
            true => json!(self.field()),
            false if self.has_second_page && self.random.percent(50) => self.second_page_behaviour(true).0,
            false => self.behaviour().0,
        };
        let mut node = json!({ "rank": { "by": by } });
        if self.random.percent(60) {
            node["rank"]["order"] = json!(*self.random.pick(&["asc", "desc"]));
        }
        if self.random.percent(65) {
            node["top"] = json!(self.random.between(1, 4));
        } else {
            node["percent"] = json!(*self.random.pick(&[0.000000001, 10.0, 25.0, 33.333333333, 50.0, 66.7, 100.0]));
        }
        if self.random.percent(45) {
            node["among"] = self.node(depth.saturating_sub(1));
        }
        self.is_in_rank = outer;
        node
    }

    fn sample(&mut self) -> Value {
        let salt = *self.random.pick(&["", "salt"]);
        let (from, to) = *self.random.pick(&[(0, 4999), (5000, 9999), (2500, 7500), (0, 9999)]);
        json!({ "sample": { "salt": salt, "from": from, "to": to } })
    }
}
