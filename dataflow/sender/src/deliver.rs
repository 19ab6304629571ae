//! Claims, windows, hand-overs and results.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use audience_background::{Stop, clock};
use audience_contract::{HandOver, Mail, MailProvider};
use audience_protocol::{Campaign, OnUnknown, PlatformError, Result, Suppression, TriggerChange, UserResource};
use audience_rules::time::format_time;
use audience_sends::Millis;
use audience_sends::gates::{GateRound, GateVerdict, Reason};
use audience_sends::pace::SendPace;
use audience_sends::state::SendState;
use audience_sends::template::RenderError;
use parking_lot::Mutex;

use crate::compose::{Composer, SenderIdentity};
use crate::documents::unavailable;
use crate::facts::{FactReader, RecipientFacts, limits};
use crate::figures::HandOverCounts;
use crate::log::{LoggedSend, Row, SendLog};
use crate::suppress::{masked, of_address};
use crate::token::TokenKey;

/// Sends that are claimed at a time.
pub(crate) const BATCH: usize = 1_000;
/// Sends that are on their way to a provider over one connection at a time.
pub(crate) const WINDOW: usize = 100;
/// Connections that are handed over to at a time.
pub(crate) const LANES: usize = 4;
/// The wait before a send is tried again that was not handed over.
const AGAIN: Millis = 5_000;
/// The wait after the first answer that asks for another attempt; each is twice as long.
const FIRST_WAIT: Millis = 60_000;
/// The longest wait.
const LONGEST_WAIT: Millis = 4 * 3_600_000;
/// Attempts after which a send that is always deferred is called off.
const ATTEMPTS: u32 = 12;

/// Hands over the sends of campaigns.
pub(crate) struct MailCourier {
    pub(crate) log: Arc<SendLog>,
    pub(crate) users: Arc<dyn UserResource>,
    pub(crate) facts: FactReader,
    pub(crate) provider: Arc<dyn MailProvider>,
    pub(crate) identity: SenderIdentity,
    pub(crate) tokens: Arc<TokenKey>,
    pub(crate) counts: HandOverCounts,
    /// The pace of the provider's account; as fast as it goes without one.
    pub(crate) pace: Option<Mutex<SendPace>>,
}

/// A mail that is ready, with its send.
struct ReadyMail {
    send: LoggedSend,
    mail: Mail,
}

/// The steps of sends.
type Steps = Vec<(LoggedSend, Row)>;

impl MailCourier {
    /// Settles what an earlier process left open: what was claimed is planned again, and what was on its way is unknown.
    pub(crate) fn recover(&self, campaign: &Campaign) -> Result<()> {
        let now = clock::now();
        let opened = |send: LoggedSend| {
            let is_handing = send.row.state == SendState::Handing;
            let row = if is_handing { in_doubt(&send, now) } else { planned(&send, now, now) };
            (send, row)
        };
        let open = self.log.open_sends(&campaign.id).map_err(unavailable)?;
        self.write(campaign, &open.into_iter().map(opened).collect())?;
        if self.log.counts(&campaign.id).of(SendState::Unknown) == 0 {
            return Ok(());
        }
        let is_unknown = |row: &Row| row.state == SendState::Unknown;
        let unknown = self.log.after(&campaign.id, None, usize::MAX, &is_unknown).map_err(unavailable)?;
        self.settle(campaign, unknown, now)
    }

    /// Returns whether a send in doubt is handed over again: with the same key, while the provider remembers it, or because
    /// the campaign says so.
    fn goes_again(&self, campaign: &Campaign, send: &LoggedSend, now: Millis) -> bool {
        let age = now.saturating_sub(send.row.doubt.unwrap_or(send.row.at)).max(0);
        let is_remembered = u128::from(age.unsigned_abs()) < self.provider.remembers().as_millis();
        is_remembered || campaign.input.on_unknown == OnUnknown::Resend
    }

    /// Settles sends of which nobody knows whether they were sent.
    fn settle(&self, campaign: &Campaign, unknown: Vec<LoggedSend>, now: Millis) -> Result<()> {
        let settled = |send: LoggedSend| {
            let is_again = self.goes_again(campaign, &send, now);
            let row = if is_again { planned(&send, now, now) } else { moved(&send, SendState::Held, now) };
            (send, row)
        };
        self.write(campaign, &unknown.into_iter().map(settled).collect())
    }

