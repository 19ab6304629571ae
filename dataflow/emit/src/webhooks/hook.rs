//! One webhook: what is stored of it, and who waits for that to change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{StoreError, WebhookStore};
use audience_protocol::{
    ChangeFilter, ChangePlace, Webhook, WebhookChange, WebhookDelivery, WebhookFigures, WebhookStatus, WebhookView,
};
use audience_rules::ast::Millis;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

/// A webhook as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredWebhook {
    pub webhook: Webhook,
    pub secret: String,
    /// The key before, and the instant until which messages are signed with it too.
    pub old_secret: Option<(String, Millis)>,
    /// The message in delivery; it begins at the place that is reached.
    pub pending: Option<PendingMessage>,
    pub figures: WebhookFigures,
    /// The instant since which every attempt has failed.
    pub failing_since: Option<Millis>,
    /// Messages that the target took.
    #[serde(default)]
    pub deliveries: u64,
    /// Attempts after the first of a message.
    #[serde(default)]
    pub retries: u64,
    /// The instant at which the target last had everything that it was to have.
    #[serde(default)]
    pub complete_at: Millis,
    /// The name of the change log that its places are in.
    #[serde(default)]
    pub change_log: String,
}

/// A message that the target has not taken yet. The place that is reached and this one's end say what is in it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PendingMessage {
    pub id: String,
    /// The place of its last change, or of one after that which is not wanted.
    pub to: String,
    /// The instant at which it was made, RFC 3339.
    pub at: String,
    pub attempts: u32,
    /// It says that changes were missed.
    pub is_reset: bool,
}

impl StoredWebhook {
    /// Returns the place before which everything is delivered, or not wanted.
    pub(super) fn place(&self) -> ChangePlace {
        // It was written as a place.
        ChangePlace::parse(&self.figures.reached_id).unwrap_or(ChangePlace::behind(0))
    }

    /// Returns whether messages are to be posted.
    pub(super) fn is_active(&self) -> bool {
        self.webhook.status == WebhookStatus::Active
    }

    /// Returns the filter of the changes that are posted.
    pub(super) fn filter(&self) -> ChangeFilter {
        let is_all = self.webhook.segments.iter().any(|segment| segment == "*");
        let segments = if is_all { Vec::new() } else { self.webhook.segments.clone() };
        let only_entered = match self.webhook.changes.as_slice() {
            [WebhookChange::Entered] => Some(true),
            [WebhookChange::Left] => Some(false),
            _ => None,
        };
        ChangeFilter { segments, users: Vec::new(), only_entered }
    }

    /// Stops posting until the webhook is resumed.
    pub(super) fn pause(&mut self, why: Option<String>) {
        self.webhook.status = WebhookStatus::Paused;
        self.webhook.paused_because = why;
    }

    /// Returns the webhook as the API shows it.
    pub(super) fn view(&self, secret: Option<String>) -> WebhookView {
        WebhookView { webhook: self.webhook.clone(), secret, deliveries: self.figures.clone() }
    }
}

/// A webhook: its target has a thread, and a place in the order of all changes.
pub(super) struct Hook {
    pub id: String,
    stored: Mutex<StoredWebhook>,
    changed: Condvar,
    is_gone: AtomicBool,
}

impl Hook {
    /// A webhook of what is stored.
    pub(super) fn new(stored: StoredWebhook) -> Hook {
        let (id, changed, is_gone) = (stored.webhook.id.clone(), Condvar::new(), AtomicBool::new(false));
        Hook { id, stored: Mutex::new(stored), changed, is_gone }
    }

    /// Reads all webhooks that are stored.
    pub(super) fn all(store: &dyn WebhookStore) -> Result<Vec<Hook>, StoreError> {
        let read = |(id, text): (String, String)| {
            let damaged = |error: serde_json::Error| StoreError::Corrupt {
                place: format!("webhook {id}"),
                detail: error.to_string(),
            };
            serde_json::from_str(&text).map(Hook::new).map_err(damaged)
        };
        store.all()?.into_iter().map(read).collect()
    }

    /// Returns what is stored now.
    pub(super) fn read(&self) -> StoredWebhook {
        self.stored.lock().clone()
    }

    /// Returns whether it is deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Passes over changes that are not wanted: the target has everything up to `to`. It is stored with the next update.
    pub(super) fn pass(&self, from: ChangePlace, to: ChangePlace, now: Millis) {
        let mut stored = self.stored.lock();
        if stored.place() == from {
            stored.figures.reached_id = to.to_string();
            stored.complete_at = now;
        }
    }

    /// Updates what is stored, and adds an attempt if there is one. Durable on return. If the store fails, or the webhook is
    /// deleted, everything stays as it was.
    pub(super) fn update<T>(
        &self,
        store: &dyn WebhookStore,
        attempt: Option<&WebhookDelivery>,
        change: impl FnOnce(&mut StoredWebhook) -> T,
    ) -> Result<T, StoreError> {
        let mut stored = self.stored.lock();
        let mut new = stored.clone();
        let result = change(&mut new);
        if self.is_gone() {
            return Ok(result);
        }
        // Plain data always serializes.
        let unwritten =
            |error: serde_json::Error| StoreError::Refused { action: "writing a webhook", detail: error.to_string() };
        let attempt = attempt.map(serde_json::to_string).transpose().map_err(unwritten)?;
        store.put(&self.id, &serde_json::to_string(&new).map_err(unwritten)?, attempt.as_deref())?;
        *stored = new;
        self.changed.notify_all();
        Ok(result)
    }

    /// Deletes the webhook.
    pub(super) fn delete(&self, store: &dyn WebhookStore) -> Result<(), StoreError> {
        let _stored = self.stored.lock();
        store.delete(&self.id)?;
        self.is_gone.store(true, Ordering::Release);
        self.changed.notify_all();
        Ok(())
    }

    /// Returns the latest attempts, newest first.
    pub(super) fn attempts(&self, store: &dyn WebhookStore) -> Result<Vec<WebhookDelivery>, StoreError> {
        let attempts = store.attempts(&self.id)?;
        Ok(attempts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// Waits for `patience`, or until the webhook is updated or woken; not at all if `is_over`.
    pub(super) fn wait(&self, patience: Duration, is_over: impl FnOnce() -> bool) {
        let mut stored = self.stored.lock();
        if !is_over() && !self.is_gone() {
            self.changed.wait_for(&mut stored, patience);
        }
    }

    /// Wakes whoever waits.
    pub(super) fn wake(&self) {
        let _stored = self.stored.lock();
        self.changed.notify_all();
    }
}
