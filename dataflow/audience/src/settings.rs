//! Settings of `audience serve`: flags, then `AUDIENCE_*` variables, then a TOML file, then defaults.
//!
//! Flags and variables are read by clap; what neither of them says is taken from the file. A key that is not known there
//! is an error, so that a misspelt setting is never silently the default.

mod check;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use anyhow::Context;
use audience_kafka::{Connection, OnGone, Start};
use clap::{Args, ValueEnum};
use serde::Deserialize;

pub use check::{named, named_in};

const DATA: &str = "./audience-data";
const DEMO_DATA: &str = "./audience-demo";
const LISTEN: &str = "127.0.0.1:8081";
const LISTEN_INGEST: &str = "127.0.0.1:8082";
const CHECKPOINT_SECONDS: u64 = 60;
const WEBHOOK_GIVE_UP_HOURS: NonZeroU32 = NonZeroU32::new(72).expect("it is not zero");
const MAX_STREAMS: NonZeroU32 = NonZeroU32::new(2_000).expect("it is not zero");
const PROFILE_REFRESH_SECONDS: NonZeroU32 = NonZeroU32::new(3_600).expect("it is not zero");
const PARTITIONS: u32 = 12;
const HISTORY_EVENTS: NonZeroU32 = NonZeroU32::new(250_000).expect("it is not zero");
const HISTORY_SECONDS: u64 = 60;
const WRITER: &str = "audience";
const WRITERS: NonZeroU32 = NonZeroU32::new(2).expect("it is not zero");
const LOG_FORMAT: LogFormat = LogFormat::Text;
pub const LOG: &str = "info,fjall=warn,lsm_tree=warn,aerospike_core=off";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings as flags and variables say them.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeFlags {
    /// A TOML file of settings, named as the flags without dashes in front and with `_` for `-`; flags and variables go
    /// before it, and an unknown key is an error. [default: none]
    #[arg(long, env = "AUDIENCE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where all data is kept. [default: ./audience-data]
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A generated shop to try everything out on, with customers who come and go: in a directory of its own,
    /// ./audience-demo where nothing else is said, and never in one with other data. [default: off]
    #[arg(long, env = "AUDIENCE_DEMO")]
    pub demo: bool,
    /// Worker threads. [default: the number of cores]
    #[arg(long, env = "AUDIENCE_WORKERS", value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Where all APIs and the console are served. Reachable from this machine only by default: nothing asks for
    /// a password. [default: 127.0.0.1:8081]
    #[arg(long, env = "AUDIENCE_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the event ingestion API is served by itself; the same reason. [default: 127.0.0.1:8082]
    #[arg(long, env = "AUDIENCE_LISTEN_INGEST", value_name = "ADDRESS")]
    pub listen_ingest: Option<SocketAddr>,
    /// Seconds between checkpoints; a start does again what came after the last one. [default: 60]
    #[arg(long, env = "AUDIENCE_CHECKPOINT_SECONDS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_seconds: Option<u64>,
    /// Clients that follow membership changes at once, by server-sent events or WebSocket; more are refused with 429.
    /// [default: 2000]
    #[arg(long, env = "AUDIENCE_MAX_STREAMS", value_name = "N")]
    pub max_streams: Option<NonZeroU32>,
    /// Lets webhooks go to addresses of this machine and of its network too; whoever may name a target then reaches what
    /// this machine reaches. [default: false]
    #[arg(long, env = "AUDIENCE_WEBHOOK_PRIVATE_TARGETS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub webhook_private_targets: Option<bool>,
    /// Certificates in PEM of those who vouch for webhooks' targets, beside those whom this machine trusts. [default: none]
    #[arg(long, env = "AUDIENCE_WEBHOOK_CA_FILE", value_name = "FILE")]
    pub webhook_ca_file: Option<PathBuf>,
    /// Hours for which every attempt to post to a webhook's target may fail before it is paused. [default: 72]
    #[arg(long, env = "AUDIENCE_WEBHOOK_GIVE_UP_HOURS", value_name = "N")]
    pub webhook_give_up_hours: Option<NonZeroU32>,
    /// Where spans go by OTLP over HTTP, `http://host:4318`. [default: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere]
    #[arg(long, env = "AUDIENCE_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
    /// How log lines are written. [default: text]
    #[arg(long, env = "AUDIENCE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged: a level, or levels by target (`info,audience_engine=debug`). [default: info,fjall=warn,lsm_tree=warn,aerospike_core=off]
    #[arg(long, env = "AUDIENCE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Brokers of Kafka, `host:port` separated by commas: events are read from `user-events` too, and membership changes
    /// written to `user-segments`. TLS, passwords and more are settings of the table `[kafka]` in a file. [default: none]
    #[arg(long, env = "AUDIENCE_KAFKA", value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Where PostgreSQL is, as a libpq URL: segments and traits are kept there instead of in the data directory, and
    /// edited in SQL too. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    pub postgres: Option<String>,
    /// Where Redis is, `redis://[user:password@]host:port/database`: memberships are kept there too. More is said in the
    /// table `[redis]` in a file. [default: none]
    #[arg(long, env = "AUDIENCE_REDIS", value_name = "URL", hide_env_values = true)]
    pub redis: Option<String>,
    /// Nodes of Aerospike, `host:port` separated by commas: memberships are kept there too. Which logical store is kept
    /// where is said in the table `[aerospike]` in a file. [default: none]
    #[arg(long, env = "AUDIENCE_AEROSPIKE", value_name = "HOSTS")]
    pub aerospike: Option<String>,
    /// Whether traits and computed traits of users are kept in Redis and Aerospike too, so that one read there gives them.
    /// [default: false]
    #[arg(long, env = "AUDIENCE_PROFILES", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub profiles: Option<bool>,
    /// Seconds between two times at which profiles are written anew that have changed by time alone. [default: 3600]
    #[arg(long, env = "AUDIENCE_PROFILE_REFRESH_SECONDS", value_name = "N")]
    pub profile_refresh_seconds: Option<NonZeroU32>,
    /// Where checkpoints and a history in Parquet are kept instead of checkpoints in the data directory: a shared directory,
    /// `file:///directory`, or an S3-compatible store, `s3://bucket/prefix`, with the usual `AWS_*` variables. A start on an
    /// empty data directory goes on from there. [default: none]
    #[arg(long, env = "AUDIENCE_CHECKPOINTS", value_name = "URL")]
    pub checkpoints: Option<String>,
}

