//! Events, taken into the event log.

use audience_protocol::{EventResource, Result, Schema};

use crate::service::Service;

impl EventResource for Service {
    fn ingest(&self, records: Vec<u8>, _count: usize) -> Result<()> {
        self.accept(records).map(drop)
    }

    fn schema(&self) -> Result<Schema> {
        Ok(self.shape())
    }
}
