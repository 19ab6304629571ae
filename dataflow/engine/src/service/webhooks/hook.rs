//! One target: what is noted of it, and who waits for that to change.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{Note, Notes, StoreError};
use audience_protocol::{
    ChangeFilter, ChangePlace, Webhook, WebhookChange, WebhookDelivery, WebhookFigures, WebhookStatus, WebhookView,
};
use audience_rules::ast::Millis;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "webhook/";
const PREFIX_END: &str = "webhook0";
const ATTEMPTS_PREFIX: &str = "attempt/";
/// Attempts of a target that are noted.
const KEPT_ATTEMPTS: u64 = 100;

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
    /// Attempts ever made.
    pub attempts: u64,
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

    /// All targets that are noted.
    pub fn all(notes: &dyn Notes) -> Result<Vec<Hook>, StoreError> {
        let (mut hooks, mut damaged) = (Vec::new(), None);
        notes.visit(PREFIX.as_bytes(), PREFIX_END.as_bytes(), &mut |key, value| {
            match serde_json::from_slice(value) {
                Ok(stored) => hooks.push(Hook::new(stored)),
                Err(error) => damaged = Some((String::from_utf8_lossy(key).into_owned(), error.to_string())),
            }
            ControlFlow::Continue(())
        })?;
        match damaged {
            Some((place, detail)) => Err(StoreError::Corrupt { place, detail }),
            None => Ok(hooks),
        }
    }

    /// What is noted now.
    pub fn read(&self) -> Stored {
        self.stored.lock().clone()
    }

    /// Whether it is deleted.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Moves on over changes that are not wanted; noted with the next change of anything else.
    pub fn pass(&self, from: ChangePlace, to: ChangePlace) {
        let mut stored = self.stored.lock();
        if stored.place() == from {
            stored.figures.reached_id = to.to_string();
        }
    }

    /// Changes what is noted, and notes an attempt where there is one: durable when this returns. Where `change` refuses, or it
    /// cannot be noted, or the target is deleted, all is as it was.
    pub fn update<T, E: From<StoreError>>(
        &self,
        notes: &dyn Notes,
        attempt: Option<&WebhookDelivery>,
        change: impl FnOnce(&mut Stored) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut stored = self.stored.lock();
        let mut new = stored.clone();
        let result = change(&mut new)?;
        if self.is_gone() {
            return Ok(result);
        }
        let mut written: Vec<Note> = Vec::new();
        if let Some(attempt) = attempt {
            new.attempts += 1;
            written.push((self.attempt_key(new.attempts), serde_json::to_vec(attempt).ok()));
            written.push((self.attempt_key(new.attempts.saturating_sub(KEPT_ATTEMPTS)), None));
        }
        // Plain data always serializes.
        written.push((self.key(), serde_json::to_vec(&new).ok()));
        notes.write(&written)?;
        *stored = new;
        self.changed.notify_all();
        Ok(result)
    }

    /// Forgets the target, where `check` lets that be.
    pub fn delete<E: From<StoreError>>(
        &self,
        notes: &dyn Notes,
        check: impl FnOnce(&Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        let stored = self.stored.lock();
        check(&stored)?;
        let first = stored.attempts.saturating_sub(KEPT_ATTEMPTS);
        let mut written: Vec<Note> =
            (first..=stored.attempts).map(|attempt| (self.attempt_key(attempt), None)).collect();
        written.push((self.key(), None));
        notes.write(&written)?;
        self.is_gone.store(true, Ordering::Release);
        self.changed.notify_all();
        Ok(())
    }

    /// The latest attempts, newest first.
    pub fn attempts(&self, notes: &dyn Notes) -> Result<Vec<WebhookDelivery>, StoreError> {
        let mut attempts: Vec<WebhookDelivery> = Vec::new();
        notes.visit(&self.attempt_key(0), &self.attempt_key(u64::MAX), &mut |_, value| {
            attempts.extend(serde_json::from_slice::<WebhookDelivery>(value).ok());
            ControlFlow::Continue(())
        })?;
        attempts.reverse();
        Ok(attempts)
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

    fn key(&self) -> Vec<u8> {
        format!("{PREFIX}{}", self.id).into_bytes()
    }

    fn attempt_key(&self, attempt: u64) -> Vec<u8> {
        [format!("{ATTEMPTS_PREFIX}{}/", self.id).as_bytes(), &attempt.to_be_bytes()].concat()
    }
}
