//! Log lines, and spans by OTLP where a collector is named.
//!
//! Spans wait in a bounded queue. While the collector is slow or away, spans are lost and counted, and nothing else is affected:
//! only the end of the process waits for the collector, and only briefly.

mod contexts;
mod lines;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use audience_protocol::SPANS;
use clap::{Args, ValueEnum};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use self::contexts::ExportedSpans;
use self::lines::TracedLines;
use crate::settings::names::named;

/// The most spans that wait for the collector.
const QUEUE: usize = 4_096;
/// The library's queue is larger by this, so that ours is the one that fills.
const ROOM: usize = 1_024;
/// The time that the end of the process waits for the collector.
const LAST: Duration = Duration::from_secs(3);
/// The path of traces below the address of a collector.
const TRACES: &str = "v1/traces";
/// The variables that every program with OTLP knows; the library reads them, and others of theirs.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Settings of log lines and spans.
#[derive(Clone, Debug, Args)]
pub(crate) struct TelemetrySettings {
    /// The URL of a collector that takes spans by OTLP over HTTP, such as `http://127.0.0.1:4318`.
    /// [default: OTEL_EXPORTER_OTLP_ENDPOINT, else none]
    #[arg(long, env = "AUDIENCE_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
    /// The form of log lines: `text` for people, `json` for one JSON object a line.
    #[arg(
        long,
        env = "AUDIENCE_LOG_FORMAT",
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// The least level that is logged, or levels by target as in `info,audience_engine=debug`.
    #[arg(long, env = "AUDIENCE_LOG", value_name = "FILTER", default_value = LOG)]
    pub log: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

const LOG: &str = "info,fjall=warn,lsm_tree=warn,aerospike_core=off";

/// Exports the last spans when it is dropped.
#[must_use]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown_with_timeout(LAST)) {
            tracing::warn!(%error, "The last spans are lost");
        }
    }
}

/// Starts logging, and exporting spans, as the settings say. `process` is the part of the program that runs here.
pub(crate) fn start(settings: &TelemetrySettings, process: &'static str) -> anyhow::Result<Telemetry> {
    let filter = log_filter(&settings.log)?;
    // Spans for the collector would stand before every line.
    let filter = filter.and(filter_fn(|metadata| metadata.target() != SPANS));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).map_event_format(TracedLines::text).boxed(),
        LogFormat::Json => lines.json().map_event_format(TracedLines::json).boxed(),
    };
    let provider = exporter(settings.otlp.as_deref())?.map(|exporter| provider(exporter, process));
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("audience"));
        layer.with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    if provider.is_some() {
        audience_trace::install(Box::new(ExportedSpans));
    }
    Ok(Telemetry(provider))
}

/// Parses a level, or levels by target. A word that is not a level would count as a target, and silence all others.
fn log_filter(text: &str) -> anyhow::Result<EnvFilter> {
    let directives = || text.split(',').filter(|directive| !directive.is_empty());
    let is_word = |directive: &&str| !directive.contains(['=', '[']);
    let unknown = directives().filter(is_word).find(|word| word.parse::<LevelFilter>().is_err());
    if let Some(unknown) = unknown.or(directives().next().is_none().then_some(text)) {
        bail!(
            "{}: `{unknown}` is not a level: give off, error, warn, info, debug or trace, or levels by target, as in \
             info,audience_engine=debug",
            named("log")
        );
    }
    EnvFilter::try_new(text).with_context(|| format!("{}: `{text}` is not a log filter", named("log")))
}

/// Creates the exporter to the collector that the setting or a variable names.
fn exporter(url: Option<&str>) -> anyhow::Result<Option<opentelemetry_otlp::SpanExporter>> {
    let of_variable = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok().filter(|url| !url.is_empty())?));
    let named = match url {
        Some(url) => Some((named("otlp"), url.to_owned())),
        None => VARIABLES.iter().find_map(of_variable),
    };
    let Some((name, address)) = named else { return Ok(None) };
    check_collector(&name, &address)?;
    // The only one in the tree; taken already where another client was made before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = opentelemetry_otlp::SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let builder = match url {
        Some(url) => builder.with_endpoint(format!("{}/{TRACES}", url.trim_end_matches('/'))),
        None => builder,
    };
    builder.build().map(Some).with_context(|| format!("{name}: spans cannot be exported to {address}"))
}

