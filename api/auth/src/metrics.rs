//! Metrics of access.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error::Refusal;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The metrics of access. No label names anybody.
pub struct AuthMetrics {
    registry: Registry,
    refused: Family<ReasonLabel, Counter>,
    sign_ins: Family<OutcomeLabel, Counter>,
    tokens: Family<OutcomeLabel, Counter>,
    open: Gauge,
    members: Gauge,
    keys: Gauge,
    sessions: Gauge,
}

impl AuthMetrics {
    pub(crate) fn new() -> AuthMetrics {
        let mut metrics = AuthMetrics {
            registry: Registry::with_prefix("audience_auth"),
            refused: Family::default(),
            sign_ins: Family::default(),
            tokens: Family::default(),
            open: Gauge::default(),
            members: Gauge::default(),
            keys: Gauge::default(),
            sessions: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("refused", "Requests refused at the door, by reason", metrics.refused.clone());
        registry.register("sign_ins", "Attempts to sign in, by outcome", metrics.sign_ins.clone());
        registry.register("tokens", "Requests for tokens, by outcome", metrics.tokens.clone());
        registry.register("open", "1 where nobody is asked to sign in", metrics.open.clone());
        registry.register("members", "Members, disabled ones too", metrics.members.clone());
        registry.register("keys", "API keys", metrics.keys.clone());
        registry.register("sessions", "Sessions that have not ended", metrics.sessions.clone());
        // From the beginning: the first increase of a series that springs into being is not seen.
        for reason in Refusal::CODES {
            drop(metrics.refused.get_or_create(&ReasonLabel { reason }));
        }
        for outcome in ["accepted", "refused", "throttled"] {
            drop(metrics.sign_ins.get_or_create(&OutcomeLabel { outcome }));
        }
        for outcome in ["given", "again", "copied", "refused"] {
            drop(metrics.tokens.get_or_create(&OutcomeLabel { outcome }));
        }
        metrics
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.refused.get_or_create(&ReasonLabel { reason: refusal.code() }).inc();
    }

    pub(crate) fn signed_in(&self, outcome: &'static str) {
        self.sign_ins.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn asked_for_tokens(&self, outcome: &'static str) {
        self.tokens.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// The text without the end mark of OpenMetrics.
    pub(crate) fn write(&self, is_open: bool, (members, keys, sessions): (usize, usize, usize)) -> String {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.open.set(i64::from(is_open));
        self.members.set(number(members));
        self.keys.set(number(keys));
        self.sessions.set(number(sessions));
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}
