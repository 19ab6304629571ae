//! Edits of webhooks: checked, written to the audit log, then done.

use std::sync::Arc;

use audience_background::clock;
use audience_protocol::{
    ConflictKind, PlatformError, Webhook, WebhookAction, WebhookFigures, WebhookInput, WebhookStatus, WebhookView,
};
use audience_rules::ast::Millis;
use audience_rules::fault::{Fault, code};
use audience_rules::time::format_time;

use super::Webhooks;
use super::hook::{Hook, StoredWebhook};
use crate::change_log_name::change_log_name;
use audience_catalogue::unavailable;

/// Webhooks at most: each has a thread.
const MAX_WEBHOOKS: usize = 100;
/// Segments that a webhook names at most.
const MAX_SEGMENTS: usize = 1_000;
const MAX_URL_BYTES: usize = 2_048;
const MAX_DESCRIPTION_CHARACTERS: usize = 1_000;
/// How long messages are signed with a replaced key too.
const OLD_SECRET: Millis = 24 * 3_600_000;

/// Which webhook is edited, at which version if the caller names one, and by whom.
struct Edited<'a> {
    id: &'a str,
    expected: Option<u64>,
    author: &'a str,
}

fn check_version(stored: &StoredWebhook, expected: Option<u64>) -> Result<(), PlatformError> {
    match (expected, stored.webhook.version) {
        (Some(expected), current) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        _ => Ok(()),
    }
}

impl Webhooks {
    /// Creates a webhook.
    pub fn create(self: &Arc<Self>, input: WebhookInput, author: &str) -> Result<WebhookView, PlatformError> {
        self.check(&input)?;
        let _turn = self.edits.lock();
        if self.hooks.lock().len() >= MAX_WEBHOOKS {
            let message = format!("there are {MAX_WEBHOOKS} webhooks, which is the most: delete one first");
            return Err(PlatformError::Conflict { kind: ConflictKind::TooMany, message });
        }
        let secret = self.options()?.client.new_secret().map_err(PlatformError::Unavailable)?;
        let WebhookInput { url, description, segments, changes } = input;
        let now = format_time(clock::now());
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
        let reached_id = self.context.live.newest_place().to_string();
        let stored = StoredWebhook {
            webhook,
            secret: secret.clone(),
            old_secret: None,
            pending: None,
            figures: WebhookFigures { reached_id, ..WebhookFigures::default() },
            failing_since: None,
            deliveries: 0,
            retries: 0,
            complete_at: clock::now(),
            change_log: change_log_name(&*self.context.notes).map_err(unavailable)?,
        };
        self.context.audit.record_webhook(author, "created", None, Some(&stored.webhook))?;
        let hook = Arc::new(Hook::new(stored));
        hook.update(&*self.options()?.store, None, |_| ()).map_err(unavailable)?;
        let view = hook.read().view(Some(secret));
        self.post_to(hook).map_err(|error| PlatformError::Unavailable(error.to_string()))?;
        Ok(view)
    }

    fn check(&self, input: &WebhookInput) -> Result<(), PlatformError> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, code, message: String| faults.push(Fault { pointer, code, message });
        if input.url.len() > MAX_URL_BYTES {
            fault("/url".into(), code::OUT_OF_RANGE, format!("a URL has at most {MAX_URL_BYTES} bytes"));
        } else if let Err(why) = self.options()?.client.check(&input.url) {
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
            for (place, segment) in input.segments.iter().enumerate() {
                if segment != "*" && !self.context.segments.has_segment(segment) {
                    let message = format!("there is no segment {segment:?}");
                    fault(format!("/segments/{place}"), code::UNKNOWN_SEGMENT, message);
                }
            }
        }
        if input.changes.is_empty() {
            fault("/changes".into(), code::EMPTY, "it names no kind of change: entered, left".into());
        }
        if faults.is_empty() { Ok(()) } else { Err(PlatformError::Invalid(faults)) }
    }

    /// Replaces what a webhook asks for. The message in delivery is made again.
    pub fn replace(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView, PlatformError> {
        self.find(id)?;
        self.check(&input)?;
        self.edit(&Edited { id, expected, author }, "updated", |stored| {
            let WebhookInput { url, description, segments, changes } = input.clone();
            stored.webhook = Webhook { url, description, segments, changes, ..stored.webhook.clone() };
            stored.pending = None;
            stored.figures.pending = 0;
            None
        })
    }

    /// Pauses or resumes a webhook, or gives it another key.
    pub fn act_on(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView, PlatformError> {
        let secret = self.options()?.client.new_secret().map_err(PlatformError::Unavailable)?;
        let word = match action {
            WebhookAction::Pause => "paused",
            WebhookAction::Resume => "resumed",
            WebhookAction::RotateSecret => "secretRotated",
        };
        self.edit(&Edited { id, expected, author }, word, |stored| match action {
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

    fn edit(
        &self,
        edited: &Edited<'_>,
        action: &str,
        change: impl Fn(&mut StoredWebhook) -> Option<String>,
    ) -> Result<WebhookView, PlatformError> {
        let _turn = self.edits.lock();
        let hook = self.find(edited.id)?;
        let mut next = hook.read();
        check_version(&next, edited.expected)?;
        let (before, now) = (next.webhook.clone(), format_time(clock::now()));
        let change = |stored: &mut StoredWebhook| {
            let secret = change(stored);
            stored.webhook.version += 1;
            now.clone_into(&mut stored.webhook.updated_at);
            stored.view(secret)
        };
        change(&mut next);
        self.context.audit.record_webhook(edited.author, action, Some(&before), Some(&next.webhook))?;
        hook.update(&*self.options()?.store, None, change).map_err(unavailable)
    }

    /// Deletes a webhook.
    pub fn delete(&self, id: &str, expected: Option<u64>, author: &str) -> Result<(), PlatformError> {
        let _turn = self.edits.lock();
        let hook = self.find(id)?;
        let stored = hook.read();
        check_version(&stored, expected)?;
        self.context.audit.record_webhook(author, "deleted", Some(&stored.webhook), None)?;
        hook.delete(&*self.options()?.store).map_err(unavailable)?;
        self.hooks.lock().remove(id);
        Ok(())
    }
}
