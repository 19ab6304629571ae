//! Generated rules of the second page of the language: calendars and zones, lines of orders, what undoes, absence, comparisons.

use serde_json::{Value, json};

use super::{Maker, Takes};

/// With summer time, far from UTC on both sides, with half an hour, and where days begin late.
pub(super) const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "America/Sao_Paulo"];
const LINES: &str = "lines";
const LINE_PATHS: [&str; 4] = ["item.p", "item.q", "item.k", "amount"];

impl Maker {
    /// A node that needs the second page; inside a rank no zone is the user's.
    pub(super) fn second_page(&mut self, is_in_rank: bool) -> Value {
        match self.random.weighted(&[22, 22, 22, 12, 14, 8]) {
            0 | 1 => {
                let (mut node, takes) = self.second_page_behaviour(is_in_rank);
                if takes != Takes::Numbers || self.random.percent(60) {
                    self.test(&mut node, takes);
                }
                node
            }
            2 => self.absent_sequence(is_in_rank),
            3 => self.comparison(is_in_rank),
            4 => self.moved_time(is_in_rank),
            _ => self.text_test(),
        }
    }

    /// A zone, or none.
    fn zone(&mut self, of: &mut Value, is_in_rank: bool) {
        match self.random.weighted(&[40, 25, if is_in_rank { 0 } else { 35 }]) {
            0 => {}
            1 => of["zone"] = json!(*self.random.pick(&ZONES)),
            _ => of["zone"] = json!("user"),
        }
    }

    /// A behaviour's members but the test; and what tests fit it.
    pub(super) fn second_page_behaviour(&mut self, is_in_rank: bool) -> (Value, Takes) {
        let (mut node, mut takes) = self.behaviour();
        match self.random.weighted(&[40, 30, 30]) {
            0 => {}
            1 => takes = self.second_page_measure(&mut node, is_in_rank),
            _ => {
                node["event"] = json!("purchase");
                node["each"] = json!(LINES);
                takes = Takes::Numbers;
                if self.random.percent(50) {
                    let of = self.random.pick(&[json!(["item.p", "item.q"]), json!("item.p"), json!("item.q")]).clone();
                    node["measure"] =
                        json!({ "fn": *self.random.pick(&["sum", "max", "distinct", "median"]), "of": of });
                } else {
                    node["measure"] = json!("count");
                }
                node["where"] = json!({ "field": self.random.word(&LINE_PATHS), "operator": "exists" });
            }
        }
        if self.random.percent(35) {
            let of_item = node.get("each").is_some() && self.random.percent(60);
            let same = if of_item { json!(["item.k", "id"]) } else { json!("id") };
            node["unless"] = json!({ "event": "cancel", "same": same });
            if self.random.percent(25) {
                node["unless"]["where"] =
                    json!({ "field": "when", "operator": "before", "value": self.duration_text() });
            }
        }
        if self.random.percent(60) {
            node["within"] = self.calendar_window(is_in_rank);
        }
        (node, takes)
    }

    fn second_page_measure(&mut self, node: &mut Value, is_in_rank: bool) -> Takes {
        let of = self.path();
        let (measure, takes) = match self.random.weighted(&[30, 20, 20, 15, 15]) {
            0 => {
                let mut measure = json!({ "fn": *self.random.pick(&["days", "weeks", "months"]) });
                if measure["fn"] == "weeks" && self.random.percent(50) {
                    measure["weekStart"] = json!(*self.random.pick(&["monday", "sunday"]));
                }
                self.zone(&mut measure, is_in_rank);
                (measure, Takes::Numbers)
            }
            1 => (json!({ "fn": "sessions", "gap": self.duration_text() }), Takes::Numbers),
            2 => (json!({ "fn": "median", "of": of }), Takes::Numbers),
            3 => (json!({ "fn": "mode", "of": of }), Takes::Anything),
            _ => {
                let (name, nth) = (*self.random.pick(&["first", "last"]), self.random.between(1, 3));
                (json!({ "fn": name, "of": of, "nth": nth }), Takes::Anything)
            }
        };
        node["measure"] = measure;
        takes
    }

