//! What `audience serve` gives out to beside Kafka: Redis, Aerospike, and the targets of webhooks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_aerospike::{AerospikeProfiles, AerospikeSink, AerospikeSizes};
use audience_contract::{ProfileStore, Sink, SizeStore, WebhookStore};
use audience_engine::service::{Service, WebhookOptions};
use audience_redis::{RedisProfiles, RedisSink};
use audience_webhooks::HttpWebhooks;

use crate::settings::{ServeSettings, named, named_in};

/// All that is given out to, not joined to anything yet. It is made before a start brings anything back, which may take long:
/// a setting that is wrong is told at once.
pub struct Outside {
    sinks: Vec<Box<dyn Sink>>,
    sizes: Vec<Box<dyn SizeStore>>,
    profiles: Vec<Box<dyn ProfileStore>>,
    refresh: Duration,
    webhooks: Arc<HttpWebhooks>,
    give_up_after: Duration,
}

impl Outside {
    /// As the settings say; reaches nothing yet.
    pub fn new(settings: &ServeSettings) -> anyhow::Result<Outside> {
        if settings.profiles && settings.redis.is_none() && settings.aerospike.is_none() {
            bail!(
                "{}: profiles are kept in Redis or Aerospike, and neither is named: add --redis or --aerospike",
                named("profiles")
            );
        }
        let ca_file = settings.webhook_ca_file.as_deref();
        let webhooks = HttpWebhooks::new(settings.webhook_private_targets, ca_file);
        let mut outside = Outside {
            sinks: Vec::new(),
            sizes: Vec::new(),
            profiles: Vec::new(),
            refresh: Duration::from_secs(settings.profile_refresh_seconds.into()),
            webhooks: Arc::new(match ca_file {
                Some(_) => webhooks.with_context(|| named("webhook_ca_file"))?,
                None => webhooks?,
            }),
            give_up_after: Duration::from_secs(3_600 * u64::from(settings.webhook_give_up_hours)),
        };
        outside.add_stores(settings)?;
        Ok(outside)
    }

    fn add_stores(&mut self, settings: &ServeSettings) -> anyhow::Result<()> {
        if let Some(redis) = &settings.redis {
            let sink = RedisSink::new(redis.clone()).with_context(|| named_in("redis", "url"))?;
            self.sinks.push(Box::new(sink));
            if settings.profiles {
                self.profiles.push(Box::new(RedisProfiles::new(redis.clone())?));
            }
        }
        if let Some(aerospike) = &settings.aerospike {
            self.sinks.push(Box::new(AerospikeSink::new(aerospike.clone())?));
            self.sizes.push(Box::new(AerospikeSizes::new(aerospike.clone())?));
            if settings.profiles {
                self.profiles.push(Box::new(AerospikeProfiles::new(aerospike.clone())?));
            }
        }
        Ok(())
    }

    /// Has a platform give out to all of it; what webhooks there are is in the store.
    pub fn join(self, service: &Arc<Service>, webhooks: Arc<dyn WebhookStore>) -> anyhow::Result<()> {
        self.sinks.into_iter().try_for_each(|sink| service.emit_to(sink))?;
        self.sizes.into_iter().try_for_each(|store| service.write_sizes_to(store))?;
        self.profiles.into_iter().try_for_each(|store| service.write_profiles_to(store, self.refresh))?;
        let (client, give_up_after) = (self.webhooks, self.give_up_after);
        Ok(service.post_webhooks(WebhookOptions { store: webhooks, client, give_up_after })?)
    }
}
