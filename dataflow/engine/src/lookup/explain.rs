//! Why a user is in a segment: the oracle over the user's events or, where users are ranked, over all.

use std::ops::ControlFlow;

use audience_background::clock;
use audience_catalogue::{Documents, TIMEZONE, segment_not_found, unavailable};
use audience_contract::{Document, DocumentKind};
use audience_protocol::{
    ConflictKind, CountedEvents, ExplainedNode, Explanation, PlatformError, ResourceKind, Result, UndoneEvent,
};
use audience_rules::ast::Millis;
use audience_rules::catalogue::{Catalogue, SegmentStatus};
use audience_rules::event::event_to_json;
use audience_rules::explain::{Dependencies, Explained, Explainer, MOST_REFERENCES, NextChange};
use audience_rules::oracle::World;
use audience_rules::record::{EventRef, records};
use audience_rules::time::{format_time, parse_rfc3339};
use audience_rules::unparse::value_to_json;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Lookup;

/// Events of all users that are read to know a place in a rank, at most: they are in memory meanwhile.
const MOST_EVENTS_OF_ALL: u64 = 200_000;

impl Lookup {
    /// Why a user is in a segment, or is not.
    pub(crate) fn why(&self, user: &str, segment: &str, at: Option<Millis>) -> Result<Explanation> {
        let (catalogue, in_force) = match at {
            None => (self.editor.read(|documents| documents.catalogue.clone()), true),
            Some(at) => self.catalogue_then(segment, at)?,
        };
        let reach = Dependencies::of(&catalogue, segment);
        if reach.depth > MOST_REFERENCES {
            let message =
                format!("more than {MOST_REFERENCES} segments in a row refer to each other; explain those below");
            return Err(PlatformError::Conflict { kind: ConflictKind::TooDeep, message });
        }
        let root = self.root(user);
        let member_now = at.is_none().then(|| self.is_member(&root, segment));
        let knows_all = reach.has_rank && self.events.end() <= MOST_EVENTS_OF_ALL;
        let _alone = knows_all.then(|| self.all_users.lock());
        let world = if knows_all { self.world_of_all(catalogue)? } else { self.world_of(&root, catalogue)? };
        let now = at.unwrap_or_else(clock::now);
        let moment = world.at(now);
        let running = world.catalogue.segments.get(segment).ok_or_else(|| segment_not_found(segment))?;
        let explain = |assumed: Option<bool>| {
            let stranger = || running.rules().is_none().then(|| Explainer::of_stranger(&moment, &root));
            let explainer = Explainer::new(&moment, &root, knows_all).or_else(stranger)?;
            Some(explainer.assuming(assumed).explain(running))
        };
        let unknown = || PlatformError::NotFound { kind: ResourceKind::User, id: user.to_owned() };
        let mut explained = explain(None).ok_or_else(unknown)?;
        let is_active = running.status == SegmentStatus::Active;
        if let (None, true, Some(member)) = (explained.held, is_active, member_now) {
            // The engine knows the verdict: where only one place in the ranks leads to it, that is the place.
            let fitting: Vec<Explained<'_>> = [true, false]
                .into_iter()
                .filter_map(|ranks| explain(Some(ranks)))
                .filter(|e| e.held == Some(member))
                .collect();
            if let [only] = &fitting[..] {
                explained = only.clone();
            }
        }
        let member = if is_active { explained.held.or(member_now) } else { Some(false) };
        let (next_change_at, may_change) = told(explained.change.filter(|_| is_active));
        Ok(Explanation {
            user_id: root.clone(),
            segment_id: segment.to_owned(),
            version: running.version,
            status: running.status,
            in_force,
            at: format_time(now),
            member,
            next_change_at,
            may_change,
            node: node(&explained),
        })
    }

    pub(super) fn is_member(&self, root: &str, segment: &str) -> bool {
        let membership = self.engine.memberships()[self.worker_of(root)].read();
        let bitmap = membership.segments.get(segment).map(|bitmap| membership.bitmap(*bitmap));
        bitmap.zip(membership.users.find(root)).is_some_and(|(bitmap, slot)| bitmap.contains(slot))
    }

    fn world_of(&self, root: &str, catalogue: Catalogue) -> Result<World> {
        let ids = self.engine.aliases().read().ids_since(root);
        let history = self.records_of(&ids)?;
        let mut world = World::new(catalogue);
        let is_own = |id: &str| ids.iter().any(|(own, _)| own == id);
        records(&history).for_each(|record| world.accept_own(&record, is_own));
        Ok(world)
    }

