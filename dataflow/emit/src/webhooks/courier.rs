//! Posts changes to one webhook's target, message by message, each until the target takes it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use audience_background::{Stop, clock};
use audience_contract::{WebhookAnswer, WebhookClient, WebhookMessage, WebhookStore};
use audience_protocol::{ChangePlace, ChangeResource, ChangesRead, PlatformError, SPANS, WebhookDelivery};
use audience_rules::time::format_time;
use tracing::Span;

use super::hook::{Hook, PendingMessage, StoredWebhook};
use crate::emitted::Emitted;
use crate::live::Live;
use audience_catalogue::unavailable;

/// Changes in a message at most.
const MESSAGE_CHANGES: usize = 100;
/// Between two messages that are not full: changes that come one by one go together.
const PACE: Duration = Duration::from_millis(100);
/// The wait for a change, and for a paused webhook to be resumed.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait after the first attempt that fails; each is twice as long, give or take half of it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, unless the target asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest wait that a target may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);
/// Between two times that the place is stored while nothing is posted.
const IDLE_NOTE: Duration = Duration::from_secs(60);
/// The status with which a target says that it wants nothing more.
const GONE: u16 = 410;

/// Posts to one webhook's target.
pub(super) struct Courier<'a> {
    pub emitted: &'a Emitted,
    pub live: &'a Live,
    pub hook: &'a Hook,
    pub client: &'a dyn WebhookClient,
    pub store: &'a dyn WebhookStore,
    /// How long a target may fail before its webhook is paused.
    pub give_up_after: Duration,
}

impl Courier<'_> {
    /// Posts until the stop is requested or the webhook is deleted.
    pub(super) fn run(&self, stop: &Stop) {
        let mut noted = Instant::now();
        while !stop.is_requested() && !self.hook.is_gone() {
            let wait = self.step(&mut noted).unwrap_or_else(|error| {
                tracing::error!(webhook = self.hook.id, %error, "The webhook cannot read or store its messages and retries");
                LONGEST_WAIT / 60
            });
            if !wait.is_zero() {
                self.hook.wait(wait, || stop.is_requested());
            }
        }
    }

    /// Posts one message once; returns how long to wait then.
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
            let newest = self.emitted.newest().tick;
            self.emitted.wait_beyond(newest, PATIENCE / 5);
            return Ok(Duration::ZERO);
        };
        let attempt = self.span(&stored, &pending).in_scope(|| self.post(&stored, &pending, &changes));
        let wait = self.account(&pending, &attempt)?;
        let is_full = changes.len() == MESSAGE_CHANGES;
        Ok(if attempt.0.delivered && is_full { Duration::ZERO } else { wait })
    }

    /// Returns the message to post, with its changes: the one that was tried before, or one of the next changes. That one is
    /// stored first, so that it is the same whenever it is sent again.
    fn message(&self, stored: &StoredWebhook) -> Result<Option<(PendingMessage, Vec<String>)>, PlatformError> {
        let from = stored.place();
        let known = stored.pending.as_ref();
        if let Some(reset) = known.filter(|known| known.is_reset) {
            return Ok(Some((reset.clone(), Vec::new())));
        }
        let end = known.and_then(|known| ChangePlace::parse(&known.to));
        let (mut changes, mut last) = (Vec::new(), from);
        let read = self.live.changes(from, &stored.filter(), true, &mut |change| {
            if end.is_some_and(|end| change.next > end) {
                return ControlFlow::Break(());
            }
            changes.push(format!("{{\"id\":\"{}\",{}", change.next, change.json.trim_start_matches('{')));
            last = change.next;
            if changes.len() < MESSAGE_CHANGES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let pending = |kind: &str, to: ChangePlace| PendingMessage {
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
            // Nothing is at its place any more: the next changes are another message.
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
        // Otherwise somebody has changed it meanwhile.
        Ok(is_current.then_some((new, changes)))
    }

    /// The span of a message: below that of the newest tick whose changes are in it, and linked to those of the others.
    fn span(&self, stored: &StoredWebhook, pending: &PendingMessage) -> Span {
        let (webhook, attempt) = (&*self.hook.id, pending.attempts + 1);
        let span = tracing::info_span!(target: SPANS, "webhook.post", otel.kind = "client", webhook, attempt);
        if audience_trace::is_on()
            && let Some(to) = ChangePlace::parse(&pending.to)
        {
            // A place is that of the next change.
            let last = if to.index == 0 { to.tick.saturating_sub(1) } else { to.tick };
            let before = stored.place().tick.saturating_sub(1);
            audience_trace::carry_on(&span, &self.emitted.traces().between(before, last));
        }
        span
    }

    fn post(
        &self,
        stored: &StoredWebhook,
        pending: &PendingMessage,
        changes: &[String],
    ) -> (WebhookDelivery, Option<Duration>) {
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

    /// Stores the outcome of an attempt; returns how long to wait.
    fn account(
        &self,
        pending: &PendingMessage,
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
            // If somebody has changed it meanwhile, it is made again.
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
        change: impl FnOnce(&mut StoredWebhook) -> T,
    ) -> Result<T, PlatformError> {
        let noted = self.hook.update(self.store, attempt, change);
        noted.map_err(unavailable)
    }
}

/// An attempt to post a message.
pub(super) struct Attempt<'a> {
    pub id: &'a str,
    pub number: u32,
    pub changes: u64,
}

/// Posts a message; returns the outcome, and how long the target asks to be left alone.
pub(super) fn send(
    client: &dyn WebhookClient,
    stored: &StoredWebhook,
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
