//! Versions of a segment: held against each other, and gone back to.

use std::sync::Arc;

use audience_protocol::SegmentDocument;
use audience_rules::catalogue::{Catalogue, ComputedTrait};
use audience_rules::json::parse_json;
use audience_rules::parse::parse_behaviour;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::ChangeHead;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::segments::diff::{self, FieldDifference};
use crate::segments::documents::{changed, version};
use crate::segments::input::checked_note;

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/segments/{id}/versions/{from}/diff/{to}", Side::Segments, |api, call| {
        Box::pin(compare(api, call))
    }),
    Route::new(Method::POST, "/api/segments/{id}/rollback", Side::Segments, |api, call| Box::pin(rollback(api, call))),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionDifference {
    segment_id: String,
    from: u64,
    to: u64,
    changes: Vec<FieldDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    version: u64,
    #[serde(default)]
    note: Option<String>,
}

async fn compare(api: Arc<Api>, call: Call) -> HandlerResult {
    let [id, from, to] = <[String; 3]>::try_from(call.parameters).map_err(|_| Problem::internal())?;
    api.blocking(move |api| {
        let versions = api.platform.segments.segment_versions(&id)?;
        let (old, new) = (find(&versions, &id, &from)?, find(&versions, &id, &to)?);
        let changes = diff::documents(old, new, &traits(api)?);
        let difference = VersionDifference { from: old.version, to: new.version, changes, segment_id: id };
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

fn find<'a>(versions: &'a [SegmentDocument], id: &str, wanted: &str) -> Result<&'a SegmentDocument, Problem> {
    let number = wanted.parse::<u64>().ok();
    let found = versions.iter().find(|document| Some(document.version) == number);
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, "not_found", format!("segment {id:?} has no version {wanted}"));
    found.ok_or_else(missing)
}

async fn rollback(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let ChangeHead { id, author, expected } = ChangeHead::of(&mut call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let RollbackBody { version: wanted, note } = json::parse_object(&body)?;
        let note = checked_note(note, "/note")?;
        let expected = expected.version(|| version(api, &id))?;
        Ok::<_, Problem>(changed(&api.platform.segments.rollback_segment(&id, wanted, note, expected, &author)?))
    })
    .await
}
