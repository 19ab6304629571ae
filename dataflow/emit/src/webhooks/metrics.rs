//! Metrics of webhooks, by webhook: those that there are, and no others.

use std::sync::atomic::AtomicU64;

use audience_rules::ast::Millis;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::hook::StoredWebhook;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabel {
    webhook: String,
}

/// Metrics of webhooks. They go on after a restart, since what they are read from is stored.
#[derive(Clone, Default)]
pub struct WebhookMetrics {
    deliveries: Family<WebhookLabel, Counter>,
    changes: Family<WebhookLabel, Counter>,
    failures: Family<WebhookLabel, Counter>,
    retries: Family<WebhookLabel, Counter>,
    paused: Family<WebhookLabel, Gauge>,
    lag: Family<WebhookLabel, Gauge<f64, AtomicU64>>,
}

impl WebhookMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Registry) -> WebhookMetrics {
        let metrics = WebhookMetrics::default();
        let deliveries = "Messages that a webhook's target took";
        registry.register("webhook_deliveries", deliveries, metrics.deliveries.clone());
        let changes = "Membership changes that a webhook's target took";
        registry.register("webhook_changes", changes, metrics.changes.clone());
        let failures = "Attempts to post to a webhook's target that failed";
        registry.register("webhook_failures", failures, metrics.failures.clone());
        let retries = "Attempts to post a message to a webhook's target after its first";
        registry.register("webhook_retries", retries, metrics.retries.clone());
        let paused = "Whether a webhook is paused, 1 or 0";
        registry.register("webhook_paused", paused, metrics.paused.clone());
        let lag = "Since a webhook's target last had everything that it was to have";
        registry.register_with_unit("webhook_lag", lag, Unit::Seconds, metrics.lag.clone());
        metrics
    }

    /// Sets the metrics to those of the webhooks that there are now.
    pub(super) fn set(&self, webhooks: impl Iterator<Item = StoredWebhook>, now: Millis) {
        let counters = [&self.deliveries, &self.changes, &self.failures, &self.retries];
        counters.iter().for_each(|family| family.clear());
        self.paused.clear();
        self.lag.clear();
        for stored in webhooks {
            let label = WebhookLabel { webhook: stored.webhook.id.clone() };
            let counts = [stored.deliveries, stored.figures.delivered, stored.figures.failed, stored.retries];
            for (family, count) in counters.iter().zip(counts) {
                family.get_or_create(&label).inc_by(count);
            }
            self.paused.get_or_create(&label).set(i64::from(!stored.is_active()));
            let lag = now.saturating_sub(stored.complete_at).max(0);
            self.lag.get_or_create(&label).set(lag as f64 / 1000.0);
        }
    }
}
