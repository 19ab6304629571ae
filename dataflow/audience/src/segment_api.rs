//! `audience segment-api`: segments, traits and users' segments in a process without an engine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use audience_aerospike::AerospikeReader;
use audience_api::{ApiOptions, Listen, Scope, Server};
use audience_contract::ServingStore;
use audience_dataflow::service::{SegmentApi, SegmentUpdate, SegmentUpdates, clock};
use audience_kafka::Notices;
use audience_kafka::topics::{self, Topic};
use audience_redis::RedisReader;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::connectors;
use crate::serve::{start_log, stop_signal};
use crate::settings::{KafkaSettings, LogFormat, ServeFlags, ServeSettings};

/// Settings as flags and variables say them; a file may say the rest, as it does of `audience serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct SegmentApiFlags {
    /// A TOML file of settings, the same as of `audience serve`. [default: none]
    #[arg(long, env = "AUDIENCE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where segments, traits and users are served. [default: 127.0.0.1:8081]
    #[arg(long, env = "AUDIENCE_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where PostgreSQL is, as a libpq URL: segments and traits are there. [default: what the file says]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// Where Redis is: users' segments are read there. [default: what the file says]
    #[arg(long, env = "AUDIENCE_REDIS", value_name = "URL", hide_env_values = true)]
    redis: Option<String>,
    /// Nodes of Aerospike: users' segments are read there. [default: what the file says]
    #[arg(long, env = "AUDIENCE_AEROSPIKE", value_name = "HOSTS", conflicts_with = "redis")]
    aerospike: Option<String>,
    /// Brokers of Kafka: changes of segments are told in `segment-updates`. [default: what the file says]
    #[arg(long, env = "AUDIENCE_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// A process with an engine, `http://host:port`: what only such a one can answer is asked there. [default: none]
    #[arg(long, env = "AUDIENCE_ENGINE", value_name = "URL")]
    engine: Option<String>,
    /// How log lines are written. [default: text]
    #[arg(long, env = "AUDIENCE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged. [default: as of `audience serve`]
    #[arg(long, env = "AUDIENCE_LOG", value_name = "FILTER")]
    log: Option<String>,
}

/// Runs until told to stop.
pub fn run(flags: SegmentApiFlags) -> anyhow::Result<ExitCode> {
    let engine = flags.engine.as_deref().map(authority).transpose()?;
    let is_redis = flags.redis.is_some();
    let settings = ServeSettings::load(ServeFlags {
        config: flags.config,
        listen: flags.listen,
        postgres: flags.postgres,
        redis: flags.redis,
        aerospike: flags.aerospike,
        kafka: flags.kafka,
        log_format: flags.log_format,
        log: flags.log,
        ..ServeFlags::default()
    })?;
    start_log(&settings)?;
    let api = start(&settings, is_redis)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(api.clone(), settings.listen, engine));
    runtime.shutdown_background();
    api.stop();
    ended.map(|()| ExitCode::SUCCESS)
}

/// `host:port` of an address.
fn authority(url: &str) -> anyhow::Result<String> {
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    match authority {
        Some(authority) if !authority.contains('/') && authority.contains(':') => Ok(authority.to_owned()),
        _ => bail!("--engine {url}: it is to be http://host:port"),
    }
}

fn start(settings: &ServeSettings, is_redis: bool) -> anyhow::Result<Arc<SegmentApi>> {
    let url = settings.postgres.as_deref();
    let catalogue = connectors::postgres(url.context("no PostgreSQL is named: give --postgres URL, or it in a file")?)?;
    // Where a file names both, Aerospike is what an engine's readers go to.
    let memberships: Option<Arc<dyn ServingStore>> = match (&settings.aerospike, &settings.redis) {
        (Some(aerospike), _) if !is_redis => Some(Arc::new(AerospikeReader::new(aerospike.clone())?)),
        (_, Some(redis)) => Some(Arc::new(RedisReader::new(redis.clone())?)),
        _ => None,
    };
    let updates = settings.kafka.as_ref().map(Updates::new).transpose()?;
    let updates = updates.map(|updates| Arc::new(updates) as Arc<dyn SegmentUpdates>);
    Ok(SegmentApi::start(catalogue, memberships, updates)?)
}

async fn serve(api: Arc<SegmentApi>, address: SocketAddr, engine: Option<String>) -> anyhow::Result<()> {
    let stopped = stop_signal(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let options = ApiOptions { clock: clock::now, engine, ..ApiOptions::default() };
    let listen = [Listen { address, scope: Scope::Segments, flag: "--listen" }];
    let server = Server::bind(api, &listen, options).await?;
    writeln!(std::io::stdout(), "audience is ready on http://{address} (segments, traits and users)")?;
    server.run(stopped).await;
    Ok(())
}

/// Tells of changes of segments in Kafka.
struct Updates(Notices);

impl Updates {
    /// The brokers need not be there; where they are not, the topic is to be.
    fn new(settings: &KafkaSettings) -> anyhow::Result<Updates> {
        let topic = connectors::topic(settings, Topic::segment_updates());
        if let Err(error) = topics::ensure(&settings.connection, std::slice::from_ref(&topic)) {
            tracing::warn!(%error, topic = topic.name, "the topic of changed segments could not be made");
        }
        Ok(Updates(Notices::new(&settings.connection, &topic.name)?))
    }
}

impl SegmentUpdates for Updates {
    fn tell(&self, update: &SegmentUpdate) {
        match serde_json::to_vec(update) {
            Ok(notice) => self.0.send(&update.segment_id, &notice),
            Err(error) => tracing::warn!(%error, "a change of a segment could not be told"),
        }
    }

    fn fault(&self) -> Option<String> {
        self.0.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn an_engine_is_a_host_and_a_port() {
        assert_eq!(authority("http://engine:8081/").ok().as_deref(), Some("engine:8081"));
        for bad in ["engine:8081", "https://engine:8081", "http://engine", "http://engine:8081/api"] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }
}
