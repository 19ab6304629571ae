//! Campaigns that cannot go on: each is tried again by itself, and holds up no other.

use std::collections::HashMap;

use audience_background::Backoff;
use audience_protocol::PlatformError;
use audience_sends::Millis;
use parking_lot::Mutex;

/// The last failure of a campaign.
struct Trouble {
    fault: String,
    /// The instant from which on it is tried again.
    again: Millis,
    backoff: Backoff,
}

/// The campaigns whose last try failed, by id. As many as there are campaigns at most.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<HashMap<String, Trouble>>);

impl Troubles {
    /// True if a campaign has failed and did not go on since.
    pub(crate) fn has(&self, campaign: &str) -> bool {
        self.0.lock().contains_key(campaign)
    }

    /// True if a campaign has failed and is not to be tried yet.
    pub(crate) fn must_wait(&self, campaign: &str, now: Millis) -> bool {
        self.0.lock().get(campaign).is_some_and(|trouble| now < trouble.again)
    }

    /// Notes a failure. The campaign waits longer after each, up to five seconds.
    pub(crate) fn failed(&self, campaign: &str, error: &PlatformError, now: Millis) {
        tracing::warn!(campaign, %error, "A campaign did not go on and is tried again");
        let mut troubles = self.0.lock();
        let mut backoff = troubles.remove(campaign).map(|trouble| trouble.backoff).unwrap_or_default();
        let wait = i64::try_from(backoff.next().as_millis()).unwrap_or(i64::MAX);
        let trouble = Trouble { fault: error.to_string(), again: now.saturating_add(wait), backoff };
        troubles.insert(campaign.to_owned(), trouble);
    }

    /// Notes that a campaign went on.
    pub(crate) fn ended(&self, campaign: &str) {
        self.0.lock().remove(campaign);
    }

    /// The fault of a campaign's last try, if it failed.
    pub(crate) fn fault(&self, campaign: &str) -> Option<String> {
        self.0.lock().get(campaign).map(|trouble| trouble.fault.clone())
    }

    /// Campaigns whose last try failed.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
