//! The receivers of `audience serve` beside Kafka: Redis, Aerospike, and the targets of webhooks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_aerospike::{AerospikeProfiles, AerospikeSink, AerospikeSizes};
use audience_contract::{ProfileStore, Sink, SizeStore, WebhookStore};
use audience_engine::service::{Service, WebhookOptions};
use audience_redis::{RedisProfiles, RedisSink};
use audience_webhooks::HttpWebhooks;

use crate::settings::{Connections, ServeSettings, named, named_in};

/// The receivers, not joined to a platform yet. They are created before a recovery, which may take long, so that a wrong
/// setting is an error at once.
pub(crate) struct Outside {
    sinks: Vec<Box<dyn Sink>>,
    sizes: Vec<Box<dyn SizeStore>>,
    profiles: Vec<Box<dyn ProfileStore>>,
    refresh: Duration,
    webhooks: Arc<HttpWebhooks>,
    give_up_after: Duration,
}

impl Outside {
    /// Creates clients by the settings; connects to nothing yet.
    pub(crate) fn new(settings: &ServeSettings) -> anyhow::Result<Outside> {
        let (flags, connections) = (&settings.flags, &settings.connections);
        if flags.profiles && connections.redis.is_none() && connections.aerospike.is_none() {
            bail!(
                "{}: profiles are kept in Redis or Aerospike, and neither is named: add --redis or --aerospike",
                named("profiles")
            );
        }
        let ca_file = flags.webhooks.webhook_ca_file.as_deref();
        let webhooks = HttpWebhooks::new(flags.webhooks.webhook_private_targets, ca_file);
        let mut outside = Outside {
            sinks: Vec::new(),
            sizes: Vec::new(),
            profiles: Vec::new(),
            refresh: Duration::from_secs(flags.profile_refresh_seconds.into()),
            webhooks: Arc::new(match ca_file {
                Some(_) => webhooks.with_context(|| named("webhook_ca_file"))?,
                None => webhooks?,
            }),
            give_up_after: Duration::from_secs(3_600 * u64::from(flags.webhooks.webhook_give_up_hours)),
        };
        outside.add_stores(connections, flags.profiles)?;
        Ok(outside)
    }

    fn add_stores(&mut self, connections: &Connections, has_profiles: bool) -> anyhow::Result<()> {
        if let Some(redis) = &connections.redis {
            let sink = RedisSink::new(redis.clone()).with_context(|| named_in("redis", "url"))?;
            self.sinks.push(Box::new(sink));
            if has_profiles {
                self.profiles.push(Box::new(RedisProfiles::new(redis.clone())?));
            }
        }
        if let Some(aerospike) = &connections.aerospike {
            self.sinks.push(Box::new(AerospikeSink::new(aerospike.clone())?));
            self.sizes.push(Box::new(AerospikeSizes::new(aerospike.clone())?));
            if has_profiles {
                self.profiles.push(Box::new(AerospikeProfiles::new(aerospike.clone())?));
            }
        }
        Ok(())
    }

    /// Has a platform emit to all receivers; the webhooks are those of the store.
    pub(crate) fn join(self, service: &Arc<Service>, webhooks: Arc<dyn WebhookStore>) -> anyhow::Result<()> {
        self.sinks.into_iter().try_for_each(|sink| service.emit_to(sink))?;
        self.sizes.into_iter().try_for_each(|store| service.write_sizes_to(store))?;
        self.profiles.into_iter().try_for_each(|store| service.write_profiles_to(store, self.refresh))?;
        let (client, give_up_after) = (self.webhooks, self.give_up_after);
        Ok(service.post_webhooks(WebhookOptions { store: webhooks, client, give_up_after })?)
    }
}
