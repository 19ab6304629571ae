//! Settings of the program: flags, then `AUDIENCE_*` variables, then a TOML file, then defaults.
//!
//! A setting is a field of a clap struct here, in [`tables`], or beside its only user. The field says its name, type, default
//! and sentence; the flag, the variable, the key in a file, `docs/settings.md` and `deploy/audience.toml` follow from it.
//! [`file`] adds to a command line what the file says and neither a flag nor a variable does.
//!
//! A setting without a default value says in brackets what holds instead: `[default: none]`.

mod access;
mod address;
mod connections;
pub(crate) mod file;
mod http;
mod mail;
pub(crate) mod names;
mod oidc;
pub(crate) mod positive;
mod quotas;
#[cfg(test)]
mod reference;
mod standby;
mod tables;
mod tls;
mod webhooks;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{ArgMatches, Args, Command};

pub(crate) use access::{AccessSettings, When};
pub(crate) use address::Address;
pub(crate) use connections::Connections;
use file::SettingsFile;
pub(crate) use http::HttpSettings;
pub(crate) use mail::MailSettings;
pub(crate) use names::{KAFKA_SETTINGS, named, named_in};
use positive::positive;
pub(crate) use standby::{PromotionMode, StandbySettings};
use tables::SettingTables;
pub(crate) use tables::{HistorySettings, KafkaSettings};
pub(crate) use tls::{OWN_CERTIFICATE, TlsProcess};
use webhooks::WebhookSettings;

use crate::telemetry::TelemetrySettings;

const DATA: &str = "./audience-data";
const DEMO_DATA: &str = "./audience-demo";
/// The number of shards of users: more workers than shards would leave some without work.
const MOST_WORKERS: usize = 256;

/// The settings of `audience serve` as clap reads them.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeFlags {
    #[command(flatten)]
    pub config: ConfigFlag,
    /// The directory of all data. [default: ./audience-data, with --demo ./audience-demo]
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Fills a new data directory with a generated shop, whose customers come and go. A directory with other data is refused.
    /// [default: off]
    #[arg(long, env = "AUDIENCE_DEMO")]
    pub demo: bool,
    /// Worker threads, at most 256. [default: the number of cores]
    #[arg(long, env = "AUDIENCE_WORKERS", value_name = "N", value_parser = positive::<NonZeroUsize>)]
    pub workers: Option<NonZeroUsize>,
    /// The address of all APIs and the console. A port alone is one of this machine. At another address callers sign in.
    #[arg(
        long,
        visible_alias = "port",
        env = "AUDIENCE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8081"
    )]
    pub listen: Address,
    /// The address of the event ingestion API by itself.
    #[arg(long, env = "AUDIENCE_LISTEN_INGEST", value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub listen_ingest: Address,
    /// Seconds between checkpoints. A start repeats only what came after the last one.
    #[arg(long, env = "AUDIENCE_CHECKPOINT_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = positive::<u64>)]
    pub checkpoint_seconds: u64,
    /// Clients that may follow membership changes at once, by server-sent events or WebSocket. Others are refused with 429.
    #[arg(long, env = "AUDIENCE_MAX_STREAMS", value_name = "N", default_value = "2000", value_parser = positive::<u32>)]
    pub max_streams: u32,
    #[command(flatten)]
    pub http: HttpSettings,
    /// Seconds for which the clock of this machine must stay where it jumped to, by more than two seconds, before time follows it.
    #[arg(long, env = "AUDIENCE_CLOCK_JUMP_SECONDS", value_name = "SECONDS", default_value = "60")]
    pub clock_jump_seconds: u32,
    #[command(flatten)]
    pub access: AccessSettings,
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    #[command(flatten)]
    pub mail: MailSettings,
    #[command(flatten)]
    pub standby: StandbySettings,
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
    #[command(flatten)]
    pub connections: ConnectionFlags,
    /// Keeps traits and computed traits of users in Redis and Aerospike too, so that one read there gives them.
    #[arg(long, env = "AUDIENCE_PROFILES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", value_parser = clap::value_parser!(bool))]
    pub profiles: bool,
    /// Seconds between two rewrites of the profiles that time alone has changed.
    #[arg(long, env = "AUDIENCE_PROFILE_REFRESH_SECONDS", value_name = "SECONDS", default_value = "3600", value_parser = positive::<u32>)]
    pub profile_refresh_seconds: u32,
    /// The URL of the checkpoints and of a history in Parquet: `file:///directory`, or `s3://bucket/prefix` with the usual
    /// `AWS_*` variables. A start on an empty data directory goes on from there. [default: none, checkpoints are in the data
    /// directory]
    #[arg(long, env = "AUDIENCE_CHECKPOINTS", value_name = "URL")]
    pub checkpoints: Option<String>,
}

