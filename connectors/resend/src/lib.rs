//! Hands mails over by Resend's HTTP API (`POST /emails`), each under its key.
//!
//! **The law.** The id of a mail is its `Idempotency-Key`: the provider takes a mail that is handed over again within a day
//! once. So a mail of which no answer came is handed over again, and nobody gets it twice. A key that comes back with another
//! text, because the person's traits changed meanwhile, is refused, and by that was taken before.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod letter;

use std::sync::OnceLock;
use std::time::Duration;

use audience_contract::{HandOver, Mail, MailProvider, MailReply};
use futures_util::StreamExt as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::runtime::Runtime;
use url::Url;

use crate::letter::{Letter, is_safe};

/// The time that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests under way in one call.
const UNDER_WAY: usize = 8;
/// The time for which keys are trusted: an hour less than the provider remembers them.
const REMEMBERED: Duration = Duration::from_secs(23 * 3_600);
/// Bytes of a refusal that are read.
const REFUSAL: usize = 64 << 10;
/// The code of an address that is none.
const NO_ADDRESS: u16 = 422;

/// Why nothing can be handed over at all.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// The threads that send cannot be started.
    #[error("mails cannot be handed over: {0}")]
    Start(std::io::Error),
    /// The client cannot be made.
    #[error("mails cannot be handed over: {0}")]
    Client(reqwest::Error),
    /// The key has letters that no header takes.
    #[error("the key is none: it has letters that no header takes")]
    Key,
    /// The URL leads nowhere.
    #[error("the URL is none: write https://api.resend.com")]
    Url,
}

/// Hands mails over by HTTP. Connections are kept.
pub struct ResendProvider {
    client: reqwest::Client,
    runtime: Runtime,
    emails: Url,
    authorization: HeaderValue,
}

impl ResendProvider {
    /// A provider at a URL such as `https://api.resend.com`, by an API key. Connects to nothing yet.
    pub fn new(url: &Url, key: &str) -> Result<ResendProvider, ResendError> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| ResendError::Key)?;
        authorization.set_sensitive(true);
        let mut emails = url.clone();
        emails.path_segments_mut().map_err(|()| ResendError::Url)?.pop_if_empty().push("emails");
        // Another part of the program may have said the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent("audience-manager")
            .build()
            .map_err(ResendError::Client)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("resend")
            .enable_all()
            .build()
            .map_err(ResendError::Start)?;
        Ok(ResendProvider { client, runtime, emails, authorization })
    }

    /// Hands one mail over, unless the provider refused to take any more in this call.
    async fn hand_one(&self, mail: &Mail, refused: &OnceLock<String>) -> HandOver {
        if !is_safe(&mail.to) || !is_safe(&mail.from.address) {
            let reply = MailReply { code: NO_ADDRESS, enhanced: "5.1.3".to_owned() };
            return HandOver::Rejected { reply, is_hard_bounce: false };
        }
        if let Some(why) = refused.get() {
            return HandOver::NotHanded(why.clone());
        }
        let body = match serde_json::to_vec(&Letter::of(mail)) {
            Ok(body) => body,
            Err(error) => return HandOver::NotHanded(error.to_string()),
        };
        let request = self
            .client
            .post(self.emails.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &mail.id)
            .body(body);
        let outcome = match request.send().await {
            Ok(answer) => outcome(answer).await,
            // Nothing was sent: there was no connection to send it over.
            Err(error) if error.is_connect() || error.is_builder() => HandOver::NotHanded(innermost(&error)),
            Err(error) => HandOver::Unknown(format!("no answer came to the mail: {}", innermost(&error))),
        };
        if let HandOver::NotHanded(why) = &outcome {
            // The first cause is as good as another one.
            let _ = refused.set(why.clone());
        }
        outcome
    }
}

impl MailProvider for ResendProvider {
    fn name(&self) -> &str {
        "resend"
    }

    fn remembers(&self) -> Duration {
        REMEMBERED
    }

    fn hand_over(&self, mails: &[Mail]) -> Vec<HandOver> {
        let refused = OnceLock::new();
        let requests = mails.iter().map(|mail| self.hand_one(mail, &refused));
        self.runtime.block_on(futures_util::stream::iter(requests).buffered(UNDER_WAY).collect())
    }
}

/// A refusal, as far as it is read.
#[derive(Default, Deserialize)]
struct NamedRefusal {
    #[serde(default)]
    name: String,
}

async fn outcome(answer: Response) -> HandOver {
    let status = answer.status();
    let reply = MailReply { code: status.as_u16(), enhanced: String::new() };
    match status {
        status if status.is_success() => HandOver::Accepted(reply),
        StatusCode::CONFLICT => match refusal(answer).await.name.as_str() {
            "invalid_idempotent_request" => HandOver::Accepted(reply),
            _ => HandOver::Unknown("the provider still works at an earlier request with this key".to_owned()),
        },
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
            HandOver::Rejected { reply, is_hard_bounce: false }
        }
        status if status.is_server_error() => HandOver::Unknown(format!("the provider answers {status}")),
        // A limit, a key that is not accepted, a path that is not there: it concerns us, and not the recipient.
        status => HandOver::NotHanded(format!("the provider answers {status} {}", refusal(answer).await.name)),
    }
}

/// The refusal of an answer; an empty one where it cannot be read.
async fn refusal(mut answer: Response) -> NamedRefusal {
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > REFUSAL {
            return NamedRefusal::default();
        }
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The cause says more than what is around it, which names the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
