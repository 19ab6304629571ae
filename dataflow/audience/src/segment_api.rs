//! `audience segment-api`: segments, traits and users' segments in a process without an engine.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use audience_aerospike::AerospikeReader;
use audience_api::{ApiOptions, Door, Listen, Scope};
use audience_auth::Auth;
use audience_catalogue::{SegmentApi, SegmentUpdates};
use audience_contract::ServingStore;
use audience_redis::RedisReader;
use clap::Args;

use crate::access;
use crate::asking::{CaFlag, ServerAddress};
use crate::connectors;
use crate::patient_catalogue::PatientCatalogue;
use crate::serving::Serving;
use crate::settings::{
    AccessSettings, Address, ConfigFlag, ConnectionFlags, Connections, HttpSettings, TlsProcess, named, named_in,
};
use crate::telemetry::TelemetrySettings;
use crate::updates::{self, Updates};
use crate::{process_metrics, telemetry};

/// Settings of `audience segment-api`; a file may say the rest, as it does for `audience serve`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("aerospike", |argument| argument.conflicts_with("redis")))]
pub(crate) struct SegmentApiFlags {
    #[command(flatten)]
    config: ConfigFlag,
    /// The address at which segments, traits and users are served.
    #[arg(
        long,
        visible_alias = "port",
        env = "AUDIENCE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8081"
    )]
    listen: Address,
    #[command(flatten)]
    connections: ConnectionFlags,
    /// The URL of a process with an engine, `http://host:port` or `https://host:port`, which answers what only an engine can.
    /// [default: none]
    #[arg(long, env = "AUDIENCE_ENGINE", value_name = "URL")]
    engine: Option<String>,
    #[command(flatten)]
    ca: CaFlag,
    #[command(flatten)]
    access: AccessSettings,
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    telemetry: TelemetrySettings,
}

/// Runs until told to stop.
pub(crate) fn run(flags: SegmentApiFlags) -> anyhow::Result<ExitCode> {
    let engine = |url: &str| ServerAddress::parse(url, "--engine (AUDIENCE_ENGINE)", &flags.ca);
    let engine = flags.engine.as_deref().map(engine).transpose()?;
    let is_redis = flags.connections.redis.is_some();
    let connections = Connections::load(flags.connections, &flags.config)?;
    let _telemetry = telemetry::start(&flags.telemetry, "segment-api")?;
    process_metrics::begin(None, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listeners = [flags.listen.0];
    let process = TlsProcess { data: None, listeners: &listeners, public_url: flags.access.public_url.as_deref() };
    let trusted_proxies = flags.access.proxies()?;
    let engine_tls = engine.as_ref().and_then(|engine| engine.tls.clone());
    let engine = engine.map(|engine| engine.authority);
    let options =
        ApiOptions { engine, engine_tls, trusted_proxies, ..flags.http.options(process, connections.redis.as_ref())? };
    let ended = runtime.block_on(serve(flags.listen.0, flags.access, connections, is_redis, options));
    // A start that was cut off may be waiting for a server.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

fn start(
    address: SocketAddr,
    access: &AccessSettings,
    connections: &Connections,
    is_redis: bool,
    door: &Door,
) -> anyhow::Result<(Arc<SegmentApi>, Arc<Auth>)> {
    let url = connections.postgres.as_deref();
    let url = url.with_context(|| format!("no PostgreSQL is named: give {}", named("postgres")))?;
    // Where a file names both, Aerospike is what an engine's readers go to.
    let memberships: Option<Arc<dyn ServingStore>> = match (&connections.aerospike, &connections.redis) {
        (Some(aerospike), _) if !is_redis => Some(Arc::new(AerospikeReader::new(aerospike.clone())?)),
        (_, Some(redis)) => {
            let reader = RedisReader::new(redis.clone()).with_context(|| named_in("redis", "url"))?;
            Some(Arc::new(reader))
        }
        _ => None,
    };
    let updates = connections.kafka.as_ref().map(Updates::new).transpose()?;
    let updates = updates.map(|updates| Arc::new(updates) as Arc<dyn SegmentUpdates>);
    let postgres = Arc::new(PatientCatalogue::new(connectors::postgres(url, door)?, door));
    let auth = access::open(Some(postgres.clone()), access, &[address])?;
    let api = SegmentApi::start((postgres.clone(), postgres.clone()), memberships, updates)?;
    postgres.started();
    if let Some(kafka) = &connections.kafka {
        let looking = Arc::downgrade(&api);
        updates::follow(kafka, move || looking.upgrade().iter().for_each(|api| api.look_at_catalogue()))?;
    }
    Ok((api, auth))
}

async fn serve(
    address: SocketAddr,
    access: AccessSettings,
    connections: Connections,
    is_redis: bool,
    options: ApiOptions,
) -> anyhow::Result<()> {
    let listen = [Listen { address, scope: Scope::Segments, flag: "--listen" }];
    let mut serving = Serving::begin(&listen, options).await?;
    let started = serving.start(move |door| start(address, &access, &connections, is_redis, door)).await?;
    let Some((api, auth)) = started else { return Ok(()) };
    for address in serving.open(api.platform(), auth.clone()) {
        let scheme = serving.scheme();
        writeln!(std::io::stdout(), "audience is ready on {scheme}://{address} (segments, traits and users)")?;
        access::tell_first_admin(&auth, scheme, *address).await?;
    }
    serving.until_told().await;
    tokio::task::spawn_blocking(move || api.stop()).await.context("the end was cut off")
}