    fn write(&self, campaign: &Campaign, steps: &Steps) -> Result<()> {
        self.log.step(&campaign.id, steps).map_err(unavailable)
    }

    /// Claims and hands over one batch; returns how many sends it saw. `goes_on` is asked before each window.
    pub(crate) fn batch(
        &self,
        campaign: &Campaign,
        composer: &Composer,
        stop: &Stop,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<usize> {
        let now = clock::now();
        let (batch, window) = self.sizes();
        let mut due = self.log.due(&campaign.id, now, batch).map_err(unavailable)?;
        // One occurrence at a time, and one send of a person, so that caps see the others.
        let Some(occurrence) = due.first().map(|send| send.row.occurrence) else { return Ok(0) };
        let mut people = HashSet::new();
        due.retain(|send| send.row.occurrence == occurrence && people.insert(send.row.user.clone()));
        let seen = due.len();
        let ready = self.claim(campaign, composer, due, now)?;
        let (next, windows): (AtomicUsize, Vec<&[ReadyMail]>) = (AtomicUsize::new(0), ready.chunks(window).collect());
        let lane = || -> Result<()> {
            while let Some(window) = windows.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.wait_turn(window.len(), stop);
                if stop.is_requested() || !goes_on() {
                    let back = |ready: &ReadyMail| {
                        (ready.send.clone(), planned(&ready.send, ready.send.row.due, clock::now()))
                    };
                    self.write(campaign, &window.iter().map(back).collect())?;
                } else {
                    self.window(campaign, &self.still_wanted(campaign, window)?)?;
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES.min(windows.len())).map(|_| scope.spawn(lane)).collect();
            let broken = |_| Err(PlatformError::Unavailable("a hand-over ended early".to_owned()));
            let ended = lanes.into_iter().map(|lane| lane.join().unwrap_or_else(broken));
            ended.collect::<Result<Vec<()>>>()
        })?;
        Ok(seen)
    }

    /// The most sends that are claimed at a time, and that go in one window.
    fn sizes(&self) -> (usize, usize) {
        let slow = self.pace.as_ref().map(|pace| pace.lock());
        slow.map_or((BATCH, WINDOW), |pace| (pace.batch().min(BATCH), pace.window().min(WINDOW)))
    }

    /// Waits until the pace lets a window begin, or the stop is requested.
    fn wait_turn(&self, count: usize, stop: &Stop) {
        let wait = self.pace.as_ref().map_or(0, |pace| pace.lock().take(clock::now(), count));
        if wait > 0 {
            stop.wait(Duration::from_millis(wait.unsigned_abs()));
        }
    }

    /// Lets due sends through the gates once more, at this instant, and claims those that pass.
    fn claim(
        &self,
        campaign: &Campaign,
        composer: &Composer,
        due: Vec<LoggedSend>,
        now: Millis,
    ) -> Result<Vec<ReadyMail>> {
        let ids: Vec<String> = due.iter().map(|send| send.row.user.clone()).collect();
        let facts = self.facts.read(&ids, campaign, composer.purpose(), &composer.traits(), now)?;
        // Those that are tried again are counted already, and pass no gate: what may have been sent is not told as stopped.
        let limits = limits(campaign, self.log.counts(&campaign.id).counted());
        let mut round = GateRound::new(&limits, now);
        let (mut steps, mut ready) = (Steps::new(), Vec::new());
        for (send, facts) in due.into_iter().zip(facts) {
            let row = match (send.row.state, send.row.doubt) {
                (SendState::Deferred, _) => claimed(&send, now),
                (_, Some(_)) if self.goes_again(campaign, &send, now) => claimed(&send, now),
                (_, Some(_)) => moved(&send, SendState::Held, now),
                (_, None) => match self.verdict(campaign, &mut round, &facts)? {
                    GateVerdict::Send => claimed(&send, now),
                    GateVerdict::Later { until, .. } => Row { due: until.max(now + 1), at: now, ..send.row.clone() },
                    GateVerdict::Not(reason) => suppressed(&send, reason, now),
                },
            };
            if row.state == SendState::Claimed {
                let send = LoggedSend { id: send.id, row: row.clone() };
                ready.extend(self.compose(campaign, composer, send, &facts, now)?);
            }
            steps.push((send, row));
        }
        let (later, steps): (Steps, Steps) = steps.into_iter().partition(|(send, row)| send.row.state == row.state);
        self.log.replace(&campaign.id, &later).map_err(unavailable)?;
        self.write(campaign, &steps)?;
        let (ready, missing): (Vec<_>, Vec<_>) = ready.into_iter().partition(|(_, mail)| mail.is_some());
        let stopped = |(send, _): (LoggedSend, Option<Mail>)| {
            let row = suppressed(&send, Reason::MissingVariable, now);
            (send, row)
        };
        self.write(campaign, &missing.into_iter().map(stopped).collect())?;
        Ok(ready.into_iter().filter_map(|(send, mail)| Some(ReadyMail { send, mail: mail? })).collect())
    }

