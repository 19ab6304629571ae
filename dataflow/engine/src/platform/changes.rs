//! Membership changes, answered by the change log.

use std::sync::Arc;

use audience_catalogue::unavailable;
use audience_emit::Live;
use audience_protocol::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, Page, Result, VisitChange};
use serde_json::value::RawValue;

use crate::lookup::Lookup;

/// Answers the resource of changes.
pub(super) struct ChangeRequests {
    pub(super) live: Arc<Live>,
    pub(super) lookup: Arc<Lookup>,
}

impl ChangeResource for ChangeRequests {
    fn newest_change(&self) -> Result<ChangePlace> {
        self.live.newest_change()
    }

    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<()> {
        self.live.on_changes(wake)
    }

    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        self.live.changes(from, filter, may_wait, visit)
    }

    fn past_changes(
        &self,
        before: Option<ChangePlace>,
        filter: &ChangeFilter,
        limit: usize,
    ) -> Result<Page<Box<RawValue>>> {
        // Changes name the id that a user went by then.
        let users = filter.users.iter().flat_map(|user| self.lookup.ids(user)).collect();
        let filter = ChangeFilter { users, ..filter.clone() };
        self.live.past(before, &filter, limit).map_err(unavailable)
    }
}
