//! What the APIs ask, answered by the running engine and its stores.

use std::collections::BTreeMap;

use audience_protocol::{
    AuditItem, AuditQuery, ChangeFilter, ChangePlace, ChangesRead, ComponentHealth, FaultyDocument, Health,
    MembersChange, MembersOutcome, Overlaps, Page, Platform, PlatformError, Preview, PreviewInput, PreviewProgress,
    Result, SegmentDocument, SegmentInput, SegmentQuery, SegmentView, SizeHistory, SizeQuery, SizesNow, TraitDocument,
    Transition, UserSegment, UserView, VisitChange, WebhookAction, WebhookDelivery, WebhookInput, WebhookView,
};
use audience_protocol::{Explanation, Schema, SystemView, UserEventQuery, UserId, UserQuery};
use serde_json::value::RawValue;

use super::editor::unavailable;
use super::lists::Counts;
use super::metrics::Snapshot;
use super::{Service, clock, user};

impl Service {
    fn view(&self, document: SegmentDocument) -> SegmentView {
        let size = self.size(&document.id);
        let (version, faults) = self.editor.read(|documents| {
            let version = documents.segments.get(&document.id).map_or(0, |known| known.catalogue_version);
            (version, documents.faults_of_segment(&document.id))
        });
        let effective = self.editor.is_effective(version, document.status);
        SegmentView { document, size: Some(size), effective: Some(effective), faults }
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
        Ok(self.view(self.editor.create_segment(input, author)?))
    }

    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.replace_segment(id, input, expected, author)?))
    }

    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.transition_segment(id, to, note, expected, author)?))
    }

    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.rollback_segment(id, version, note, expected, author)?))
    }

    fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_segment(id, expected, author)?;
        self.forget_sizes(id);
        Ok(())
    }

    fn segment(&self, id: &str) -> Result<SegmentView> {
        Ok(self.view(self.editor.segment(id)?))
    }

    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        let Page { items, next_cursor } = self.editor.segments(query);
        Ok(Page { items: items.into_iter().map(|document| self.view(document)).collect(), next_cursor })
    }

    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        self.editor.preview(input, watch)
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        self.editor.segment_versions(id)
    }

    fn members(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Page<String>> {
        self.segment(id)?;
        let mut items = self.members_after(id, after, limit + 1);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).cloned();
        Ok(Page { items, next_cursor })
    }

    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        let (segment, counts) = self.editor.change_members(id, change, expected, author)?;
        let Counts { added, removed, unchanged } = counts;
        Ok(MembersOutcome { segment: self.view(segment), added, removed, unchanged })
    }

    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.editor.audit(query)
    }

    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        self.editor.put_trait(definition, expected, author)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_trait(name, expected, author)
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        self.editor.computed_trait(name)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.editor.computed_traits())
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.editor.read(|documents| documents.faulty.clone()))
    }

    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        let root = self.root(id);
        let membership = &self.engine.memberships()[self.worker_of(&root)];
        let found: Vec<_> = membership.read().segments_of(&root).cloned().collect();
        let documents = self.editor.documents();
        let named = found
            .into_iter()
            .map(|id| UserSegment { name: documents.name_of(&id).to_owned(), segment_id: id.to_string() });
        let mut segments: Vec<UserSegment> = named.collect();
        segments.sort_unstable_by(|a, b| a.segment_id.cmp(&b.segment_id));
        Ok(segments)
    }

    fn user(&self, id: &str) -> Result<UserView> {
        let root = self.root(id);
        let ids = self.engine.aliases().read().ids_since(&root);
        let history = self.records_of(&ids)?;
        let documents = self.editor.documents();
        let mut view = user::view(&ids, &history, &documents.catalogue.traits, clock::now())
            .ok_or_else(|| PlatformError::NotFound { kind: "user", id: id.to_owned() })?;
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

    fn explain(&self, user: &str, segment: &str, at: Option<i64>) -> Result<Explanation> {
        self.why(user, segment, at)
    }

    fn users(&self, query: &UserQuery) -> Result<Page<UserId>> {
        self.list_users(query)
    }

    fn user_events(&self, id: &str, query: &UserEventQuery) -> Result<Page<Box<RawValue>>> {
        self.events_of(id, query)
    }

    fn schema(&self) -> Result<Schema> {
        Ok(self.shape())
    }

    fn system(&self) -> Result<SystemView> {
        Ok(self.figures())
    }

    fn newest_change(&self) -> Result<ChangePlace> {
        Ok(self.newest_place())
    }

    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<()> {
        self.wake_on_changes(wake);
        Ok(())
    }

    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        self.visit_changes(from, filter, may_wait, visit)
    }

    fn sizes_now(&self) -> Result<SizesNow> {
        Ok(self.all_sizes())
    }

    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        self.size_history(id, query)
    }

    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        self.overlap(id, others)
    }

    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        self.each_member(id, take)
    }

    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        self.add_webhook(input, author)
    }

    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.edit_webhook(id, input, expected, author)
    }

    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.act_on_webhook(id, action, expected, author)
    }

    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.remove_webhook(id, expected, author)
    }

    fn webhook(&self, id: &str) -> Result<WebhookView> {
        self.webhook_view(id)
    }

    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        Ok(self.webhook_views())
    }

    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        self.webhook_attempts(id)
    }

    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        self.try_webhook(id)
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
        if let Some(detail) = self.connectors.announcing.fault() {
            components.insert("segment-updates".to_owned(), ComponentHealth { status: "UP", detail });
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
        let faulty_documents = self.editor.read(|documents| documents.faulty.len() as u64);
        let done = self.engine.done();
        self.connectors.observe(&self.metrics.connectors, self.committed.newest());
        self.webhooks.observe(&self.metrics.webhooks);
        let snapshot = Snapshot {
            sizes: self.all_sizes().sizes.into_iter().collect(),
            users: done.users,
            unkept_events: self.archive.as_ref().map_or(0, |kept| self.stores.events.end().saturating_sub(kept.end())),
            waiting_events: self.stores.events.end().saturating_sub(self.standing.sequence()),
            faulty_documents,
            catalogue_errors: self.editor.store_errors(),
            frontier_lag_seconds: (clock::now() - done.clock).max(0) as f64 / 1000.0,
        };
        self.metrics.encode(snapshot).unwrap_or_default()
    }
}
