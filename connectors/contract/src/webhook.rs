//! How messages are posted to those who asked for them.

use std::time::Duration;

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

/// What a target answered.
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
