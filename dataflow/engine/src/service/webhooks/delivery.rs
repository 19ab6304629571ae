//! Brings one target its changes, message by message, each until it is taken.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use audience_catalogue::unavailable;
use audience_contract::{WebhookAnswer, WebhookClient, WebhookMessage, WebhookStore};
use audience_protocol::{ChangePlace, ChangesRead, PlatformError, WebhookDelivery};
use audience_rules::time::format_time;

use super::hook::{Hook, Pending, Stored};
use crate::service::{Service, clock};

/// Changes in a message at most.
const MESSAGE_CHANGES: usize = 100;
/// Between two messages that are not full: changes that come one by one go together.
const PACE: Duration = Duration::from_millis(100);
/// How long to wait for a change, or for a target that is paused to be resumed.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait behind the first attempt that fails; each is twice as long, give or take half of it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, but for a target that asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest wait that a target may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);
/// How often the place is noted where nothing is posted.
const IDLE_NOTE: Duration = Duration::from_secs(60);
/// What a target answers that wants nothing more.
const GONE: u16 = 410;

/// Posts to one target.
pub struct Courier<'a> {
    pub service: &'a Service,
    pub hook: &'a Hook,
    pub client: &'a dyn WebhookClient,
    pub store: &'a dyn WebhookStore,
    /// How long a target may fail before it is paused.
    pub give_up_after: Duration,
}

impl Courier<'_> {
    /// Posts until the platform ends or the target is deleted.
    pub fn run(&self) {
        let mut noted = Instant::now();
        while !self.service.is_ending() && !self.hook.is_gone() {
            let wait = self.step(&mut noted).unwrap_or_else(|error| {
                tracing::error!(webhook = self.hook.id, %error, "changes are not posted; trying again");
                LONGEST_WAIT / 60
            });
            if !wait.is_zero() {
                self.hook.wait(wait, || self.service.is_ending());
            }
        }
    }

    /// One message, once; gives how long to wait then.
    fn step(&self, noted: &mut Instant) -> Result<Duration, PlatformError> {
        let stored = self.hook.read();
        if !stored.is_active() {
            return Ok(PATIENCE);
        }
        let Some((pending, changes)) = self.message(&stored)? else {
            if noted.elapsed() >= IDLE_NOTE {
                *noted = Instant::now();
                self.note(None, |_| {})?;
            }
            let newest = self.service.committed.newest();
            self.service.committed.wait_beyond(newest, PATIENCE / 5);
            return Ok(Duration::ZERO);
        };
        let attempt = self.post(&stored, &pending, &changes);
        let wait = self.account(&pending, &attempt)?;
        let is_full = changes.len() == MESSAGE_CHANGES;
        Ok(if attempt.0.delivered && is_full { Duration::ZERO } else { wait })
    }

    /// The message that is to be tried, with its changes: the one that was tried before, or one of what comes next, which is
    /// noted first, so that it is the same whenever it is sent again.
    fn message(&self, stored: &Stored) -> Result<Option<(Pending, Vec<String>)>, PlatformError> {
        let from = stored.place();
        let known = stored.pending.as_ref();
        if let Some(reset) = known.filter(|known| known.is_reset) {
            return Ok(Some((reset.clone(), Vec::new())));
        }
        let end = known.and_then(|known| ChangePlace::parse(&known.to));
        let (mut changes, mut last) = (Vec::new(), from);
        let read = self.service.visit_changes(from, &stored.filter(), true, &mut |change| {
            if end.is_some_and(|end| change.next > end) {
                return ControlFlow::Break(());
            }
            changes.push(format!("{{\"id\":\"{}\",{}", change.next, change.json.trim_start_matches('{')));
            last = change.next;
            if changes.len() < MESSAGE_CHANGES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let pending = |kind: &str, to: ChangePlace| Pending {
            // Places of another change log may look the same.
            id: format!("msg_{}_{}_{}_{kind}{from}", self.hook.id, stored.webhook.version, stored.change_log),
            to: to.to_string(),
            at: format_time(clock::now()),
            attempts: 0,
            is_reset: !kind.is_empty(),
        };
        let new = match (read, known) {
            (ChangesRead::Gone(now), _) => {
                changes.clear();
                pending("reset_", now)
            }
            (_, Some(known)) if !changes.is_empty() => return Ok(Some((known.clone(), changes))),
            (ChangesRead::UpTo(reached), None) if changes.is_empty() => {
                self.hook.pass(from, reached, clock::now());
                return Ok(None);
            }
            // Nothing is at its place any more: what comes there is another message.
            (_, Some(_)) => {
                self.note(None, |stored| stored.pending = None)?;
                return Ok(None);
            }
            (ChangesRead::UpTo(reached), _) if changes.len() < MESSAGE_CHANGES => pending("", reached),
            _ => pending("", last),
        };
        let version = stored.webhook.version;
        let is_current = self.note(None, |stored| {
            let is_current = stored.webhook.version == version && stored.place() == from;
            if is_current {
                stored.figures.pending = changes.len() as u64;
                stored.pending = Some(new.clone());
            }
            is_current
        })?;
        // Else somebody has changed it meanwhile.
        Ok(is_current.then_some((new, changes)))
    }

    fn post(&self, stored: &Stored, pending: &Pending, changes: &[String]) -> (WebhookDelivery, Option<Duration>) {
        let (id, at) = (&self.hook.id, &pending.at);
        let body = if pending.is_reset {
            let reason = "changes were missed that are not kept any more; read the members again";
            format!(
                r#"{{"type":"membership.reset","timestamp":"{at}","data":{{"webhookId":"{id}","id":"{}","reason":"{reason}"}}}}"#,
                pending.to
            )
        } else {
            let changes = changes.join(",");
            format!(
                r#"{{"type":"membership.changed","timestamp":"{at}","data":{{"webhookId":"{id}","changes":[{changes}]}}}}"#
            )
        };
        let attempt = Attempt { id: &pending.id, number: pending.attempts + 1, changes: changes.len() as u64 };
        send(self.client, stored, &attempt, &body)
    }

    /// Notes what became of an attempt; gives how long to wait.
    fn account(
        &self,
        pending: &Pending,
        (attempt, asked): &(WebhookDelivery, Option<Duration>),
    ) -> Result<Duration, PlatformError> {
        let now = clock::now();
        let give_up_after = i64::try_from(self.give_up_after.as_millis()).unwrap_or(i64::MAX);
        self.note(Some(attempt), |stored| {
            stored.figures.last_status = attempt.status;
            stored.figures.last_error.clone_from(&attempt.error);
            stored.retries += u64::from(attempt.attempt > 1);
            if attempt.delivered {
                stored.deliveries += 1;
                stored.figures.delivered += attempt.changes;
                stored.figures.last_delivered_at = Some(attempt.at.clone());
                stored.failing_since = None;
            } else {
                stored.figures.failed += 1;
            }
            // Somebody may have changed it meanwhile: then it is made anew.
            let Some(current) = stored.pending.as_mut().filter(|current| current.id == pending.id) else { return };
            if attempt.delivered {
                stored.figures.reached_id.clone_from(&current.to);
                stored.pending = None;
                stored.figures.pending = 0;
                return;
            }
            current.attempts += 1;
            let since = *stored.failing_since.get_or_insert(now);
            let why = attempt.error.clone().unwrap_or_default();
            if attempt.status == Some(GONE) {
                stored.pause(Some("the target answers 410 Gone: it wants nothing more".to_owned()));
            } else if now.saturating_sub(since) >= give_up_after {
                stored.pause(Some(format!("every attempt since {} has failed: {why}", format_time(since))));
            }
        })?;
        if attempt.delivered {
            return Ok(PACE);
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (attempt.attempt - 1).min(16)).min(LONGEST_WAIT);
        let wait = wait.mul_f64(0.5 + fastrand::f64());
        Ok(asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_ASKED))))
    }

    fn note<T>(
        &self,
        attempt: Option<&WebhookDelivery>,
        change: impl FnOnce(&mut Stored) -> T,
    ) -> Result<T, PlatformError> {
        let noted = self.hook.update(self.store, attempt, change);
        noted.map_err(unavailable)
    }
}

