//! The reachability of brokers. librdkafka reports a lost broker at once and repeatedly, and never reports that one is back.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The time that a check waits for an answer of the brokers.
const ANSWER: Duration = Duration::from_secs(1);
/// librdkafka tries again every ten seconds at least: where nothing was heard for so long, what comes is of another time.
const QUIET: Duration = Duration::from_secs(60);

/// The time without any broker after which a new client takes over.
pub(crate) const CUT_OFF: Duration = Duration::from_secs(15);

/// Since when brokers may be away.
#[derive(Default)]
pub(crate) struct Brokers(Mutex<Option<Doubt>>);

struct Doubt {
    since: Instant,
    /// When librdkafka told of it last, if it was that.
    told: Option<Instant>,
}

impl Brokers {
    /// Notes a fault; whether it was that brokers may be away.
    pub(crate) fn heard(&self, error: &KafkaError) -> bool {
        let is_away = is_away(error);
        if is_away {
            self.0.lock().get_or_insert_with(|| Doubt { since: Instant::now(), told: None });
        }
        is_away
    }

    /// Notes what librdkafka tells, and writes it down: that brokers are away once, not each time.
    pub(crate) fn tell(&self, topic: Option<&str>, error: &KafkaError, reason: &str) {
        match self.is_news(error, Instant::now()) {
            true => tracing::warn!(topic, %error, reason, "The Kafka client reports a fault"),
            false => tracing::debug!(topic, %error, reason, "The Kafka client still reports the fault"),
        }
    }

    fn is_news(&self, error: &KafkaError, now: Instant) -> bool {
        if !self.heard(error) {
            return true;
        }
        let told = self.0.lock().as_mut().and_then(|doubt| doubt.told.replace(now));
        told.is_none_or(|told| now.saturating_duration_since(told) >= QUIET)
    }

    /// They have answered. Whether that is written down depends on whether it was told that they are away.
    pub(crate) fn answered(&self, topic: Option<&str>) {
        if let Some(Doubt { since, told: Some(_) }) = self.0.lock().take() {
            tracing::info!(topic, after = ?since.elapsed(), "Kafka answers again");
        }
    }

    /// For how long brokers may have been away, if they may be.
    pub(crate) fn doubted(&self) -> Option<Duration> {
        self.0.lock().as_ref().map(|doubt| doubt.since.elapsed())
    }

    /// Why no broker can be reached, if none can. Asks them only where they may be away: one that closed a connection that
    /// nobody used is not.
    pub(crate) fn away<C: ClientContext>(&self, topic: Option<&str>, client: &Client<C>) -> Option<KafkaError> {
        self.doubted()?;
        match client.fetch_metadata(None, ANSWER) {
            Ok(_) => {
                self.answered(topic);
                None
            }
            Err(error) => Some(error),
        }
    }
}

fn is_away(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

/// Writes down a line of librdkafka's own. That a connection failed, or that a producer has no number yet, it tells as an error
/// too, and says it here with every attempt.
pub(crate) fn write_down(level: RDKafkaLogLevel, about: &str, line: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        _ if matches!(about, "FAIL" | "GETPID") => tracing::debug!(target: "librdkafka", about, line),
        Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", about, line),
        Warning => tracing::warn!(target: "librdkafka", about, line),
        Notice | Info => tracing::info!(target: "librdkafka", about, line),
        Debug => tracing::debug!(target: "librdkafka", about, line),
    }
}

/// The context of a client whose caller reports its faults: librdkafka's own words are logged for debugging only.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        write_down(level, about, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "The Kafka client reports a fault");
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_brokers_are_away_is_news_once() {
        let (brokers, begun) = (Brokers::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let down = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        let lost = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
        let other = KafkaError::Global(RDKafkaErrorCode::Authentication);
        // What a call answered was not written down yet.
        assert!(brokers.heard(&down) && brokers.is_news(&lost, at(0)));
        for seconds in (1..600).step_by(10) {
            assert!(!brokers.is_news(&down, at(seconds)), "after {seconds} s");
        }
        assert!(brokers.is_news(&other, at(600)) && brokers.is_news(&other, at(600)), "of something else each is news");
        assert!(brokers.doubted().is_some());
        brokers.answered(None);
        assert!(brokers.doubted().is_none());
        assert!(brokers.is_news(&down, at(601)), "away again");
        assert!(!brokers.is_news(&down, at(602)));
        assert!(brokers.is_news(&down, at(700)), "nobody asked whether they were back, and they must have been");
    }
}
