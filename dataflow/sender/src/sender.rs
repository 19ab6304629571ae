//! Campaigns as one part of the platform: a job that plans and sends, and what the resources of the API share.

use std::sync::Arc;
use std::time::Duration;

use audience_background::{Failure, Job, JobHandle, Outcome, Runner, Stop, clock};
use audience_contract::{MailProvider, Notes};
use audience_protocol::{
    AuditNote, Campaign, CampaignStatus, CatalogueResource, ChangeResource, PlatformError, Result, SegmentResource,
    UserResource,
};
use audience_rules::time::{format_time, parse_rfc3339};
use audience_sends::Millis;
use audience_sends::pace::SendPace;
use audience_sends::state::SendState;
use parking_lot::{Mutex, MutexGuard};

use crate::compose::{SenderIdentity, composer};
use crate::deliver::{BATCH, MailCourier, moved};
use crate::documents::{CampaignDocuments, unavailable};
use crate::facts::FactReader;
use crate::figures::HandOverCounts;
use crate::log::{LoggedSend, SendLog};
use crate::plan::Planner;
use crate::schedule::Schedule;
use crate::suppress::Suppressions;
use crate::token::TokenKey;
use crate::trigger::ChangeFollower;
use crate::trouble::Troubles;

/// Between looks for campaigns that are due.
const LOOK: Duration = Duration::from_millis(500);

/// The parts of the platform that campaigns need.
pub struct SenderContext {
    /// The store of everything that campaigns keep.
    pub notes: Arc<dyn Notes>,
    /// Segments and their members.
    pub segments: Arc<dyn SegmentResource>,
    /// Users and their traits.
    pub users: Arc<dyn UserResource>,
    /// The changes of memberships.
    pub changes: Arc<dyn ChangeResource>,
    /// The audit log.
    pub audit: Arc<dyn CatalogueResource>,
    /// The provider that mails are handed to.
    pub provider: Arc<dyn MailProvider>,
    /// The sender of the mails.
    pub identity: SenderIdentity,
    /// The most mails that are handed over in a second; as many as go without one.
    pub per_second: Option<u32>,
}

/// Campaigns.
pub struct CampaignSender {
    notes: Arc<dyn Notes>,
    documents: CampaignDocuments,
    log: Arc<SendLog>,
    planner: Planner,
    follower: ChangeFollower,
    courier: MailCourier,
    tokens: Arc<TokenKey>,
    suppressions: Suppressions,
    segments: Arc<dyn SegmentResource>,
    audit: Arc<dyn CatalogueResource>,
    troubles: Troubles,
    /// One change of documents at a time.
    turn: Mutex<()>,
    job: Mutex<Option<JobHandle>>,
}

impl CampaignSender {
    /// Opens the campaigns of a store, and settles what an earlier process left open. Cost: reads every send once.
    pub fn open(context: SenderContext) -> Result<Arc<CampaignSender>> {
        let SenderContext { notes, segments, users, changes, audit, provider, identity, per_second } = context;
        let log = Arc::new(SendLog::open(notes.clone()).map_err(unavailable)?);
        let tokens = Arc::new(TokenKey::open(&*notes).map_err(unavailable)?);
        let facts =
            || FactReader { users: users.clone(), suppressions: Suppressions::new(notes.clone()), log: log.clone() };
        let planner = Planner { segments: segments.clone(), facts: facts(), log: log.clone() };
        let follower = ChangeFollower::new(changes, log.clone());
        let (courier_tokens, courier_log) = (tokens.clone(), log.clone());
        let courier = MailCourier {
            facts: facts(),
            log: courier_log,
            users,
            provider,
            identity,
            tokens: courier_tokens,
            counts: HandOverCounts::default(),
            pace: per_second.map(|most| Mutex::new(SendPace::new(most))),
        };
        let sender = CampaignSender {
            documents: CampaignDocuments::new(notes.clone()),
            suppressions: Suppressions::new(notes.clone()),
            troubles: Troubles::default(),
            turn: Mutex::new(()),
            job: Mutex::new(None),
            notes,
            log,
            planner,
            follower,
            courier,
            tokens,
            segments,
            audit,
        };
        sender.documents.campaigns()?.iter().try_for_each(|campaign| sender.courier.recover(campaign))?;
        Ok(Arc::new(sender))
    }

