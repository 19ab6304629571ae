//! Sizes of segments, counted from the change log.

use audience_protocol::{Overlaps, Result, SizeHistory, SizeQuery, SizeResource, SizesNow};

use crate::service::Service;

impl SizeResource for Service {
    fn sizes_now(&self) -> Result<SizesNow> {
        let in_force_version = self.editor.in_force();
        let (catalogue_version, ids) = self
            .editor
            .read(|documents| (documents.version, documents.segments.keys().cloned().collect::<Vec<String>>()));
        let known = self.engine.sizes();
        let sizes = ids.into_iter().map(|id| (known.get(id.as_str()).copied().unwrap_or_default(), id));
        Ok(SizesNow { catalogue_version, in_force_version, sizes: sizes.map(|(size, id)| (id, size)).collect() })
    }

    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        self.followers.sizes.history(id, query)
    }

    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        self.lookup.overlap(id, others)
    }
}
