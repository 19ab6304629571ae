//! The description of the API, put together of the parts that live with their resources.

mod access;

use audience_auth::Needs;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Head of the description, and the components that several resources refer to.
pub(crate) const SHARED: &str = include_str!("shared.json");

/// An object whose members keep their order and their text.
#[derive(Default)]
struct OrderedMembers(Vec<(String, Box<RawValue>)>);

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
    fn read(json: &str) -> OrderedMembers {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The members of a member.
    fn of(&self, name: &str) -> OrderedMembers {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| OrderedMembers::read(value.get()))
            .unwrap_or_default()
    }

    fn extend(&mut self, name: &str, more: OrderedMembers) {
        let mut members = self.of(name);
        members.0.extend(more.0);
        self.set(name, &members.write());
    }

    fn set(&mut self, name: &str, json: &str) {
        let Ok(value) = RawValue::from_string(json.to_owned()) else { return };
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn write(&self) -> String {
        let member = |(key, value): &(String, Box<RawValue>)| {
            format!("{}:{}", serde_json::Value::from(key.as_str()), value.get())
        };
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}

/// Puts the parts together: each has `paths` and `components`. Each operation is told what its caller must be.
pub(crate) fn assemble<'a>(
    parts: impl Iterator<Item = &'a str>,
    needs: impl Fn(&str, &str) -> Option<Needs>,
) -> String {
    let mut whole = OrderedMembers::read(SHARED);
    let (mut paths, mut components) = (OrderedMembers::default(), whole.of("components"));
    for part in parts {
        let part = OrderedMembers::read(part);
        for (path, mut item) in part.of("paths").0 {
            let mut methods = OrderedMembers::read(item.get());
            access::add(&mut methods, |method| needs(method, &path));
            if let Ok(told) = RawValue::from_string(methods.write()) {
                item = told;
            }
            paths.0.push((path, item));
        }
        for (group, members) in part.of("components").0 {
            components.extend(&group, OrderedMembers::read(members.get()));
        }
    }
    whole.set("paths", &paths.write());
    whole.set("components", &components.write());
    whole.write()
}