/// Refuses an address that no span can be sent to. The library takes any, and would fail with every span.
fn check_collector(name: &str, address: &str) -> anyhow::Result<()> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    let is_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
    if !rest.is_some_and(is_host) {
        bail!("{name}: `{address}` must begin with http:// or https:// and a host, such as http://127.0.0.1:4318");
    }
    Ok(())
}

fn provider(exporter: opentelemetry_otlp::SpanExporter, process: &'static str) -> SdkTracerProvider {
    FIGURES.get_or_init(SpanCounters::new);
    let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE + ROOM).build();
    let batches = BatchSpanProcessor::builder(CountedExporter(exporter)).with_batch_config(config).build();
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("audience");
    }
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("audience.process", process),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    let resource = resource.with_attributes(attributes).build();
    SdkTracerProvider::builder().with_span_processor(Bounded(batches)).with_resource(resource).build()
}

/// The counters of spans.
struct SpanCounters {
    registry: Registry,
    exported: Counter,
    lost: Counter,
}

/// Set once spans are exported.
static FIGURES: OnceLock<SpanCounters> = OnceLock::new();

impl SpanCounters {
    fn new() -> SpanCounters {
        let mut registry = Registry::with_prefix("audience");
        let (exported, lost) = (Counter::default(), Counter::default());
        registry.register("spans_exported", "Spans that the collector took", exported.clone());
        registry.register("spans_lost", "Spans that found no room, or that the collector did not take", lost.clone());
        SpanCounters { registry, exported, lost }
    }
}

fn exported(spans: usize) {
    if let Some(figures) = FIGURES.get() {
        figures.exported.inc_by(spans as u64);
    }
}

fn lost(spans: usize) {
    if let Some(figures) = FIGURES.get() {
        figures.lost.inc_by(spans as u64);
    }
}

/// Spans in the queue.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The metrics of the export for `/metrics`; empty without one.
pub(crate) fn figures() -> String {
    let mut text = String::new();
    match FIGURES.get() {
        Some(figures) => encode_registry(&mut text, &figures.registry).map(|()| text).unwrap_or_default(),
        None => text,
    }
}

/// A span processor that drops spans while the queue is full.
#[derive(Debug)]
struct Bounded(BatchSpanProcessor);

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if WAITING.fetch_add(1, Ordering::AcqRel) < QUEUE {
            self.0.on_end(span);
        } else {
            WAITING.fetch_sub(1, Ordering::AcqRel);
            lost(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// An exporter that counts.
#[derive(Debug)]
struct CountedExporter(opentelemetry_otlp::SpanExporter);

impl SpanExporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        WAITING.fetch_sub(spans, Ordering::AcqRel);
        let taken = self.0.export(batch).await;
        match &taken {
            Ok(()) => exported(spans),
            Err(error) => {
                lost(spans);
                tracing::debug!(%error, spans, "The collector refuses spans");
            }
        }
        taken
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_is_made_of_levels() {
        for fine in [LOG, "debug", "INFO", "off", "3", "info,audience=trace,", "[http]=debug", "info,[http]"] {
            assert!(log_filter(fine).is_ok(), "{fine}");
        }
        for bad in [
            "loud",
            "info,loud",
            "audience_engine",
            "",
            " , ",
            "audience=loud",
            "info, debug",
            "info, audience=debug",
            "=",
            "info;debug",
        ] {
            let error = log_filter(bad).expect_err(bad).to_string();
            assert!(error.contains("--log (AUDIENCE_LOG, or `log` in a file)"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_collector_is_reached_over_http() {
        for fine in ["http://127.0.0.1:4318", "https://collector/base/", "http://[::1]:4318"] {
            assert!(check_collector("--otlp", fine).is_ok(), "{fine}");
        }
        for bad in ["ftp://x", "x", "127.0.0.1:4318", "http://", "https:///v1", "http://:4318", "http:/x"] {
            let error = check_collector("--otlp", bad).expect_err(bad).to_string();
            assert!(error.starts_with("--otlp: ") && error.contains(bad), "{bad}: {error}");
        }
    }
}
