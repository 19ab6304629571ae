//! Quotas, by settings.

use std::sync::Arc;

use anyhow::Context as _;
use audience_auth::{QuotaOptions, Quotas};
use audience_contract::QuotaStore;
use audience_engine::service::clock;
use audience_redis::{RedisQuota, RedisSettings};
use clap::Args;

use super::names::named_in;

/// Settings of quotas. A request that sends events counts by its events alone; health and figures are not counted.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct QuotaSettings {
    /// Requests a minute of all callers together; 0 for no bound. Processes with one Redis count together. [default: 1000 where
    /// callers must sign in]
    #[arg(long, env = "AUDIENCE_REQUESTS_PER_MINUTE", value_name = "N")]
    pub requests_per_minute: Option<u32>,
    /// Requests a minute of one API key; 0 for no bound. [default: 1000 where callers must sign in]
    #[arg(long, env = "AUDIENCE_KEY_REQUESTS_PER_MINUTE", value_name = "N")]
    pub key_requests_per_minute: Option<u32>,
    /// Requests a minute of one address, counted by each process for itself; 0 for no bound. [default: 1000 where callers must
    /// sign in]
    #[arg(long, env = "AUDIENCE_ADDRESS_REQUESTS_PER_MINUTE", value_name = "N")]
    pub address_requests_per_minute: Option<u32>,
    /// Events a minute that a tenant sends by HTTP, where it has no number of its own; 0 for no bound. Processes with one Redis
    /// count together. [default: 0]
    #[arg(long, env = "AUDIENCE_EVENTS_PER_MINUTE", value_name = "N")]
    pub events_per_minute: Option<u32>,
}

impl QuotaSettings {
    /// The quotas of a process, which others share by Redis.
    pub(crate) fn open(&self, redis: Option<&RedisSettings>) -> anyhow::Result<Arc<Quotas>> {
        let open = |redis: &RedisSettings| RedisQuota::new(redis.clone()).with_context(|| named_in("redis", "url"));
        let shared = redis.map(open).transpose()?.map(|store| Arc::new(store) as Arc<dyn QuotaStore>);
        let options = QuotaOptions {
            tenant: self.requests_per_minute,
            key: self.key_requests_per_minute,
            address: self.address_requests_per_minute,
            events: self.events_per_minute,
        };
        Ok(Arc::new(Quotas::new(options, shared, clock::now)))
    }
}
