//! What is known of one user, by the naive evaluator over their history.

use std::collections::BTreeMap;

use audience_protocol::UserView;
use audience_rules::catalogue::Catalogue;
use audience_rules::oracle::World;
use audience_rules::record::{RecordKind, records};
use audience_rules::test::Operand;
use audience_rules::unparse::value_to_json;
use audience_rules::value::Value;
use serde_json::value::RawValue;

use super::clock;

/// The user's traits and computed traits now; `None` where no event of theirs was accepted.
pub fn view(root: &str, history: &[u8], catalogue: &Catalogue) -> Option<UserView> {
    let mut world = World::new(catalogue.clone());
    records(history).for_each(|record| world.accept(record.bytes()));
    let now = clock::now();
    let moment = world.at(now);
    let events = moment.histories().get(root)?;
    let mut names: Vec<&str> = Vec::new();
    for event in events.events().iter().filter(|event| event.kind() == RecordKind::Identify) {
        names.extend(event.traits().map(|(name, _)| name));
    }
    names.sort_unstable();
    names.dedup();
    let mut traits = BTreeMap::new();
    for name in names {
        // A name with a dot is no path to itself.
        let value = events.trait_value(name, now).map(|value| value.to_value());
        if let Some(raw) = value.and_then(raw) {
            traits.insert(name.to_owned(), raw);
        }
    }
    let computed = catalogue.traits.values().filter_map(|computed| {
        let value = match events.measure(&computed.behaviour, now) {
            Operand::Missing => return None,
            Operand::Value(value) => value.to_value(),
            Operand::Number(number) => Value::Number(number),
            Operand::Ratio { sum, count } => {
                Value::Number(audience_rules::decimal::Decimal::from_units(sum.units() / i128::from(count)))
            }
        };
        Some((computed.name.to_string(), raw(value)?))
    });
    Some(UserView {
        user_id: root.to_owned(),
        aliases: Vec::new(),
        traits,
        computed_traits: computed.collect(),
        event_count: events.events().len() as u64,
        segments: Vec::new(),
    })
}

fn raw(value: Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value_to_json(&value)).ok()
}
