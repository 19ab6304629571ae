//! The description of the API, put together of the parts that live with their resources.

mod access;
mod ordered_members;

use audience_auth::Needs;
use serde_json::value::RawValue;

use self::ordered_members::OrderedMembers;

/// Head of the description, and the components that several resources refer to.
pub(crate) const SHARED: &str = include_str!("shared.json");

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
