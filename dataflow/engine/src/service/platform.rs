//! What the APIs ask, answered by the running engine and its stores.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use audience_contract::{Document, DocumentKind};
use audience_protocol::{
    ComponentHealth, FaultyDocument, Health, Page, Platform, PlatformError, Result, SegmentDocument, SegmentInput,
    SegmentQuery, SegmentView, TraitDocument, Transition, UserSegment, UserView,
};
use audience_rules::fault::Fault;
use audience_rules::json::parse_json;
use audience_rules::unparse::behaviour_to_json;
use serde_json::value::RawValue;

use super::documents::{Documents, StoredTrait};
use super::editor::{timestamp, unavailable};
use super::metrics::Snapshot;
use super::{Service, clock, segments, user};

impl Service {
    fn view(&self, document: SegmentDocument) -> SegmentView {
        let size = self.size(&document.id);
        let (version, faults) = self.editor.read(|documents| {
            let version = documents.segments.get(&document.id).map_or(0, |known| known.catalogue_version);
            let faulty = documents.faulty.iter().filter(|faulty| faulty.kind != "trait" && faulty.id == document.id);
            (version, faulty.flat_map(|faulty| faulty.faults.clone()).collect())
        });
        let effective = self.editor.is_effective(version, document.status);
        SegmentView { document, size, effective, faults }
    }

    fn size(&self, id: &str) -> u64 {
        self.engine.memberships().iter().map(|membership| membership.read().size(id)).sum()
    }

    /// Every member of a segment, in order, from behind `after`.
    fn members_after(&self, id: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let mut members: Vec<String> = Vec::new();
        for membership in self.engine.memberships() {
            let membership = membership.read();
            let behind = membership.members(id).filter(|user| after.is_none_or(|after| *user > after));
            members.extend(behind.map(str::to_owned));
            if members.len() > 4 * limit {
                keep_least(&mut members, limit);
            }
        }
        keep_least(&mut members, limit);
        members
    }
}

/// Keeps the least `limit`, in order.
fn keep_least(members: &mut Vec<String>, limit: usize) {
    if members.len() > limit {
        members.select_nth_unstable(limit);
        members.truncate(limit);
    }
    members.sort_unstable();
}

