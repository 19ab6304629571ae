//! `audience serve`: everything in one process on embedded stores.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use audience_api::{ApiOptions, Door, Listen, Scope};
use audience_auth::Auth;
use audience_background::Stop;
use audience_catalogue::StoredVocabulary;
use audience_contract::{AccessStore, CatalogueStore, WebhookStore};
use audience_embedded::Options;
use audience_engine::cluster::coordinator::Coordinator;
use audience_engine::durability::backup::DocumentStores;
use audience_engine::service::{Service, ServiceOptions, clock};
use audience_protocol::Platform;
use tokio::runtime::Handle;

use crate::backup::create::{BackupPart, BackupSource};
use crate::control::{ControlSocket, MakeBackup};
use crate::demo::Demo;
use crate::demo_loader::DemoLoader;
use crate::mail::Campaigns;
use crate::opening::{join_kafka, offsite_of, open_stores, platform_stores, service_options};
use crate::outside::Outside;
use crate::pairing::{self, PairContext, Paired};
use crate::patient_catalogue::PatientCatalogue;
use crate::serving::Serving;
use crate::settings::{ServeFlags, ServeSettings, named};
use crate::tenants::Tenants;
use crate::{access, backup, connectors, process_metrics, telemetry};

/// Runs until told to stop.
pub(crate) fn run(flags: ServeFlags) -> anyhow::Result<ExitCode> {
    let settings = ServeSettings::load(flags)?;
    let _telemetry = telemetry::start(&settings.flags.telemetry, "serve")?;
    process_metrics::begin(Some(settings.data()), 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    run_on(runtime, settings, None)
}

/// The other processes that compute too.
#[derive(Clone, Debug)]
pub(crate) struct OtherProcesses {
    /// The address at which they join.
    pub listen: String,
    /// The number of processes, this one among them.
    pub processes: usize,
}

/// Runs until told to stop, with the other processes of a cluster, if there are any.
pub(crate) fn run_on(
    runtime: tokio::runtime::Runtime,
    settings: ServeSettings,
    cluster: Option<OtherProcesses>,
) -> anyhow::Result<ExitCode> {
    clock::follow_jumps_after(Duration::from_secs(settings.flags.clock_jump_seconds.into()));
    let ended = runtime.block_on(serve(settings, cluster));
    // A start that was cut off may be waiting for a server; nothing of it is to be kept.
    runtime.shutdown_background();
    ended
}

async fn serve(settings: ServeSettings, cluster: Option<OtherProcesses>) -> anyhow::Result<ExitCode> {
    let listeners = [settings.flags.listen.0, settings.flags.listen_ingest.0];
    // A standby gets the log of one engine.
    let hosts_tenants = settings.flags.standby.lease.is_none();
    let listen = [
        Listen { address: listeners[0], scope: Scope::All, flag: "--listen" },
        Listen { address: listeners[1], scope: Scope::Ingestion, flag: "--listen-ingest" },
    ];
    let options = ApiOptions {
        max_streams: settings.flags.max_streams,
        trusted_proxies: settings.flags.access.proxies()?,
        hosts_tenants,
        ..settings.flags.http.options(settings.tls_process(&listeners), settings.connections.redis.as_ref())?
    };
    let mut serving = Serving::begin(&listen, options).await?;
    let data = settings.data().to_owned();
    let backed_up = data.clone();
    let of_tenants = settings.clone();
    let cut_off = Stop::new();
    let waits = cut_off.clone();
    let started = serving.start(move |door| start(&settings, cluster.as_ref(), door, waits)).await?;
    let Some((OpenedPlatform { service, own, auth, control, backups, campaigns, paired }, demo)) = started else {
        cut_off.request();
        return Ok(ExitCode::SUCCESS);
    };
    // On standard output, so that scripts can wait for it.
    let demo_loader = DemoLoader::new(service.clone(), data, Handle::current());
    let known = service.platform();
    let vocabulary = StoredVocabulary::new(own, known.traits.clone(), known.catalogue.clone());
    let platform = Platform {
        demo: Arc::new(demo_loader),
        vocabulary: Arc::new(vocabulary),
        contents: campaigns.sender.clone(),
        campaigns: campaigns.sender.clone(),
        ..service.platform().clone()
    };
    let [all, ingest] = *serving.open(platform, auth.clone()) else { anyhow::bail!("the addresses are not known") };
    let scheme = serving.scheme();
    writeln!(std::io::stdout(), "audience is ready on {scheme}://{all} (events also on {scheme}://{ingest})")?;
    let tenants = hosts_tenants.then(|| Tenants::host(of_tenants, auth.clone(), serving.door()));
    control.open(&auth, make_backup(&service, backups, &backed_up, tenants.as_ref()));
    access::tell_first_admin(&auth, scheme, all).await?;
    let live = demo.map(|demo| tokio::spawn(demo.live(service.clone())));
    let paired = paired.map(Arc::new);
    let outcome = match serving.until(watch(service.clone(), paired.clone())).await {
        None => Ok(()),
        Some(reason) => Err(anyhow::anyhow!(reason)),
    };
    live.iter().for_each(tokio::task::JoinHandle::abort);
    let end = move || {
        tenants.iter().for_each(|tenants| tenants.stop());
        campaigns.stop();
        service.stop();
        // The lease is held until nothing is given out any more.
        drop(paired);
    };
    tokio::task::spawn_blocking(end).await.context("the end was cut off")?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Ends when the engine has failed or the lease is lost, or another process is to stop: without it nothing can be computed.
async fn watch(service: Arc<Service>, paired: Option<Arc<Paired>>) -> String {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(why) = paired.as_ref().and_then(|paired| paired.lost()) {
            service.fence(&why);
            return why;
        }
        let leaves = || Some(format!("process {} leaves the cluster", service.leaving()?));
        if let Some(reason) = service.failure().or_else(leaves) {
            return format!("{reason}; start again: nothing that was accepted is lost");
        }
    }
}

/// A platform that has started, with the door before it.
struct OpenedPlatform {
    service: Arc<Service>,
    /// The platform's own documents.
    own: Arc<dyn AccessStore>,
    auth: Arc<Auth>,
    control: ControlSocket,
    backups: BackupSource,
    campaigns: Campaigns,
    paired: Option<Paired>,
}

fn make_backup(
    service: &Arc<Service>,
    source: BackupSource,
    data: &Path,
    tenants: Option<&Arc<Tenants>>,
) -> MakeBackup {
    let (service, tenants) = (Arc::downgrade(service), tenants.map(Arc::downgrade));
    let default = BackupPart::new(data, source, move |source, place| {
        let service = service.upgrade().context("the process ends")?;
        Ok(service.back_up(&source.stores, place)?)
    });
    Box::new(move |url| {
        let tenants = tenants.as_ref().map(|tenants| tenants.upgrade().context("the process ends")).transpose()?;
        let parts = tenants.map_or_else(|| Ok(Vec::new()), |tenants| tenants.backup_parts())?;
        backup::create::write(url, &default, parts)
    })
}

/// Starts the platform, and fills it where that is asked for. Says at the door what is waited for; `cut_off` ends the wait
/// for other processes.
fn start(
    settings: &ServeSettings,
    cluster: Option<&OtherProcesses>,
    door: &Door,
    cut_off: Stop,
) -> anyhow::Result<(OpenedPlatform, Option<Demo>)> {
    let mut demo = settings.flags.demo.then(|| Demo::open(settings.data())).transpose()?;
    let opened = start_platform(settings, cluster, door, cut_off)?;
    if let Some(demo) = &mut demo {
        door.wait_for("the shop of the demo is made");
        demo.fill(&opened.service)?;
    }
    Ok((opened, demo))
}

fn start_platform(
    settings: &ServeSettings,
    cluster: Option<&OtherProcesses>,
    door: &Door,
    cut_off: Stop,
) -> anyhow::Result<OpenedPlatform> {
    let outside = Outside::new(settings)?;
    let bind =
        move |cluster: &OtherProcesses| Coordinator::bind(&cluster.listen, cluster.processes, cut_off).map(Arc::new);
    let cluster = cluster.map(bind).transpose()?;
    door.wait_for("the data directory is opened");
    let stores = open_stores(settings.data(), &Options::default())?;
    let control = ControlSocket::listen(settings.data(), &Handle::current());
    let paired = pairing::pair(settings, cluster.is_none(), &PairContext { stores: &stores, door, control: &control })?;
    let postgres = settings.connections.postgres.as_deref().map(|url| connectors::postgres(url, door)).transpose()?;
    let postgres = postgres.map(|store| Arc::new(PatientCatalogue::new(store, door)));
    let is_new = stores.changes().progress()?.is_none();
    connectors::check_catalogue(settings.data(), is_new, postgres.as_deref())?;
    // A copy of the catalogue is kept where it is in the data directory and nowhere else.
    let keeps_catalogue = postgres.is_none();
    let (catalogue, webhooks, own): (Arc<dyn CatalogueStore>, Arc<dyn WebhookStore>, Arc<dyn AccessStore>) =
        match &postgres {
            Some(postgres) => (postgres.clone(), postgres.clone(), postgres.clone()),
            None => (stores.catalogue(), stores.webhooks(), stores.access()),
        };
    let listeners = [settings.flags.listen.0, settings.flags.listen_ingest.0];
    let open_auth = || access::open(Some(own.clone()), &settings.flags.access, &listeners);
    // A standby gets its members with everything else.
    let early = if paired.as_ref().is_some_and(Paired::is_standby) { None } else { Some(open_auth()?) };
    let (stores, objects) = platform_stores(settings, &stores, catalogue, is_new, door)?;
    door.wait_for(match cluster {
        None => "what was accepted before is brought back",
        Some(_) => "the other processes are waited for, and what was accepted before is brought back",
    });
    // It has begun already.
    let start = process_metrics::begin(Some(settings.data()), 0);
    let offsite = objects.map(|objects| offsite_of(settings, &objects, keeps_catalogue));
    let pairing = paired.as_ref().map(|paired| paired.pairing.clone()).unwrap_or_default();
    let options = ServiceOptions { cluster, offsite, pairing, ..service_options(settings, start) };
    let service = Service::start(stores.clone(), &options)?;
    let auth = early.map_or_else(open_auth, Ok)?;
    ensure!(
        paired.is_none() || auth.tenants().is_empty(),
        "a pair serves the tenant `default` alone, and there are others: end them, or leave out {}",
        named("lease")
    );
    join_kafka(&service, settings)?;
    outside.join(&service, webhooks.clone())?;
    postgres.iter().for_each(|catalogue| catalogue.started());
    let campaigns = Campaigns::start(&service, stores.notes.clone(), settings)?;
    let documents = DocumentStores { access: own.clone(), webhooks };
    let backups = BackupSource { stores, documents, postgres: settings.connections.postgres.clone() };
    Ok(OpenedPlatform { service, own, auth, control, backups, campaigns, paired })
}
