//! Versions of a segment: held against each other, and gone back to.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::SegmentDocument;
use audience_rules::catalogue::{Catalogue, ComputedTrait};
use audience_rules::json::parse_json;
use audience_rules::parse::{TraitLookup, parse_behaviour, parse_rules};
use audience_rules::unparse::node_to_value;
use audience_rules::value::Value;
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::body::Media;
use crate::diff::{self, DocumentField, FieldDifference};
use crate::preconditions::ChangeHead;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::segments::documents::{changed, version};
use crate::versions::{RollbackBody, find};

const READ: Needs = Needs::Permission(Permission::SegmentRead);
const WRITE: Needs = Needs::Permission(Permission::SegmentWrite);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/segments/{id}/versions/{from}/diff/{to}", Side::Segments, READ, |api, call| {
        Box::pin(compare(api, call))
    }),
    Route::new(Method::POST, "/api/segments/{id}/rollback", Side::Segments, WRITE, |api, call| {
        Box::pin(rollback(api, call))
    }),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SegmentDifference {
    segment_id: String,
    from: u64,
    to: u64,
    changes: Vec<FieldDifference>,
}

async fn compare(api: Arc<Api>, call: Call) -> HandlerResult {
    let [id, from, to] = <[String; 3]>::try_from(call.parameters).map_err(|_| Problem::internal())?;
    api.blocking(move |api| {
        let versions = api.platform.segments.segment_versions(&id)?;
        let find = |wanted: &str| find(&versions, wanted, |one| one.version, &format!("segment {id:?}"));
        let (old, new, traits) = (find(&from)?, find(&to)?, traits(api)?);
        let changes = diff::fields(&fields(old, &traits), &fields(new, &traits));
        let difference = SegmentDifference { from: old.version, to: new.version, changes, segment_id: id };
        Ok::<_, Problem>(reply::json(StatusCode::OK, &difference))
    })
    .await
}

/// The computed traits as they are now, which say how rules are understood.
fn traits(api: &Api) -> Result<Catalogue, Problem> {
    let mut traits = Catalogue::default();
    for computed in api.platform.traits.computed_traits()? {
        let definition = parse_json(computed.definition.get().as_bytes()).ok();
        if let Some((name, behaviour)) = definition.and_then(|json| parse_behaviour(&json).ok()) {
            traits.put_trait(ComputedTrait { name, behaviour: behaviour.into() });
        }
    }
    Ok(traits)
}

/// The members that people write.
fn fields(document: &SegmentDocument, traits: &dyn TraitLookup) -> [DocumentField; 6] {
    let text = |text: &str| (!text.is_empty()).then(|| Value::Text(text.into()));
    let status = serde_json::to_value(document.status).ok();
    let tags: Vec<Value> = document.tags.iter().map(|tag| Value::Text(tag.as_str().into())).collect();
    [
        ("name", text(&document.name)),
        ("description", text(&document.description)),
        ("status", status.as_ref().and_then(|status| text(status.as_str()?))),
        ("rules", rules_of(document, traits)),
        ("tags", Some(Value::Array(tags))),
        ("owner", document.owner.as_deref().and_then(text)),
    ]
}

/// Rules in the one spelling that all others come to; those that do not fit, today or ever, as they are written.
fn rules_of(document: &SegmentDocument, traits: &dyn TraitLookup) -> Option<Value> {
    let written = parse_json(document.rules.as_ref()?.get().as_bytes()).ok()?;
    let understood = parse_rules(&written, traits).map(|node| node_to_value(&node, traits));
    Some(understood.unwrap_or(written))
}

async fn rollback(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let RollbackBody { version: wanted, note } = RollbackBody::read(&body)?;
        let expected = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(changed(&api.platform.segments.rollback_segment(&id, wanted, note, expected, &author)?))
    })
    .await
}

#[cfg(test)]
mod tests {
    use audience_rules::parse::NoTraits;
    use serde_json::value::RawValue;

    use super::*;

    fn differences(old: &SegmentDocument, new: &SegmentDocument, traits: &dyn TraitLookup) -> Vec<FieldDifference> {
        diff::fields(&fields(old, traits), &fields(new, traits))
    }

