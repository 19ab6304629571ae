//! The values of a user's traits at an instant, by the naive evaluator over the user's events.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_contract::TraitValues;
use audience_rules::ast::Millis;
use audience_rules::catalogue::ComputedTrait;
use audience_rules::decimal::Decimal;
use audience_rules::oracle::EventHistory;
use audience_rules::record::{EventRef, RecordKind};
use audience_rules::test::Operand;
use audience_rules::unparse::value_to_json;
use audience_rules::value::{Value, ValueRef};
use hashbrown::HashMap;
use serde_json::value::RawValue;

/// Returns the traits that `identify` events have set at an instant, under the names that they were given. A rule reads a
/// name with a dot as a path, so that it does not see a trait whose own name has one.
pub fn traits(history: &EventHistory<'_>, now: Millis) -> TraitValues {
    let mut identifies: Vec<&EventRef<'_>> = history.events().iter().filter(|event| sets_traits(event, now)).collect();
    // A stable sort: equal timestamps stay in the order of acceptance.
    identifies.sort_by_key(|event| event.timestamp());
    let latest: HashMap<&str, ValueRef<'_>> = identifies.iter().flat_map(|event| event.traits()).collect();
    let values = latest.into_iter().filter(|(_, value)| !value.is_null());
    values.filter_map(|(name, value)| Some((name.to_owned(), raw(value.to_value())?))).collect()
}

fn sets_traits(event: &EventRef<'_>, now: Millis) -> bool {
    event.kind() == RecordKind::Identify && event.timestamp() <= now
}

/// Returns the computed traits that have a value at an instant.
pub fn computed_traits(
    history: &EventHistory<'_>,
    computed: &BTreeMap<Arc<str>, ComputedTrait>,
    now: Millis,
) -> TraitValues {
    let values = computed.values().filter_map(|computed| {
        let value = match history.measure(&computed.behaviour, now) {
            Operand::Missing => return None,
            Operand::Value(value) => value.to_value(),
            Operand::Number(number) => Value::Number(number),
            Operand::Ratio { sum, count } => Value::Number(Decimal::from_units(sum.units() / i128::from(count))),
        };
        Some((computed.name.to_string(), raw(value)?))
    });
    values.collect()
}

fn raw(value: Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value_to_json(&value)).ok()
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};
    use audience_rules::record::records;
    use audience_rules::time::format_time;

    use super::*;

    #[test]
    fn traits_are_what_was_set_and_what_rules_see_but_for_names_with_dots() {
        let mut records = Vec::new();
        let mut identify = |user: &str, at: i64, traits: &str| {
            let json = format!(
                r#"{{"userId":"{user}","eventType":"identify","timestamp":"{}","traits":{traits}}}"#,
                format_time(at)
            );
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: 0 }, &mut records).expect("an event");
        };
        identify("a", 5, r#"{"late":1,"gone":null,"tie":1,"object":{"b":{"c":2}},"object.b":0,"null.b":1}"#);
        identify("b", 3, r#"{"late":2,"gone":3,"only":"b","tie":0}"#);
        identify("a", 5, r#"{"tie":2,"object.b.c":0,"object.x":0}"#);
        identify("a", 11, r#"{"late":4,"future":5}"#);
        identify("c", 6, r#"{"late":6,"other":7}"#);
        let mut history = EventHistory::default();
        let is_own = |record: &EventRef<'_>| ["a", "b"].contains(&record.user());
        self::records(&records).filter(is_own).for_each(|record| history.push(record));
        let found = traits(&history, 10);
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["late", "null.b", "object", "object.b", "object.b.c", "object.x", "only", "tie"]);
        assert_eq!((found["null.b"].get(), found["object.b"].get()), ("1", "0"));
        for name in names.into_iter().filter(|name| !name.contains('.')) {
            let value = history.trait_value(name, 10).map(|value| value_to_json(&value.to_value()));
            assert_eq!(value.as_deref(), Some(found[name].get()), "{name}");
        }
    }
}
