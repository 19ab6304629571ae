//! `audience ingest-api`: takes events over HTTP and puts them into Kafka, where engines read them.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use audience_api::{ApiOptions, Door, Listen, Scope};
use audience_catalogue::stored_zone;
use audience_contract::{AccessStore, CatalogueStore};
use audience_kafka::TopicProducer;
use audience_kafka::topics::{self, Topic};
use audience_protocol::{ComponentHealth, EventResource, Health, OperationsResource, Platform, PlatformError, Result};
use audience_rules::event::event_to_json;
use audience_rules::record::records;
use audience_rules::zone::ZoneId;
use clap::Args;

use crate::access;
use crate::connectors;
use crate::serving::Serving;
use crate::settings::{
    AccessSettings, Address, ConfigFlag, ConnectionFlags, Connections, HttpSettings, KAFKA_SETTINGS, KafkaFlag,
    KafkaSettings, TlsProcess,
};
use crate::telemetry::TelemetrySettings;
use crate::{process_metrics, telemetry};

/// The time between checks of the brokers, and the time that a check may take.
const LOOK: Duration = Duration::from_secs(2);

/// Settings of `audience ingest-api`; a file may say the rest, as it does for `audience serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct IngestApiFlags {
    #[command(flatten)]
    config: ConfigFlag,
    /// The address at which events are taken.
    #[arg(
        id = "listen_ingest",
        long = "listen",
        visible_alias = "port",
        env = "AUDIENCE_LISTEN_INGEST",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8082"
    )]
    listen: Address,
    #[command(flatten)]
    kafka: KafkaFlag,
    /// The libpq URL of the PostgreSQL that has the members, the keys and the platform's time zone. Without it nobody has a
    /// key here, and times without an offset are read in UTC. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    #[command(flatten)]
    access: AccessSettings,
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    telemetry: TelemetrySettings,
}

/// Runs until told to stop.
pub(crate) fn run(flags: IngestApiFlags) -> anyhow::Result<ExitCode> {
    let connections = ConnectionFlags { kafka: flags.kafka, postgres: flags.postgres, ..ConnectionFlags::default() };
    let connections = Connections::load(connections, &flags.config)?;
    let _telemetry = telemetry::start(&flags.telemetry, "ingest-api")?;
    process_metrics::begin(None, 0);
    let kafka = connections.kafka.clone();
    let kafka = kafka.with_context(|| format!("no brokers are named: give {}", KAFKA_SETTINGS))?;
    let ingest = Ingest::start(kafka)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listeners = [flags.listen.0];
    let process = TlsProcess { data: None, listeners: &listeners, public_url: flags.access.public_url.as_deref() };
    let options = ApiOptions { trusted_proxies: flags.access.proxies()?, ..flags.http.options(process, None)? };
    let ended = runtime.block_on(serve(ingest, flags.listen.0, (flags.access, connections.postgres), options));
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    ingest: Arc<Ingest>,
    address: SocketAddr,
    (access, postgres): (AccessSettings, Option<String>),
    options: ApiOptions,
) -> anyhow::Result<()> {
    let listen = [Listen { address, scope: Scope::Ingestion, flag: "--listen" }];
    let mut serving = Serving::begin(&listen, options).await?;
    let zone = ingest.clone();
    let open = move |door: &Door| {
        let store = postgres.as_deref().map(|url| connectors::postgres(url, door)).transpose()?;
        if let Some(store) = &store {
            zone.follow_zone(store.clone())?;
        }
        access::open(store.map(|store| store as Arc<dyn AccessStore>), &access, &[address])
    };
    let Some(auth) = serving.start(open).await? else { return Ok(()) };
    let platform = Platform { events: ingest.clone(), ..Platform::without_engine(ingest) };
    for address in serving.open(platform, auth) {
        writeln!(std::io::stdout(), "audience is ready on {}://{address} (events only)", serving.scheme())?;
    }
    serving.until_told().await;
    Ok(())
}

/// The ingestion API before Kafka. `202` means that every broker that must have the events has them.
struct Ingest {
    producer: TopicProducer,
    settings: KafkaSettings,
    /// Why events are refused, if they are. They are until the topic is there.
    fault: Mutex<Option<String>>,
    /// The catalogue, for the platform's time zone.
    catalogue: OnceLock<Arc<dyn CatalogueStore>>,
    /// The zone as it was last read.
    zone: Mutex<ZoneId>,
}

impl Ingest {
    fn start(settings: KafkaSettings) -> anyhow::Result<Arc<Ingest>> {
        let topic = connectors::topic(&settings, Topic::user_events(settings.partitions));
        let ingest = Arc::new(Ingest {
            producer: TopicProducer::new(&settings.connection(), &topic.name).context(KAFKA_SETTINGS)?,
            settings,
            fault: Mutex::new(Some("the brokers have not answered yet".to_owned())),
            catalogue: OnceLock::new(),
            zone: Mutex::default(),
        });
        let watching = ingest.clone();
        // Ends with the process.
        std::thread::Builder::new().name("brokers".to_owned()).spawn(move || watching.watch(&topic))?;
        Ok(ingest)
    }

    /// Creates a missing topic, then checks whether the brokers answer.
    fn watch(&self, topic: &Topic) {
        let (mut is_there, mut is_away) = (false, false);
        loop {
            let answer = match is_there {
                false => topics::ensure(&self.settings.connection(), std::slice::from_ref(topic)).map(drop),
                true => self.producer.check(LOOK),
            };
            is_there |= answer.is_ok();
            let fault = answer.err().map(|error| error.to_string());
            match (&fault, std::mem::replace(&mut is_away, fault.is_some())) {
                (Some(fault), false) => tracing::warn!(fault, "The brokers do not answer, and events are refused"),
                (None, true) => tracing::info!("The brokers answer again, and events are taken"),
                _ => {}
            }
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
            // A catalogue that does not answer leaves the zone as it was.
            if let Some(zone) = self.catalogue.get().and_then(|catalogue| stored_zone(&**catalogue).ok()) {
                self.set_zone(zone);
            }
            // Brokers and PostgreSQL are servers elsewhere: only an answer tells that they are there.
            std::thread::park_timeout(LOOK);
        }
    }

    /// Reads the platform's zone, and again at each look.
    fn follow_zone(&self, catalogue: Arc<dyn CatalogueStore>) -> anyhow::Result<()> {
        self.set_zone(stored_zone(&*catalogue)?);
        let _ = self.catalogue.set(catalogue);
        Ok(())
    }

    fn set_zone(&self, zone: ZoneId) {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventResource for Ingest {
    fn zone(&self) -> ZoneId {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ingest(&self, accepted: Vec<u8>, _count: usize) -> Result<()> {
        if let Some(fault) = self.fault() {
            return Err(PlatformError::Unavailable(format!("Kafka does not answer: {fault}")));
        }
        let messages: Vec<(&str, Vec<u8>)> =
            records(&accepted).map(|event| (event.user(), event_to_json(&event).into_bytes())).collect();
        // Brokers that have it may not have said so.
        self.producer.put(&messages).map_err(|error| PlatformError::OutcomeUnknown(error.to_string()))
    }
}

impl OperationsResource for Ingest {
    fn health(&self) -> Health {
        let fault = self.fault();
        let ready = fault.is_none();
        Health { ready, components: BTreeMap::from([("kafka".into(), ComponentHealth::of_fault(fault))]) }
    }

    /// Events are counted where they are taken.
    fn metrics(&self) -> String {
        String::new()
    }
}
