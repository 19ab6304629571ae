//! Memberships read from Aerospike.

use std::sync::Arc;

use aerospike::{Bins, Client, ResultCode};
use audience_contract::{HeldMembership, ServingStore, StoreError};
use tokio::sync::OnceCell;

use crate::cluster::{self, Threads};
use crate::layout::{self, Layout};
use crate::{AerospikeSettings, Error};

const READING: &str = "reading memberships from Aerospike";

/// Reads what [`AerospikeSink`](crate::AerospikeSink) writes. The nodes need not be there at the start.
///
/// Costs one get.
pub struct AerospikeReader {
    settings: AerospikeSettings,
    layout: Layout,
    // Before the threads, which it lives on.
    client: OnceCell<Arc<Client>>,
    threads: Threads,
}

impl AerospikeReader {
    /// One that connects when it is first asked.
    pub fn new(settings: AerospikeSettings) -> Result<Self, Error> {
        let layout = Layout::new(&settings);
        Ok(AerospikeReader { settings, layout, client: OnceCell::new(), threads: Threads::new()? })
    }

    async fn get(&self, user_id: &str) -> Result<Vec<HeldMembership>, Error> {
        let (hosts, timeout) = (self.settings.user_profiles.hosts.as_ref(), self.settings.timeout_ms);
        let connect = || cluster::connect(hosts.unwrap_or(&self.settings.hosts), timeout);
        let client = self.client.get_or_try_init(connect).await?;
        let policy = cluster::read_policy(timeout);
        let key = self.layout.user_key(user_id)?;
        match client.get(&policy, &key, Bins::from([layout::SEGMENTS])).await {
            Ok(record) => match record.bins.get(layout::SEGMENTS) {
                Some(segments) => layout::held(segments)
                    .ok_or_else(|| Error::Damaged("a user's segments are in no form that is known".to_owned())),
                None => Ok(Vec::new()),
            },
            Err(error) if error.server_result_code() == Some(ResultCode::KeyNotFoundError) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl ServingStore for AerospikeReader {
    fn name(&self) -> &str {
        "aerospike"
    }

    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, StoreError> {
        self.threads.run(self.get(user_id)).map_err(|error| error.into_store(READING))
    }
}