impl Platform for Service {
    fn ingest(&self, records: Vec<u8>, _count: usize) -> Result<()> {
        self.accept(records).map(drop)
    }

    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        let document = self.editor.edit(|documents, version| segments::create(documents, input, author, version))?;
        Ok(self.view(document))
    }

    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        let edited =
            |documents: &mut Documents, version| segments::replace(documents, id, input, expected, author, version);
        Ok(self.view(self.editor.edit(edited)?))
    }

    fn transition_segment(&self, id: &str, to: Transition, expected: Option<u64>, author: &str) -> Result<SegmentView> {
        let edited =
            |documents: &mut Documents, version| segments::transition(documents, id, to, expected, author, version);
        Ok(self.view(self.editor.edit(edited)?))
    }

    fn delete_segment(&self, id: &str, expected: Option<u64>, _author: &str) -> Result<()> {
        self.editor.edit(|documents, version| segments::delete(documents, id, expected, version))
    }

    fn segment(&self, id: &str) -> Result<SegmentView> {
        let document =
            self.editor.read(|documents| documents.segments.get(id).map(|known| known.stored.document.clone()));
        document.map(|document| self.view(document)).ok_or_else(|| segments::not_found(id))
    }

    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        let text = query.text.as_ref().map(|text| text.to_lowercase());
        let mut found: Vec<SegmentDocument> = self.editor.read(|documents| {
            let matching = documents.segments.values().map(|known| &known.stored.document).filter(|document| {
                query.status.is_none_or(|status| status == document.status)
                    && query.kind.is_none_or(|kind| kind == document.kind)
                    && query.after.as_ref().is_none_or(|after| document.id > *after)
                    && text.as_ref().is_none_or(|text| contains_text(document, text))
            });
            matching.take(query.limit + 1).cloned().collect()
        });
        let has_more = found.len() > query.limit;
        found.truncate(query.limit);
        let next_cursor = found.last().filter(|_| has_more).map(|document| document.id.clone());
        Ok(Page { items: found.into_iter().map(|document| self.view(document)).collect(), next_cursor })
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        let versions: Vec<SegmentDocument> = self.editor.history(id)?.iter().filter_map(segments::of_version).collect();
        if versions.is_empty() { Err(segments::not_found(id)) } else { Ok(versions) }
    }

    fn members(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Page<String>> {
        self.segment(id)?;
        let mut items = self.members_after(id, after, limit + 1);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).cloned();
        Ok(Page { items, next_cursor })
    }

    fn replace_members(
        &self,
        id: &str,
        members: Vec<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        let edited = |documents: &mut Documents, version| {
            segments::replace_members(documents, id, members, expected, author, version)
        };
        Ok(self.view(self.editor.edit(edited)?))
    }

    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        self.editor.edit(|documents, version| put_trait(documents, definition, expected, author, version))
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, _author: &str) -> Result<()> {
        self.editor.edit(|documents, version| {
            check_version(documents, name, expected)?;
            let conflict = |fault: Fault| PlatformError::Conflict { code: fault.code, message: fault.message };
            documents.catalogue.check_delete_trait(name).map_err(conflict)?;
            documents.catalogue.delete_trait(name);
            documents.traits.remove(name);
            let (kind, id) = (DocumentKind::Trait, name.to_owned());
            Ok((vec![Document { kind, id, catalogue_version: version, body: None }], ()))
        })
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        let found = self.editor.read(|documents| documents.traits.get(name).map(|stored| stored.document.clone()));
        found.ok_or_else(|| trait_not_found(name))
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.editor.read(|documents| documents.traits.values().map(|stored| stored.document.clone()).collect()))
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.editor.read(|documents| documents.faulty.clone()))
    }

    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        let root = self.root(id);
        let membership = &self.engine.memberships()[self.worker_of(&root)];
        let found: Vec<_> = membership.read().segments_of(&root).cloned().collect();
        let named =
            found.into_iter().map(|id| UserSegment { name: self.editor.name_of(&id), segment_id: id.to_string() });
        let mut segments: Vec<UserSegment> = named.collect();
        segments.sort_unstable_by(|a, b| a.segment_id.cmp(&b.segment_id));
        Ok(segments)
    }

    fn user(&self, id: &str) -> Result<UserView> {
        let root = self.root(id);
        let ids = self.engine.aliases().read().ids_since(&root);
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let log = &self.stores.events;
        let mut history = Vec::new();
        log.visit_users(&known, log.end(), &mut |run| {
            user::of_user(run, &ids).for_each(|record| history.extend_from_slice(record.bytes()));
            ControlFlow::Continue(())
        })
        .map_err(unavailable)?;
        let catalogue = self.editor.read(|documents| documents.catalogue.clone());
        let mut view = user::view(&root, &history, &catalogue)
            .ok_or_else(|| PlatformError::NotFound { kind: "user", id: id.to_owned() })?;
        view.aliases = ids.into_iter().skip(1).map(|(id, _)| id).collect();
        view.segments = self.user_segments(&root)?;
        Ok(view)
    }

    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        let view = self.user(id)?;
        let ids = self.engine.aliases().read().ids_since(&view.user_id);
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let log = &self.stores.events;
        let mut export = user::Export::new(&view, take);
        log.visit_users(&known, log.end(), &mut |run| export.add(user::of_user(run, &ids))).map_err(unavailable)?;
        export.finish();
        Ok(())
    }

    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        self.erase(id, author)
    }

    fn health(&self) -> Health {
        let mut components = BTreeMap::new();
        let failure = self.engine.done().failure;
        let status = if failure.is_none() { "UP" } else { "DOWN" };
        components.insert("engine".to_owned(), ComponentHealth { status, detail: failure.clone() });
        let store_fault = self.store_fault();
        let status = if store_fault.is_none() { "UP" } else { "DOWN" };
        components.insert("stores".to_owned(), ComponentHealth { status, detail: store_fault.clone() });
        // Events are served on with the rules that are known.
        let detail = self.editor.store_fault();
        components.insert("catalogue".to_owned(), ComponentHealth { status: "UP", detail });
        for (name, fault) in self.connectors.faults() {
            let status = if fault.is_none() { "UP" } else { "DOWN" };
            components.insert(name, ComponentHealth { status, detail: fault });
        }
        // The stream goes on without checkpoints and history.
        let detail = self.checkpoint_fault.lock().clone();
        components.insert("checkpoints".to_owned(), ComponentHealth { status: "UP", detail });
        if let Some(archive) = &self.archive {
            components.insert("history".to_owned(), ComponentHealth { status: "UP", detail: archive.fault() });
        }
        Health { ready: self.is_ready() && failure.is_none() && store_fault.is_none(), components }
    }

    fn metrics(&self) -> String {
        let (ids, faulty_documents) = self.editor.read(|documents| {
            (documents.segments.keys().cloned().collect::<Vec<String>>(), documents.faulty.len() as u64)
        });
        let done = self.engine.done();
        let known = done.sizes.read();
        let sizes: Vec<(String, u64)> =
            ids.into_iter().map(|id| known.get(&id).map_or((id.clone(), 0), |size| (id.clone(), *size))).collect();
        let users = self.engine.memberships().iter().map(|membership| membership.read().users.len() as u64).sum();
        self.connectors.observe(&self.metrics.connectors, self.committed.newest());
        let snapshot = Snapshot {
            sizes,
            users,
            unkept_events: self.archive.as_ref().map_or(0, |kept| self.stores.events.end().saturating_sub(kept.end())),
            waiting_events: self.stores.events.end().saturating_sub(self.standing.sequence()),
            faulty_documents,
            frontier_lag_seconds: (clock::now() - done.clock).max(0) as f64 / 1000.0,
        };
        self.metrics.encode(snapshot).unwrap_or_default()
    }
}

