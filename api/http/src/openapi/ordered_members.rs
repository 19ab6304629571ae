//! JSON objects that keep the order and the text of their members.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object whose members keep their order and their text.
#[derive(Default)]
pub(super) struct OrderedMembers(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for OrderedMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = OrderedMembers;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderedMembers, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(OrderedMembers(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl OrderedMembers {
    /// Reads an object. A test holds that every part is one.
    pub(super) fn read(json: &str) -> OrderedMembers {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The members of a member.
    pub(super) fn of(&self, name: &str) -> OrderedMembers {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| OrderedMembers::read(value.get()))
            .unwrap_or_default()
    }

    pub(super) fn extend(&mut self, name: &str, more: OrderedMembers) {
        let mut members = self.of(name);
        members.0.extend(more.0);
        self.set(name, &members.write());
    }

    pub(super) fn set(&mut self, name: &str, json: &str) {
        let Ok(value) = RawValue::from_string(json.to_owned()) else { return };
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn write(&self) -> String {
        let member = |(key, value): &(String, Box<RawValue>)| {
            format!("{}:{}", serde_json::Value::from(key.as_str()), value.get())
        };
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}
