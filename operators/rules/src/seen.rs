//! Rules held against the data seen so far: names and values that never came are most often mistakes. They are no faults,
//! since the data may be yet to come.

use std::collections::BTreeMap;

use crate::decimal::Decimal;
use crate::fault::{Fault, code, in_document_order, push_index, push_key};
use crate::parse::operator_name;
use crate::unparse::value_to_json;
use crate::value::Value;

/// Values shorter than this are not held to be mistyped: `A1` is no slip of `A2`.
const SHORTEST_MISTYPED: usize = 4;

/// The fields of an event type or of users, by path.
pub type SeenFields = BTreeMap<String, SeenField>;

/// The shape of the data seen so far.
#[derive(Clone, Debug, Default)]
pub struct SeenData {
    /// The properties of each event type.
    pub events: BTreeMap<String, SeenFields>,
    /// Traits that `identify` set.
    pub traits: SeenFields,
    /// Paths have at most so many parts here; deeper ones are not known.
    pub levels: usize,
}

/// A field as it was seen.
#[derive(Clone, Debug, Default)]
pub struct SeenField {
    /// True if it was a number.
    pub is_number: bool,
    /// True if it was a text.
    pub is_text: bool,
    /// True if it was a boolean.
    pub is_boolean: bool,
    /// True if it was a list.
    pub is_list: bool,
    /// Some of its values, or of the items of its lists.
    pub examples: Vec<Value>,
}

/// Warns of names and values in valid rules, or in the valid definition of a computed trait, that were never seen; of
/// `computed` traits, given by name, it never warns. Each warning has a pointer into the document, and names the nearest
/// that was seen.
pub fn warnings(document: &Value, seen: &SeenData, computed: &[&str]) -> Vec<Fault> {
    let mut reader = WarningReader { seen, computed, pointer: String::new(), found: Vec::new() };
    reader.node(document);
    in_document_order(reader.found)
}

/// The known name that a mistyped one may have meant: with other letters in a third of it at most, case aside.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let near = known.map(|one| (strsim::osa_distance(&wanted, &one.to_lowercase()), one));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, one)| one)
}

/// Reads a document whose form is known to be right: what does not fit is passed over.
struct WarningReader<'a> {
    seen: &'a SeenData,
    computed: &'a [&'a str],
    pointer: String,
    found: Vec<Fault>,
}

