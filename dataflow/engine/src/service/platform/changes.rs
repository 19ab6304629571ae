//! Membership changes, answered by the change log.

use audience_protocol::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, Result, VisitChange};

use crate::service::Service;

impl ChangeResource for Service {
    fn newest_change(&self) -> Result<ChangePlace> {
        Ok(self.followers.live.newest_place())
    }

    fn on_changes(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<()> {
        self.followers.live.on_changes(wake);
        Ok(())
    }

    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        may_wait: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        self.followers.live.visit(from, filter, may_wait, visit)
    }
}
