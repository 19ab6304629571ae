//! Sizes of segments, counted from the change log.

use audience_protocol::{Overlaps, Result, SizeHistory, SizeQuery, SizeResource, SizesNow};

use crate::service::Service;

impl SizeResource for Service {
    fn sizes_now(&self) -> Result<SizesNow> {
        Ok(self.all_sizes())
    }

    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        self.size_history(id, query)
    }

    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        self.lookup.overlap(id, others)
    }
}