impl WarningReader<'_> {
    fn at(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        push_key(&mut self.pointer, key);
        read(self);
        self.pointer.truncate(length);
    }

    /// Reads a member, if it is there.
    fn member(&mut self, json: &Value, key: &str, read: impl FnOnce(&mut Self, &Value)) {
        if let Some(member) = json.get(key) {
            self.at(key, |reader| read(reader, member));
        }
    }

    /// Reads every item of a list, or what stands in its place.
    fn each(&mut self, json: &Value, read: &mut dyn FnMut(&mut Self, &Value)) {
        let Value::Array(items) = json else { return read(self, json) };
        for (index, item) in items.iter().enumerate() {
            let length = self.pointer.len();
            push_index(&mut self.pointer, index);
            read(self, item);
            self.pointer.truncate(length);
        }
    }

    fn warn(&mut self, code: &'static str, message: String) {
        self.found.push(Fault { pointer: self.pointer.clone(), code, message });
    }

    /// Warns of a name, with the nearest that was seen.
    fn not_seen<'n>(&mut self, subject: &str, name: &str, known: impl Iterator<Item = &'n str>) {
        let meant = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        self.warn(code::NOT_SEEN, format!("{subject} has been seen{meant}"));
    }

    fn node(&mut self, json: &Value) {
        for list in ["conditions", "criteria", "sequence"] {
            self.member(json, list, |reader, items| reader.each(items, &mut Self::node));
        }
        for one in ["among", "left", "right", "not", "unless"] {
            self.member(json, one, Self::node);
        }
        self.member(json, "rank", |reader, rank| {
            reader.member(rank, "by", |reader, by| match by {
                Value::Text(name) => drop(reader.trait_of(name)),
                by => reader.node(by),
            });
        });
        if json.get("event").is_some() {
            self.behaviour(json);
        } else if let Some(Value::Text(name)) = json.get("field") {
            let mut field = None;
            self.at("field", |reader| field = reader.trait_of(name));
            field.into_iter().for_each(|field| self.test(name, &field, json));
        }
    }

    fn behaviour(&mut self, json: &Value) {
        let seen = self.seen;
        let mut named: Vec<&str> = Vec::new();
        let mut is_any = false;
        self.member(json, "event", |reader, events| {
            reader.each(events, &mut |reader, event| match event {
                Value::Text(name) if &**name == "*" => is_any = true,
                Value::Text(name) => match seen.events.get_key_value(&**name) {
                    Some((name, _)) => named.push(name),
                    None if seen.events.is_empty() => {}
                    None => {
                        let known = seen.events.keys().map(String::as_str);
                        reader.not_seen(&format!("no event `{name}`"), name, known);
                    }
                },
                _ => {}
            });
        });
        if is_any {
            named = seen.events.keys().map(String::as_str).collect();
        }
        self.member(json, "where", |reader, filters| reader.filter(filters, &named));
        self.member(json, "measure", |reader, measure| {
            reader.member(measure, "of", |reader, paths| {
                reader.each(paths, &mut |reader, path| drop(reader.property(path, &named)));
            });
        });
        self.member(json, "property", |reader, path| drop(reader.property(path, &named)));
    }

    fn filter(&mut self, json: &Value, events: &[&str]) {
        self.each(json, &mut |reader, filter| {
            reader.member(filter, "conditions", |reader, filters| reader.filter(filters, events));
            let Some(path @ Value::Text(name)) = filter.get("field") else { return };
            let mut field = None;
            reader.at("field", |reader| field = reader.property(path, events));
            field.into_iter().for_each(|field| reader.test(name, &field, filter));
        });
    }

    /// A trait as it was seen; `None` for a computed one, whose tests the parser checks.
    fn trait_of(&mut self, name: &str) -> Option<SeenField> {
        let (seen, computed) = (self.seen, self.computed);
        if computed.contains(&name) || seen.traits.is_empty() || seen.is_deep(name) {
            return None;
        }
        if let Some(field) = seen.traits.get(name) {
            return Some(field.clone());
        }
        let known = seen.traits.keys().map(String::as_str).chain(computed.iter().copied());
        self.not_seen(&format!("no trait `{name}`"), name, known);
        None
    }

    /// A property as it was seen in some of the events together. Only what events have in `properties` is known.
    fn property(&mut self, path: &Value, events: &[&str]) -> Option<SeenField> {
        let Value::Text(path) = path else { return None };
        let name = path.strip_prefix("properties.").unwrap_or(path);
        let seen = self.seen;
        let fields: Vec<&SeenFields> = events.iter().filter_map(|event| seen.events.get(*event)).collect();
        let is_known = fields.iter().any(|fields| !fields.is_empty());
        let is_elsewhere = ["context.", "traits.", "item."].iter().any(|prefix| name.starts_with(prefix));
        if name == "timestamp" || is_elsewhere || !is_known || seen.is_deep(name) {
            return None;
        }
        let found: Vec<&SeenField> = fields.iter().filter_map(|fields| fields.get(name)).collect();
        if found.is_empty() {
            let subject = match events {
                [event] => format!("no `{event}` with the property `{name}`"),
                _ => format!("no such event with the property `{name}`"),
            };
            self.not_seen(&subject, name, fields.iter().flat_map(|fields| fields.keys()).map(String::as_str));
            return None;
        }
        Some(SeenField::together(&found))
    }

    /// Warns of values that a field never had.
    fn test(&mut self, name: &str, field: &SeenField, json: &Value) {
        let Some(Value::Text(operator)) = json.get("operator") else { return };
        let is_value = matches!(operator_name(operator), Some("eq" | "ne" | "in" | "not_in"));
        let is_order = matches!(operator_name(operator), Some("gt" | "gte" | "lt" | "lte" | "between" | "not_between"));
        let ignores_case = json.get("ignoreCase") == Some(&Value::Bool(true));
        if (!is_value && !is_order) || ignores_case {
            return;
        }
        self.member(json, "value", |reader, values| {
            reader.each(values, &mut |reader, value| {
                if let Some(message) = field.misfit(name, value) {
                    reader.warn(code::UNLIKELY_TYPE, message);
                } else if is_value && let Some(near) = field.mistyped(value) {
                    let value = value_to_json(value);
                    let message = format!("`{name}` has not been seen with {value}; did you mean {near}?");
                    reader.warn(code::NOT_SEEN, message);
                }
            });
        });
    }
}