    /// The verdict at the instant of the hand-over: whoever left the segment meanwhile is not sent to, nor who came back to the
    /// one whose exit triggered the send.
    fn verdict(&self, campaign: &Campaign, round: &mut GateRound<'_>, facts: &RecipientFacts) -> Result<GateVerdict> {
        let segments = self.users.user_segments(&facts.user)?;
        let is_in = |segment: &str| segments.iter().any(|one| one.segment_id == segment);
        let trigger = campaign.input.trigger;
        let is_of_exit = trigger.is_some_and(|trigger| trigger.on == TriggerChange::Exit);
        match is_in(&campaign.input.segment_id) {
            true if is_of_exit => return Ok(GateVerdict::Not(Reason::InSegment)),
            false if !is_of_exit => return Ok(GateVerdict::Not(Reason::LeftSegment)),
            _ => {}
        }
        if campaign.input.exclude_segment_ids.iter().any(|one| is_in(one)) {
            return Ok(GateVerdict::Not(Reason::LeftSegment));
        }
        if trigger.is_some() {
            // Each change is an occurrence of its own.
            round.begin_occurrence();
        }
        Ok(round.decide(&facts.member()))
    }

    /// The mail of a send; none where a variable has no value, or the address is gone.
    fn compose(
        &self,
        campaign: &Campaign,
        composer: &Composer,
        send: LoggedSend,
        facts: &RecipientFacts,
        now: Millis,
    ) -> Result<Option<(LoggedSend, Option<Mail>)>> {
        let Some(address) = &facts.address else { return Ok(Some((send, None))) };
        let url = self.unsubscribe_url(&campaign.id, &facts.user);
        let mail = match composer.render(&self.identity, &facts.user, &facts.values, &url) {
            Ok(rendered) => Some(composer.mail(&self.identity, (send.id.to_string(), address), rendered, &url, now)),
            Err(RenderError::Missing(_) | RenderError::Steps(_) | RenderError::Bytes(_)) => None,
        };
        Ok(Some((send, mail)))
    }

    /// The link by which a user unsubscribes.
    pub(crate) fn unsubscribe_url(&self, campaign: &str, user: &str) -> String {
        format!("{}/u/{}", self.identity.public_url, self.tokens.token(campaign, user))
    }

