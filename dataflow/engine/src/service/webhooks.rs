//! Webhooks: targets that are posted what is given out, each at its own pace.
//!
//! A target has a thread and a place in the order of all changes, which is noted with what became of each message. A message
//! is noted before it is first sent, so that it has the same id and says the same whenever it is sent again, also by a
//! later run. A target that fails is tried again, ever more seldom; one that fails for too long is paused, and says so.

mod delivery;
mod hook;
mod metrics;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use audience_catalogue::{timestamp, unavailable};
use audience_contract::{StoreError, WebhookClient, WebhookStore};
use audience_protocol::{
    PlatformError, Webhook, WebhookAction, WebhookDelivery, WebhookFigures, WebhookInput, WebhookStatus, WebhookView,
};
use audience_rules::ast::Millis;
use audience_rules::fault::{Fault, code};
use parking_lot::Mutex;

use self::delivery::{Attempt, Courier, send};
use self::hook::{Hook, Pending, Stored};
pub use self::metrics::WebhookMetrics;
use super::{Service, clock, named};
use crate::engine::EngineError;

/// Targets at most: each has a thread.
const MAX_WEBHOOKS: usize = 100;
/// Segments that a target names at most.
const MAX_SEGMENTS: usize = 1_000;
const MAX_URL_BYTES: usize = 2_048;
const MAX_DESCRIPTION_CHARACTERS: usize = 1_000;
/// How long messages are signed with a key that was replaced too.
const OLD_SECRET: Millis = 24 * 3_600_000;
/// Under which the name of the change log is noted: places are of one change log.
const CHANGE_LOG: &[u8] = b"change log";

/// How webhooks are posted.
pub struct WebhookOptions {
    /// Where they are kept.
    pub store: Arc<dyn WebhookStore>,
    /// What posts.
    pub client: Arc<dyn WebhookClient>,
    /// How long every attempt may fail before a target is paused.
    pub give_up_after: Duration,
}

/// The targets.
#[derive(Default)]
pub struct Webhooks {
    options: OnceLock<WebhookOptions>,
    /// For the threads of those that come later.
    service: OnceLock<Weak<Service>>,
    hooks: Mutex<BTreeMap<String, Arc<Hook>>>,
    /// One edit at a time: the audit log has it before it is done.
    edits: Mutex<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Webhooks {
    /// The least tick up to which every target that is posted to has everything; none where there is none.
    pub fn least_reached(&self) -> Option<u64> {
        let hooks = self.hooks.lock();
        let active = hooks.values().map(|hook| hook.read()).filter(Stored::is_active);
        active.map(|stored| stored.place().tick.saturating_sub(1)).min()
    }

    /// Waits until nothing is posted any more; the platform is ending.
    pub fn finish(&self) {
        self.hooks.lock().values().for_each(|hook| hook.wake());
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }

    /// Sets the figures of all targets.
    pub fn observe(&self, metrics: &WebhookMetrics) {
        let hooks: Vec<Arc<Hook>> = self.hooks.lock().values().cloned().collect();
        metrics.set(hooks.iter().map(|hook| hook.read()), clock::now());
    }

    fn find(&self, id: &str) -> Result<Arc<Hook>, PlatformError> {
        let missing = || PlatformError::NotFound { kind: "webhook", id: id.to_owned() };
        self.hooks.lock().get(id).cloned().ok_or_else(missing)
    }

    fn options(&self) -> Result<&WebhookOptions, PlatformError> {
        self.options.get().ok_or(PlatformError::NeedsEngine("webhooks"))
    }
}

fn check_version(stored: &Stored, expected: Option<u64>) -> Result<(), PlatformError> {
    match (expected, stored.webhook.version) {
        (Some(expected), current) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        _ => Ok(()),
    }
}

impl Service {
    /// Begins to post to the targets that are kept, and takes new ones.
    pub fn post_webhooks(self: &Arc<Self>, options: WebhookOptions) -> Result<(), EngineError> {
        let hooks = Hook::all(&*options.store)?;
        let change_log = self.change_log()?;
        hooks.iter().try_for_each(|hook| self.adopt(hook, &*options.store, &change_log))?;
        if self.webhooks.options.set(options).is_err() {
            return Err(EngineError::Start("webhooks are posted already".to_owned()));
        }
        // It was not set before, as the options were not.
        let _ = self.webhooks.service.set(Arc::downgrade(self));
        hooks.into_iter().try_for_each(|hook| self.begin_webhook(Arc::new(hook)))
    }

