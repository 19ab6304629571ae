//! The tables of a file of settings: what has no flag, because few need it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use audience_engine::durability::LogLimits;
use audience_kafka::{Connection, OnGone, Start};
use clap::Args;
use serde::de::DeserializeOwned;

use super::file::SettingsFile;
use super::positive::positive;

/// The logical stores of Aerospike, each a table in the table `[aerospike]`.
pub(super) const STORES: [&str; 3] = ["user_profiles", "segment_ownership", "analytics"];
/// The table of librdkafka's settings in the table `[kafka]`.
pub(super) const PROPERTIES: &str = "properties";

/// The table `[kafka]`: how Kafka is read and written.
#[derive(Clone, Args)]
pub(crate) struct KafkaSettings {
    /// Kafka brokers, as `--kafka` names them. [default: none]
    #[arg(long, value_name = "BROKERS")]
    pub brokers: Option<String>,
    /// Partitions of the topics that the program creates.
    #[arg(long, value_name = "N", default_value = "12", value_parser = positive::<u32>)]
    pub partitions: u32,
    /// The place at which reading starts in a topic that was never read: `earliest` or `latest`.
    #[arg(long, value_name = "PLACE", default_value = "earliest", value_parser = by_name::<Start>)]
    pub start: Start,
    /// The reaction to events that Kafka removed before they were read: `fail`, or go on from `earliest` or `latest`.
    #[arg(long, value_name = "REACTION", default_value = "fail", value_parser = by_name::<OnGone>)]
    pub on_gone: OnGone,
    /// The name of the topic of events in source offsets. Under a new name the topic counts as never read, as is needed once
    /// it was created anew. [default: the topic's name]
    #[arg(long, value_name = "NAME")]
    pub source_name: Option<String>,
    /// The prefix of the names of all topics.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub topic_prefix: String,
    /// The name under which membership changes are written. Each of several engines on one cluster has its own.
    #[arg(long, value_name = "NAME", default_value = "audience")]
    pub writer: String,
    /// Milliseconds from the start of one transaction of membership changes to the next, at least. More spares the brokers
    /// transactions, and readers have a change that much later.
    #[arg(long, value_name = "MILLISECONDS", default_value = "0")]
    pub transaction_interval_ms: u64,
    /// Readers of the topic of events, each of its share of the partitions. [default: one a worker, at most `partitions`]
    #[arg(long, value_name = "N", value_parser = positive::<u32>)]
    pub readers: Option<u32>,
    /// Writers of membership changes side by side, each of its share of the users. It may change with every start. The
    /// transactional ids are `writer`, or with several writers `writer-1-of-2` and so on.
    #[arg(long, value_name = "N", default_value = "2", value_parser = positive::<NonZeroU32>)]
    pub writers: NonZeroU32,
    /// Settings of librdkafka, by its names.
    #[arg(skip)]
    pub properties: BTreeMap<String, String>,
}

/// Without the values of properties: passwords are among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings").field("connection", &self.connection()).finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// How the brokers are reached.
    pub(crate) fn connection(&self) -> Connection {
        let brokers = self.brokers.as_deref().unwrap_or_default();
        Connection { properties: self.properties.clone(), ..Connection::to(brokers) }
    }
}

/// The table `[redis]`.
#[derive(Clone, Args)]
pub(super) struct RedisTable {
    /// The URL of Redis, as `--redis` names it. [default: none]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The prefix of all keys.
    #[arg(long, value_name = "TEXT", default_value_t = audience_redis::RedisSettings::of("").prefix)]
    prefix: String,
    /// The name under which progress is kept. Each of several engines that write the same keys has its own.
    #[arg(long, value_name = "NAME", default_value_t = audience_redis::RedisSettings::of("").writer)]
    writer: String,
    /// Milliseconds that one answer may take.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = audience_redis::RedisSettings::of("").timeout_ms)]
    timeout_ms: u64,
    /// Milliseconds that `segment-api` waits for a user's segments before it asks the engine.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = audience_redis::RedisSettings::of("").read_timeout_ms, value_parser = positive::<u64>)]
    read_timeout_ms: u64,
}

