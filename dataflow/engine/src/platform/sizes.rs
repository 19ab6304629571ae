//! Sizes of segments, now and over time.

use std::sync::Arc;

use audience_catalogue::Editor;
use audience_emit::Sizes;
use audience_protocol::{Overlaps, Result, SizeHistory, SizeQuery, SizeResource, SizesNow};

use crate::engine::Engine;
use crate::lookup::Lookup;

/// Answers the resource of sizes.
pub(super) struct SizeRequests {
    pub(super) engine: Arc<Engine>,
    pub(super) editor: Arc<Editor>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) sizes: Arc<Sizes>,
}

impl SizeResource for SizeRequests {
    fn sizes_now(&self) -> Result<SizesNow> {
        let in_force_version = self.editor.in_force();
        let documents = self.editor.documents();
        let known = self.engine.sizes();
        let size = |id: &String| (id.clone(), known.get(id.as_str()).copied().unwrap_or_default());
        let sizes = documents.segments.keys().map(size).collect();
        Ok(SizesNow { catalogue_version: documents.version, in_force_version, sizes })
    }

    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        self.sizes.history(id, query)
    }

    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        self.lookup.overlap(id, others)
    }
}
