//! Hands mails over by SMTP: envelope and `DATA` in one write where the server pipelines, over connections that are kept, and
//! signed with DKIM.
//!
//! **The law.** Everything before the final dot is harmless: what fails there was not handed over. What fails after it is in
//! doubt (RFC 1047), and is told as such. The final dot has its own patience, ten minutes, since giving up there makes copies.
//!
//! | File | Contents |
//! |---|---|
//! | `provider` | The provider: takes a connection from the pool, hands over mail by mail. |
//! | `connection` | One conversation, up to the final dot and after it. |
//! | `stream`, `reply` | Bytes with and without TLS; answers. |
//! | `mime` | The bytes of a mail. |
//! | `dkim` | Signatures: rsa-sha256 and ed25519-sha256, relaxed/relaxed. |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connection;
mod dkim;
mod mime;
mod provider;
mod reply;
mod settings;
mod stream;

pub use dkim::{DkimError, DkimKey};
pub use provider::SmtpProvider;
pub use settings::{Login, Security, SmtpError, SmtpSettings};