    /// Begins to send, until the stop is requested.
    pub fn start(self: &Arc<Self>, stop: Stop) -> std::io::Result<Runner> {
        let (runner, sender) = (Runner::new(stop), Arc::clone(self));
        let job = Job::new("campaigns", LOOK).complaint("The campaigns did not go on and are tried again");
        let handle = runner.start(job, move |pass| {
            let is_busy = sender.pass(pass.stop, clock::now())?;
            Ok::<_, Failure<PlatformError>>(if is_busy { Outcome::Busy } else { Outcome::Idle })
        })?;
        *self.job.lock() = Some(handle);
        Ok(runner)
    }

    /// Looks at every campaign once; returns whether there is more to do. One that fails is tried again after a wait of its own,
    /// and the others go on.
    fn pass(&self, stop: &Stop, now: Millis) -> Result<bool> {
        let mut is_busy = false;
        for campaign in self.documents.campaigns()? {
            if stop.is_requested() {
                break;
            }
            if self.troubles.must_wait(&campaign.id, now) {
                continue;
            }
            match self.go_on(&campaign, stop, now) {
                Ok(has_more) => {
                    self.troubles.ended(&campaign.id);
                    is_busy |= has_more;
                }
                Err(error) => self.troubles.failed(&campaign.id, &error, now),
            }
        }
        Ok(is_busy)
    }

    /// Does what is next of a campaign; returns whether there is more to do.
    fn go_on(&self, campaign: &Campaign, stop: &Stop, now: Millis) -> Result<bool> {
        if self.troubles.has(&campaign.id) {
            // What was open when it failed is settled as after a crash.
            self.courier.recover(campaign)?;
        }
        match campaign.status {
            CampaignStatus::Scheduled => self.begin(campaign, now),
            CampaignStatus::Active if self.begin(campaign, now)? => Ok(true),
            CampaignStatus::Active => self.advance(campaign, stop, now),
            CampaignStatus::Cancelled => self.call_off(campaign),
            _ => Ok(false),
        }
    }

    /// Begins what is due of a campaign: its start, or its newest occurrence once the one before is planned. That it began is
    /// on disk before anything is planned, so that a plan that is cut off is made again for the same occurrence.
    fn begin(&self, campaign: &Campaign, now: Millis) -> Result<bool> {
        let schedule = Schedule::of(&campaign.input)?;
        if !schedule.recurs() {
            let begins = campaign.status == CampaignStatus::Scheduled && schedule.has_started(now);
            if begins && campaign.input.trigger.is_some() {
                self.follower.begin(&campaign.id)?;
            }
            return if begins { self.set_active(campaign, None) } else { Ok(false) };
        }
        let is_planning = campaign.occurrence.is_some() && !campaign.is_planned;
        match schedule.due(recurs_after(campaign), now).filter(|_| !is_planning) {
            Some(occurrence) => self.set_active(campaign, Some(occurrence)),
            None if campaign.status == CampaignStatus::Scheduled && schedule.has_ended(now) => {
                self.change_from(campaign, |campaign| campaign.status = CampaignStatus::Completed)
            }
            None => Ok(false),
        }
    }

    fn set_active(&self, campaign: &Campaign, occurrence: Option<Millis>) -> Result<bool> {
        self.change_from(campaign, |campaign| {
            campaign.status = CampaignStatus::Active;
            if let Some(occurrence) = occurrence {
                campaign.occurrence = Some(format_time(occurrence));
                campaign.recurs_after = campaign.occurrence.clone();
                campaign.is_planned = false;
            }
        })
    }

    /// Plans a campaign that is not planned yet, and sends its next batch.
    fn advance(&self, campaign: &Campaign, stop: &Stop, now: Millis) -> Result<bool> {
        let version = campaign.content_version.unwrap_or_default();
        let composer = composer(&self.documents.content_version(&campaign.input.content_id, version)?)?;
        let mut finds_changes = false;
        if let Some(trigger) = campaign.input.trigger {
            let is_over = Schedule::of(&campaign.input)?.has_ended(now);
            finds_changes = !is_over && self.follower.follow(campaign, trigger, now)?;
        } else if !campaign.is_planned {
            self.planner.plan(campaign, composer.purpose(), now)?;
            self.change(&campaign.id, |campaign| campaign.is_planned = true)?;
            return Ok(true);
        }
        let goes_on = || self.documents.campaign(&campaign.id).is_ok_and(|now| now.status == CampaignStatus::Active);
        let seen = self.courier.batch(campaign, &composer, stop, &goes_on)?;
        if self.log.counts(&campaign.id).unsettled() == 0 {
            self.complete(campaign, now)?;
        }
        Ok(finds_changes || seen > 0)
    }

