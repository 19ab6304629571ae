//! Settings of mails.

use std::path::PathBuf;

use clap::Args;

/// The server that mails are handed to, and who they come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct MailSettings {
    /// The server that mails of campaigns are handed to: `smtps://` for TLS, `smtp+starttls://` for STARTTLS, `smtp://` without
    /// TLS, then `[user:password@]host[:port]`. [default: none, mails are kept in the sandbox and not sent]
    #[arg(long, env = "AUDIENCE_MAIL_SMTP", value_name = "URL", hide_env_values = true)]
    pub mail_smtp: Option<String>,
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
