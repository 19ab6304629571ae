//! Targets that changes of memberships are posted to.

use serde::{Deserialize, Serialize};

use crate::error::{Result, needs_engine};

/// Webhooks. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
///
/// `expected` is the version that the caller read; `None` replaces whatever is there.
pub trait WebhookResource: Send + Sync + 'static {
    /// Creates a webhook to which changes are posted from now on. Its secret is shown this once.
    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        needs_engine("webhooks", (input, author))
    }

    /// Replaces a webhook's address, segments and changes.
    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        needs_engine("webhooks", (id, input, expected, author))
    }

    /// Pauses or resumes a webhook, or gives it another secret.
    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        needs_engine("webhooks", (id, action, expected, author))
    }

    /// Deletes a webhook: nothing more is posted to it.
    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        needs_engine("webhooks", (id, expected, author))
    }

    /// Returns a webhook.
    fn webhook(&self, id: &str) -> Result<WebhookView> {
        needs_engine("webhooks", id)
    }

    /// Returns all webhooks in order of their ids.
    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        needs_engine("webhooks", ())
    }

    /// Returns the latest attempts to post to a webhook, newest first.
    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        needs_engine("webhooks", id)
    }

    /// Posts a message that says nothing but that it is a test.
    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        needs_engine("webhooks", id)
    }
}

/// A target, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Of which segments; `*` for all.
    pub segments: Vec<String>,
    /// Which changes.
    pub changes: Vec<WebhookChange>,
    /// Whether anything is posted.
    pub status: WebhookStatus,
    /// Why nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_because: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// 1 at creation, one more with every change.
    pub version: u64,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebhookChange {
    /// Somebody entered.
    Entered,
    /// Somebody left.
    Left,
}

/// Whether anything is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookStatus {
    /// Changes are posted.
    Active,
    /// None are; they wait.
    Paused,
}

/// A target with what became of what was posted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// The target.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key that messages are signed with: only where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What became of what was posted.
    pub deliveries: WebhookFigures,
}

/// What became of what was posted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookFigures {
    /// Changes that the target has taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Changes of the message that is tried just now.
    pub pending: u64,
    /// When it last took any, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered_at: Option<String>,
    /// Why the last attempt failed; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What the target last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// Everything up to this id is delivered, or was not wanted.
    pub reached_id: String,
}

/// What a client sends to create or replace a target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookInput {
    /// Where it is.
    pub url: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Of which segments; all by default.
    #[serde(default = "all_segments")]
    pub segments: Vec<String>,
    /// Which changes; both by default.
    #[serde(default = "all_changes")]
    pub changes: Vec<WebhookChange>,
}

fn all_segments() -> Vec<String> {
    vec!["*".to_owned()]
}

fn all_changes() -> Vec<WebhookChange> {
    vec![WebhookChange::Entered, WebhookChange::Left]
}

/// What is done with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAction {
    /// Nothing is posted until it is resumed.
    Pause,
    /// What waits is posted.
    Resume,
    /// It gets another key. For a day messages are signed with the one before too.
    RotateSecret,
}

/// An attempt to post.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// The message: the same for each attempt to post it.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// Changes in it.
    pub changes: u64,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Whether the target took it.
    pub delivered: bool,
    /// What the target answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took.
    pub took_milliseconds: u64,
}
