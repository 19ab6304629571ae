//! One target: what is noted of it, and who waits for that to change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{StoreError, WebhookStore};
use audience_protocol::{
    ChangeFilter, ChangePlace, Webhook, WebhookChange, WebhookDelivery, WebhookFigures, WebhookStatus, WebhookView,
};
use audience_rules::ast::Millis;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

/// What is noted of a target.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    pub webhook: Webhook,
    pub secret: String,
    /// The key before, and until when messages are signed with it too.
    pub old_secret: Option<(String, Millis)>,
    /// The message that is tried; it begins at the place that is reached.
    pub pending: Option<Pending>,
    pub figures: WebhookFigures,
    /// Since when every attempt has failed.
    pub failing_since: Option<Millis>,
    /// Messages that the target has taken.
    #[serde(default)]
    pub deliveries: u64,
    /// Attempts behind the first of a message.
    #[serde(default)]
    pub retries: u64,
    /// When the target last had everything that it was to have.
    #[serde(default)]
    pub complete_at: Millis,
    /// Of which change log its places are.
    #[serde(default)]
    pub change_log: String,
}

/// A message that the target has not taken yet. With the place that is reached it says what is in it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    pub id: String,
    /// The id of its last change, or of what is behind that and not wanted.
    pub to: String,
    /// When it was made.
    pub at: String,
    pub attempts: u32,
    /// It says that changes were missed.
    pub is_reset: bool,
}

impl Stored {
    /// Everything before it is delivered, or not wanted.
    pub fn place(&self) -> ChangePlace {
        // What is noted was written as such.
        ChangePlace::parse(&self.figures.reached_id).unwrap_or(ChangePlace::behind(0))
    }

    /// Whether anything is to be posted.
    pub fn is_active(&self) -> bool {
        self.webhook.status == WebhookStatus::Active
    }

    /// Which changes are posted.
    pub fn filter(&self) -> ChangeFilter {
        let is_all = self.webhook.segments.iter().any(|segment| segment == "*");
        let segments = if is_all { Vec::new() } else { self.webhook.segments.clone() };
        let only_entered = match self.webhook.changes.as_slice() {
            [WebhookChange::Entered] => Some(true),
            [WebhookChange::Left] => Some(false),
            _ => None,
        };
        ChangeFilter { segments, users: Vec::new(), only_entered }
    }

    /// Nothing is posted any more.
    pub fn pause(&mut self, why: Option<String>) {
        self.webhook.status = WebhookStatus::Paused;
        self.webhook.paused_because = why;
    }

    /// As it is shown.
    pub fn view(&self, secret: Option<String>) -> WebhookView {
        WebhookView { webhook: self.webhook.clone(), secret, deliveries: self.figures.clone() }
    }
}

/// A target.
pub struct Hook {
    pub id: String,
    stored: Mutex<Stored>,
    changed: Condvar,
    is_gone: AtomicBool,
}

impl Hook {
    /// Of what is noted.
    pub fn new(stored: Stored) -> Hook {
        let (id, changed, is_gone) = (stored.webhook.id.clone(), Condvar::new(), AtomicBool::new(false));
        Hook { id, stored: Mutex::new(stored), changed, is_gone }
    }

    /// All targets that are kept.
    pub fn all(store: &dyn WebhookStore) -> Result<Vec<Hook>, StoreError> {
        let read = |(id, text): (String, String)| {
            let damaged = |error: serde_json::Error| StoreError::Corrupt {
                place: format!("webhook {id}"),
                detail: error.to_string(),
            };
            serde_json::from_str(&text).map(Hook::new).map_err(damaged)
        };
        store.all()?.into_iter().map(read).collect()
    }

    /// What is noted now.
    pub fn read(&self) -> Stored {
        self.stored.lock().clone()
    }

    /// Whether it is deleted.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Moves on over changes that are not wanted: the target has everything up to there. Kept with the next change of anything
    /// else.
    pub fn pass(&self, from: ChangePlace, to: ChangePlace, now: Millis) {
        let mut stored = self.stored.lock();
        if stored.place() == from {
            stored.figures.reached_id = to.to_string();
            stored.complete_at = now;
        }
    }

    /// Changes what is kept, and adds an attempt where there is one: durable when this returns. Where it cannot be kept, or the
    /// target is deleted, all is as it was.
    pub fn update<T>(
        &self,
        store: &dyn WebhookStore,
        attempt: Option<&WebhookDelivery>,
        change: impl FnOnce(&mut Stored) -> T,
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

    /// Forgets the target.
    pub fn delete(&self, store: &dyn WebhookStore) -> Result<(), StoreError> {
        let _stored = self.stored.lock();
        store.delete(&self.id)?;
        self.is_gone.store(true, Ordering::Release);
        self.changed.notify_all();
        Ok(())
    }

    /// The latest attempts, newest first.
    pub fn attempts(&self, store: &dyn WebhookStore) -> Result<Vec<WebhookDelivery>, StoreError> {
        let attempts = store.attempts(&self.id)?;
        Ok(attempts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// Waits so long, or until anything has changed, or it is woken; not at all where `is_over`.
    pub fn wait(&self, patience: Duration, is_over: impl FnOnce() -> bool) {
        let mut stored = self.stored.lock();
        if !is_over() && !self.is_gone() {
            self.changed.wait_for(&mut stored, patience);
        }
    }

    /// Wakes who waits.
    pub fn wake(&self) {
        let _stored = self.stored.lock();
        self.changed.notify_all();
    }
}