    fn world_of_all(&self, catalogue: Catalogue) -> Result<World> {
        let mut world = World::new(catalogue);
        let log = &self.events;
        log.scan(0..log.end(), &mut |run| {
            records(run).for_each(|record| world.accept(record.bytes()));
            ControlFlow::Continue(())
        })
        .map_err(unavailable)?;
        Ok(world)
    }

    /// The rules in force at an instant, as far as the segment depends on them, and whether the segment was there then; of
    /// what was not, the first version.
    fn catalogue_then(&self, segment: &str, at: Millis) -> Result<(Catalogue, bool)> {
        let store = &*self.catalogue;
        let mut keys = vec![(DocumentKind::Segment, segment.to_owned())];
        // Before a zone was first set it was UTC.
        let zone = store.history(DocumentKind::Setting, TIMEZONE).map_err(unavailable)?;
        let (found, was_set) = version_then(&zone, at);
        let (mut version, mut in_force) = (if was_set { found } else { 0 }, true);
        let mut looked_at = 0;
        loop {
            for (kind, id) in keys.iter().skip(looked_at) {
                let history = store.history(*kind, id).map_err(unavailable)?;
                let (found, was_there) = version_then(&history, at);
                version = version.max(found);
                in_force &= was_there || looked_at > 0;
            }
            looked_at = keys.len();
            let documents = Documents::at(store, version).map_err(unavailable)?;
            let reach = Dependencies::of(&documents.catalogue, segment);
            let segments = reach.segments.iter().map(|id| (DocumentKind::Segment, id.to_string()));
            let traits = reach.traits.iter().map(|name| (DocumentKind::Trait, name.to_string()));
            let new: Vec<_> = segments.chain(traits).filter(|key| !keys.contains(key)).collect();
            if new.is_empty() {
                return Ok((documents.catalogue, in_force));
            }
            keys.extend(new);
        }
    }
}

/// The fields of a stored document that are read.
#[derive(Deserialize)]
struct Stored {
    document: Dated,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dated {
    updated_at: String,
}

/// The version of the catalogue that brought what was there of a document at an instant, and whether it was there.
fn version_then(history: &[Document], at: Millis) -> (u64, bool) {
    let mut first = None;
    let mut then = None;
    for document in history {
        let stored = document.body.as_deref().and_then(|body| serde_json::from_str::<Stored>(body).ok());
        let Some(since) = stored.and_then(|stored| parse_rfc3339(&stored.document.updated_at)) else { continue };
        first = first.or(Some(document.catalogue_version));
        if since <= at {
            then = Some(document.catalogue_version);
        }
    }
    (then.or(first).unwrap_or(0), then.is_some())
}

fn told(change: Option<NextChange>) -> (Option<String>, bool) {
    change.map_or((None, false), |change| (change.at.map(format_time), !change.is_certain))
}

fn node(explained: &Explained<'_>) -> ExplainedNode {
    let raw = |value: &audience_rules::value::Value| RawValue::from_string(value_to_json(value)).ok();
    let (next_change_at, may_change) = told(explained.change);
    let event = |event: &EventRef<'_>| RawValue::from_string(event_to_json(event)).ok();
    let events = explained.evidence.as_ref().map(|found| CountedEvents {
        total: found.total,
        items: found.events.iter().filter_map(event).collect(),
        undone: found
            .undone
            .iter()
            .filter_map(|(undone, by)| Some(UndoneEvent { event: event(undone)?, by: event(by)? }))
            .collect(),
    });
    ExplainedNode {
        pointer: explained.pointer.clone(),
        kind: explained.kind,
        text: explained.text.clone(),
        segment_id: explained.segment.as_ref().map(|id| id.to_string()),
        held: explained.held,
        unknown: explained.held.is_none(),
        value: explained.value.as_ref().and_then(raw),
        operator: explained.operator,
        expected: explained.expected.as_ref().and_then(raw),
        missing: explained.missing,
        next_change_at,
        may_change,
        place: explained.place.and_then(|place| place.place),
        ranked: explained.place.map(|place| place.ranked),
        limit: explained.place.map(|place| place.limit),
        events,
        children: explained.children.iter().map(node).collect(),
    }
}
