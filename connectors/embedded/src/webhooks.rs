//! Webhooks, as notes: rows of `webhook/` and the id, and of `attempt/`, the id and the number of the attempt.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{KEPT_ATTEMPTS, Note, Notes, Result, WebhookStore};
use parking_lot::Mutex;

use crate::LedgerNotes;

const PREFIX: &str = "webhook/";
const PREFIX_END: &str = "webhook0";
const ATTEMPTS: &str = "attempt/";

/// The webhooks of a data directory. A write costs one fsync.
pub struct NotedWebhooks {
    notes: Arc<LedgerNotes>,
    /// One write at a time: the number of an attempt follows from those that are there.
    writing: Mutex<()>,
}

impl NotedWebhooks {
    /// Those that are noted.
    pub(crate) fn open(notes: Arc<LedgerNotes>) -> NotedWebhooks {
        NotedWebhooks { notes, writing: Mutex::new(()) }
    }

    /// The attempts that are noted, oldest first.
    fn noted_attempts(&self, id: &str) -> Result<Vec<(u64, String)>> {
        let prefix = attempt_prefix(id);
        let mut attempts = Vec::new();
        self.notes.visit(&attempt_key(id, 0), &attempt_key(id, u64::MAX), &mut |key, value| {
            if let Some(number) = key.strip_prefix(prefix.as_slice()).and_then(|rest| rest.try_into().ok()) {
                attempts.push((u64::from_be_bytes(number), String::from_utf8_lossy(value).into_owned()));
            }
            ControlFlow::Continue(())
        })?;
        Ok(attempts)
    }
}

impl WebhookStore for NotedWebhooks {
    fn all(&self) -> Result<Vec<(String, String)>> {
        let mut webhooks = Vec::new();
        self.notes.visit(PREFIX.as_bytes(), PREFIX_END.as_bytes(), &mut |key, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            webhooks.push((text(&key[PREFIX.len()..]), text(value)));
            ControlFlow::Continue(())
        })?;
        Ok(webhooks)
    }

    fn put(&self, id: &str, webhook: &str, attempt: Option<&str>) -> Result<()> {
        let _turn = self.writing.lock();
        let mut written: Vec<Note> = vec![(key(id), Some(webhook.into()))];
        if let Some(attempt) = attempt {
            let noted = self.noted_attempts(id)?;
            let number = noted.last().map_or(0, |(number, _)| number + 1);
            let too_many = (noted.len() + 1).saturating_sub(KEPT_ATTEMPTS);
            written.extend(noted[..too_many].iter().map(|(number, _)| (attempt_key(id, *number), None)));
            written.push((attempt_key(id, number), Some(attempt.into())));
        }
        self.notes.write(&written)
    }

    fn attempts(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.noted_attempts(id)?.into_iter().rev().map(|(_, attempt)| attempt).collect())
    }

    fn delete(&self, id: &str) -> Result<()> {
        let _turn = self.writing.lock();
        let attempts = self.noted_attempts(id)?.into_iter().map(|(number, _)| (attempt_key(id, number), None));
        let written: Vec<Note> = attempts.chain([(key(id), None)]).collect();
        self.notes.write(&written)
    }
}

fn key(id: &str) -> Vec<u8> {
    format!("{PREFIX}{id}").into_bytes()
}

fn attempt_prefix(id: &str) -> Vec<u8> {
    format!("{ATTEMPTS}{id}/").into_bytes()
}

fn attempt_key(id: &str, number: u64) -> Vec<u8> {
    [attempt_prefix(id).as_slice(), &number.to_be_bytes()].concat()
}