/// How Kafka is read and written; in a file, the table `[kafka]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "KafkaFile")]
pub struct KafkaSettings {
    /// How brokers are reached.
    pub connection: Connection,
    /// Partitions of the topics that are made because they are missing.
    pub partitions: u32,
    /// Where a topic of events is begun that has never been read.
    pub start: Start,
    /// What happens where events are gone before they were read.
    pub on_gone: OnGone,
    /// What the topic of events is called in positions; its name where nothing is said. Under a new one it has never been read.
    pub source_name: Option<String>,
    /// What the names of all topics begin with.
    pub topic_prefix: String,
    /// Under which name membership changes are written. Of several that write to one cluster each has its own.
    pub writer: String,
    /// Milliseconds at least from the beginning of one transaction of changes to that of the next.
    pub transaction_interval_ms: u64,
    /// How many read the topic of events, each its share of the partitions; one a worker where nothing is said, but not more than
    /// `partitions`.
    pub readers: Option<NonZeroU32>,
    /// How many write membership changes side by side, each those of its users; not more than their topic has partitions.
    pub writers: NonZeroU32,
}

/// The table `[kafka]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaFile {
    brokers: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    partitions: Option<NonZeroU32>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    on_gone: OnGone,
    source_name: Option<String>,
    #[serde(default)]
    topic_prefix: String,
    writer: Option<String>,
    #[serde(default)]
    transaction_interval_ms: u64,
    readers: Option<NonZeroU32>,
    writers: Option<NonZeroU32>,
}

impl From<KafkaFile> for KafkaSettings {
    fn from(file: KafkaFile) -> Self {
        KafkaSettings {
            connection: Connection { properties: file.properties, ..Connection::to(&file.brokers) },
            partitions: file.partitions.map_or(PARTITIONS, NonZeroU32::get),
            start: file.start,
            on_gone: file.on_gone,
            source_name: file.source_name,
            topic_prefix: file.topic_prefix,
            writer: file.writer.unwrap_or_else(|| WRITER.to_owned()),
            transaction_interval_ms: file.transaction_interval_ms,
            readers: file.readers,
            writers: file.writers.unwrap_or(WRITERS),
        }
    }
}

