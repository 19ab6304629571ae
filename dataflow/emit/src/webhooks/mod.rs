//! Webhooks: targets to which membership changes are posted, each at its own pace, at least once.
//!
//! A webhook has a thread and a place in the order of all changes, which is stored with the outcome of each message. A message
//! is stored before it is first posted, so that it has the same id and the same content whenever it is posted again, also by
//! a later run. A target that fails is retried, ever more seldom; after too long the webhook is paused, and says so.

mod courier;
mod edit;
mod hook;
mod metrics;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audience_background::{Runner, Stop, clock};
use audience_contract::{Notes, StoreError, WebhookClient, WebhookStore};
use audience_protocol::{PlatformError, ResourceKind, WebhookDelivery, WebhookView};
use audience_rules::time::format_time;
use parking_lot::Mutex;

use self::courier::{Attempt, Courier, send};
use self::hook::{Hook, PendingMessage, StoredWebhook};
pub use self::metrics::WebhookMetrics;
use crate::catalogue::{AuditLog, Segments};
use crate::change_log_name::change_log_name;
use crate::emitted::Emitted;
use crate::live::Live;
use audience_catalogue::unavailable;

/// The store of webhooks, and the settings of their posts.
pub struct WebhookOptions {
    /// The store of webhooks.
    pub store: Arc<dyn WebhookStore>,
    /// The client that posts messages.
    pub client: Arc<dyn WebhookClient>,
    /// How long every attempt may fail before a webhook is paused.
    pub give_up_after: Duration,
}

/// The sources of webhooks.
pub struct WebhookContext {
    /// The change log.
    pub emitted: Arc<Emitted>,
    /// The changes as they are posted.
    pub live: Arc<Live>,
    /// The notes that name the change log.
    pub notes: Arc<dyn Notes>,
    /// The segments that a webhook may name.
    pub segments: Arc<dyn Segments>,
    /// The log of what is done to webhooks.
    pub audit: Arc<dyn AuditLog>,
}

/// Why webhooks cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread.
    #[error("a webhook's thread cannot be started: {0}")]
    Thread(io::Error),
    /// They have started before.
    #[error("webhooks are posted already")]
    Started,
}

impl From<io::Error> for WebhooksError {
    fn from(error: io::Error) -> Self {
        WebhooksError::Thread(error)
    }
}

/// All webhooks.
pub struct Webhooks {
    context: WebhookContext,
    runner: Runner,
    options: OnceLock<WebhookOptions>,
    hooks: Mutex<BTreeMap<String, Arc<Hook>>>,
    /// Held by an edit: the audit log has it before it is done.
    edits: Mutex<()>,
}

impl Webhooks {
    /// No webhooks before [`start`](Self::start); they end when `stop` is requested.
    pub fn new(context: WebhookContext, stop: Stop) -> Webhooks {
        let (runner, options) = (Runner::new(stop), OnceLock::new());
        Webhooks { context, runner, options, hooks: Mutex::default(), edits: Mutex::default() }
    }

    /// Starts to post to the webhooks that are stored, and takes new ones.
    pub fn start(self: &Arc<Self>, options: WebhookOptions) -> Result<(), WebhooksError> {
        let hooks = Hook::all(&*options.store)?;
        let change_log = change_log_name(&*self.context.notes)?;
        hooks.iter().try_for_each(|hook| self.adopt(hook, &*options.store, &change_log))?;
        if self.options.set(options).is_err() {
            return Err(WebhooksError::Started);
        }
        Ok(hooks.into_iter().try_for_each(|hook| self.post_to(Arc::new(hook)))?)
    }

    /// Takes over a webhook whose place is in a change log that is lost: its target is told that it has missed something.
    fn adopt(&self, hook: &Hook, store: &dyn WebhookStore, change_log: &str) -> Result<(), StoreError> {
        let known = hook.read().change_log;
        if known == change_log {
            return Ok(());
        }
        let place = self.context.live.newest_place().to_string();
        hook.update(store, None, |stored| {
            change_log.clone_into(&mut stored.change_log);
            // Places without the name of a change log are older than the names, and in the only log that there was.
            if !known.is_empty() {
                let id = format!("msg_{}_{}_{change_log}_reset", hook.id, stored.webhook.version);
                let at = format_time(clock::now());
                let pending = PendingMessage { id, to: place.clone(), at, attempts: 0, is_reset: true };
                (stored.pending, stored.figures.pending) = (Some(pending), 0);
                stored.figures.reached_id = place;
            }
        })
    }

    fn post_to(self: &Arc<Self>, hook: Arc<Hook>) -> io::Result<()> {
        let (webhooks, posted) = (self.clone(), hook.clone());
        self.runner.start_task(format!("webhook {}", hook.id), move |stop| {
            if let Some(options) = webhooks.options.get() {
                let WebhookContext { emitted, live, .. } = &webhooks.context;
                let (client, store) = (&*options.client, &*options.store);
                let give_up_after = options.give_up_after;
                Courier { emitted, live, hook: &posted, client, store, give_up_after }.run(stop);
            }
            Ok::<(), io::Error>(())
        })?;
        self.hooks.lock().insert(hook.id.clone(), hook);
        Ok(())
    }

    /// Returns the least tick up to which every target that is posted to has everything; none if there is none.
    pub fn least_reached(&self) -> Option<u64> {
        let hooks = self.hooks.lock();
        let active = hooks.values().map(|hook| hook.read()).filter(StoredWebhook::is_active);
        active.map(|stored| stored.place().tick.saturating_sub(1)).min()
    }

    /// Waits until nothing is posted any more; the stop was requested.
    pub fn finish(&self) {
        self.hooks.lock().values().for_each(|hook| hook.wake());
        self.runner.wait_ended(None);
    }

    /// Sets the metrics of all webhooks.
    pub fn observe(&self, metrics: &WebhookMetrics) {
        let hooks: Vec<Arc<Hook>> = self.hooks.lock().values().cloned().collect();
        metrics.set(hooks.iter().map(|hook| hook.read()), clock::now());
    }

    /// Returns a webhook.
    pub fn get(&self, id: &str) -> Result<WebhookView, PlatformError> {
        Ok(self.find(id)?.read().view(None))
    }

    /// Returns all webhooks.
    pub fn all(&self) -> Vec<WebhookView> {
        self.hooks.lock().values().map(|hook| hook.read().view(None)).collect()
    }

    /// Returns the latest attempts, newest first.
    pub fn attempts(&self, id: &str) -> Result<Vec<WebhookDelivery>, PlatformError> {
        self.find(id)?.attempts(&*self.options()?.store).map_err(unavailable)
    }

    /// Posts a test once. It counts for nothing.
    pub fn test(&self, id: &str) -> Result<WebhookDelivery, PlatformError> {
        let stored = self.find(id)?.read();
        let now = clock::now();
        let (message, at) = (format!("msg_{id}_test_{now}"), format_time(now));
        let body = format!(r#"{{"type":"webhook.test","timestamp":"{at}","data":{{"webhookId":"{id}"}}}}"#);
        let attempt = Attempt { id: &message, number: 1, changes: 0 };
        Ok(send(&*self.options()?.client, &stored, &attempt, &body).0)
    }

    fn find(&self, id: &str) -> Result<Arc<Hook>, PlatformError> {
        let missing = || PlatformError::NotFound { kind: ResourceKind::Webhook, id: id.to_owned() };
        self.hooks.lock().get(id).cloned().ok_or_else(missing)
    }

    fn options(&self) -> Result<&WebhookOptions, PlatformError> {
        self.options.get().ok_or(PlatformError::NeedsEngine("webhooks"))
    }
}
