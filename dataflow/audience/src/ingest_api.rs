//! `audience ingest-api`: takes events over HTTP and gives them to Kafka, for engines to read.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use audience_api::{ApiOptions, Listen, Scope};
use audience_engine::service::clock;
use audience_kafka::TopicProducer;
use audience_kafka::topics::{self, Topic};
use audience_protocol::{ComponentHealth, EventResource, Health, OperationsResource, Platform, PlatformError, Result};
use audience_rules::event::event_to_json;
use audience_rules::record::records;
use clap::Args;

use crate::serving::Serving;
use crate::settings::{KafkaSettings, LogFormat, ServeFlags, ServeSettings};
use crate::{connectors, telemetry};

/// Between looks at whether the brokers answer, and how long they may take.
const LOOK: Duration = Duration::from_secs(2);

/// Settings as flags and variables say them; a file may say the rest, as it does of `audience serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct IngestApiFlags {
    /// A TOML file of settings, the same as of `audience serve`. [default: none]
    #[arg(long, env = "AUDIENCE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where events are taken. [default: 127.0.0.1:8082]
    #[arg(long, env = "AUDIENCE_LISTEN_INGEST", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Brokers of Kafka, `host:port` separated by commas: events go to `user-events`. [default: what the file says]
    #[arg(long, env = "AUDIENCE_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
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
pub fn run(flags: IngestApiFlags) -> anyhow::Result<ExitCode> {
    let settings = ServeSettings::load(ServeFlags {
        config: flags.config,
        listen_ingest: flags.listen,
        kafka: flags.kafka,
        otlp: flags.otlp,
        log_format: flags.log_format,
        log: flags.log,
        ..ServeFlags::default()
    })?;
    let _telemetry = telemetry::start(&settings, "ingest-api")?;
    let kafka = settings.kafka.with_context(|| format!("no brokers are named: give {}", connectors::KAFKA_SETTINGS))?;
    let ingest = Ingest::start(kafka)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(ingest, settings.listen_ingest));
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(ingest: Arc<Ingest>, address: SocketAddr) -> anyhow::Result<()> {
    let options = ApiOptions { clock: clock::now, figures: telemetry::figures, ..ApiOptions::default() };
    let listen = [Listen { address, scope: Scope::Ingestion, flag: "--listen" }];
    let serving = Serving::begin(&listen, options).await?;
    let platform = Platform { events: ingest.clone(), ..Platform::without_engine(ingest) };
    for address in serving.open(platform) {
        writeln!(std::io::stdout(), "audience is ready on http://{address} (events only)")?;
    }
    serving.until_told().await;
    Ok(())
}

/// Takes events for Kafka. `202` means that every broker that must have them has them.
struct Ingest {
    producer: TopicProducer,
    settings: KafkaSettings,
    /// What keeps events from being taken, if anything does. Nothing is taken before the topic is there.
    fault: Mutex<Option<String>>,
}

impl Ingest {
    fn start(settings: KafkaSettings) -> anyhow::Result<Arc<Ingest>> {
        let topic = connectors::topic(&settings, Topic::user_events(settings.partitions));
        let ingest = Arc::new(Ingest {
            producer: TopicProducer::new(&settings.connection, &topic.name).context(connectors::KAFKA_SETTINGS)?,
            settings,
            fault: Mutex::new(Some("the brokers have not answered yet".to_owned())),
        });
        let watching = ingest.clone();
        // Ends with the process.
        std::thread::Builder::new().name("brokers".to_owned()).spawn(move || watching.watch(&topic))?;
        Ok(ingest)
    }

    /// Makes the topic where it is missing, and then looks whether the brokers answer.
    fn watch(&self, topic: &Topic) {
        let (mut is_there, mut is_away) = (false, false);
        loop {
            let answer = match is_there {
                false => topics::ensure(&self.settings.connection, std::slice::from_ref(topic)).map(drop),
                true => self.producer.check(LOOK),
            };
            is_there |= answer.is_ok();
            let fault = answer.err().map(|error| error.to_string());
            match (&fault, std::mem::replace(&mut is_away, fault.is_some())) {
                (Some(fault), false) => tracing::warn!(fault, "events cannot be given to Kafka"),
                (None, true) => tracing::info!("events are given to Kafka again"),
                _ => {}
            }
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
            std::thread::park_timeout(LOOK);
        }
    }

    fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventResource for Ingest {
    fn ingest(&self, accepted: Vec<u8>, _count: usize) -> Result<()> {
        if let Some(fault) = self.fault() {
            return Err(PlatformError::Unavailable(format!("Kafka does not answer: {fault}")));
        }
        let messages: Vec<(&str, Vec<u8>)> =
            records(&accepted).map(|event| (event.user(), event_to_json(&event).into_bytes())).collect();
        self.producer.put(&messages).map_err(|error| PlatformError::Unavailable(error.to_string()))
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