impl SeenData {
    fn is_deep(&self, path: &str) -> bool {
        path.split('.').count() > self.levels
    }
}

impl SeenField {
    fn together(fields: &[&SeenField]) -> SeenField {
        SeenField {
            is_number: fields.iter().any(|field| field.is_number),
            is_text: fields.iter().any(|field| field.is_text),
            is_boolean: fields.iter().any(|field| field.is_boolean),
            is_list: fields.iter().any(|field| field.is_list),
            examples: fields.iter().flat_map(|field| field.examples.iter().cloned()).collect(),
        }
    }

    /// Why no value seen so far can equal a literal or be compared with it.
    fn misfit(&self, name: &str, literal: &Value) -> Option<String> {
        let is_number = |text: &str| Decimal::parse(text).is_ok();
        let has_text = |fits: &dyn Fn(&str) -> bool| {
            // Texts that are too long for an example may be anything.
            self.is_text && !self.examples.iter().any(|one| matches!(one, Value::Text(_)))
                || self.examples.iter().any(|one| matches!(one, Value::Text(text) if fits(text)))
        };
        let (fits, kind) = match literal {
            Value::Number(_) => (self.is_number || has_text(&is_number), "a number"),
            Value::Text(text) => (self.is_text || self.is_number && is_number(text), "a text"),
            Value::Bool(_) => (self.is_boolean || has_text(&|text| matches!(text, "true" | "false")), "true or false"),
            _ => return None,
        };
        if fits || self.is_list {
            return None;
        }
        let kinds = [(self.is_number, "a number"), (self.is_text, "a text"), (self.is_boolean, "true or false")];
        let kinds: Vec<&str> = kinds.iter().filter(|(is_seen, _)| *is_seen).map(|(_, kind)| *kind).collect();
        let so_far = if kinds.is_empty() { "an object".to_owned() } else { kinds.join(" or ") };
        let example = self.examples.first().map_or_else(String::new, |one| format!(", such as {}", value_to_json(one)));
        Some(format!("`{name}` has only been {so_far}{example}; here it is compared with {kind}"))
    }

