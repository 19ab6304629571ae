//! The provider: connections that are kept, and one outcome for each mail.

use std::sync::Arc;
use std::time::Duration;

use audience_contract::{HandOver, Mail, MailProvider, MailReply};
use parking_lot::Mutex;
use rustls::ClientConfig;

use crate::connection::{Conversation, RefusedEnvelope};
use crate::mime;
use crate::reply::SmtpReply;
use crate::settings::{Security, SmtpError, SmtpSettings};
use crate::stream;

/// Connections that are kept between calls.
const KEPT: usize = 32;
/// Mails over one connection; servers end longer conversations.
const MAILS: usize = 1_000;
/// The code of an address that is none: what a server would answer.
const NO_ADDRESS: u16 = 553;

/// Hands mails over to one server. Each call has a connection of its own.
pub struct SmtpProvider {
    settings: SmtpSettings,
    tls: Option<Arc<ClientConfig>>,
    kept: Mutex<Vec<Conversation>>,
}

impl SmtpProvider {
    /// A provider by settings. Connects to nothing yet.
    pub fn new(settings: SmtpSettings) -> Result<SmtpProvider, SmtpError> {
        let has_tls = settings.security != Security::Plain;
        let tls = has_tls.then(|| stream::tls(settings.ca_file.as_deref())).transpose()?;
        Ok(SmtpProvider { settings, tls, kept: Mutex::new(Vec::new()) })
    }

    fn connection(&self) -> Result<Conversation, SmtpError> {
        let kept = self.kept.lock().pop();
        kept.map_or_else(|| Conversation::open(&self.settings, self.tls.as_ref()), Ok)
    }

    fn keep(&self, connection: Conversation) {
        let mut kept = self.kept.lock();
        if connection.mails < MAILS && kept.len() < KEPT {
            return kept.push(connection);
        }
        drop(kept);
        connection.quit();
    }

    /// Hands one mail over. The connection is given back where it can be used again.
    ///
    /// A connection that was kept may have been closed by the server meanwhile, so that a second one is tried: nothing of the
    /// first attempt can have been taken.
    fn hand_one(&self, open: &mut Option<Conversation>, mail: &Mail) -> HandOver {
        if !is_safe(&mail.to) || !is_safe(&mail.from.address) {
            let reply = MailReply { code: NO_ADDRESS, enhanced: "5.1.3".to_owned() };
            return HandOver::Rejected { reply, is_hard_bounce: false };
        }
        let bytes = mime::bytes(mail, &self.settings.dkim);
        let mut fault = String::new();
        for _ in 0..2 {
            let mut connection = match open.take().map_or_else(|| self.connection(), Ok) {
                Ok(connection) => connection,
                Err(error) => return HandOver::NotHanded(error.to_string()),
            };
            match connection.prepare(&mail.from.address, &mail.to, &bytes) {
                Ok(Ok(())) => return self.commit(connection, open),
                Ok(Err(RefusedEnvelope(reply))) => {
                    if reply.code != 421 {
                        *open = Some(connection);
                    }
                    return outcome(&reply);
                }
                Err(error) => fault = error.to_string(),
            }
        }
        HandOver::NotHanded(format!("the conversation broke off: {fault}"))
    }

    fn commit(&self, mut connection: Conversation, open: &mut Option<Conversation>) -> HandOver {
        match connection.commit(&self.settings) {
            Ok(reply) => {
                if reply.code != 421 {
                    self.turn_over(connection, open);
                }
                outcome(&reply)
            }
            Err(error) => HandOver::Unknown(format!("no answer came to the mail: {error}")),
        }
    }

    /// Goes on with the connection, or ends one that has carried its mails.
    fn turn_over(&self, connection: Conversation, open: &mut Option<Conversation>) {
        if connection.mails < MAILS {
            *open = Some(connection);
        } else {
            connection.quit();
        }
    }
}

impl MailProvider for SmtpProvider {
    fn name(&self) -> &str {
        "smtp"
    }

    fn remembers(&self) -> Duration {
        Duration::ZERO
    }

    fn hand_over(&self, mails: &[Mail]) -> Vec<HandOver> {
        let mut open = None;
        let mut outcomes = Vec::with_capacity(mails.len());
        for mail in mails {
            outcomes.push(match outcomes.last() {
                // A server that cannot be reached is not asked again for each of the others.
                Some(HandOver::NotHanded(why)) => HandOver::NotHanded(why.clone()),
                _ => self.hand_one(&mut open, mail),
            });
        }
        if let Some(connection) = open {
            self.keep(connection);
        }
        outcomes
    }
}

fn outcome(reply: &SmtpReply) -> HandOver {
    match reply {
        reply if reply.is_positive() => HandOver::Accepted(reply.coded()),
        reply if reply.is_transient() => HandOver::Deferred(reply.coded()),
        reply => HandOver::Rejected { reply: reply.coded(), is_hard_bounce: reply.is_hard_bounce() },
    }
}

/// Returns whether an address ends no command: neither spaces, nor controls, nor brackets.
fn is_safe(address: &str) -> bool {
    address.is_ascii()
        && address.contains('@')
        && !address.bytes().any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | 127))
}
