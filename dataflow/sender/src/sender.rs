//! Campaigns as one part of the platform: a job that plans and sends, and what the resources of the API share.

use std::sync::Arc;
use std::time::Duration;

use audience_background::{Failure, Job, JobHandle, Outcome, Runner, Stop, clock};
use audience_contract::{MailProvider, Notes};
use audience_protocol::{
    AuditNote, Campaign, CampaignStatus, CatalogueResource, PlatformError, Result, SegmentResource, UserResource,
};
use audience_rules::time::format_time;
use audience_sends::state::SendState;
use parking_lot::{Mutex, MutexGuard};

use crate::compose::{SenderIdentity, composer};
use crate::deliver::{BATCH, MailCourier, moved};
use crate::documents::{CampaignDocuments, start_of, unavailable};
use crate::facts::FactReader;
use crate::figures::HandOverCounts;
use crate::log::SendLog;
use crate::plan::Planner;
use crate::suppress::Suppressions;
use crate::token::TokenKey;

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
    /// The audit log.
    pub audit: Arc<dyn CatalogueResource>,
    /// The provider that mails are handed to.
    pub provider: Arc<dyn MailProvider>,
    /// The sender of the mails.
    pub identity: SenderIdentity,
}

/// Campaigns.
pub struct CampaignSender {
    notes: Arc<dyn Notes>,
    documents: CampaignDocuments,
    log: Arc<SendLog>,
    planner: Planner,
    courier: MailCourier,
    tokens: Arc<TokenKey>,
    suppressions: Suppressions,
    segments: Arc<dyn SegmentResource>,
    audit: Arc<dyn CatalogueResource>,
    /// One change of documents at a time.
    turn: Mutex<()>,
    job: Mutex<Option<JobHandle>>,
}

impl CampaignSender {
    /// Opens the campaigns of a store, and settles what an earlier process left open. Cost: reads every send once.
    pub fn open(context: SenderContext) -> Result<Arc<CampaignSender>> {
        let SenderContext { notes, segments, users, audit, provider, identity } = context;
        let log = Arc::new(SendLog::open(notes.clone()).map_err(unavailable)?);
        let tokens = Arc::new(TokenKey::open(&*notes).map_err(unavailable)?);
        let facts =
            || FactReader { users: users.clone(), suppressions: Suppressions::new(notes.clone()), log: log.clone() };
        let planner = Planner { segments: segments.clone(), facts: facts(), log: log.clone() };
        let (courier_tokens, courier_log) = (tokens.clone(), log.clone());
        let courier = MailCourier {
            facts: facts(),
            log: courier_log,
            users,
            provider,
            identity,
            tokens: courier_tokens,
            counts: HandOverCounts::default(),
        };
        let sender = CampaignSender {
            documents: CampaignDocuments::new(notes.clone()),
            suppressions: Suppressions::new(notes.clone()),
            turn: Mutex::new(()),
            job: Mutex::new(None),
            notes,
            log,
            planner,
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
            let is_busy = sender.pass(pass.stop)?;
            Ok::<_, Failure<PlatformError>>(if is_busy { Outcome::Busy } else { Outcome::Idle })
        })?;
        *self.job.lock() = Some(handle);
        Ok(runner)
    }

    /// Looks at every campaign once; returns whether there is more to do.
    fn pass(&self, stop: &Stop) -> Result<bool> {
        let mut is_busy = false;
        for campaign in self.documents.campaigns()? {
            if stop.is_requested() {
                break;
            }
            is_busy |= match campaign.status {
                CampaignStatus::Scheduled if start_of(&campaign.input)?.is_none_or(|start| start <= clock::now()) => {
                    self.change(&campaign.id, |campaign| campaign.status = CampaignStatus::Active)?;
                    true
                }
                CampaignStatus::Active => self.advance(&campaign, stop).or_else(|error| {
                    // What was open when it failed is settled as after a crash.
                    self.courier.recover(&campaign)?;
                    Err(error)
                })?,
                CampaignStatus::Cancelled => self.call_off(&campaign)?,
                _ => false,
            };
        }
        Ok(is_busy)
    }

    /// Plans a campaign that is not planned yet, and sends its next batch.
    fn advance(&self, campaign: &Campaign, stop: &Stop) -> Result<bool> {
        let version = campaign.content_version.unwrap_or_default();
        let composer = composer(&self.documents.content_version(&campaign.input.content_id, version)?)?;
        if !campaign.is_planned {
            self.planner.plan(campaign, composer.purpose(), clock::now())?;
            self.change(&campaign.id, |campaign| campaign.is_planned = true)?;
            return Ok(true);
        }
        let goes_on = || self.documents.campaign(&campaign.id).is_ok_and(|now| now.status == CampaignStatus::Active);
        let seen = self.courier.batch(campaign, &composer, stop, &goes_on)?;
        if self.log.counts(&campaign.id).unsettled() == 0 {
            self.change(&campaign.id, |campaign| {
                if campaign.status == CampaignStatus::Active {
                    campaign.status = CampaignStatus::Completed;
                }
            })?;
        }
        Ok(seen > 0)
    }

    /// Calls off what a cancelled campaign has not handed over.
    fn call_off(&self, campaign: &Campaign) -> Result<bool> {
        if self.log.counts(&campaign.id).unsettled() == 0 {
            return Ok(false);
        }
        let (now, waiting) = (clock::now(), self.log.due(&campaign.id, i64::MAX - 1, BATCH).map_err(unavailable)?);
        let steps: Vec<_> =
            waiting.into_iter().map(|send| (send.clone(), moved(&send, SendState::Cancelled, now))).collect();
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
