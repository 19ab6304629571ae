//! A user's segments, view and export.

use audience_background::clock;
use audience_catalogue::unavailable;
use audience_protocol::{PlatformError, ResourceKind, Result, UserSegment, UserView};

use super::{Lookup, user};

impl Lookup {
    /// The segments that a user is in, in order of their ids.
    pub(crate) fn segments_of(&self, id: &str) -> Vec<UserSegment> {
        let root = self.root(id);
        let membership = &self.engine.memberships()[self.worker_of(&root)];
        let found: Vec<_> = membership.read().segments_of(&root).cloned().collect();
        let documents = self.editor.documents();
        let named = found
            .into_iter()
            .map(|id| UserSegment { name: documents.name_of(&id).to_owned(), segment_id: id.to_string() });
        let mut segments: Vec<UserSegment> = named.collect();
        segments.sort_unstable_by(|a, b| a.segment_id.cmp(&b.segment_id));
        segments
    }

    /// A user's ids, traits and segments; reads the user's history.
    pub(crate) fn view(&self, id: &str) -> Result<UserView> {
        let root = self.root(id);
        let ids = self.engine.aliases().read().ids_since(&root);
        let history = self.records_of(&ids)?;
        let documents = self.editor.documents();
        let mut view = user::view(&ids, &history, &documents.catalogue.traits, clock::now())
            .ok_or_else(|| PlatformError::NotFound { kind: ResourceKind::User, id: id.to_owned() })?;
        view.segments = self.segments_of(&root);
        Ok(view)
    }

    /// Gives everything that is held of a user to `take`, piece by piece, until it returns false.
    pub(crate) fn export(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        let view = self.view(id)?;
        let ids = self.engine.aliases().read().ids_since(&view.user_id);
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let mut export = user::Export::new(&view, take);
        let visit = &mut |run: &[u8]| export.add(user::of_user(run, &ids));
        self.events.visit_users(&known, self.events.end(), visit).map_err(unavailable)?;
        export.finish(&self.refused.of_user(&self.ids(id)).map_err(unavailable)?);
        Ok(())
    }
}
