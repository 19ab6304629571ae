//! Kafka and PostgreSQL, to which `audience serve` can be joined.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_api::Door;
use audience_contract::StoreError;
use audience_engine::service::{Service, ShareReader};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{DeadLetterSettings, KafkaDeadLetters, KafkaSource, KafkaWriters, SinkSettings, SourceSettings};
use audience_postgres::{PostgresCatalogue, PostgresError, PostgresSettings};

use crate::catalogue_file::{self, EMBEDDED};
use crate::patient_catalogue::PatientCatalogue;
use crate::settings::{KAFKA_SETTINGS, KafkaSettings, named};

/// The time between attempts to reach a server at the start.
const RETRY: Duration = Duration::from_secs(1);

/// Opens the catalogue in PostgreSQL; waits while the server does not answer.
pub(crate) fn postgres(url: &str, door: &Door) -> anyhow::Result<Arc<PostgresCatalogue>> {
    door.wait_for("PostgreSQL is asked");
    let settings = PostgresSettings::new(url);
    loop {
        match PostgresCatalogue::open(&settings) {
            Ok(catalogue) => return Ok(Arc::new(catalogue)),
            Err(PostgresError::Store(error @ StoreError::Unavailable { .. })) => {
                tracing::error!(%error, "PostgreSQL does not answer, and the start retries");
                door.wait_for(format!("PostgreSQL does not answer: {error}"));
                std::thread::park_timeout(RETRY);
            }
            Err(error) => return Err(anyhow::Error::from(error).context(named("postgres"))),
        }
    }
}

/// Refuses to run a data directory under another catalogue than before: the emitted memberships follow from that one. A
/// directory that is not new and has no such file is older than the file, and holds the catalogue itself.
pub(crate) fn check_catalogue(
    data: &Path,
    is_new: bool,
    catalogue: Option<&PatientCatalogue<PostgresCatalogue>>,
) -> anyhow::Result<()> {
    let identity = match catalogue {
        Some(catalogue) => format!("postgres {}", catalogue.ask(PostgresCatalogue::identity)?),
        None => EMBEDDED.to_owned(),
    };
    let known = match catalogue_file::read(data)? {
        Some(known) => known,
        None if is_new => return catalogue_file::write(data, &identity),
        None => EMBEDDED.to_owned(),
    };
    if known != identity {
        bail!(
            "the segments of {} are those of the catalogue `{known}`, and this start names `{identity}`: start it with \
             the same one, or choose another data directory",
            data.display()
        );
    }
    Ok(())
}

/// Reads events from Kafka and emits membership changes to it.
pub(crate) fn join_kafka(service: &Arc<Service>, settings: &KafkaSettings) -> anyhow::Result<()> {
    let ending = Arc::downgrade(service);
    let connection = settings.connection().until(move || ending.upgrade().is_none_or(|service| service.is_ending()));
    let connection = || connection.clone();
    let named = |name: &str| format!("{}{name}", settings.topic_prefix);
    let topic = |one: Topic| topic(settings, one);
    let source = SourceSettings {
        start: settings.start,
        on_gone: settings.on_gone,
        name: settings.source_name.clone(),
        ..SourceSettings::of(connection(), &named(topics::USER_EVENTS))
    };
    let letters = DeadLetterSettings { topic: named(topics::USER_EVENTS_DLQ), ..DeadLetterSettings::of(connection()) };
    let reader = || {
        let made = vec![topic(Topic::user_events(settings.partitions)), topic(Topic::user_events_dlq())];
        let source = Box::new(KafkaSource::new(source.clone()).context(KAFKA_SETTINGS)?.making(made));
        let dead_letters = Box::new(KafkaDeadLetters::new(letters.clone()).context(KAFKA_SETTINGS)?);
        anyhow::Ok(ShareReader { source, dead_letters })
    };
    let workers = u32::try_from(service.workers()).unwrap_or(u32::MAX);
    let readers = settings.readers.unwrap_or_else(|| workers.min(settings.partitions));
    service.take_from((0..readers).map(|_| reader()).collect::<Result<_, _>>()?)?;
    let sink = SinkSettings {
        connection: connection(),
        topic: named(topics::USER_SEGMENTS),
        progress_topic: named(topics::USER_SEGMENTS_PROGRESS),
        writer: named(&settings.writer),
        interval_ms: settings.transaction_interval_ms,
        writers: settings.writers,
    };
    let made = [topic(Topic::user_segments(settings.partitions)), topic(Topic::user_segments_progress())];
    let writers = KafkaWriters::new(sink, made).context(KAFKA_SETTINGS)?;
    Ok(service.emit_to_shared(Box::new(writers))?)
}

/// Names a topic as the settings say.
pub(crate) fn topic(settings: &KafkaSettings, topic: Topic) -> Topic {
    let name = format!("{}{}", settings.topic_prefix, topic.name);
    topic.named(&name)
}