    /// The value that a text may have meant that was never seen.
    fn mistyped(&self, literal: &Value) -> Option<String> {
        let Value::Text(text) = literal else { return None };
        let texts =
            || self.examples.iter().filter_map(|one| if let Value::Text(one) = one { Some(&**one) } else { None });
        if texts().any(|one| one == &**text) {
            return None;
        }
        let is_case = texts().find(|one| one.to_lowercase() == text.to_lowercase());
        let near =
            is_case.or_else(|| (text.chars().count() >= SHORTEST_MISTYPED).then(|| nearest(text, texts())).flatten());
        near.map(|near| value_to_json(&Value::Text(near.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::json;

    fn field(examples: &[&str]) -> SeenField {
        let examples: Vec<Value> = examples.iter().map(|one| json(one)).collect();
        let has = |is_kind: fn(&Value) -> bool| examples.iter().any(is_kind);
        SeenField {
            is_number: has(|one| matches!(one, Value::Number(_))),
            is_text: has(|one| matches!(one, Value::Text(_))),
            is_boolean: has(|one| matches!(one, Value::Bool(_))),
            is_list: false,
            examples,
        }
    }

    fn fields(fields: &[(&str, SeenField)]) -> SeenFields {
        fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect()
    }

    fn seen() -> SeenData {
        let amount = field(&["5", "7.5"]);
        SeenData {
            events: BTreeMap::from([
                (
                    "purchase".to_owned(),
                    fields(&[("amount", amount), ("category", field(&[r#""books""#, r#""toys""#]))]),
                ),
                ("page_view".to_owned(), fields(&[("url", field(&[r#""/""#]))])),
            ]),
            traits: fields(&[
                ("country", field(&[r#""Germany""#, r#""DE""#])),
                ("newsletter", field(&["true"])),
                ("age", field(&[r#""31""#])),
            ]),
            levels: 3,
        }
    }

    /// Pointer and code of each warning, and the message of the first.
    fn warned(text: &str) -> (Vec<(String, &'static str)>, String) {
        let found = warnings(&json(text), &seen(), &["totalSpent"]);
        let first = found.first().map(|fault| fault.message.clone()).unwrap_or_default();
        (found.into_iter().map(|fault| (fault.pointer, fault.code)).collect(), first)
    }

    #[test]
    fn names_that_were_never_seen_are_told_with_the_nearest() {
        let rules = r#"{"conditions": [
            {"event": ["purchse", "page_view", "nothing_like_it"]},
            {"event": "purchase", "where": [{"field": "categry", "operator": "exists"}], "measure": {"fn": "sum", "of": "amout"}},
            {"field": "contry", "operator": "exists"},
            {"sequence": [{"event": "page_view"}, {"not": {"event": "purchas"}, "for": "1d"}]},
            {"rank": {"by": {"event": "buy"}}, "top": 1, "among": {"field": "totalSpend", "operator": "gt", "value": 1}}]}"#;
        let (found, first) = warned(rules);
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| &**pointer).collect();
        let expected = [
            "/conditions/0/event/0",
            "/conditions/0/event/2",
            "/conditions/1/measure/of",
            "/conditions/1/where/0/field",
            "/conditions/2/field",
            "/conditions/3/sequence/1/not/event",
            "/conditions/4/among/field",
            "/conditions/4/rank/by/event",
        ];
        assert_eq!(pointers, expected);
        assert_eq!(first, "no event `purchse` has been seen; did you mean `purchase`?");
        assert!(found.iter().all(|(_, word)| *word == code::NOT_SEEN));
    }

    #[test]
    fn what_was_seen_or_cannot_be_known_is_not_warned_of() {
        for rules in [
            r#"{"event": "*", "measure": {"fn": "sum", "of": "properties.amount"}, "operator": "gt", "value": 1}"#,
            r#"{"event": "purchase", "where": {"field": "context.campaign.source", "operator": "eq", "value": "x"}}"#,
            r#"{"event": "purchase", "measure": {"fn": "first", "of": "timestamp"}, "operator": "after", "value": "3d"}"#,
            r#"{"field": "totalSpent", "operator": "gt", "value": 1}"#,
            r#"{"field": "a.b.c.d", "operator": "exists"}"#,
            r#"{"field": "country", "operator": "in", "value": ["Germany", "DE", "Austria"]}"#,
            r#"{"field": "age", "operator": "gt", "value": 30}"#,
            r#"{"segment": "purchse"}"#,
            r#"{"event": "purchase", "each": "products", "where": {"field": "item.kind", "operator": "eq", "value": "x"}}"#,
            r#"{"field": "country", "operator": "eq", "value": "DEUTSCHLAND", "ignoreCase": true}"#,
        ] {
            assert_eq!(warned(rules).0, [], "{rules}");
        }
        let nothing = SeenData::default();
        let warned = warnings(&json(r#"{"event": "purchse"}"#), &nothing, &[]);
        assert_eq!(warned, [], "an empty platform knows nothing");
    }

    #[test]
    fn a_type_or_a_value_that_does_not_fit_is_told() {
        let test = |field: &str, operator: &str, value: &str| {
            warned(&format!(r#"{{"field": "{field}", "operator": "{operator}", "value": {value}}}"#))
        };
        let (found, message) = test("country", ">", "5");
        assert_eq!(found, [("/value".to_owned(), code::UNLIKELY_TYPE)]);
        assert_eq!(message, "`country` has only been a text, such as \"Germany\"; here it is compared with a number");
        assert_eq!(test("newsletter", "eq", r#""yes""#).0, [("/value".to_owned(), code::UNLIKELY_TYPE)]);
        let (found, message) = test("country", "in", r#"["Austria", "Germny", "de"]"#);
        let expected = ["/value/1", "/value/2"].map(|pointer| (pointer.to_owned(), code::NOT_SEEN));
        assert_eq!(found, expected);
        assert_eq!(message, "`country` has not been seen with \"Germny\"; did you mean \"Germany\"?");
        let amount = r#"{"event": "purchase", "where": {"field": "amount", "operator": "eq", "value": "a lot"}}"#;
        assert_eq!(warned(amount).0, [("/where/value".to_owned(), code::UNLIKELY_TYPE)]);
    }
}
