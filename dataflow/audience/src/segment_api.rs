//! `audience segment-api`: segments, traits and users' segments in a process without an engine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use audience_aerospike::AerospikeReader;
use audience_api::{ApiOptions, Door, Listen, Scope};
use audience_catalogue::{SegmentApi, SegmentUpdates};
use audience_contract::ServingStore;
use audience_engine::service::clock;
use audience_redis::RedisReader;
use clap::Args;

use crate::serving::Serving;
use crate::settings::{LogFormat, ServeFlags, ServeSettings, named, named_in};
use crate::updates::{self, Updates};
use crate::{connectors, telemetry};

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
    /// Where spans go by OTLP over HTTP, `http://host:4318`. [default: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere]
    #[arg(long, env = "AUDIENCE_OTLP", value_name = "URL")]
    otlp: Option<String>,
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
        otlp: flags.otlp,
        log_format: flags.log_format,
        log: flags.log,
        ..ServeFlags::default()
    })?;
    let _telemetry = telemetry::start(&settings, "segment-api")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(settings, is_redis, engine));
    // A start that was cut off may be waiting for a server.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

/// `host:port` of an address.
fn authority(url: &str) -> anyhow::Result<String> {
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    match authority {
        Some(authority) if !authority.contains('/') && authority.contains(':') => Ok(authority.to_owned()),
        _ => bail!("--engine (AUDIENCE_ENGINE) is {url}: it is to be http://host:port"),
    }
}

fn start(settings: &ServeSettings, is_redis: bool, door: &Door) -> anyhow::Result<Arc<SegmentApi>> {
    let url = settings.postgres.as_deref();
    let url = url.with_context(|| format!("no PostgreSQL is named: give {}", named("postgres")))?;
    // Where a file names both, Aerospike is what an engine's readers go to.
    let memberships: Option<Arc<dyn ServingStore>> = match (&settings.aerospike, &settings.redis) {
        (Some(aerospike), _) if !is_redis => Some(Arc::new(AerospikeReader::new(aerospike.clone())?)),
        (_, Some(redis)) => {
            let reader = RedisReader::new(redis.clone()).with_context(|| named_in("redis", "url"))?;
            Some(Arc::new(reader))
        }
        _ => None,
    };
    let updates = settings.kafka.as_ref().map(Updates::new).transpose()?;
    let updates = updates.map(|updates| Arc::new(updates) as Arc<dyn SegmentUpdates>);
    let api = SegmentApi::start(connectors::postgres(url, door)?, memberships, updates)?;
    if let Some(kafka) = &settings.kafka {
        let looking = Arc::downgrade(&api);
        updates::follow(kafka, move || looking.upgrade().iter().for_each(|api| api.look_at_catalogue()))?;
    }
    Ok(api)
}

async fn serve(settings: ServeSettings, is_redis: bool, engine: Option<String>) -> anyhow::Result<()> {
    let options = ApiOptions { clock: clock::now, engine, figures: telemetry::figures, ..ApiOptions::default() };
    let listen = [Listen { address: settings.listen, scope: Scope::Segments, flag: "--listen" }];
    let mut serving = Serving::begin(&listen, options).await?;
    let Some(api) = serving.start(move |door| start(&settings, is_redis, door)).await? else { return Ok(()) };
    for address in serving.open(api.platform()) {
        writeln!(std::io::stdout(), "audience is ready on http://{address} (segments, traits and users)")?;
    }
    serving.until_told().await;
    tokio::task::spawn_blocking(move || api.stop()).await.context("the end was cut off")
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