fn contains_text(document: &SegmentDocument, text: &str) -> bool {
    [&document.id, &document.name, &document.description]
        .into_iter()
        .chain(&document.tags)
        .any(|field| field.to_lowercase().contains(text))
}

fn trait_not_found(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: "trait", id: name.to_owned() }
}

fn check_version(documents: &Documents, name: &str, expected: Option<u64>) -> Result<u64> {
    let current = documents.traits.get(name).map_or(0, |stored| stored.document.version);
    match expected {
        Some(expected) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        None if current == 0 => Err(trait_not_found(name)),
        _ => Ok(current),
    }
}

fn put_trait(
    documents: &mut Documents,
    definition: &RawValue,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Result<(Vec<Document>, TraitDocument)> {
    let malformed = |message: String| {
        PlatformError::Invalid(vec![Fault { pointer: String::new(), code: "malformed_json", message }])
    };
    let json = parse_json(definition.get().as_bytes()).map_err(|fault| malformed(fault.to_string()))?;
    let computed = documents.catalogue.check_trait(&json).map_err(PlatformError::Invalid)?;
    let name = computed.name.to_string();
    let current = match expected {
        None => documents.traits.get(&name).map_or(0, |stored| stored.document.version),
        Some(_) => check_version(documents, &name, expected)?,
    };
    let text = behaviour_to_json(&name, &computed.behaviour);
    let definition = RawValue::from_string(text).map_err(|error| malformed(error.to_string()))?;
    let document = TraitDocument { name: name.clone(), definition, version: current + 1, updated_at: timestamp() };
    let stored = StoredTrait { document: document.clone(), author: author.to_owned() };
    let body = serde_json::to_string(&stored).map_err(|error| malformed(error.to_string()))?;
    documents.catalogue.put_trait(computed);
    documents.traits.insert(name.clone(), stored);
    let stored = Document { kind: DocumentKind::Trait, id: name, catalogue_version: version, body: Some(body) };
    Ok((vec![stored], document))
}
