//! Users, answered by the memberships in memory and the event log.

use audience_protocol::{
    Explanation, Page, PlatformError, Result, UserEventQuery, UserId, UserQuery, UserResource, UserSegment, UserView,
};
use serde_json::value::RawValue;

use crate::service::editor::unavailable;
use crate::service::{Service, clock, user};

impl UserResource for Service {
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
}
