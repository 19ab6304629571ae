//! Memberships read from Aerospike.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aerospike::operations::lists::{self, ListReturnType};
use aerospike::{Bins, Client, ResultCode, Value};
use audience_contract::{HeldMembership, Reach, Result, ServingError, ServingState, ServingStore};
use futures_util::future::try_join_all;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio::try_join;

use crate::cluster::{self, ClientThreads};
use crate::layout::{self, RecordLayout};
use crate::{AerospikeSettings, Error};

const READING: &str = "reading memberships from Aerospike";
/// Milliseconds that a look at the state may take.
const LOOK_MS: u32 = 1_000;

/// Reads what [`AerospikeSink`](crate::AerospikeSink) writes. The nodes need not be there at the start: a look at the state
/// joins them.
///
/// Costs two gets side by side, and one more for a user who is in nothing.
pub struct AerospikeReader {
    settings: AerospikeSettings,
    layout: RecordLayout,
    // Before the threads, which it lives on.
    client: OnceCell<Arc<Client>>,
    /// The cluster of the lists, which may be another one.
    lists: OnceCell<Arc<Client>>,
    threads: ClientThreads,
}

impl AerospikeReader {
    /// One that connects when its state is first asked for.
    pub fn new(settings: AerospikeSettings) -> Result<Self, Error> {
        let layout = RecordLayout::new(&settings);
        Ok(AerospikeReader {
            settings,
            layout,
            client: OnceCell::new(),
            lists: OnceCell::new(),
            threads: ClientThreads::new()?,
        })
    }

    async fn look(&self) -> Result<ServingState, Error> {
        let hosts = self.settings.user_profiles.hosts.as_ref().unwrap_or(&self.settings.hosts);
        let client = self.client.get_or_try_init(|| cluster::connect(hosts, &self.settings)).await?;
        self.reached(client, LOOK_MS).await
    }

    /// The position that the writer of these settings has stored.
    async fn reached(&self, client: &Client, timeout_ms: u32) -> Result<ServingState, Error> {
        let policy = cluster::read_policy(timeout_ms);
        let record = match client.get(&policy, &self.layout.writer_key()?, Bins::from([layout::REACH])).await {
            Ok(record) => record,
            Err(error) if is_missing(&error) => return Ok(ServingState::Empty),
            Err(error) => return Err(error.into()),
        };
        let Some(Value::String(reach)) = record.bins.get(layout::REACH) else { return Ok(ServingState::Empty) };
        let reach: Reach = serde_json::from_str(reach).map_err(Error::Unreadable)?;
        Ok(ServingState::of(Some(&reach)))
    }

    /// None where there is no record.
    async fn get(&self, client: &Client, user_id: &str) -> Result<Vec<HeldMembership>, Error> {
        let policy = cluster::read_policy(self.settings.read_timeout_ms);
        let key = self.layout.user_key(user_id)?;
        match client.get(&policy, &key, Bins::from([layout::SEGMENTS])).await {
            Ok(record) => match record.bins.get(layout::SEGMENTS) {
                Some(segments) => layout::held(segments)
                    .ok_or_else(|| Error::Damaged("a user's segments are in no form that is known".to_owned())),
                None => Ok(Vec::new()),
            },
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The state before the read and, of a user who seems to be in nothing, after it too: what was emptied or filled in between
    /// is nobody's answer.
    async fn read(&self, user_id: &str) -> Result<Result<Vec<HeldMembership>, ServingError>, Error> {
        let Some(client) = self.client.get() else { return Err(Error::Unconnected) };
        let patience = self.settings.read_timeout_ms;
        let (state, held) = try_join!(self.reached(client, patience), self.get(client, user_id))?;
        let after = if held.is_empty() { self.reached(client, patience).await? } else { state };
        Ok(state.check().and_then(|()| after.check()).map(|()| held))
    }

    /// Returns whether the lists of these segments name a user; those that are not kept count as if they did.
    async fn listing(&self, user_id: &str, segments: &[String]) -> Result<Vec<bool>, Error> {
        let hosts = self.settings.segment_ownership.hosts.as_ref().unwrap_or(&self.settings.hosts);
        let client = self.lists.get_or_try_init(|| cluster::connect(hosts, &self.settings)).await?;
        let given_up = self.given_up(client).await?;
        let segments = segments
            .iter()
            .map(|segment| async { Ok(given_up.contains(segment) || self.is_listed(client, user_id, segment).await?) });
        try_join_all(segments).await
    }

    /// The segments whose lists are too large to be kept.
    async fn given_up(&self, client: &Client) -> Result<BTreeSet<String>, Error> {
        let policy = cluster::read_policy(LOOK_MS);
        match client.get(&policy, &self.layout.mark_key()?, Bins::from([layout::GIVEN_UP])).await {
            Ok(record) => Ok(layout::given_up(record.bins.get(layout::GIVEN_UP))),
            Err(error) if is_missing(&error) => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn is_listed(&self, client: &Client, user_id: &str, segment: &str) -> Result<bool, Error> {
        let key = self.layout.list_key(segment, user_id)?;
        let look = lists::get_by_value(layout::USERS, Value::from(user_id), ListReturnType::EXISTS);
        match client.operate(&cluster::write_policy(LOOK_MS, None), &key, &[look]).await {
            Ok(record) => Ok(record.bins.get(layout::USERS) == Some(&Value::Bool(true))),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_missing(error: &aerospike::Error) -> bool {
    error.server_result_code() == Some(ResultCode::KeyNotFoundError)
}

/// Gives up after so many milliseconds, whatever the client does.
async fn within<T>(milliseconds: u32, what: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let limit = Duration::from_millis(milliseconds.into());
    timeout(limit, what).await.unwrap_or(Err(Error::Late(milliseconds)))
}

impl ServingStore for AerospikeReader {
    fn name(&self) -> &str {
        "aerospike"
    }

    fn state(&self) -> Result<ServingState> {
        self.threads.run(within(LOOK_MS, self.look())).map_err(|error| error.into_store(READING))
    }

    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, ServingError> {
        let patience = self.settings.read_timeout_ms;
        self.threads.run(within(patience, self.read(user_id))).map_err(|error| error.into_store(READING))?
    }

    fn are_listing(&self, user_id: &str, segments: &[String]) -> Result<Vec<bool>, ServingError> {
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let listing = self.threads.run(within(LOOK_MS, self.listing(user_id, segments)));
        Ok(listing.map_err(|error| error.into_store(READING))?)
    }
}