/// The file of settings.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfigFlag {
    /// A TOML file of settings. Its keys are the names of the flags with `_` for `-`; flags and variables win over it.
    /// [default: none]
    #[arg(long = "config", env = "AUDIENCE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The brokers of Kafka.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KafkaFlag {
    /// Kafka brokers, `host:port` separated by commas. Events are read from the topic `user-events`, membership changes
    /// written to `user-segments`. TLS and passwords are keys of the table `[kafka]`. [default: none]
    #[arg(long, env = "AUDIENCE_KAFKA", value_name = "BROKERS")]
    pub kafka: Option<String>,
}

/// The servers that the program can be joined to.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionFlags {
    #[command(flatten)]
    pub kafka: KafkaFlag,
    /// The libpq URL of a PostgreSQL that keeps segments and traits instead of the data directory. They can be edited in SQL
    /// there. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    pub postgres: Option<String>,
    /// The URL of a Redis that keeps memberships too, `redis://[user:password@]host:port/database`. Its other settings are
    /// in the table `[redis]`. [default: none]
    #[arg(long, env = "AUDIENCE_REDIS", value_name = "URL", hide_env_values = true)]
    pub redis: Option<String>,
    /// Nodes of an Aerospike that keeps memberships too, `host:port` separated by commas. Its other settings are in the table
    /// `[aerospike]`. [default: none]
    #[arg(long, env = "AUDIENCE_AEROSPIKE", value_name = "HOSTS")]
    pub aerospike: Option<String>,
}

impl Connections {
    /// Joins flags with the file that is named; refuses what no server can be reached with.
    pub(crate) fn load(flags: ConnectionFlags, config: &ConfigFlag) -> anyhow::Result<Connections> {
        Connections::join(flags, SettingTables::of(config.read()?.as_ref())?)
    }

    fn join(flags: ConnectionFlags, tables: SettingTables) -> anyhow::Result<Connections> {
        let connections = Connections {
            kafka: tables::kafka(flags.kafka.kafka, tables.kafka)?,
            postgres: flags.postgres,
            redis: tables::redis(flags.redis, tables.redis)?,
            aerospike: tables::aerospike(flags.aerospike, tables.aerospike)?,
        };
        connections.check()?;
        Ok(connections)
    }
}

/// The settings of `audience serve`, complete and checked.
#[derive(Clone, Debug)]
pub(crate) struct ServeSettings {
    pub flags: ServeFlags,
    pub connections: Connections,
    /// The URL of checkpoints and history, where they are not in the data directory.
    pub checkpoints: Option<String>,
    pub history: HistorySettings,
}

impl ServeSettings {
    /// Joins flags with the tables of the file that they name, and checks all.
    pub(crate) fn load(flags: ServeFlags) -> anyhow::Result<ServeSettings> {
        let mut tables = SettingTables::of(flags.config.read()?.as_ref())?;
        let in_table = tables.checkpoints.take().map(|table| table.url);
        let history = tables.history;
        let settings = ServeSettings {
            connections: Connections::join(flags.connections.clone(), tables)?,
            checkpoints: flags.checkpoints.clone().or(in_table),
            history,
            flags,
        };
        let workers = settings.workers();
        ensure!(
            workers <= MOST_WORKERS,
            "{} is {workers}: at most {MOST_WORKERS} worker threads are possible, and more than there are cores gain nothing",
            named("workers"),
        );
        Ok(settings)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        let default = if self.flags.demo { DEMO_DATA } else { DATA };
        self.flags.data.as_deref().unwrap_or(Path::new(default))
    }

    /// The process, as far as TLS on these listeners needs it.
    pub(crate) fn tls_process<'a>(&'a self, listeners: &'a [SocketAddr]) -> TlsProcess<'a> {
        TlsProcess { data: Some(self.data()), listeners, public_url: self.flags.access.public_url.as_deref() }
    }

    /// The number of worker threads.
    pub(crate) fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_WORKERS);
        self.flags.workers.map_or_else(cores, NonZeroUsize::get)
    }
}

impl ConfigFlag {
    /// The flag of a command that has one.
    pub(crate) fn of(matches: &ArgMatches) -> Option<ConfigFlag> {
        let config = matches.try_get_one::<PathBuf>("config").ok()?.cloned();
        Some(ConfigFlag { config })
    }

    /// Reads the file, if one is named.
    pub(crate) fn read(&self) -> anyhow::Result<Option<SettingsFile>> {
        let command = ServeFlags::augment_args(Command::new("serve"));
        self.config.as_deref().map(|path| SettingsFile::read(path, &command)).transpose()
    }
}

#[cfg(test)]
mod tests;