impl KafkaSettings {
    /// What the table says, if there is one, with these brokers, if they are given.
    fn of(brokers: Option<String>, table: Option<KafkaSettings>) -> Option<KafkaSettings> {
        match (brokers, table) {
            (None, table) => table,
            (Some(brokers), Some(table)) => {
                Some(KafkaSettings { connection: Connection { brokers, ..table.connection }, ..table })
            }
            (Some(brokers), None) => Some(KafkaSettings {
                connection: Connection::to(&brokers),
                partitions: PARTITIONS,
                start: Start::default(),
                on_gone: OnGone::default(),
                source_name: None,
                topic_prefix: String::new(),
                writer: WRITER.to_owned(),
                transaction_interval_ms: 0,
                readers: None,
                writers: WRITERS,
            }),
        }
    }
}

/// The table `[checkpoints]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointsFile {
    url: String,
}

/// How the history is kept; in a file, the table `[history]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySettings {
    /// Events in a file at most.
    pub events: NonZeroU32,
    /// Seconds that an event waits for others before a file is written.
    pub seconds: u64,
}

impl Default for HistorySettings {
    fn default() -> Self {
        HistorySettings { events: HISTORY_EVENTS, seconds: HISTORY_SECONDS }
    }
}

/// Settings as a file says them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServeFile {
    data: Option<PathBuf>,
    workers: Option<NonZeroUsize>,
    listen: Option<SocketAddr>,
    listen_ingest: Option<SocketAddr>,
    checkpoint_seconds: Option<std::num::NonZeroU64>,
    max_streams: Option<NonZeroU32>,
    webhook_private_targets: Option<bool>,
    webhook_ca_file: Option<PathBuf>,
    webhook_give_up_hours: Option<NonZeroU32>,
    otlp: Option<String>,
    log_format: Option<LogFormat>,
    log: Option<String>,
    kafka: Option<KafkaSettings>,
    postgres: Option<String>,
    redis: Option<audience_redis::Settings>,
    aerospike: Option<audience_aerospike::Settings>,
    profiles: Option<bool>,
    profile_refresh_seconds: Option<NonZeroU32>,
    checkpoints: Option<CheckpointsFile>,
    #[serde(default)]
    history: HistorySettings,
}

/// Settings of `audience serve`.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where all data is kept.
    pub data: PathBuf,
    /// Whether it is filled with a generated shop.
    pub demo: bool,
    /// Worker threads.
    pub workers: usize,
    /// Where all APIs and the console are served.
    pub listen: SocketAddr,
    /// Where the event ingestion API is served by itself.
    pub listen_ingest: SocketAddr,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: u64,
    /// Clients that follow membership changes at once.
    pub max_streams: u32,
    /// Whether webhooks may go to addresses that are not public.
    pub webhook_private_targets: bool,
    /// Who vouches for webhooks' targets beside those whom this machine trusts.
    pub webhook_ca_file: Option<PathBuf>,
    /// For how long a webhook's target may fail before it is paused.
    pub webhook_give_up_hours: u32,
    /// Where spans go, where a variable of OTLP does not say it.
    pub otlp: Option<String>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
    /// Kafka, where events are read from it and membership changes written to it.
    pub kafka: Option<KafkaSettings>,
    /// The address of PostgreSQL, where segments and traits are kept there.
    pub postgres: Option<String>,
    /// Redis, where memberships are kept there too.
    pub redis: Option<audience_redis::Settings>,
    /// Aerospike, where memberships are kept there too.
    pub aerospike: Option<audience_aerospike::Settings>,
    /// Whether profiles of users are kept there too.
    pub profiles: bool,
    /// Seconds between two times at which those are written anew that have changed by time alone.
    pub profile_refresh_seconds: u32,
    /// The URL where checkpoints and history are kept, where they are not in the data directory.
    pub checkpoints: Option<String>,
    /// How the history is kept there.
    pub history: HistorySettings,
}