    /// Completes a campaign whose sends are all settled, unless more will be planned.
    fn complete(&self, campaign: &Campaign, now: Millis) -> Result<()> {
        let schedule = Schedule::of(&campaign.input)?;
        if campaign.input.trigger.is_some() && !schedule.has_ended(now) {
            return Ok(());
        }
        let has_next = schedule.recurs() && schedule.next(recurs_after(campaign).max(now)).is_some();
        let status = if has_next { CampaignStatus::Scheduled } else { CampaignStatus::Completed };
        self.change_from(campaign, |campaign| campaign.status = status)?;
        Ok(())
    }

    /// Calls off what a cancelled campaign has not handed over.
    fn call_off(&self, campaign: &Campaign) -> Result<bool> {
        if self.log.counts(&campaign.id).unsettled() == 0 {
            return Ok(false);
        }
        let (now, waiting) = (clock::now(), self.log.due(&campaign.id, i64::MAX - 1, BATCH).map_err(unavailable)?);
        let called_off = |send: LoggedSend| {
            // One in doubt may have been sent.
            let state = if send.row.doubt.is_some() { SendState::Held } else { SendState::Cancelled };
            (send.clone(), moved(&send, state, now))
        };
        let steps: Vec<_> = waiting.into_iter().map(called_off).collect();
        self.log.step(&campaign.id, &steps).map_err(unavailable)?;
        Ok(!steps.is_empty())
    }

    /// Changes a campaign as it is now.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Campaign)) -> Result<Campaign> {
        let _turn = self.turn();
        let mut campaign = self.documents.campaign(id)?;
        change(&mut campaign);
        campaign.version += 1;
        campaign.updated_at = format_time(clock::now());
        self.documents.put_campaign(&campaign)?;
        Ok(campaign)
    }

    /// Changes a campaign, unless somebody gave it another status meanwhile. Returns whether it was changed.
    fn change_from(&self, known: &Campaign, change: impl FnOnce(&mut Campaign)) -> Result<bool> {
        let mut is_changed = false;
        self.change(&known.id, |campaign| {
            is_changed = campaign.status == known.status;
            if is_changed {
                change(campaign);
            }
        })?;
        Ok(is_changed)
    }

    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    pub(crate) fn documents(&self) -> &CampaignDocuments {
        &self.documents
    }

    pub(crate) fn log(&self) -> &SendLog {
        &self.log
    }

    pub(crate) fn planner(&self) -> &Planner {
        &self.planner
    }

    pub(crate) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    pub(crate) fn tokens(&self) -> &TokenKey {
        &self.tokens
    }

    pub(crate) fn suppressions_list(&self) -> &Suppressions {
        &self.suppressions
    }

    pub(crate) fn notes(&self) -> &dyn Notes {
        &*self.notes
    }

    pub(crate) fn segment_resource(&self) -> &dyn SegmentResource {
        &*self.segments
    }

    pub(crate) fn users(&self) -> &dyn UserResource {
        &*self.courier.users
    }

    pub(crate) fn hand_overs(&self) -> &HandOverCounts {
        &self.courier.counts
    }

    pub(crate) fn identity(&self) -> &SenderIdentity {
        &self.courier.identity
    }

    /// Records what was done in the audit log. What was done stays so where the log does not take the row: the log of the
    /// process tells it.
    pub(crate) fn record(&self, author: &str, note: AuditNote) {
        let (action, kind, id) = (note.action, note.kind, note.id.clone());
        if let Err(error) = self.audit.record(author, note) {
            tracing::error!(author, action, kind, id, %error, "The audit log did not take a row");
        }
    }

    /// Has the job look at once.
    pub(crate) fn wake(&self) {
        self.job.lock().iter().for_each(JobHandle::wake);
    }
}

/// The instant after which the next occurrence of a campaign comes.
pub(crate) fn recurs_after(campaign: &Campaign) -> Millis {
    campaign.recurs_after.as_deref().and_then(parse_rfc3339).unwrap_or(0)
}

#[cfg(test)]
mod tests;
