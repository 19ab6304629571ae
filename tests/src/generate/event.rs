//! Events: late, early, repeated, anonymous, merging.

use audience_rules::ast::Millis;
use audience_rules::time::{format_local, format_time, parse_rfc3339};
use serde_json::{Value, json};

use super::Maker;
use super::second_page::ZONES;

impl Maker {
    /// An event.
    pub(super) fn event(&mut self) -> Value {
        if self.is_counting && self.random.percent(85) {
            return json!({ "userId": self.user(), "eventType": *self.random.pick(&["p", "q", "q"]) });
        }
        let mut event = match self.random.weighted(&[70, 20, 7, 3]) {
            0 => self.ordinary(),
            1 => self.identify(),
            2 => self.alias(),
            _ => self.repeated(),
        };
        if self.random.percent(75) && event.get("timestamp").is_none() {
            let is_local = self.has_second_page && self.random.percent(12);
            event["timestamp"] = if is_local { json!(format_local(self.instant())) } else { self.time() };
        }
        let given = &event["timestamp"];
        let given: Option<Millis> = given.as_i64().or_else(|| given.as_str().and_then(parse_rfc3339));
        self.last_event_at = given.unwrap_or(self.now());
        if self.random.percent(20) {
            event["messageId"] = json!(*self.random.pick(&["m1", "m2", "m3", "m4"]));
        }
        event
    }

    fn ordinary(&mut self) -> Value {
        let event_type = *self.random.pick(&["purchase", "purchase", "purchase", "p", "p", "p", "q", "page_view"]);
        let mut event = json!({ "eventType": event_type, "properties": self.members(&["amount", "v", "when", "o"]) });
        if self.random.percent(12) {
            event["anonymousId"] = self.anonymous();
        } else {
            event["userId"] = json!(self.user());
            if self.random.percent(8) {
                event["anonymousId"] = self.anonymous();
            }
        }
        if self.has_second_page {
            self.second_page_event(&mut event);
        }
        if self.random.percent(30) {
            event["context"] = self.members(&["k"]);
        }
        if self.random.percent(5) {
            // Not an `identify`: sets nothing.
            event["traits"] = self.members(&["n"]);
        }
        event
    }

    /// Lines, an id that others may undo, or what undoes it.
    fn second_page_event(&mut self, event: &mut Value) {
        if self.random.percent(15) {
            event["eventType"] = json!("cancel");
        }
        if self.random.percent(70) {
            event["properties"]["id"] = self.random.pick(&[json!(1), json!(2), json!("1"), json!(3)]).clone();
        }
        if self.random.percent(50) {
            event["properties"]["lines"] = self.lines();
        }
    }

    fn identify(&mut self) -> Value {
        let mut event = json!({ "eventType": "identify", "userId": self.user() });
        event["traits"] = self.members(&["n", "plan", "since", "c1"]);
        if self.random.percent(50) {
            event["traits"]["since"] = self.time();
        }
        if self.has_second_page {
            if self.random.percent(40) {
                let others = ["Mars/Olympus", "utc"];
                let zones = if self.random.percent(85) { &ZONES[..] } else { &others[..] };
                event["traits"]["timezone"] = json!(self.random.word(zones));
            }
            if self.random.percent(30) {
                let times = ["2026-01-01", "2024-02-29", "1990-01-03", "2026-01-01 06:30:00"];
                event["traits"]["since"] = json!(*self.random.pick(&times));
            }
            if self.random.percent(20) {
                event["traits"]["n.b"] = self.value();
            }
        }
        if self.random.percent(30) {
            event["anonymousId"] = self.anonymous();
        }
        if self.random.percent(5) {
            event["userId"] = json!(*self.random.pick(&["null", "0", ""]));
        }
        event
    }

    /// An id of nobody in particular: a device that several people use, someone who is named perhaps, or no id at all.
    fn anonymous(&mut self) -> Value {
        match self.random.weighted(&[50, 42, 8]) {
            0 => json!(*self.random.pick(&["d0", "d1", "d2"])),
            1 => json!(self.user()),
            _ => self.random.pick(&[json!("undefined"), json!(0), json!("NULL")]).clone(),
        }
    }

    fn alias(&mut self) -> Value {
        let mut alias =
            json!({ "eventType": "alias", "userId": self.user_or_stranger(), "previousId": self.user_or_stranger() });
        if self.random.percent(25) {
            alias[*self.random.pick(&["userId", "previousId"])] = self.anonymous();
        }
        alias
    }

    /// Some event before, word by word, or at another time.
    fn repeated(&mut self) -> Value {
        let events: Vec<Value> = self.lines.iter().filter_map(|line| line.get("event").cloned()).collect();
        if events.is_empty() {
            return self.ordinary();
        }
        let mut event = self.random.pick(&events).clone();
        if self.random.percent(50) {
            event["timestamp"] = json!(format_time(self.instant()));
        }
        event
    }
}
