//! The schema of a running server, as rules are held against it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::json::parse_json;
use audience_rules::seen::{SeenData, SeenField, SeenFields};
use audience_rules::value::Value;

use crate::asking::{CaFlag, HttpQuestion, ServerAddress};
use crate::files::read_json;

/// Bytes of a schema that are read; the server bounds names, fields and examples.
const MOST: u64 = 64 << 20;
/// The time that each part of the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Paths of the schema have at most so many parts.
const LEVELS: usize = 3;
/// The server tells at most so many event types; beyond, it does not know what it has never seen.
const MOST_EVENTS: usize = 500;

/// A schema as `GET /api/schema` gives it.
pub(super) struct ServerSchema(Value);

impl ServerSchema {
    /// Reads the schema of the server at a URL, or a file of one.
    pub(super) fn read(place: &str, key: Option<&str>, ca: &CaFlag) -> anyhow::Result<ServerSchema> {
        let value = match place.contains("://") {
            true => ask(&ServerAddress::parse(place, "--against", ca)?, key)?,
            false => read_json(Path::new(place))?,
        };
        if value.get("events").is_none() {
            bail!("{place} is no schema: it has no `events`; GET /api/schema gives one");
        }
        Ok(ServerSchema(value))
    }

    /// Adds the segments and computed traits of the server, to which rules may refer. Segments have no members here.
    pub(super) fn add_to(&self, catalogue: &mut Catalogue) {
        for definition in list(self.0.get("computedTraits")) {
            if let Ok(computed) = catalogue.check_trait(definition) {
                catalogue.put_trait(computed);
            }
        }
        for id in list(self.0.get("segments")).iter().filter_map(|segment| text(segment.get("id"))) {
            let definition = Definition::Static(Arc::default());
            catalogue.put_segment(Segment { id, version: 1, status: SegmentStatus::Active, definition });
        }
    }

    /// The names and values that the server has seen. Nothing where there is more than it tells.
    pub(super) fn seen(&self) -> SeenData {
        let events = list(self.0.get("events"));
        if events.len() >= MOST_EVENTS {
            return SeenData::default();
        }
        let events = events.iter().filter_map(|event| {
            let name = text(event.get("name"))?;
            Some((name.to_string(), fields(event.get("properties"))))
        });
        SeenData { events: events.collect(), traits: fields(self.0.get("traits")), levels: LEVELS }
    }
}

fn ask(server: &ServerAddress, key: Option<&str>) -> anyhow::Result<Value> {
    let authority = &server.authority;
    let question = HttpQuestion { key, patience: PATIENCE, most: MOST, ..HttpQuestion::get("/api/schema") };
    let (status, body) = server.ask(question)?;
    match status {
        200 => parse_json(body.as_bytes()).with_context(|| format!("the schema of {authority} is not JSON")),
        401 | 403 => bail!("{authority} does not let this key read its schema; give one with --key"),
        status => bail!("{authority} answers {status} for its schema: {body}"),
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn text(value: Option<&Value>) -> Option<Arc<str>> {
    match value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn fields(shapes: Option<&Value>) -> SeenFields {
    let field = |shape: &Value| {
        let types: Vec<Arc<str>> = list(shape.get("types")).iter().filter_map(|one| text(Some(one))).collect();
        let is = |name: &str| types.iter().any(|one| &**one == name);
        let seen = SeenField {
            is_number: is("number"),
            is_text: is("text"),
            is_boolean: is("boolean"),
            is_list: is("list"),
            examples: list(shape.get("examples")).to_vec(),
        };
        Some((text(shape.get("name"))?.to_string(), seen))
    };
    list(shapes).iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "events": [{"name": "purchase", "count": 3, "properties": [
            {"name": "amount", "types": ["number"], "examples": [5]}]}],
        "traits": [{"name": "country", "types": ["text"], "examples": ["Germany", "Norway"]}],
        "computedTraits": [{"name": "spent", "event": "purchase", "measure": {"fn": "sum", "of": "amount"}}],
        "segments": [{"id": "list", "name": "A list"}]}"#;

    /// The codes and places of what rules are warned of.
    fn warned(rules: &str) -> Vec<String> {
        let schema = ServerSchema(parse_json(SCHEMA.as_bytes()).unwrap());
        let mut catalogue = Catalogue::with_shipped_traits();
        schema.add_to(&mut catalogue);
        let rules = parse_json(rules.as_bytes()).unwrap();
        let document = match &rules {
            Value::Array(_) => crate::check::add_segments(&mut catalogue.clone(), &rules),
            rules => catalogue.check_rules("", rules).map(drop),
        };
        document.unwrap();
        super::super::warnings(&rules, &schema, &catalogue).into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn what_the_server_has_seen_is_not_warned_of() {
        let rules = r#"{"conditions": [{"event": "purchase", "where": {"field": "amount", "operator": "gte", "value": 5}},
            {"field": "country", "operator": "eq", "value": "Norway"}, {"segment": "list"},
            {"field": "spent", "operator": "gte", "value": 5}]}"#;
        assert_eq!(warned(rules), Vec::<String>::new());
    }

    #[test]
    fn what_it_has_not_seen_is_named_with_its_place_and_the_nearest() {
        let found = warned(r#"[{"id": "a", "name": "A", "rules": {"event": "purchace"}}]"#);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("/0/rules/event: ") && found[0].contains("`purchase`"), "{found:?}");
        let found = warned(r#"{"event": "purchase", "where": {"field": "amout", "operator": "gte", "value": 5}}"#);
        assert!(found[0].contains("`amount`"), "{found:?}");
        assert!(warned(r#"{"field": "contry", "operator": "exists"}"#)[0].contains("`country`"));
    }

    #[test]
    fn a_place_that_is_no_schema_says_what_to_write() {
        let refused = |place: &str| ServerSchema::read(place, None, &CaFlag::default()).err().unwrap().to_string();
        assert!(refused("https://host").contains("write http://host:port"), "{}", refused("https://host"));
        assert!(refused("http://127.0.0.1:1").contains("nothing answers"), "{}", refused("http://127.0.0.1:1"));
    }
}
