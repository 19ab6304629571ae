//! The content of a data directory once nobody writes to it: events, rules, changes, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use audience_contract::changes::decode;
use audience_contract::{ChangeKind, Document, DocumentKind, History, MembershipChange, Progress, StoreError};
use audience_embedded::{Options, Stores};
use audience_rules::ast::Millis;
use audience_rules::catalogue::{Catalogue, SegmentStatus};
use audience_rules::event::event_to_json;
use audience_rules::json::parse_json;
use audience_rules::oracle::World;
use audience_rules::record::{EventRef, RecordKind, records};
use audience_rules::timeline::{OracleSubject, SegmentDefinition, SegmentLine, Subject};
use serde_json::Value;

use crate::platform::copy;

/// Members by segment; segments without members are left out.
pub type Members = BTreeMap<String, BTreeSet<String>>;

/// The content of a data directory.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The last tick that the changes reach.
    pub progress: Progress,
    /// Each change with its tick, in order.
    pub changes: Vec<(u64, MembershipChange)>,
    /// Every event, in the order of acceptance, one record behind the other.
    pub events: Vec<u8>,
    /// The catalogue that the changes are of.
    pub documents: Vec<Document>,
    /// The newest catalogue.
    pub newest: Vec<Document>,
}

impl Ledger {
    /// Reads a copy of a data directory, so that the original stays as it is.
    pub fn of_copy(data: &Path, scratch: &Path) -> Result<Ledger, String> {
        let text = |error: std::io::Error| format!("copying {}: {error}", data.display());
        if scratch.exists() {
            fs::remove_dir_all(scratch).map_err(text)?;
        }
        copy(data, scratch).map_err(text)?;
        Ledger::read(scratch)
    }

    /// Reads a data directory.
    pub fn read(data: &Path) -> Result<Ledger, String> {
        Ledger::read_stores(data, None).map_err(|error| error.to_string())?
    }

    /// Reads a data directory whose oldest events may be in that history alone.
    pub fn read_with(data: &Path, history: &dyn History) -> Result<Ledger, String> {
        Ledger::read_stores(data, Some(history)).map_err(|error| error.to_string())?
    }

    fn read_stores(data: &Path, history: Option<&dyn History>) -> Result<Result<Ledger, String>, StoreError> {
        let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() })?;
        let mut ledger = Ledger { progress: stores.changes().progress()?.unwrap_or_default(), ..Ledger::default() };
        let mut undecoded = None;
        stores.changes().read(0, &mut |tick, bytes| match decode(bytes) {
            Ok(changes) => {
                ledger.changes.extend(changes.into_iter().map(|change| (tick, change)));
                ControlFlow::Continue(())
            }
            Err(error) => {
                undecoded = Some(format!("the changes of tick {tick}: {error}"));
                ControlFlow::Break(())
            }
        })?;
        let log = stores.events();
        let mut take = |run: &[u8]| {
            ledger.events.extend_from_slice(run);
            ControlFlow::Continue(())
        };
        let old = history.map_or(0, |_| log.floor());
        if let Some(history) = history.filter(|_| old > 0) {
            history.scan(0..old, &mut take)?;
        }
        log.scan(old..log.end(), &mut take)?;
        let catalogue = stores.catalogue();
        ledger.documents = catalogue.at(ledger.progress.catalogue_version)?;
        ledger.newest = catalogue.at(catalogue.version()?)?;
        Ok(match undecoded {
            Some(fault) => Err(fault),
            None => Ok(ledger),
        })
    }

    /// The members that follow from the changes; an error where one does not follow on those before it.
    pub fn folded(&self) -> Result<Members, String> {
        let mut members = Members::new();
        for (tick, change) in &self.changes {
            let segment = members.entry(change.segment_id.to_string()).or_default();
            let user = change.user_id.to_string();
            let is_entry = change.change == ChangeKind::Entered;
            let is_new = if is_entry { segment.insert(user) } else { segment.remove(&user) };
            if !is_new {
                let story = self.story(&change.segment_id, &change.user_id);
                return Err(format!("in tick {tick}, {change:?} changes nothing\n{story}"));
            }
        }
        members.retain(|_, users| !users.is_empty());
        Ok(members)
    }

    /// The truth of what was given out: the events below the progress that had been accepted by its clock, under the rules
    /// in force then.
    pub fn world(&self) -> Result<World, String> {
        let (sequence, clock) = (self.progress.sequence, self.progress.clock);
        let is_in = |event: &EventRef<'_>| event.sequence() < sequence && event.accepted_at() <= clock;
        world(&self.documents, records(&self.events).filter(is_in))
    }

    /// The truth of everything that is stored.
    pub fn newest_world(&self) -> Result<World, String> {
        world(&self.newest, records(&self.events))
    }

    /// Checks what was given out: it goes on from what was given out before, alternates by user and segment, and comes
    /// to just the members that there are.
    pub fn check(&self, before: &Ledger) -> Result<(), String> {
        if self.changes.get(..before.changes.len()) != Some(&before.changes) {
            let first = before.changes.iter().enumerate().find(|(index, old)| self.changes.get(*index) != Some(old));
            return Err(format!("changes given out before a kill are others now: {first:?}"));
        }
        let mut now = places(&self.events);
        let is_kept = |old: EventRef<'_>| {
            now.next().is_some_and(|new| new.bytes() == old.bytes() || new.kind() == RecordKind::Blank)
        };
        if !places(&before.events).all(is_kept) {
            return Err("events accepted before a kill are others now".to_owned());
        }
        if self.progress.sequence < before.progress.sequence || self.progress.clock < before.progress.clock {
            return Err(format!("the progress went back from {:?} to {:?}", before.progress, self.progress));
        }
        let (folded, expected) = (self.folded()?, members_at(&self.world()?, self.progress.clock));
        same("the changes say", &folded, &expected)
            .map_err(|wrong| format!("at {:?}: {wrong}\n{}", self.progress, self.first_difference(&folded, &expected)))
    }

    /// All that is known of the first membership that is another, for messages.
    fn first_difference(&self, found: &Members, expected: &Members) -> String {
        let pairs = |members: &Members| -> BTreeSet<(String, String)> {
            let each = |(segment, users): (&String, &BTreeSet<String>)| {
                users.iter().map(|user| (segment.clone(), user.clone())).collect::<Vec<_>>()
            };
            members.iter().flat_map(each).collect()
        };
        let (found, expected) = (pairs(found), pairs(expected));
        let Some((segment, user)) = found.symmetric_difference(&expected).next() else { return String::new() };
        self.story(segment, user)
    }

    /// All that is known of a user and a segment, for messages.
    fn story(&self, segment: &str, user: &str) -> String {
        let document = self.documents.iter().find(|document| document.id == segment);
        let mut text = format!("{segment}: {:?}", document.and_then(|document| document.body.as_deref()));
        for (tick, change) in self.changes.iter().filter(|(_, change)| *change.user_id == *user) {
            text += &format!("\ntick {tick}: {change:?}");
        }
        for event in records(&self.events).filter(|event| event.user() == user || event.other() == Some(user)) {
            let (sequence, kind, at) = (event.sequence(), event.kind(), event.accepted_at());
            text += &format!("\n{sequence} {kind:?}, accepted at {at}: {}", event_to_json(&event));
        }
        text
    }
}

