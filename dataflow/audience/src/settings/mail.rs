//! Settings of mails.

use std::path::PathBuf;

use clap::Args;
use url::Url;

/// The server that mails are handed to, and who they come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct MailSettings {
    /// The server that mails of campaigns are handed to: `smtps://` for TLS, `smtp+starttls://` for STARTTLS, `smtp://` without
    /// TLS, then `[user:password@]host[:port]`. [default: none, mails are kept in the sandbox and not sent]
    #[arg(long, env = "AUDIENCE_MAIL_SMTP", value_name = "URL", hide_env_values = true)]
    pub mail_smtp: Option<String>,
    /// A file with the API key of Resend, to which mails of campaigns are handed by HTTP, each under its key, so that nobody
    /// gets one twice. Not beside `mail_smtp`. [default: none]
    #[arg(long, env = "AUDIENCE_MAIL_RESEND_KEY_FILE", value_name = "FILE")]
    pub mail_resend_key_file: Option<PathBuf>,
    /// The address of Resend's API.
    #[arg(long, env = "AUDIENCE_MAIL_RESEND_URL", value_name = "URL", default_value = "https://api.resend.com")]
    pub mail_resend_url: Url,
    /// The most mails that are handed over in a second, as the provider's account allows. [default: as many as go]
    #[arg(long, env = "AUDIENCE_MAIL_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub mail_per_second: Option<u32>,
    /// The address that mails come from.
    #[arg(long, env = "AUDIENCE_MAIL_FROM", value_name = "ADDRESS", default_value = "audience@localhost")]
    pub mail_from: String,
    /// The name that mails come from. [default: none]
    #[arg(long, env = "AUDIENCE_MAIL_FROM_NAME", value_name = "NAME")]
    pub mail_from_name: Option<String>,
    /// The postal address that marketing mails show as `{{ postal_address }}`. [default: none]
    #[arg(long, env = "AUDIENCE_MAIL_POSTAL_ADDRESS", value_name = "TEXT")]
    pub mail_postal_address: Option<String>,
    /// A PEM file of the private key that signs mails by DKIM, RSA of 2,048 bits or more, or Ed25519. The domain is that of the
    /// sender. [default: none, mails are not signed here]
    #[arg(long, env = "AUDIENCE_MAIL_DKIM_KEY_FILE", value_name = "FILE")]
    pub mail_dkim_key_file: Option<PathBuf>,
    /// The selector under which DNS has the public key of DKIM.
    #[arg(long, env = "AUDIENCE_MAIL_DKIM_SELECTOR", value_name = "NAME", default_value = "audience")]
    pub mail_dkim_selector: String,
}
