//! Sizes of segments, now and over time.

use std::sync::Arc;

use audience_background::Stop;
use audience_catalogue::Editor;
use audience_emit::Sizes;
use audience_protocol::{
    Breakdown, CurveInput, Leaderboard, Overlaps, Result, SizeCurve, SizeHistory, SizeQuery, SizeResource, SizesNow,
};

use crate::engine::Engine;
use crate::lookup::Lookup;

/// Answers the resource of sizes.
pub(super) struct SizeRequests {
    pub(super) engine: Arc<Engine>,
    pub(super) editor: Arc<Editor>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) sizes: Arc<Sizes>,
    pub(super) stop: Stop,
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

    fn segment_breakdown(&self, id: &str, field: &str, limit: usize) -> Result<Breakdown> {
        self.lookup.break_down(id, field, limit)
    }

    fn segment_leaderboard(&self, id: &str, limit: usize) -> Result<Leaderboard> {
        self.lookup.leaderboard(id, limit)
    }

    fn size_curve(&self, input: &CurveInput, is_wanted: &dyn Fn() -> bool) -> Result<SizeCurve> {
        self.lookup.curve(input, &|| is_wanted() && !self.stop.is_requested())
    }

    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        self.lookup.overlap(id, others)
    }
}