    /// The name of the change log, which is made with it: one that is made anew has another.
    pub(super) fn change_log(&self) -> Result<String, StoreError> {
        if let Some(name) = self.stores.notes.get(CHANGE_LOG)? {
            return Ok(String::from_utf8_lossy(&name).into_owned());
        }
        let name = format!("{:016x}", fastrand::u64(..));
        self.stores.notes.write(&[(CHANGE_LOG.to_vec(), Some(name.clone().into_bytes()))])?;
        Ok(name)
    }

    /// Takes on a target whose place is in a change log that is lost: it is told that it has missed something.
    fn adopt(&self, hook: &Hook, store: &dyn WebhookStore, change_log: &str) -> Result<(), StoreError> {
        let known = hook.read().change_log;
        if known == change_log {
            return Ok(());
        }
        let place = self.newest_place().to_string();
        hook.update(store, None, |stored| {
            change_log.clone_into(&mut stored.change_log);
            // Before it was said of which change log they are, places were of the only one.
            if !known.is_empty() {
                let id = format!("msg_{}_{}_{change_log}_reset", hook.id, stored.webhook.version);
                let pending = Pending { id, to: place.clone(), at: timestamp(), attempts: 0, is_reset: true };
                (stored.pending, stored.figures.pending) = (Some(pending), 0);
                stored.figures.reached_id = place;
            }
        })
    }

    fn begin_webhook(&self, hook: Arc<Hook>) -> Result<(), EngineError> {
        // A thread has the platform for as long as it posts.
        let Some(service) = self.webhooks.service.get().and_then(Weak::upgrade) else { return Ok(()) };
        let posted = hook.clone();
        let thread = named(&format!("webhook {}", hook.id), move || {
            if let Ok(options) = service.webhooks.options() {
                let (client, store) = (&*options.client, &*options.store);
                let give_up_after = options.give_up_after;
                Courier { service: &service, hook: &posted, client, store, give_up_after }.run();
            }
            Ok(())
        })?;
        let mut threads = self.webhooks.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        self.webhooks.hooks.lock().insert(hook.id.clone(), hook);
        Ok(())
    }

    /// Creates a target.
    pub(super) fn add_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView, PlatformError> {
        self.check_webhook(&input)?;
        let _turn = self.webhooks.edits.lock();
        if self.webhooks.hooks.lock().len() >= MAX_WEBHOOKS {
            let message = format!("there are {MAX_WEBHOOKS} webhooks, which is the most: delete one first");
            return Err(PlatformError::Conflict { code: "too_many", message });
        }
        let secret = self.webhooks.options()?.client.new_secret().map_err(PlatformError::Unavailable)?;
        let WebhookInput { url, description, segments, changes } = input;
        let now = timestamp();
        let webhook = Webhook {
            id: format!("wh_{:012x}", fastrand::u64(..) >> 16),
            url,
            description,
            segments,
            changes,
            status: WebhookStatus::Active,
            paused_because: None,
            created_at: now.clone(),
            updated_at: now,
            version: 1,
        };
        let figures = WebhookFigures { reached_id: self.newest_place().to_string(), ..WebhookFigures::default() };
        let stored = Stored {
            webhook,
            secret: secret.clone(),
            old_secret: None,
            pending: None,
            figures,
            failing_since: None,
            deliveries: 0,
            retries: 0,
            complete_at: clock::now(),
            change_log: self.change_log().map_err(unavailable)?,
        };
        self.editor.audit_webhook(author, "created", None, Some(&stored.webhook))?;
        let hook = Arc::new(Hook::new(stored));
        hook.update(&*self.webhooks.options()?.store, None, |_| ()).map_err(unavailable)?;
        let view = hook.read().view(Some(secret));
        self.begin_webhook(hook).map_err(|error| PlatformError::Unavailable(error.to_string()))?;
        Ok(view)
    }

    fn check_webhook(&self, input: &WebhookInput) -> Result<(), PlatformError> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, code, message: String| faults.push(Fault { pointer, code, message });
        if input.url.len() > MAX_URL_BYTES {
            fault("/url".into(), code::OUT_OF_RANGE, format!("a URL has at most {MAX_URL_BYTES} bytes"));
        } else if let Err(why) = self.webhooks.options()?.client.check(&input.url) {
            fault("/url".into(), code::OUT_OF_RANGE, why);
        }
        if input.description.chars().count() > MAX_DESCRIPTION_CHARACTERS {
            let message = format!("a description has at most {MAX_DESCRIPTION_CHARACTERS} characters");
            fault("/description".into(), code::OUT_OF_RANGE, message);
        }
        if input.segments.is_empty() {
            fault("/segments".into(), code::EMPTY, "it names no segment; * stands for all".into());
        } else if input.segments.len() > MAX_SEGMENTS {
            fault("/segments".into(), code::OUT_OF_RANGE, format!("it names at most {MAX_SEGMENTS} segments"));
        } else {
            self.editor.read(|documents| {
                for (place, segment) in input.segments.iter().enumerate() {
                    if segment != "*" && !documents.segments.contains_key(segment) {
                        let message = format!("there is no segment {segment:?}");
                        fault(format!("/segments/{place}"), code::UNKNOWN_SEGMENT, message);
                    }
                }
            });
        }
        if input.changes.is_empty() {
            fault("/changes".into(), code::EMPTY, "it names no kind of change: entered, left".into());
        }
        if faults.is_empty() { Ok(()) } else { Err(PlatformError::Invalid(faults)) }
    }