/// The table `[aerospike]`.
#[derive(Clone, Args)]
pub(super) struct AerospikeTable {
    /// Nodes of Aerospike, as `--aerospike` names them. [default: none]
    #[arg(long, value_name = "HOSTS")]
    hosts: Option<String>,
    /// The name under which progress is kept. Each of several engines that write the same sets has its own.
    #[arg(long, value_name = "NAME", default_value_t = audience_aerospike::AerospikeSettings::of("").writer)]
    writer: String,
    /// The user, where the cluster asks for one. [default: none]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The user's password. [default: none]
    #[arg(long, value_name = "TEXT")]
    password: Option<String>,
    /// True if every connection is TLS. Nodes then are `host:port`, or `host:name:port` where their certificate has another name.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", value_parser = clap::value_parser!(bool))]
    tls: bool,
    /// The PEM file of certificate authorities to trust with `tls`. [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The PEM file of the certificate to show to nodes that ask for one. [default: none]
    #[arg(long, value_name = "FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// The PEM file of its key. [default: none]
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// Milliseconds that a write or a read may take, retries included.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = audience_aerospike::AerospikeSettings::of("").timeout_ms)]
    timeout_ms: u32,
    /// Milliseconds that `segment-api` waits for a user's segments before it asks the engine.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = audience_aerospike::AerospikeSettings::of("").read_timeout_ms, value_parser = positive::<u32>)]
    read_timeout_ms: u32,
    /// Records into which the users of a segment are dealt. It must not change while there are any: a record of 1 MiB takes
    /// about 40,000 users.
    #[arg(long, value_name = "N", default_value_t = audience_aerospike::AerospikeSettings::of("").chunks)]
    chunks: u32,
    /// The tables of the logical stores.
    #[arg(skip)]
    stores: BTreeMap<&'static str, StoreTable>,
}

/// A table `[aerospike.NAME]`: where a logical store is kept.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreTable {
    /// Nodes of another cluster than that of `[aerospike]`. [default: none]
    #[arg(long, value_name = "HOSTS")]
    hosts: Option<String>,
    /// The namespace of the store. [default: the name of the store, but `segment_ownership` for `analytics`]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The prefix of the names of its sets.
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
}

/// The table `[checkpoints]`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckpointsTable {
    /// The URL of checkpoints and history, as `--checkpoints` names it.
    #[arg(long, value_name = "URL", required = true)]
    pub url: String,
}

/// The table `[history]`: how the history in Parquet is written.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct HistorySettings {
    /// Events in a file, at most.
    #[arg(long, value_name = "EVENTS", default_value = "250000", value_parser = positive::<u32>)]
    pub events: u32,
    /// Seconds that an event waits for others before its file is written.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub seconds: u64,
    /// Days that events stay in the data directory. Older ones are read from the history, once a checkpoint is after them.
    /// [default: all stay]
    #[arg(long, value_name = "DAYS", value_parser = positive::<u32>)]
    pub log_days: Option<u32>,
    /// Megabytes of events that stay in the data directory, about; the oldest are then read from the history. [default: all stay]
    #[arg(long, value_name = "MEGABYTES", value_parser = positive::<u32>)]
    pub log_megabytes: Option<u32>,
}

impl HistorySettings {
    /// The bounds of the event log's part that stays in the data directory.
    pub(crate) fn limits(&self) -> LogLimits {
        let day = |days: u32| Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        LogLimits {
            age: self.log_days.map(day),
            bytes: self.log_megabytes.map(|megabytes| u64::from(megabytes) * 1_000_000),
        }
    }
}

/// The tables of a file.
pub(super) struct SettingTables {
    pub kafka: Option<KafkaSettings>,
    pub redis: Option<RedisTable>,
    pub aerospike: Option<AerospikeTable>,
    pub checkpoints: Option<CheckpointsTable>,
    pub history: HistorySettings,
}