    fn calendar_window(&mut self, is_in_rank: bool) -> Value {
        let mut window = match self.random.weighted(&[60, 25, 15]) {
            0 => {
                let unit = *self.random.pick(&["day", "day", "day", "week", "month", "quarter", "year"]);
                let (from, to) = *self.random.pick(&[(0, 0), (-1, -1), (-2, -1), (-1, 0), (-3, 0)]);
                let mut window = json!({ "calendar": unit, "from": from, "to": to });
                if unit == "week" && self.random.percent(50) {
                    window["weekStart"] = json!("sunday");
                }
                window
            }
            1 => self
                .random
                .pick(&[
                    json!({"last": "1mo"}),
                    json!({"last": "1y"}),
                    json!({"ago": ["2mo", "1mo"]}),
                    json!({"ago": ["1mo", "2d"]}),
                ])
                .clone(),
            _ => self
                .random
                .pick(&[
                    json!({"from": "2026-01-01"}),
                    json!({"from": "2025-12-31", "to": "2026-01-02"}),
                    json!({"to": "2026-01-01 12:00:00"}),
                ])
                .clone(),
        };
        self.zone(&mut window, is_in_rank);
        window
    }

    fn absent_sequence(&mut self, is_in_rank: bool) -> Value {
        let mut steps: Vec<Value> = Vec::new();
        for index in 0..self.random.between(2, 4) {
            let event = self.events();
            if index > 0 && self.random.percent(55) {
                steps.push(json!({ "not": { "event": event } }));
                continue;
            }
            let mut step = json!({ "event": event });
            if index > 0 && self.random.percent(30) {
                step["maxGap"] = json!(self.duration_text());
            }
            steps.push(step);
        }
        if let Some(last) = steps.last_mut().filter(|last| last.get("not").is_some())
            && self.random.percent(50)
        {
            last["for"] = json!(self.duration_text());
        }
        let mut node = json!({ "sequence": steps });
        if self.random.percent(40) {
            node["same"] = self.random.pick(&[json!("id"), json!("v"), json!(["id", "v"])]).clone();
        }
        if self.random.percent(40) {
            node["within"] = self.calendar_window(is_in_rank);
        } else {
            self.window(&mut node);
        }
        node
    }

    fn comparison(&mut self, is_in_rank: bool) -> Value {
        let mut side = || match self.random.weighted(&[30, 45, 25]) {
            0 => json!({ "field": self.field() }),
            1 => self.behaviour().0,
            _ => self.second_page_behaviour(is_in_rank).0,
        };
        let (left, right) = (side(), side());
        json!({ "left": left, "operator": *self.random.pick(&["eq", "ne", "gt", "gte", "lt", "lte"]), "right": right })
    }

    fn moved_time(&mut self, is_in_rank: bool) -> Value {
        let field = *self.random.pick(&["since", "since", "n", "plan", "n.b"]);
        if self.random.percent(35) {
            let (from, to) = *self.random.pick(&[(0, 0), (0, 7), (-3, -1), (-366, 366), (1, 1)]);
            let mut value = json!({ "from": from, "to": to });
            self.zone(&mut value, is_in_rank);
            return json!({ "field": field, "operator": "anniversary", "value": value });
        }
        let duration = self.duration_text();
        let value = match self.random.weighted(&[20, 25, 15, 20, 20]) {
            0 => json!("now"),
            1 => json!(format!("+{duration}")),
            2 => json!(format!("-{duration}")),
            3 => json!(*self.random.pick(&["1mo", "+1mo", "1y", "+1y"])),
            _ => json!(*self.random.pick(&["2026-01-01", "2026-01-01 12:00:00", "2025-12-31T23:30:00"])),
        };
        let mut node = json!({ "field": field, "operator": *self.random.pick(&["before", "after"]), "value": value });
        self.zone(&mut node, is_in_rank);
        node
    }

    fn text_test(&mut self) -> Value {
        let operator =
            *self.random.pick(&["starts_with", "ends_with", "contains", "not_contains", "eq", "in", "not_in"]);
        let value = match operator {
            "eq" => json!("X"),
            _ => json!(["X", "1", "É"]),
        };
        json!({ "field": *self.random.pick(&["n", "plan", "n.b"]), "operator": operator, "value": value, "ignoreCase": true })
    }

    /// The lines of an order.
    pub(super) fn lines(&mut self) -> Value {
        (0..self.random.between(0, 3))
            .map(|_| match self.random.percent(85) {
                true => json!({ "p": self.number(), "q": self.number(), "k": *self.random.pick(&[1, 2, 3]) }),
                false => self.value(),
            })
            .collect()
    }
}