    fn shown(change: &FieldDifference) -> String {
        let raw = |value: &Option<Box<RawValue>>| value.as_ref().map_or(String::new(), |raw| format!(" {}", raw.get()));
        format!("{} {}{}{}", change.change, change.pointer, raw(&change.before), raw(&change.after))
    }

    #[test]
    fn documents_by_member() {
        let document = |text: &str| serde_json::from_str::<SegmentDocument>(text).unwrap();
        let base = r#"{"id":"a","type":"DYNAMIC","version":1,"createdAt":"","updatedAt":"","#;
        let old = document(&format!(r#"{base}"name":"A","status":"DRAFT","tags":["x","y"],"description":"d"}}"#));
        let new = document(&format!(
            r#"{base}"name":"B","status":"ACTIVE","tags":["y","z"],"owner":"o","note":"n","updatedBy":"me"}}"#
        ));
        let found: Vec<_> = differences(&old, &new, &NoTraits).iter().map(shown).collect();
        let expected = [
            r#"changed /name "A" "B""#,
            r#"removed /description "d""#,
            r#"changed /status "DRAFT" "ACTIVE""#,
            r#"removed /tags/0 "x""#,
            r#"added /tags/1 "z""#,
            r#"added /owner "o""#,
        ];
        assert_eq!(found, expected);
        assert!(differences(&old, &old, &NoTraits).is_empty());
    }

    /// Differences of documents with these rules, where a computed trait `quiet` is a duration.
    fn of_rules(old: &str, new: &str) -> Vec<String> {
        let document = |rules: &str| {
            let text = format!(
                r#"{{"id":"a","name":"A","type":"DYNAMIC","status":"ACTIVE","version":1,"createdAt":"","updatedAt":"","rules":{rules}}}"#
            );
            serde_json::from_str::<SegmentDocument>(&text).unwrap()
        };
        let quiet = br#"{"name":"quiet","event":"*","measure":{"fn":"since_last"}}"#;
        let (name, behaviour) = parse_behaviour(&parse_json(quiet).unwrap()).unwrap();
        let mut traits = Catalogue::default();
        traits.put_trait(ComputedTrait { name, behaviour: behaviour.into() });
        differences(&document(old), &document(new), &traits).iter().map(shown).collect()
    }

    #[test]
    fn another_spelling_is_no_difference() {
        for (one, other) in [
            (r#"{"field":"x","operator":">","value":1.0}"#, r#"{"field":"x","operator":"greaterThan","value":1}"#),
            (r#"{"criteria":[{"event":"a"}],"logic":"or"}"#, r#"{"conditions":[{"event":["a"]}],"logic":"OR"}"#),
            (
                r#"{"event":"a","within":"24h"}"#,
                r#"{"event":"a","measure":"count","operator":">=","value":1,"within":{"last":"1d"}}"#,
            ),
            (r#"{"field":"quiet","operator":">","value":"48h"}"#, r#"{"field":"quiet","operator":"gt","value":"2d"}"#),
            (
                r#"{"event":"a","where":{"field":"properties.b","operator":"in","value":["y","x"]}}"#,
                r#"{"event":"a","where":[{"field":"b","operator":"in","value":["x","y"]}]}"#,
            ),
        ] {
            assert_eq!(of_rules(one, other), [""; 0], "{one} {other}");
        }
        let spelt = r#"{"criteria":[{"field":"x","operator":">","value":1},{"event":"a"}]}"#;
        let changed = r#"{"conditions":[{"event":"a"},{"field":"x","operator":"gt","value":2}],"logic":"AND"}"#;
        assert_eq!(of_rules(spelt, changed), ["changed /rules/conditions/1/value 1 2"]);
        let faulty = r#"{"field":"x","operator":"above","value":1}"#;
        let as_written = [r#"changed /rules/operator "above" "gt""#];
        assert_eq!(
            of_rules(faulty, r#"{"field":"x","operator":">","value":1}"#),
            as_written,
            "what cannot be understood"
        );
    }
}