    /// Replaces what a target asks for. A message that was tried is made anew.
    pub(super) fn edit_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView, PlatformError> {
        self.webhooks.find(id)?;
        self.check_webhook(&input)?;
        self.change((id, expected, author), "updated", |stored| {
            let WebhookInput { url, description, segments, changes } = input.clone();
            stored.webhook = Webhook { url, description, segments, changes, ..stored.webhook.clone() };
            stored.pending = None;
            stored.figures.pending = 0;
            None
        })
    }

    /// Does something with a target.
    pub(super) fn act_on_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView, PlatformError> {
        let secret = self.webhooks.options()?.client.new_secret().map_err(PlatformError::Unavailable)?;
        let word = match action {
            WebhookAction::Pause => "paused",
            WebhookAction::Resume => "resumed",
            WebhookAction::RotateSecret => "secretRotated",
        };
        self.change((id, expected, author), word, |stored| match action {
            WebhookAction::Pause => {
                stored.pause(Some("it was told to".to_owned()));
                None
            }
            WebhookAction::Resume => {
                (stored.webhook.status, stored.webhook.paused_because) = (WebhookStatus::Active, None);
                stored.failing_since = None;
                None
            }
            WebhookAction::RotateSecret => {
                let old = std::mem::replace(&mut stored.secret, secret.clone());
                stored.old_secret = Some((old, clock::now() + OLD_SECRET));
                Some(secret.clone())
            }
        })
    }

    fn change(
        &self,
        (id, expected, author): (&str, Option<u64>, &str),
        action: &str,
        change: impl Fn(&mut Stored) -> Option<String>,
    ) -> Result<WebhookView, PlatformError> {
        let _turn = self.webhooks.edits.lock();
        let hook = self.webhooks.find(id)?;
        let mut next = hook.read();
        check_version(&next, expected)?;
        let (before, now) = (next.webhook.clone(), timestamp());
        let change = |stored: &mut Stored| {
            let secret = change(stored);
            stored.webhook.version += 1;
            now.clone_into(&mut stored.webhook.updated_at);
            stored.view(secret)
        };
        change(&mut next);
        self.editor.audit_webhook(author, action, Some(&before), Some(&next.webhook))?;
        hook.update(&*self.webhooks.options()?.store, None, change).map_err(unavailable)
    }

    /// Deletes a target.
    pub(super) fn remove_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<(), PlatformError> {
        let _turn = self.webhooks.edits.lock();
        let hook = self.webhooks.find(id)?;
        let stored = hook.read();
        check_version(&stored, expected)?;
        self.editor.audit_webhook(author, "deleted", Some(&stored.webhook), None)?;
        hook.delete(&*self.webhooks.options()?.store).map_err(unavailable)?;
        self.webhooks.hooks.lock().remove(id);
        Ok(())
    }

    /// A target.
    pub(super) fn webhook_view(&self, id: &str) -> Result<WebhookView, PlatformError> {
        Ok(self.webhooks.find(id)?.read().view(None))
    }

    /// All targets.
    pub(super) fn webhook_views(&self) -> Vec<WebhookView> {
        self.webhooks.hooks.lock().values().map(|hook| hook.read().view(None)).collect()
    }

    /// The latest attempts, newest first.
    pub(super) fn webhook_attempts(&self, id: &str) -> Result<Vec<WebhookDelivery>, PlatformError> {
        self.webhooks.find(id)?.attempts(&*self.webhooks.options()?.store).map_err(unavailable)
    }

    /// Posts a test, once. It counts for nothing.
    pub(super) fn try_webhook(&self, id: &str) -> Result<WebhookDelivery, PlatformError> {
        let stored = self.webhooks.find(id)?.read();
        let now = clock::now();
        let message = format!("msg_{id}_test_{now}");
        let body = format!(r#"{{"type":"webhook.test","timestamp":"{}","data":{{"webhookId":"{id}"}}}}"#, timestamp());
        let attempt = Attempt { id: &message, number: 1, changes: 0 };
        Ok(send(&*self.webhooks.options()?.client, &stored, &attempt, &body).0)
    }
}
