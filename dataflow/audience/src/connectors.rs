//! What `audience serve` is joined to beside its embedded stores: Kafka and PostgreSQL.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_api::Door;
use audience_contract::{
    Batch, Lag, MembershipChange, Progress, Reach, Share, Sink, SinkError, Source, SourceError, SourcePosition,
    StoreError,
};
use audience_dataflow::service::Service;
use audience_kafka::topics::{self, Topic};
use audience_kafka::{
    Connection, DeadLetterSettings, KafkaDeadLetters, KafkaSink, KafkaSource, SinkSettings, SourceSettings,
};
use audience_postgres::{PostgresCatalogue, PostgresError, Settings as PostgresSettings};

use crate::settings::{KafkaSettings, named};

/// Between attempts to reach a server at the start.
const RETRY: Duration = Duration::from_secs(1);
/// In the data directory: which catalogue the memberships given out follow from.
const CATALOGUE_FILE: &str = "CATALOGUE";
const EMBEDDED: &str = "embedded";
/// Where what is wrong was set, where a client of Kafka cannot be made.
pub const KAFKA_SETTINGS: &str = "--kafka (AUDIENCE_KAFKA, or the table [kafka] in a file)";

/// The catalogue in PostgreSQL, waited for while the server is away.
pub fn postgres(url: &str, door: &Door) -> anyhow::Result<Arc<PostgresCatalogue>> {
    door.wait_for("PostgreSQL is asked");
    let settings = PostgresSettings::new(url);
    loop {
        match PostgresCatalogue::open(&settings) {
            Ok(catalogue) => return Ok(Arc::new(catalogue)),
            Err(PostgresError::Store(error @ StoreError::Unavailable { .. })) => {
                tracing::error!(%error, "PostgreSQL does not answer; trying again");
                door.wait_for(format!("PostgreSQL does not answer: {error}"));
                std::thread::park_timeout(RETRY);
            }
            Err(error) => return Err(anyhow::Error::from(error).context(named("postgres"))),
        }
    }
}

/// Refuses to run a data directory under another catalogue than before: what was given out follows from that one. One that
/// is not new and says nothing is older than this file, and has the catalogue in it.
pub fn check_catalogue(data: &Path, is_new: bool, catalogue: Option<&PostgresCatalogue>) -> anyhow::Result<()> {
    let identity = match catalogue {
        Some(catalogue) => format!("postgres {}", catalogue.identity()?),
        None => EMBEDDED.to_owned(),
    };
    let path = data.join(CATALOGUE_FILE);
    let known = match fs::read_to_string(&path) {
        Ok(known) => known.trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_new => EMBEDDED.to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return fs::write(&path, format!("{identity}\n")).with_context(|| format!("writing {}", path.display()));
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
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

/// Reads events from Kafka and gives membership changes out to it.
pub fn join_kafka(service: &Arc<Service>, settings: &KafkaSettings) -> anyhow::Result<()> {
    let ending = Arc::downgrade(service);
    let connection =
        settings.connection.clone().until(move || ending.upgrade().is_none_or(|service| service.is_ending()));
    let connection = || connection.clone();
    let named = |name: &str| format!("{}{name}", settings.topic_prefix);
    let topic = |one: Topic| topic(settings, one);
    let source = SourceSettings {
        start: settings.start,
        on_gone: settings.on_gone,
        name: settings.source_name.clone(),
        ..SourceSettings::of(connection(), &named(topics::USER_EVENTS))
    };
    let source = WithTopics {
        inner: KafkaSource::new(source).context(KAFKA_SETTINGS)?,
        connection: connection(),
        topics: vec![topic(Topic::user_events(settings.partitions)), topic(Topic::user_events_dlq())],
    };
    let letters = DeadLetterSettings { topic: named(topics::USER_EVENTS_DLQ), ..DeadLetterSettings::of(connection()) };
    let dead_letters = KafkaDeadLetters::new(letters).context(KAFKA_SETTINGS)?;
    service.take_from(Box::new(source), Box::new(dead_letters))?;
    let sink = WithTopics {
        inner: KafkaSink::new(SinkSettings {
            connection: connection(),
            topic: named(topics::USER_SEGMENTS),
            progress_topic: named(topics::USER_SEGMENTS_PROGRESS),
            writer: named(&settings.writer),
            interval_ms: settings.transaction_interval_ms,
        })
        .context(KAFKA_SETTINGS)?,
        connection: connection(),
        topics: vec![topic(Topic::user_segments(settings.partitions)), topic(Topic::user_segments_progress())],
    };
    Ok(service.give_out_to(Box::new(sink))?)
}

/// A topic under the name that the settings give it.
pub fn topic(settings: &KafkaSettings, topic: Topic) -> Topic {
    let name = format!("{}{}", settings.topic_prefix, topic.name);
    topic.named(&name)
}

/// Makes the topics that are missing whenever it is opened: the brokers need not be there at the start.
struct WithTopics<T> {
    inner: T,
    connection: Connection,
    topics: Vec<Topic>,
}

impl Source for WithTopics<KafkaSource> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn open(&mut self, positions: &[SourcePosition], share: Share) -> Result<(), SourceError> {
        topics::ensure(&self.connection, &self.topics).map_err(audience_kafka::Error::into_source)?;
        self.inner.open(positions, share)
    }

    fn poll(&mut self, patience: Duration) -> Result<Batch, SourceError> {
        self.inner.poll(patience)
    }

    fn acknowledge(&mut self, positions: &[SourcePosition]) {
        self.inner.acknowledge(positions);
    }

    fn lag(&self) -> Vec<Lag> {
        self.inner.lag()
    }
}

impl Sink for WithTopics<KafkaSink> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn changes_at_once(&self) -> usize {
        self.inner.changes_at_once()
    }

    fn interval(&self) -> Duration {
        self.inner.interval()
    }

    fn fault(&self) -> Option<String> {
        self.inner.fault()
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        let name = self.inner.name().to_owned();
        let made = topics::ensure(&self.connection, &self.topics).map_err(|error| error.into_sink(&name))?;
        let reach = self.inner.open()?;
        let changes = self.topics.first().map(|topic| &topic.name).filter(|topic| made.contains(topic));
        if let (Some(topic), Some(reach)) = (changes, &reach) {
            tracing::error!(
                topic,
                "the topic of membership changes was deleted; all memberships are written to it anew"
            );
            self.inner.clear(reach.progress(), &|_| true)?;
            return Ok(None);
        }
        Ok(reach)
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        self.inner.write(reach, changes)
    }

    fn clear(&mut self, progress: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        self.inner.clear(progress, owns)
    }
}
