//! How messages are posted to those who asked for them, and where it is kept who did.

use std::time::Duration;

use crate::Result;

/// A message on its way to a target.
#[derive(Clone, Copy, Debug)]
pub struct WebhookMessage<'a> {
    /// The target.
    pub url: &'a str,
    /// The same whenever the same message is sent again.
    pub id: &'a str,
    /// When this attempt is made, seconds.
    pub at: i64,
    /// The keys to sign with, the newest first.
    pub secrets: &'a [&'a str],
    /// JSON.
    pub body: &'a [u8],
}

/// The answer of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Posts messages, signed as the Standard Webhooks specification says.
pub trait WebhookClient: Send + Sync {
    /// Why a URL is not one that messages are posted to, if it is not. Looks up no name.
    fn check(&self, url: &str) -> Result<(), String>;

    /// A key that nobody can guess.
    fn new_secret(&self) -> Result<String, String>;

    /// Posts a message; says why where no answer came. MUST come back within some seconds, and MUST NOT go to where a
    /// target sends it on.
    fn post(&self, message: &WebhookMessage<'_>) -> Result<WebhookAnswer, String>;
}

/// Attempts of a webhook that are kept at least.
pub const KEPT_ATTEMPTS: usize = 100;

/// Webhooks, each with its newest attempts. What is kept of them are texts in JSON.
///
/// - A text MUST be given back as one that says the same: an implementation MAY order members otherwise and write numbers
///   and spaces in another way.
/// - MUST take ids of 1 to 256 bytes and texts of 1 MiB; MAY refuse others, and NUL, with
///   [`StoreError::Refused`](crate::StoreError::Refused).
pub trait WebhookStore: Send + Sync {
    /// All webhooks, id and text, in the order of the ids' bytes.
    fn all(&self) -> Result<Vec<(String, String)>>;

    /// Keeps a webhook in place of what was under its id, and adds an attempt, where there is one: both or neither. Durable on
    /// return.
    fn put(&self, id: &str, webhook: &str, attempt: Option<&str>) -> Result<()>;

    /// The newest attempts, newest first: the last [`KEPT_ATTEMPTS`], or all where there are fewer. Older ones MUST be
    /// forgotten.
    fn attempts(&self, id: &str) -> Result<Vec<String>>;

    /// Deletes a webhook with its attempts; one that is not there is deleted already. Durable on return.
    fn delete(&self, id: &str) -> Result<()>;
}