/// Every place in the order of acceptance, also those whose record is gone.
pub fn places(log: &[u8]) -> impl Iterator<Item = EventRef<'_>> {
    let mut rest = log;
    std::iter::from_fn(move || {
        let (record, next) = EventRef::read(rest)?;
        rest = next;
        Some(record)
    })
}

/// The members of every segment at an instant.
pub fn members_at(world: &World, at: Millis) -> Members {
    let moment = world.at(at);
    let texts = |id: &str| moment.members(id).iter().map(|user| user.to_string()).collect::<BTreeSet<_>>();
    let members = world.catalogue.segments.keys().map(|id| (id.to_string(), texts(id)));
    members.filter(|(_, users)| !users.is_empty()).collect()
}

/// Says how members differ from the true ones.
pub fn same(who: &str, found: &Members, expected: &Members) -> Result<(), String> {
    let nobody = BTreeSet::new();
    let mut wrong = Vec::new();
    for segment in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let is = found.get(segment).unwrap_or(&nobody);
        let should = expected.get(segment).unwrap_or(&nobody);
        let (surplus, missing): (Vec<_>, Vec<_>) = (is.difference(should).collect(), should.difference(is).collect());
        if is != should {
            wrong.push(format!("in `{segment}` {who} {surplus:?} too many and {missing:?} too few"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn world<'a>(documents: &[Document], events: impl Iterator<Item = EventRef<'a>>) -> Result<World, String> {
    let mut subject = OracleSubject::default();
    subject.world.catalogue = Catalogue::default();
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for document in documents {
        let Some(body) = &document.body else { continue };
        let json: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        match document.kind {
            DocumentKind::Trait => subject.put_trait(&rules(&json["document"]["definition"])?)?,
            DocumentKind::Setting => {
                let zone = json["document"]["value"].as_str().unwrap_or_default();
                subject.set_timezone(zone)?;
            }
            DocumentKind::Members => {
                let members = serde_json::from_value(json).map_err(|error| error.to_string())?;
                lists.insert(&document.id, members);
            }
            DocumentKind::Segment => waiting.push((&*document.id, json["document"].clone())),
        }
    }
    // Segments may refer to others that stand behind them.
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut faults = Vec::new();
        let mut still = Vec::new();
        for (id, json) in waiting {
            match put(&mut subject, id, &json, lists.get(id)) {
                Ok(()) => {}
                Err(fault) => {
                    faults.push(format!("the stored segment {id}: {fault}"));
                    still.push((id, json));
                }
            }
        }
        if still.len() == before {
            return Err(faults.join("; "));
        }
        waiting = still;
    }
    events.for_each(|event| subject.world.accept(event.bytes()));
    Ok(subject.world)
}

fn rules(json: &Value) -> Result<audience_rules::value::Value, String> {
    parse_json(json.to_string().as_bytes()).map_err(|fault| fault.to_string())
}

fn put(subject: &mut OracleSubject, id: &str, json: &Value, list: Option<&Vec<String>>) -> Result<(), String> {
    let status = match json["status"].as_str() {
        Some("ACTIVE") => SegmentStatus::Active,
        Some("DRAFT") => SegmentStatus::Draft,
        Some("INACTIVE") => SegmentStatus::Inactive,
        Some("ARCHIVED") => SegmentStatus::Archived,
        other => return Err(format!("{other:?} is no status")),
    };
    let definition = match json["type"].as_str() {
        Some("STATIC") => SegmentDefinition::Static(list.cloned().ok_or("it has no members")?),
        _ => SegmentDefinition::Dynamic(rules(&json["rules"])?),
    };
    subject.put_segment(&SegmentLine { id: id.to_owned(), name: id.to_owned(), status, definition })
}
