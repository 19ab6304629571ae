//! All resources: a new one adds its line here.

use std::sync::LazyLock;

use audience_auth::Needs;

use crate::route::Resource;
use crate::{
    access, campaigns, catalogue, changes, contents, demo, docs, events, openapi, operations, segments, sizes,
    templates, traits, users, vocabulary, webhooks,
};

/// Every resource. The order is that of the description.
pub(crate) static RESOURCES: [Resource; 16] = [
    segments::RESOURCE,
    templates::RESOURCE,
    sizes::RESOURCE,
    traits::RESOURCE,
    vocabulary::RESOURCE,
    users::RESOURCE,
    changes::RESOURCE,
    webhooks::RESOURCE,
    contents::RESOURCE,
    campaigns::RESOURCE,
    events::RESOURCE,
    catalogue::RESOURCE,
    access::RESOURCE,
    operations::RESOURCE,
    demo::RESOURCE,
    docs::RESOURCE,
];

/// The description of the whole API.
pub(crate) static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| openapi::assemble(RESOURCES.iter().map(|resource| resource.openapi), needs));

/// The needs of a method of a path.
fn needs(method: &str, template: &str) -> Option<Needs> {
    let mut routes = RESOURCES.iter().flat_map(|resource| resource.routes).copied().flatten();
    routes.find(|route| route.method == method && route.template == template).map(|route| route.needs)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn names(description: &Value, pointer: &str) -> Vec<String> {
        let members = description.pointer(pointer).and_then(Value::as_object);
        let mut names: Vec<String> = members.map(|members| members.keys().cloned().collect()).unwrap_or_default();
        names.sort();
        names
    }

    #[test]
    fn parts_of_the_description_have_paths_and_name_nothing_twice() {
        let whole: Value = serde_json::from_str(&DESCRIPTION).unwrap();
        let parts = RESOURCES.iter().map(|resource| serde_json::from_str(resource.openapi).unwrap());
        let parts: Vec<Value> = parts.collect();
        let mut of_parts: Vec<String> = parts.iter().flat_map(|part| names(part, "/paths")).collect();
        of_parts.sort();
        assert_eq!(of_parts, names(&whole, "/paths"), "each path is in one part");
        let operations = parts.iter().flat_map(|part| part["paths"].as_object().unwrap().values());
        let methods = operations.flat_map(|item| item.as_object().unwrap().values());
        let mut ids: Vec<&str> = methods.filter_map(|operation| operation["operationId"].as_str()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "clients name their functions by operationId: {ids:?}");
        let shared: Value = serde_json::from_str(openapi::SHARED).unwrap();
        for group in names(&whole, "/components") {
            let pointer = format!("/components/{group}");
            let of_parts: usize = parts.iter().map(|part| names(part, &pointer).len()).sum();
            assert_eq!(names(&shared, &pointer).len() + of_parts, names(&whole, &pointer).len(), "{group}");
        }
    }
}
