//! Metrics of the HTTP side.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audience_protocol::Health;
use audience_rules::event::event_code;
use audience_rules::fault::code;
use hyper::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds: from a read of memory to the time limit.
const BUCKETS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentLabel {
    component: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectionLabel {
    reason: &'static str,
}

/// The help of the gauge of readiness.
const READY: &str = "Whether the process takes work, 1 or 0";

/// The metrics of a process that starts: that it is not ready, and those of the program.
pub(crate) fn of_start(figures: &str) -> String {
    format!("# HELP audience_ready {READY}.\n# TYPE audience_ready gauge\naudience_ready 0\n{figures}# EOF\n")
}

/// The metrics of the HTTP side. Every label has few values: a route is its template, an unknown method is `OTHER`.
pub(crate) struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    streams: Gauge,
    body_bytes: Gauge,
    accepted: Counter,
    rejected: Family<RejectionLabel, Counter>,
    ready: Gauge,
    components: Family<ComponentLabel, Gauge>,
    /// Refused events of all reasons.
    refused: AtomicU64,
}

/// A request under way; counted until it is dropped, also where the client went away.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        let mut metrics = HttpMetrics {
            registry: Registry::with_prefix("audience"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            streams: Gauge::default(),
            body_bytes: Gauge::default(),
            accepted: Counter::default(),
            rejected: Family::default(),
            ready: Gauge::default(),
            components: Family::default(),
            refused: AtomicU64::new(0),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register("http_requests_in_flight", "Requests under way", metrics.in_flight.clone());
        registry.register("http_streams", "Clients that follow changes", metrics.streams.clone());
        let body_bytes = "Memory that bodies of requests take";
        registry.register_with_unit("http_body", body_bytes, Unit::Bytes, metrics.body_bytes.clone());
        registry.register("ingest_events_accepted", "Events accepted over HTTP", metrics.accepted.clone());
        registry.register("ingest_events_rejected", "Events refused over HTTP, by reason", metrics.rejected.clone());
        registry.register("ready", READY, metrics.ready.clone());
        let components = "Whether a part is up and has no fault, 1 or 0";
        registry.register("component_up", components, metrics.components.clone());
        // From the beginning: the first increase of a series that springs into being is not seen.
        for reason in [event_code::MALFORMED_JSON, event_code::TOO_LARGE, code::MISSING_MEMBER, code::WRONG_TYPE] {
            drop(metrics.rejected.get_or_create(&RejectionLabel { reason }));
        }
        metrics
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// The gauge of the memory that bodies take.
    pub(crate) fn body_bytes(&self) -> Gauge {
        self.body_bytes.clone()
    }

    /// A client that follows changes begins to.
    pub(crate) fn follow(&self) -> InFlight {
        self.streams.inc();
        InFlight(self.streams.clone())
    }

    pub(crate) fn observe(&self, template: Option<&'static str>, method: &Method, status: StatusCode, took: Duration) {
        let route = template.unwrap_or("(unknown)");
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "OTHER",
        };
        self.requests.get_or_create(&RequestLabels { route, method, status: status.as_u16() }).inc();
        self.durations.get_or_create(&RouteLabel { route }).observe(took.as_secs_f64());
    }

    /// Counts the outcome of events.
    pub(crate) fn events(&self, accepted: usize, rejected: impl Iterator<Item = &'static str>) {
        self.accepted.inc_by(accepted as u64);
        for reason in rejected {
            self.rejected.get_or_create(&RejectionLabel { reason }).inc();
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events refused so far.
    pub(crate) fn events_refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sets what health says.
    pub(crate) fn set_health(&self, health: &Health, is_draining: bool) {
        self.ready.set(i64::from(health.ready && !is_draining));
        self.components.clear();
        for (component, health) in &health.components {
            let label = ComponentLabel { component: component.clone() };
            self.components.get_or_create(&label).set(i64::from(health.is_up() && !health.has_fault));
        }
    }

    /// All of it in the OpenMetrics text form, with the platform's, and those of access and of the program.
    pub(crate) fn write(&self, platform: &str, more: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 * 1024 + platform.len());
        encode_registry(&mut text, &self.registry)?;
        text.push_str(platform);
        if !platform.is_empty() && !platform.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(more);
        writeln!(text, "# EOF")?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use audience_protocol::ComponentHealth;

    use super::*;

    /// An alert fires where it is 0.
    #[test]
    fn a_part_with_something_to_tell_is_up_and_one_with_a_fault_is_not() {
        let told = ComponentHealth::with_figures("tz database 2026a".to_owned());
        let faulty = ComponentHealth::up(Some("the clock jumped".to_owned()));
        let components = [("timezones", told), ("clock", faulty), ("store", ComponentHealth::of_fault(None))];
        let components = components.map(|(name, health)| (name.to_owned(), health));
        let metrics = HttpMetrics::new();
        metrics.set_health(&Health { ready: true, components: BTreeMap::from(components) }, false);
        let text = metrics.write("", "").unwrap_or_default();
        for (name, up) in [("timezones", 1), ("clock", 0), ("store", 1)] {
            assert!(text.contains(&format!("audience_component_up{{component=\"{name}\"}} {up}\n")), "{text}");
        }
    }
}