impl SettingTables {
    /// Reads the tables of a file, if there is one.
    pub(super) fn of(file: Option<&SettingsFile>) -> anyhow::Result<SettingTables> {
        let Some(file) = file else { return SettingTables::none() };
        let mut kafka: Option<KafkaSettings> = file.table(&["kafka"], &[PROPERTIES])?;
        if let Some(kafka) = &mut kafka {
            kafka.properties = file.texts(["kafka", PROPERTIES])?.into_iter().collect();
        }
        let mut aerospike: Option<AerospikeTable> = file.table(&["aerospike"], &STORES)?;
        if let Some(aerospike) = &mut aerospike {
            for name in STORES {
                aerospike.stores.extend(file.table(&["aerospike", name], &[])?.map(|store| (name, store)));
            }
        }
        let history = file.table(&["history"], &[])?;
        Ok(SettingTables {
            kafka,
            redis: file.table(&["redis"], &[])?,
            aerospike,
            checkpoints: file.table(&["checkpoints"], &[])?,
            history: history.map_or_else(defaults, Ok)?,
        })
    }

    fn none() -> anyhow::Result<SettingTables> {
        Ok(SettingTables { kafka: None, redis: None, aerospike: None, checkpoints: None, history: defaults()? })
    }
}

/// A table with no key in it.
fn defaults<T: Args>() -> anyhow::Result<T> {
    let command = T::augment_args(clap::Command::new("table").no_binary_name(true));
    Ok(T::from_arg_matches(&command.try_get_matches_from([""; 0])?)?)
}

/// The settings of a server: those of its table, if there is one, with the address of the flag before that of the table.
fn joined<T: Args>(address: Option<&String>, table: Option<T>) -> anyhow::Result<Option<T>> {
    match table {
        None if address.is_some() => defaults().map(Some),
        table => Ok(table),
    }
}

pub(super) fn kafka(brokers: Option<String>, table: Option<KafkaSettings>) -> anyhow::Result<Option<KafkaSettings>> {
    let Some(table) = joined(brokers.as_ref(), table)? else { return Ok(None) };
    let brokers = brokers.or(table.brokers).context("`brokers` in the table [kafka] is missing")?;
    Ok(Some(KafkaSettings { brokers: Some(brokers), ..table }))
}

pub(super) fn redis(
    url: Option<String>,
    table: Option<RedisTable>,
) -> anyhow::Result<Option<audience_redis::RedisSettings>> {
    let Some(table) = joined(url.as_ref(), table)? else { return Ok(None) };
    let url = url.or(table.url).context("`url` in the table [redis] is missing")?;
    let RedisTable { prefix, writer, timeout_ms, read_timeout_ms, .. } = table;
    Ok(Some(audience_redis::RedisSettings { url, prefix, writer, timeout_ms, read_timeout_ms }))
}

pub(super) fn aerospike(
    hosts: Option<String>,
    table: Option<AerospikeTable>,
) -> anyhow::Result<Option<audience_aerospike::AerospikeSettings>> {
    let Some(mut table) = joined(hosts.as_ref(), table)? else { return Ok(None) };
    let hosts = hosts.or(table.hosts).context("`hosts` in the table [aerospike] is missing")?;
    let default = audience_aerospike::AerospikeSettings::of(&hosts);
    let mut store = |name, default: audience_aerospike::StoreSettings| match table.stores.remove(name) {
        None => default,
        Some(StoreTable { hosts, namespace, prefix }) => {
            let namespace = namespace.unwrap_or(default.namespace);
            audience_aerospike::StoreSettings { hosts, namespace, prefix }
        }
    };
    let [user_profiles, segment_ownership, analytics] = STORES;
    Ok(Some(audience_aerospike::AerospikeSettings {
        user_profiles: store(user_profiles, default.user_profiles),
        segment_ownership: store(segment_ownership, default.segment_ownership),
        analytics: store(analytics, default.analytics),
        writer: table.writer,
        user: table.user,
        password: table.password,
        tls: table.tls.then(|| audience_aerospike::AerospikeTls {
            ca_file: table.ca_file,
            certificate: table.certificate_file.zip(table.key_file),
        }),
        timeout_ms: table.timeout_ms,
        read_timeout_ms: table.read_timeout_ms,
        chunks: table.chunks,
        hosts,
    }))
}

/// Reads a value that a connector names.
fn by_name<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::Value::String(text.to_owned()).try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}