impl ServeSettings {
    /// What flags and variables say, then the file that they name, then the defaults.
    pub fn load(flags: ServeFlags) -> anyhow::Result<ServeSettings> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => ServeFile::default(),
        };
        let address = |text: &str| text.parse::<SocketAddr>().with_context(|| format!("`{text}` is no address"));
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(check::MOST_WORKERS);
        let settings = ServeSettings {
            data: flags.data.or(file.data).unwrap_or_else(|| PathBuf::from(if flags.demo { DEMO_DATA } else { DATA })),
            demo: flags.demo,
            workers: flags.workers.or(file.workers).map_or_else(cores, NonZeroUsize::get),
            listen: flags.listen.or(file.listen).map_or_else(|| address(LISTEN), Ok)?,
            listen_ingest: flags.listen_ingest.or(file.listen_ingest).map_or_else(|| address(LISTEN_INGEST), Ok)?,
            checkpoint_seconds: flags
                .checkpoint_seconds
                .or(file.checkpoint_seconds.map(std::num::NonZeroU64::get))
                .unwrap_or(CHECKPOINT_SECONDS),
            max_streams: flags.max_streams.or(file.max_streams).unwrap_or(MAX_STREAMS).get(),
            webhook_private_targets: flags.webhook_private_targets.or(file.webhook_private_targets).unwrap_or(false),
            webhook_ca_file: flags.webhook_ca_file.or(file.webhook_ca_file),
            webhook_give_up_hours: flags
                .webhook_give_up_hours
                .or(file.webhook_give_up_hours)
                .unwrap_or(WEBHOOK_GIVE_UP_HOURS)
                .get(),
            otlp: flags.otlp.or(file.otlp),
            log_format: flags.log_format.or(file.log_format).unwrap_or(LOG_FORMAT),
            log: flags.log.or(file.log).unwrap_or_else(|| LOG.to_owned()),
            kafka: KafkaSettings::of(flags.kafka, file.kafka),
            postgres: flags.postgres.or(file.postgres),
            redis: match (flags.redis, file.redis) {
                (Some(url), Some(table)) => Some(audience_redis::Settings { url, ..table }),
                (Some(url), None) => Some(audience_redis::Settings::of(&url)),
                (None, table) => table,
            },
            aerospike: match (flags.aerospike, file.aerospike) {
                (Some(hosts), Some(table)) => Some(audience_aerospike::Settings { hosts, ..table }),
                (Some(hosts), None) => Some(audience_aerospike::Settings::of(&hosts)),
                (None, table) => table,
            },
            profiles: flags.profiles.or(file.profiles).unwrap_or(false),
            profile_refresh_seconds: flags
                .profile_refresh_seconds
                .or(file.profile_refresh_seconds)
                .unwrap_or(PROFILE_REFRESH_SECONDS)
                .get(),
            checkpoints: flags.checkpoints.or(file.checkpoints.map(|table| table.url)),
            history: file.history,
        };
        settings.check()?;
        Ok(settings)
    }
}

