//! Lists of segments and of computed traits, as files hold them.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::fault::{Fault, code};
use audience_rules::value::Value;

/// An id or a name that stands twice in a list.
pub const DUPLICATE: &str = "duplicate";

/// Adds a list of `{id, name, rules}` to a catalogue: all of them, or none and every fault with its pointer into the
/// list. They may refer to each other in any order.
pub fn add_segments(catalogue: &mut Catalogue, list: &Value) -> Result<(), Vec<Fault>> {
    let items = items(list, "a list of segments: objects with `id`, `name` and `rules`")?;
    let mut faults = Vec::new();
    let mut next = catalogue.clone();
    let mut found: Vec<(usize, Arc<str>, &Value)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        match read_segment(item) {
            Ok((id, _)) if !seen.insert(id.clone()) => {
                faults.push(at(index, "/id", DUPLICATE, format!("segment `{id}` stands in the list already")));
            }
            Ok((id, rules)) => found.push((index, id, rules)),
            Err(own) => faults.extend(own.into_iter().map(|fault| under(index, "", fault))),
        }
    }
    // Those that come later must be there for those that refer to them; of a cycle, the last one is at fault.
    let nobody = Definition::Static(Arc::default());
    for (_, id, _) in &found {
        next.put_segment(segment(id, nobody.clone()));
    }
    for (index, id, rules) in found {
        match next.check_rules(&id, rules) {
            Ok(node) => next.put_segment(segment(&id, Definition::Dynamic(node.into()))),
            Err(own) => faults.extend(own.into_iter().map(|fault| under(index, "/rules", fault))),
        }
    }
    if faults.is_empty() {
        *catalogue = next;
        return Ok(());
    }
    Err(faults)
}

/// Adds a list of computed traits to a catalogue: all of them, or none and every fault with its pointer into the list.
pub fn add_traits(catalogue: &mut Catalogue, list: &Value) -> Result<(), Vec<Fault>> {
    let items = items(list, "a list of computed traits")?;
    let mut faults = Vec::new();
    let mut next = catalogue.clone();
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        match next.check_trait(item) {
            Ok(new) if !seen.insert(new.name.clone()) => {
                let message = format!("computed trait `{}` stands in the list already", new.name);
                faults.push(at(index, "/name", DUPLICATE, message));
            }
            Ok(new) => next.put_trait(new),
            Err(own) => faults.extend(own.into_iter().map(|fault| under(index, "", fault))),
        }
    }
    if faults.is_empty() {
        *catalogue = next;
        return Ok(());
    }
    Err(faults)
}

fn items<'v>(list: &'v Value, expected: &str) -> Result<&'v [Value], Vec<Fault>> {
    match list {
        Value::Array(items) => Ok(items),
        _ => Err(vec![Fault::whole(code::WRONG_TYPE, format!("must be {expected}"))]),
    }
}

fn read_segment(item: &Value) -> Result<(Arc<str>, &Value), Vec<Fault>> {
    let Value::Object(members) = item else {
        return Err(vec![Fault::whole(code::WRONG_TYPE, "must be an object with `id`, `name` and `rules`")]);
    };
    let mut faults = Vec::new();
    for (key, value) in members {
        let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        let message = match (&**key, value) {
            ("id", Value::Text(id)) if id.is_empty() => Some((code::EMPTY, "it is empty")),
            ("id" | "name", Value::Text(_)) | ("rules", _) => None,
            ("id" | "name", _) => Some((code::WRONG_TYPE, "must be a string")),
            _ => Some((code::UNKNOWN_KEY, "is not known here: a segment has `id`, `name` and `rules`")),
        };
        if let Some((code, message)) = message {
            faults.push(Fault { pointer, code, message: message.into() });
        }
    }
    let missing = |key: &str| Fault::whole(code::MISSING_MEMBER, format!("`{key}` is missing"));
    match (item.get("id"), item.get("rules")) {
        (Some(Value::Text(id)), Some(rules)) if faults.is_empty() => return Ok((id.clone(), rules)),
        (id, rules) => {
            faults.extend(id.is_none().then(|| missing("id")));
            faults.extend(rules.is_none().then(|| missing("rules")));
        }
    }
    Err(faults)
}

fn segment(id: &Arc<str>, definition: Definition) -> Segment {
    Segment { id: id.clone(), version: 1, status: SegmentStatus::Active, definition }
}

fn at(index: usize, below: &str, code: &'static str, message: String) -> Fault {
    Fault { pointer: format!("/{index}{below}"), code, message }
}

fn under(index: usize, below: &str, fault: Fault) -> Fault {
    Fault { pointer: format!("/{index}{below}{}", fault.pointer), ..fault }
}

#[cfg(test)]
mod tests {
    use audience_rules::json::parse_json;

    use super::*;

    fn add(json: &str) -> Result<Catalogue, Vec<String>> {
        let mut catalogue = Catalogue::with_shipped_traits();
        let list = parse_json(json.as_bytes()).expect("JSON");
        let added = add_segments(&mut catalogue, &list);
        added.map(|()| catalogue).map_err(|faults| faults.iter().map(|f| format!("{} {}", f.pointer, f.code)).collect())
    }

    #[test]
    fn segments_refer_to_each_other_in_any_order() {
        let catalogue = add(r#"[
            {"id": "b", "rules": {"segment": "a"}},
            {"id": "a", "name": "A", "rules": {"event": "p"}}]"#)
        .expect("valid");
        let order: Vec<String> = catalogue.in_dependency_order().iter().map(|id| id.to_string()).collect();
        assert_eq!(order, ["a", "b"]);
    }

    #[test]
    fn every_fault_is_told() {
        let faults = add(r#"[
            {"id": "a", "rules": {"segment": "b"}}, {"id": "b", "rules": {"segment": "a"}},
            {"id": "c", "rules": {"segment": "none"}}, {"id": "c", "rules": {"event": "p"}}, 7,
            {"name": 1, "rules": {}, "x/y": 0}, {"id": "", "rules": {"event": "p"}}]"#);
        let expected = [
            "/3/id duplicate",
            "/4 wrong_type",
            "/5/name wrong_type",
            "/5/x~1y unknown_key",
            "/5 missing_member",
            "/6/id empty",
            "/1/rules/segment cyclic_segment",
            "/2/rules/segment unknown_segment",
        ];
        assert_eq!(faults.expect_err("faults"), expected);
        assert_eq!(add("{}").expect_err("no list"), [" wrong_type"]);
    }

    #[test]
    fn traits_in_the_older_form() {
        let mut catalogue = Catalogue::with_shipped_traits();
        let list = r#"[{"name": "v", "aggregate": "sum", "event": "p", "property": "x"}, {"name": "v", "event": "p"}]"#;
        let faults = add_traits(&mut catalogue, &parse_json(list.as_bytes()).expect("JSON")).expect_err("twice");
        assert_eq!((faults.len(), &*faults[0].pointer), (1, "/1/name"));
        assert!(!catalogue.traits.contains_key("v"));
    }
}
