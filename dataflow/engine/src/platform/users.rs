//! Users, answered by lookups, and erased.

use std::sync::Arc;

use audience_protocol::{
    Explanation, FoundUsers, ListedUser, Page, Result, UserEventQuery, UserQuery, UserResource, UserSearch,
    UserSegment, UserValues, UserView,
};
use serde_json::value::RawValue;

use crate::durability::erase::Eraser;
use crate::lookup::Lookup;

/// Answers the resource of users.
pub(super) struct UserRequests {
    pub(super) lookup: Arc<Lookup>,
    pub(super) eraser: Eraser,
}

impl UserResource for UserRequests {
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        Ok(self.lookup.segments_of(id))
    }

    fn user(&self, id: &str) -> Result<UserView> {
        self.lookup.view(id)
    }

    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        self.lookup.export(id, take)
    }

    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        self.eraser.erase(id, author)
    }

    fn explain(&self, user: &str, segment: &str, at: Option<i64>) -> Result<Explanation> {
        self.lookup.why(user, segment, at)
    }

    fn users(&self, query: &UserQuery) -> Result<Page<ListedUser>> {
        self.lookup.list_users(query)
    }

    fn find_users(&self, search: &UserSearch) -> Result<FoundUsers> {
        self.lookup.find_users(search)
    }

    fn user_values(&self, ids: &[String], columns: &[String]) -> Result<Vec<UserValues>> {
        self.lookup.values_of(ids, columns)
    }

    fn user_events(&self, id: &str, query: &UserEventQuery) -> Result<Page<Box<RawValue>>> {
        self.lookup.events_of(id, query)
    }
}
