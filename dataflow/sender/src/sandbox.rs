//! A provider that keeps mails and sends none: for first steps, and for tests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{HandOver, Mail, MailProvider, MailReply, Note, Notes, Result};
use audience_protocol::SandboxMail;
use audience_rules::time::format_time;
use audience_sends::email::is_address;
use parking_lot::Mutex;

/// Mails that are kept; older ones are forgotten.
const KEPT: u64 = 1_000;

/// The sandbox. A mail that is handed over again with the same id is kept once.
pub struct Sandbox {
    notes: Arc<dyn Notes>,
    next: Mutex<u64>,
}

impl Sandbox {
    /// The sandbox of a store.
    pub fn open(notes: Arc<dyn Notes>) -> Result<Sandbox> {
        let mut next = 0;
        notes.visit(b"mail/box/", b"mail/box0", &mut |key, _| {
            let number = std::str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next()?.parse::<u64>().ok());
            next = number.map_or(next, |number| number + 1);
            ControlFlow::Continue(())
        })?;
        Ok(Sandbox { notes, next: Mutex::new(next) })
    }

    /// The mails of a store, newest first.
    pub(crate) fn mails(notes: &dyn Notes) -> Result<Vec<SandboxMail>> {
        let mut mails = Vec::new();
        notes.visit(b"mail/box/", b"mail/box0", &mut |_, value| {
            mails.extend(serde_json::from_slice::<SandboxMail>(value).ok());
            ControlFlow::Continue(())
        })?;
        mails.reverse();
        Ok(mails)
    }

    fn keep(&self, mails: &[&Mail]) -> Result<()> {
        let mut next = self.next.lock();
        let mut notes: Vec<Note> = Vec::new();
        for mail in mails {
            let taken = format!("mail/boxed/{}", mail.id).into_bytes();
            if self.notes.get(&taken)?.is_some() {
                continue;
            }
            notes.push((box_key(*next), serde_json::to_vec(&shown(mail)).ok()));
            notes.push((taken, Some(Vec::new())));
            if let Some(old) = next.checked_sub(KEPT) {
                notes.push((box_key(old), None));
            }
            *next += 1;
        }
        if notes.is_empty() { Ok(()) } else { self.notes.write(&notes) }
    }
}

fn box_key(number: u64) -> Vec<u8> {
    format!("mail/box/{number:020}").into_bytes()
}

fn shown(mail: &Mail) -> SandboxMail {
    SandboxMail {
        id: mail.id.clone(),
        at: format_time(mail.at),
        from: mail.from.address.clone(),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        html: mail.html.clone(),
        text: mail.text.clone(),
        headers: mail.headers.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

impl MailProvider for Sandbox {
    fn name(&self) -> &str {
        "sandbox"
    }

    fn remembers(&self) -> Duration {
        Duration::MAX
    }

    fn hand_over(&self, mails: &[Mail]) -> Vec<HandOver> {
        let taken: Vec<&Mail> = mails.iter().filter(|mail| is_address(&mail.to)).collect();
        let fault = self.keep(&taken).err();
        let outcome = |mail: &Mail| match &fault {
            _ if !is_address(&mail.to) => {
                let reply = MailReply { code: 553, enhanced: "5.1.3".to_owned() };
                HandOver::Rejected { reply, is_hard_bounce: false }
            }
            Some(error) if error.needs_reopening() => HandOver::Unknown(error.to_string()),
            Some(error) => HandOver::NotHanded(error.to_string()),
            None => HandOver::Accepted(MailReply { code: 250, enhanced: String::new() }),
        };
        mails.iter().map(outcome).collect()
    }
}
