//! Bounds of the HTTP APIs that every process with one has.

use std::sync::Arc;
use std::time::Duration;

use audience_api::ApiOptions;
use audience_engine::service::clock;
use audience_redis::RedisSettings;
use audience_rules::placeholders::{Placeholders, SHIPPED};
use clap::Args;

use super::quotas::QuotaSettings;
use super::tls::{TlsProcess, TlsSettings};
use crate::{open_files, process_metrics};

/// The least memory of bodies: the largest body takes 64 MiB as sent and as much as unpacked.
const LEAST_BODY_MEMORY_MIB: u32 = 256;

/// Settings of the HTTP APIs.
#[derive(Clone, Debug, Args)]
pub(crate) struct HttpSettings {
    /// Mebibytes of memory that the bodies of all requests take together, as sent and as unpacked; at least 256. A body that
    /// finds none is refused with 429.
    #[arg(long, env = "AUDIENCE_BODY_MEMORY_MIB", value_name = "MIB", default_value = "512", value_parser = clap::value_parser!(u32).range(i64::from(LEAST_BODY_MEMORY_MIB)..))]
    pub body_memory_mib: u32,
    /// Origins of other sites whose scripts may call all of the API and open WebSockets, such as `https://shop.example`,
    /// separated by commas; `*` for any. [default: none]
    #[arg(long, env = "AUDIENCE_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Origins of sites whose scripts may send events, separated by commas; `*` for any. They never send a credential that
    /// a browser keeps.
    #[arg(
        long,
        env = "AUDIENCE_CORS_INGEST_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ',',
        default_value = "*"
    )]
    pub cors_ingest_origins: Vec<String>,
    /// Words that are no ids, in any case, separated by commas; the empty text never is one. An event with another id passes
    /// them over, else it is refused.
    #[arg(
        long,
        env = "AUDIENCE_PLACEHOLDER_IDS",
        value_name = "WORDS",
        value_delimiter = ',',
        default_value = SHIPPED
    )]
    pub placeholder_ids: Vec<String>,
    #[command(flatten)]
    pub quotas: QuotaSettings,
    #[command(flatten)]
    pub tls: TlsSettings,
}

impl HttpSettings {
    /// As many connections as the APIs take by themselves, and as the limit of open files permits.
    fn max_connections(&self) -> usize {
        let (wanted, permitted) = (ApiOptions::default().max_connections, open_files::connections());
        if permitted < wanted {
            tracing::warn!(
                connections = permitted,
                "The limit of open files permits fewer connections than the usual {wanted}; raise it with ulimit -n"
            );
        }
        wanted.min(permitted)
    }

    /// The words that are no ids.
    pub(crate) fn placeholders(&self) -> Arc<Placeholders> {
        Arc::new(Placeholders::new(&self.placeholder_ids))
    }

    /// The options of the APIs of a process.
    pub(crate) fn options(&self, process: TlsProcess<'_>, redis: Option<&RedisSettings>) -> anyhow::Result<ApiOptions> {
        Ok(ApiOptions {
            quotas: self.quotas.open(redis)?,
            tls: self.tls.open(process)?,
            tls_promise: Duration::from_secs(self.tls.hsts_seconds.into()),
            clock: clock::now,
            figures: process_metrics::figures,
            max_connections: self.max_connections(),
            max_body_memory: (self.body_memory_mib as usize) << 20,
            cors_origins: self.cors_origins.clone(),
            cors_ingest_origins: self.cors_ingest_origins.clone(),
            placeholders: self.placeholders(),
            ..ApiOptions::default()
        })
    }
}