/// An attempt that is made.
pub struct Attempt<'a> {
    pub id: &'a str,
    pub number: u32,
    pub changes: u64,
}

/// Posts a message, and gives what became of it and how long the target asks to be left alone.
pub fn send(
    client: &dyn WebhookClient,
    stored: &Stored,
    attempt: &Attempt<'_>,
    body: &str,
) -> (WebhookDelivery, Option<Duration>) {
    let (begun, now) = (Instant::now(), clock::now());
    let old = stored.old_secret.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret.as_str());
    let secrets: Vec<&str> = std::iter::once(stored.secret.as_str()).chain(old).collect();
    let (url, body) = (stored.webhook.url.as_str(), body.as_bytes());
    let answer = client.post(&WebhookMessage { url, id: attempt.id, at: now / 1000, secrets: &secrets, body });
    let (status, error) = match &answer {
        Ok(WebhookAnswer { status: 200..=299, .. }) => (None, None),
        Ok(WebhookAnswer { status, .. }) => (Some(*status), Some(format!("the target answered {status}"))),
        Err(error) => (None, Some(error.clone())),
    };
    let delivery = WebhookDelivery {
        id: attempt.id.to_owned(),
        at: format_time(now),
        changes: attempt.changes,
        attempt: attempt.number,
        delivered: error.is_none(),
        status: status.or(answer.as_ref().ok().map(|answer| answer.status)),
        error,
        took_milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    (delivery, answer.ok().and_then(|answer| answer.retry_after))
}
