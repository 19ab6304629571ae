//! Generated types, filters, measures and windows of events.

use audience_rules::time::{format_duration, format_time};
use serde_json::{Value, json};

use super::{Maker, Takes};

/// Mostly the same two, so that they meet.
const EVENT_TYPES: [&str; 12] =
    ["purchase", "purchase", "purchase", "purchase", "p", "p", "p", "p", "q", "q", "identify", "page_view"];
const PATHS: [&str; 10] = ["amount", "amount", "amount", "v", "v", "when", "when", "o.b", "context.k", "timestamp"];

impl Maker {
    /// The event types of a behaviour or a step.
    pub(super) fn events(&mut self) -> Value {
        match self.random.weighted(&[60, 22, 15, 1]) {
            0 => json!(self.event_type()),
            1 => json!("*"),
            3 => json!("alias"),
            _ => json!([self.event_type(), self.event_type()]),
        }
    }

    /// An event type; few.
    pub(super) fn event_type(&mut self) -> &'static str {
        self.random.word(&EVENT_TYPES)
    }

    /// A path into events.
    pub(super) fn path(&mut self) -> &'static str {
        self.random.word(&PATHS)
    }

    /// A `where`.
    pub(super) fn filter(&mut self) -> Value {
        match self.random.weighted(&[60, 25, 15]) {
            0 => self.filter_test(),
            1 => (0..self.random.between(1, 2)).map(|_| self.filter_test()).collect(),
            _ => {
                let conditions: Vec<Value> = (0..self.random.between(1, 3)).map(|_| self.filter_test()).collect();
                json!({ "logic": *self.random.pick(&["AND", "OR", "NOT"]), "conditions": conditions })
            }
        }
    }

    fn filter_test(&mut self) -> Value {
        let mut node = json!({ "field": self.path() });
        // Often relative: such filters are a machinery of their own.
        if self.random.percent(35) {
            node["field"] = json!(*self.random.pick(&["when", "when", "timestamp", "v"]));
            node["operator"] = json!(*self.random.pick(&["before", "after"]));
            node["value"] = json!(self.duration_text());
        } else {
            self.test(&mut node, Takes::Anything);
        }
        node
    }

    /// A window, or none.
    pub(super) fn window(&mut self, node: &mut Value) {
        match self.random.weighted(&[25, 42, 24, 9]) {
            0 => {}
            1 if self.random.percent(80) => node["within"] = json!(self.duration_text()),
            1 => node["within"] = json!({ "last": self.duration_text() }),
            2 => {
                let (one, other) = (self.duration(), self.duration());
                let (near, far) = if one == other { (one, 2 * one) } else { (one.min(other), one.max(other)) };
                node["within"] = json!({ "ago": [format_duration(far), format_duration(near)] });
            }
            _ => {
                let (one, other) = (self.instant(), self.instant());
                let mut window = json!({ "from": format_time(one.min(other)), "to": format_time(one.max(other)) });
                if let (true, Some(ends)) = (self.random.percent(40), window.as_object_mut()) {
                    ends.remove(*self.random.pick(&["from", "to"]));
                }
                node["within"] = window;
            }
        }
    }

    /// A behaviour's members but the test; and what tests fit it.
    pub(super) fn behaviour(&mut self) -> (Value, Takes) {
        let mut node = json!({ "event": self.events() });
        let takes = match self.random.weighted(&[25, 6, 9, 9, 51]) {
            0 => Takes::Numbers,
            1 => self.measure(&mut node, json!({ "fn": "days" }), Takes::Numbers),
            2 => self.measure(&mut node, json!({ "fn": "since_first" }), Takes::Durations),
            3 => self.measure(&mut node, json!({ "fn": "since_last" }), Takes::Durations),
            _ => {
                let name = *self.random.pick(&["sum", "avg", "avg", "min", "max", "distinct", "first", "last"]);
                let takes = if name == "first" || name == "last" { Takes::Anything } else { Takes::Numbers };
                let of = self.path();
                self.measure(&mut node, json!({ "fn": name, "of": of }), takes)
            }
        };
        if self.random.percent(25) {
            node["where"] = self.filter();
        }
        self.window(&mut node);
        (node, takes)
    }

    fn measure(&mut self, node: &mut Value, measure: Value, takes: Takes) -> Takes {
        node["measure"] = measure;
        takes
    }

    /// A computed trait.
    pub(super) fn computed_trait(&mut self) -> Value {
        let (mut computed, _) = match self.has_second_page && self.random.percent(50) {
            true => self.second_page_behaviour(false),
            false => self.behaviour(),
        };
        computed["name"] = json!(*self.random.pick(&["totalSpent", "lastSeen", "c1", "c2", "n", "plan"]));
        computed
    }
}