    /// The sends of a window without those whose people unsubscribed since they were claimed.
    fn still_wanted<'a>(&self, campaign: &Campaign, window: &'a [ReadyMail]) -> Result<Vec<&'a ReadyMail>> {
        let (mut wanted, mut stopped) = (Vec::with_capacity(window.len()), Steps::new());
        for ready in window {
            match self.facts.suppressions.has(&ready.mail.to, &ready.send.row.user).map_err(unavailable)? {
                false => wanted.push(ready),
                true => stopped.push((ready.send.clone(), suppressed(&ready.send, Reason::Suppressed, clock::now()))),
            }
        }
        self.write(campaign, &stopped)?;
        Ok(wanted)
    }

    /// Hands a window over. That it is on its way is on disk before the provider can take any of it.
    fn window(&self, campaign: &Campaign, window: &[&ReadyMail]) -> Result<()> {
        let begun = clock::now();
        let handing = |ready: &&ReadyMail| {
            (
                ready.send.clone(),
                Row { attempts: ready.send.row.attempts + 1, ..moved(&ready.send, SendState::Handing, begun) },
            )
        };
        let steps: Steps = window.iter().map(handing).collect();
        self.write(campaign, &steps)?;
        let mails: Vec<Mail> = window.iter().map(|ready| ready.mail.clone()).collect();
        let outcomes = self.provider.hand_over(&mails);
        let now = clock::now();
        let (mut results, mut unknown, mut bounced) = (Steps::new(), Vec::new(), Vec::new());
        for (((send, row), mail), outcome) in steps.into_iter().zip(&mails).zip(outcomes) {
            let handing = LoggedSend { id: send.id, row };
            let row = result(&handing, &outcome, now);
            self.counts.count(&outcome);
            match outcome {
                HandOver::Unknown(_) => unknown.push(LoggedSend { id: handing.id, row: row.clone() }),
                HandOver::Rejected { is_hard_bounce: true, .. } => bounced.push(bounce(campaign, &mail.to, now)),
                HandOver::NotHanded(why) => {
                    tracing::warn!(campaign = campaign.id, why, "A mail was not handed over and is tried again")
                }
                _ => {}
            }
            results.push((handing, row));
        }
        self.write(campaign, &results)?;
        if !bounced.is_empty() {
            self.facts.suppressions.put(&bounced).map_err(unavailable)?;
        }
        self.settle(campaign, unknown, now)
    }
}

fn bounce(campaign: &Campaign, address: &str, now: Millis) -> Suppression {
    Suppression {
        hash: of_address(address),
        shown: masked(address),
        reason: "bounced".to_owned(),
        at: format_time(now),
        source: campaign.id.clone(),
    }
}

/// The row of a send in another state.
pub(crate) fn moved(send: &LoggedSend, state: SendState, now: Millis) -> Row {
    Row { state, at: now, ..send.row.clone() }
}

fn claimed(send: &LoggedSend, now: Millis) -> Row {
    Row { claimed: Some(send.row.claimed.unwrap_or(now)), ..moved(send, SendState::Claimed, now) }
}

/// The row of a send that is planned again.
fn planned(send: &LoggedSend, due: Millis, now: Millis) -> Row {
    Row { due, claimed: None, ..moved(send, SendState::Planned, now) }
}

/// The row of a send whose last hand-over has no known outcome. The send keeps the instant of its first one.
fn in_doubt(send: &LoggedSend, now: Millis) -> Row {
    Row { doubt: send.row.doubt.or(Some(send.row.at)), ..moved(send, SendState::Unknown, now) }
}

/// The row of a send that a gate stops. One in doubt is held: it may have been sent.
fn suppressed(send: &LoggedSend, reason: Reason, now: Millis) -> Row {
    if send.row.doubt.is_some() {
        return moved(send, SendState::Held, now);
    }
    Row { reason: Some(reason), ..moved(send, SendState::Suppressed, now) }
}

/// The row of a send after its hand-over.
fn result(send: &LoggedSend, outcome: &HandOver, now: Millis) -> Row {
    let answered = |state, reply: &audience_contract::MailReply| {
        let text = format!("{} {}", reply.code, reply.enhanced);
        Row { reply: Some(text.trim_end().to_owned()), ..moved(send, state, now) }
    };
    match outcome {
        HandOver::Accepted(reply) => Row { doubt: None, ..answered(SendState::Accepted, reply) },
        HandOver::Rejected { reply, .. } => answered(SendState::Rejected, reply),
        HandOver::Deferred(reply) if send.row.attempts >= ATTEMPTS => answered(SendState::Rejected, reply),
        HandOver::Deferred(reply) => {
            let wait = FIRST_WAIT << (send.row.attempts - 1).min(8);
            Row { due: now + wait.min(LONGEST_WAIT), ..answered(SendState::Deferred, reply) }
        }
        // It was none: the provider cannot have it.
        HandOver::NotHanded(_) => {
            Row { attempts: send.row.attempts.saturating_sub(1), ..planned(send, now + AGAIN, now) }
        }
        HandOver::Unknown(_) => in_doubt(send, now),
    }
}
