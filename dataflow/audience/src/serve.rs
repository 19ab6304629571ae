//! `audience serve`: everything in one process on embedded stores.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_aerospike::{AerospikeProfiles, AerospikeSink, AerospikeSizes};
use audience_api::{ApiOptions, Listen, Scope, Server};
use audience_contract::{CatalogueStore, ProfileStore, WebhookStore};
use audience_dataflow::cluster::coordinator::Coordinator;
use audience_dataflow::engine::EngineOptions;
use audience_dataflow::service::archive::Offsite;
use audience_dataflow::service::{PlatformStores, Service, ServiceOptions, WebhookOptions, clock};
use audience_embedded::{Options, Stores};
use audience_redis::{RedisProfiles, RedisSink};
use audience_webhooks::HttpWebhooks;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::demo::Demo;
use crate::settings::{ServeFlags, ServeSettings};
use crate::updates::{self, Updates};
use crate::{connectors, offsite, telemetry};

/// Runs until told to stop.
pub fn run(flags: ServeFlags) -> anyhow::Result<ExitCode> {
    let settings = ServeSettings::load(flags)?;
    let _telemetry = telemetry::start(&settings, "serve")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    run_on(runtime, settings, None)
}

/// The other processes that compute too.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where they join.
    pub listen: String,
    /// How many processes there are, this one among them.
    pub processes: usize,
}

/// Runs until told to stop, with the other processes of a cluster, if there are any.
pub fn run_on(
    runtime: tokio::runtime::Runtime,
    settings: ServeSettings,
    cluster: Option<Cluster>,
) -> anyhow::Result<ExitCode> {
    let ended = runtime.block_on(serve(settings, cluster));
    // A start that was cut off may be waiting for a server; nothing of it is to be kept.
    runtime.shutdown_background();
    ended
}

async fn serve(settings: ServeSettings, cluster: Option<Cluster>) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let opened = settings.clone();
    let starting = tokio::task::spawn_blocking(move || start(&opened, cluster.as_ref()));
    let (service, demo) = tokio::select! {
        service = starting => service.context("the start was cut off")??,
        // Nothing has been accepted yet, so there is nothing to drain.
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
    };
    let listen = [
        Listen { address: settings.listen, scope: Scope::All, flag: "--listen" },
        Listen { address: settings.listen_ingest, scope: Scope::Ingestion, flag: "--listen-ingest" },
    ];
    let options = ApiOptions {
        clock: clock::now,
        max_streams: settings.max_streams,
        figures: telemetry::figures,
        ..ApiOptions::default()
    };
    let server = Server::bind(service.clone(), &listen, options).await?;
    // On standard output, so that scripts can wait for it; with the ports that were free, where port 0 was asked for.
    let [all, ingest] = server.addresses()[..] else { anyhow::bail!("the addresses are not known") };
    writeln!(std::io::stdout(), "audience is ready on http://{all} (events also on http://{ingest})")?;
    let live = demo.map(|demo| tokio::spawn(demo.live(service.clone())));
    let stopped = stop_signal(interrupt, terminate);
    let failed = watch(service.clone());
    let outcome = tokio::select! {
        () = server.run(stopped) => Ok(()),
        reason = failed => Err(anyhow::anyhow!("{reason}; start again: nothing that was accepted is lost")),
    };
    live.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::task::spawn_blocking(move || service.stop()).await.context("the end was cut off")?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Ends with the first signal; the second ends the process.
pub fn stop_signal(mut interrupt: Signal, mut terminate: Signal) -> impl Future<Output = ()> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("draining; a second signal ends at once");
        let _ = stop.send(());
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        #[expect(
            clippy::disallowed_methods,
            reason = "asked for by the second signal; everything accepted is durable"
        )]
        std::process::exit(130);
    });
    async { drop(stopped.await) }
}

/// Ends when the engine has failed, or another process is to stop: without it nothing can be computed.
async fn watch(service: Arc<Service>) -> String {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(reason) = service.failure() {
            return reason;
        }
        if let Some(process) = service.leaving() {
            return format!("process {process} leaves the cluster");
        }
    }
}