fn read_file(path: &Path) -> anyhow::Result<ServeFile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--config (AUDIENCE_CONFIG): cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is no file of settings", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Serve {
        #[command(flatten)]
        flags: ServeFlags,
    }

    pub(super) fn load(args: &[&str], file: Option<&str>) -> anyhow::Result<ServeSettings> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audience.toml");
        let mut flags = Serve::try_parse_from([&["serve"], args].concat())?.flags;
        if let Some(text) = file {
            std::fs::write(&path, text).expect("written");
            flags.config = Some(path);
        }
        ServeSettings::load(flags)
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_the_defaults() {
        let file = "workers = 7\nlisten = \"0.0.0.0:1\"\nlog_format = \"json\"\ncheckpoint_seconds = 5";
        let settings = load(&["--workers", "3", "--log", "debug"], Some(file)).expect("valid");
        assert_eq!((settings.workers, settings.checkpoint_seconds), (3, 5));
        assert_eq!(
            (settings.listen.to_string(), settings.listen_ingest.to_string()),
            ("0.0.0.0:1".into(), LISTEN_INGEST.into())
        );
        assert_eq!((settings.log_format, &*settings.log), (LogFormat::Json, "debug"));
        assert_eq!(settings.data, Path::new(DATA));
        let defaults = load(&[], None).expect("valid");
        assert!(defaults.workers >= 1);
        assert_eq!(defaults.listen.to_string(), LISTEN);
    }

    /// The settings file that is shipped, with everything in it that is commented out.
    #[test]
    fn every_setting_of_the_shipped_file_is_known() {
        let shipped = include_str!("../../../deploy/audience.toml");
        assert!(load(&[], Some(shipped)).is_ok(), "as it is");
        let uncommented = shipped.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')));
        let all: Vec<&str> = uncommented.zip(shipped.lines()).map(|(setting, line)| setting.unwrap_or(line)).collect();
        let settings = load(&[], Some(&all.join("\n"))).expect("every key is known");
        let kafka = settings.kafka.expect("a table");
        assert_eq!((kafka.partitions, kafka.writer.as_str()), (PARTITIONS, WRITER));
        assert_eq!((kafka.transaction_interval_ms, kafka.writers), (0, WRITERS));
        assert_eq!((kafka.start, kafka.on_gone), (Start::default(), OnGone::default()));
        assert_eq!(kafka.connection.properties.len(), 5);
        let (aerospike, default) =
            (settings.aerospike.expect("a table"), audience_aerospike::Settings::of("aerospike.example.org:3000"));
        assert_eq!(
            (aerospike.user_profiles.prefix, aerospike.segment_ownership),
            ("audience-".into(), default.segment_ownership)
        );
        assert_eq!(
            (aerospike.analytics.namespace, &*aerospike.analytics.prefix),
            (default.analytics.namespace, "audience-")
        );
        assert_eq!(
            (aerospike.writer, aerospike.timeout_ms, aerospike.chunks),
            (default.writer, default.timeout_ms, default.chunks)
        );
        assert_eq!(settings.redis.expect("a table").prefix, audience_redis::Settings::of("").prefix);
        assert_eq!((settings.history.events, settings.history.seconds), (HISTORY_EVENTS, HISTORY_SECONDS));
        assert_eq!((settings.profiles, settings.profile_refresh_seconds), (false, PROFILE_REFRESH_SECONDS.get()));
        assert!(settings.checkpoints.is_some_and(|url| url.starts_with("s3://")));
        assert_eq!((settings.data.as_path(), settings.listen.to_string().as_str()), (Path::new(DATA), LISTEN));
        assert_eq!((settings.checkpoint_seconds, settings.log.as_str()), (CHECKPOINT_SECONDS, LOG));
    }

    #[test]
    fn a_wrong_file_is_an_error_that_says_where() {
        for (file, expected) in [
            ("worker = 7", "worker"),
            ("workers = 0", "workers"),
            ("listen = \"here\"", "listen"),
            ("log_format = \"xml\"", "log_format"),
            ("[data]\nx = 1", "data"),
        ] {
            let error = format!("{:#}", load(&[], Some(file)).expect_err(file));
            assert!(error.contains(expected) && error.contains("audience.toml"), "{file}: {error}");
        }
        let error = format!("{:#}", load(&["--config", "/nowhere"], None).expect_err("no file"));
        assert!(error.contains("--config") && error.contains("/nowhere"), "{error}");
        assert!(load(&["--checkpoint-seconds", "0"], None).is_err());
    }

    #[test]
    fn every_flag_says_its_variable_and_its_default() {
        for argument in Serve::command().get_arguments().filter(|argument| argument.get_id() != "help") {
            let name = argument.get_id().as_str();
            let variable = argument.get_env().and_then(|variable| variable.to_str());
            assert_eq!(variable, Some(format!("AUDIENCE_{}", name.to_uppercase()).as_str()));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("[default: "), "{name}: {help}");
        }
        for (constant, flag) in [(DATA, "data"), (LISTEN, "listen"), (LISTEN_INGEST, "listen_ingest"), (LOG, "log")] {
            let command = Serve::command();
            let argument = command.get_arguments().find(|argument| argument.get_id() == flag).expect("there");
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("[default: {constant}]")), "{flag}: {help}");
        }
    }
}
