//! Webhooks: targets that membership changes are posted to.

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

/// A webhook, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Its address.
    pub url: String,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Ids of segments; `*` for all.
    pub segments: Vec<String>,
    /// The kinds of change that are posted.
    pub changes: Vec<WebhookChange>,
    /// The status: changes are posted, or wait.
    pub status: WebhookStatus,
    /// The reason why a paused webhook was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_because: Option<String>,
    /// RFC 3339: the instant of creation.
    pub created_at: String,
    /// RFC 3339: the instant of the newest version.
    pub updated_at: String,
    /// 1 at creation, one more with every change.
    pub version: u64,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebhookChange {
    /// A user entered.
    Entered,
    /// A user left.
    Left,
}

/// The status of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookStatus {
    /// Changes are posted.
    Active,
    /// Changes wait.
    Paused,
}

/// A webhook with its figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// The target.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key that messages are signed with; absent unless it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Figures of deliveries.
    pub deliveries: WebhookFigures,
}

/// Figures of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookFigures {
    /// Changes that the target has taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Changes of the message that is under way.
    pub pending: u64,
    /// RFC 3339: the last successful delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered_at: Option<String>,
    /// The fault of the last attempt; absent if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The status code of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// The id up to which everything is delivered or filtered out.
    pub reached_id: String,
}

/// A client's request to create or replace a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookInput {
    /// Its address.
    pub url: String,
    /// Its purpose.
    #[serde(default)]
    pub description: String,
    /// Ids of segments; all by default.
    #[serde(default = "all_segments")]
    pub segments: Vec<String>,
    /// The kinds of change; both by default.
    #[serde(default = "all_changes")]
    pub changes: Vec<WebhookChange>,
}

fn all_segments() -> Vec<String> {
    vec!["*".to_owned()]
}

fn all_changes() -> Vec<WebhookChange> {
    vec![WebhookChange::Entered, WebhookChange::Left]
}

/// An action on a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAction {
    /// Nothing is posted until the webhook is resumed.
    Pause,
    /// Changes that wait are posted.
    Resume,
    /// The webhook gets another key. Messages are signed with the old one too for a day.
    RotateSecret,
}

/// An attempt to post a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// The message's id, the same for each attempt to post it.
    pub id: String,
    /// RFC 3339: the instant of the attempt.
    pub at: String,
    /// Changes in it.
    pub changes: u64,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// True if the target took it.
    pub delivered: bool,
    /// The status code of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds that it took.
    pub took_milliseconds: u64,
}