/// Starts the platform, and fills it where that is asked for.
fn start(settings: &ServeSettings, cluster: Option<&Cluster>) -> anyhow::Result<(Arc<Service>, Option<Demo>)> {
    let mut demo = settings.demo.then(|| Demo::open(&settings.data)).transpose()?;
    let service = start_platform(settings, cluster)?;
    demo.iter_mut().try_for_each(|demo| demo.fill(&service))?;
    Ok((service, demo))
}

fn start_platform(settings: &ServeSettings, cluster: Option<&Cluster>) -> anyhow::Result<Arc<Service>> {
    if settings.profiles && settings.redis.is_none() && settings.aerospike.is_none() {
        bail!("profiles are kept in Redis or Aerospike, and neither is named: add --redis or --aerospike");
    }
    let bind = |cluster: &Cluster| Coordinator::bind(&cluster.listen, cluster.processes).map(Arc::new);
    let cluster = cluster.map(bind).transpose()?;
    let stores = Stores::open(&settings.data, &Options::default())?;
    let postgres = settings.postgres.as_deref().map(connectors::postgres).transpose()?;
    let is_new = stores.changes().progress()?.is_none();
    connectors::check_catalogue(&settings.data, is_new, postgres.as_deref())?;
    // A copy of the catalogue is kept where it is in the data directory and nowhere else.
    let keeps_catalogue = postgres.is_none();
    let (catalogue, webhooks): (Arc<dyn CatalogueStore>, Arc<dyn WebhookStore>) = match postgres {
        Some(catalogue) => (catalogue.clone(), catalogue),
        None => (stores.catalogue(), stores.webhooks()),
    };
    let objects = settings.checkpoints.as_deref().map(|url| offsite::open(url, &settings.data, is_new)).transpose()?;
    if objects.is_some() {
        // Those in the data directory are of no use any more, and name users who may be erased.
        stores.checkpoints().prune(0)?;
    }
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        changes: stores.changes(),
        notes: stores.notes(),
        catalogue,
        checkpoints: objects.as_ref().map_or_else(|| stores.checkpoints(), |objects| objects.checkpoints()),
    };
    let options = ServiceOptions {
        engine: EngineOptions { workers: settings.workers, ..EngineOptions::default() },
        cluster,
        checkpoint_interval: Duration::from_secs(settings.checkpoint_seconds),
    };
    let offsite = objects.map(|objects| Offsite {
        history: objects.history(),
        file_events: settings.history.events.get().into(),
        file_age: Duration::from_secs(settings.history.seconds),
        keeps_catalogue,
    });
    let service = Service::start_with(stores, offsite, options)?;
    if let Some(kafka) = &settings.kafka {
        connectors::join_kafka(&service, kafka)?;
        service.tell_updates(Arc::new(Updates::new(kafka)?))?;
        if settings.postgres.is_some() {
            let looking = Arc::downgrade(&service);
            updates::follow(kafka, move || looking.upgrade().iter().for_each(|service| service.look_at_catalogue()))?;
        }
    }
    join_stores(&service, settings)?;
    service.post_webhooks(WebhookOptions {
        store: webhooks,
        client: Arc::new(HttpWebhooks::new(settings.webhook_private_targets, settings.webhook_ca_file.as_deref())?),
        give_up_after: Duration::from_secs(3_600 * u64::from(settings.webhook_give_up_hours)),
    })?;
    Ok(service)
}

/// Gives memberships, sizes and profiles out to the stores that there are.
fn join_stores(service: &Arc<Service>, settings: &ServeSettings) -> anyhow::Result<()> {
    let mut profiles: Vec<Box<dyn ProfileStore>> = Vec::new();
    if let Some(redis) = &settings.redis {
        service.give_out_to(Box::new(RedisSink::new(redis.clone())?))?;
        profiles.push(Box::new(RedisProfiles::new(redis.clone())?));
    }
    if let Some(aerospike) = &settings.aerospike {
        service.give_out_to(Box::new(AerospikeSink::new(aerospike.clone())?))?;
        service.give_sizes_to(Box::new(AerospikeSizes::new(aerospike.clone())?))?;
        profiles.push(Box::new(AerospikeProfiles::new(aerospike.clone())?));
    }
    if !settings.profiles {
        return Ok(());
    }
    let refresh = Duration::from_secs(settings.profile_refresh_seconds.into());
    profiles.into_iter().try_for_each(|store| Ok(service.give_profiles_to(store, refresh)?))
}
