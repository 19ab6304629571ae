//! Campaigns that changes of memberships trigger: the changes are followed, and each that counts plans a send.
//!
//! **Law.** Each entry into the campaign's segment, or each exit from it, that is emitted while the campaign is active has one
//! send; or the first of each person has one, unless the campaign sends again. The place up to which the changes are followed
//! is written with the sends that they plan, all or none, so that a kill neither loses nor doubles one. A change that came
//! before the campaign became active or while it was paused has none, nor has one that was not yet followed when it was paused.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_protocol::{
    Campaign, CampaignTrigger, ChangeFilter, ChangePlace, ChangeResource, ChangesRead, PlatformError, Result,
    TriggerChange,
};
use audience_sends::Millis;
use audience_sends::id::{SendId, SendKey};
use parking_lot::Mutex;
use serde::Deserialize;

use crate::documents::unavailable;
use crate::log::{LoggedSend, Row, SendLog};
use crate::plan::TENANT;

/// Changes that are planned at a time.
const BATCH: usize = 1_000;
/// Ticks after which a place is written although nothing was planned: the change log forgets old ones.
const WRITTEN_EVERY: u64 = 10_000;

/// Follows the changes of memberships for campaigns.
pub(crate) struct ChangeFollower {
    changes: Arc<dyn ChangeResource>,
    log: Arc<SendLog>,
    places: Mutex<HashMap<String, FollowedPlace>>,
}

/// The place up to which a campaign has followed the changes.
#[derive(Clone, Copy)]
struct FollowedPlace {
    reached: ChangePlace,
    written: ChangePlace,
}

/// A change as it is emitted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmittedChange {
    user_id: String,
}

impl ChangeFollower {
    pub(crate) fn new(changes: Arc<dyn ChangeResource>, log: Arc<SendLog>) -> ChangeFollower {
        ChangeFollower { changes, log, places: Mutex::default() }
    }

    /// Has a campaign follow from here on.
    pub(crate) fn begin(&self, campaign: &str) -> Result<()> {
        self.write(campaign, &[], self.changes.newest_change()?)
    }

    /// Plans the sends of the next changes; returns whether more may be there already.
    pub(crate) fn follow(&self, campaign: &Campaign, trigger: CampaignTrigger, now: Millis) -> Result<bool> {
        let place = self.place(&campaign.id)?;
        let filter = ChangeFilter {
            segments: vec![campaign.input.segment_id.clone()],
            users: Vec::new(),
            only_entered: Some(trigger.on == TriggerChange::Entry),
        };
        let mut found: Vec<(String, ChangePlace)> = Vec::new();
        let mut fault = None;
        let read = self.changes.changes(place.reached, &filter, true, &mut |change| {
            match serde_json::from_str::<EmittedChange>(change.json) {
                Ok(EmittedChange { user_id }) => found.push((user_id, change.next)),
                Err(error) => fault = Some(error),
            }
            if found.len() < BATCH && fault.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if let Some(error) = fault {
            return Err(PlatformError::Unavailable(format!("a change of memberships cannot be read: {error}")));
        }
        let reached = match read {
            ChangesRead::UpTo(reached) => reached,
            ChangesRead::Gone(newest) => {
                tracing::warn!(
                    campaign = campaign.id,
                    "Changes of memberships are no longer there, and the campaign follows from now on"
                );
                newest
            }
            ChangesRead::NotInMemory => return Ok(false),
        };
        let sends = sends(campaign, trigger, &found, now);
        if sends.is_empty() && reached.tick.saturating_sub(place.written.tick) < WRITTEN_EVERY {
            self.places.lock().insert(campaign.id.clone(), FollowedPlace { reached, ..place });
        } else {
            self.write(&campaign.id, &sends, reached)?;
        }
        Ok(!found.is_empty())
    }

    fn place(&self, campaign: &str) -> Result<FollowedPlace> {
        if let Some(place) = self.places.lock().get(campaign) {
            return Ok(*place);
        }
        let written = match self.log.place(campaign).map_err(unavailable)? {
            Some(written) => written,
            // A campaign becomes active after its place is written.
            None => self.changes.newest_change()?,
        };
        Ok(FollowedPlace { reached: written, written })
    }

    fn write(&self, campaign: &str, sends: &[LoggedSend], reached: ChangePlace) -> Result<()> {
        self.log.add_up_to(campaign, sends, reached).map_err(unavailable)?;
        self.places.lock().insert(campaign.to_owned(), FollowedPlace { reached, written: reached });
        Ok(())
    }
}

/// The sends that changes plan. The gates decide over each at the instant of the hand-over.
fn sends(
    campaign: &Campaign,
    trigger: CampaignTrigger,
    found: &[(String, ChangePlace)],
    now: Millis,
) -> Vec<LoggedSend> {
    let launch = campaign.launched_at.as_deref().unwrap_or_default();
    let mut known = HashSet::new();
    let send = |(user, next): &(String, ChangePlace)| {
        let occurrence = if trigger.again { next.to_string() } else { launch.to_owned() };
        let key =
            SendKey { tenant: TENANT, object: &campaign.id, occurrence: &occurrence, user, channel: "email", slot: 0 };
        LoggedSend { id: SendId::of(&key), row: Row::planned(user, now) }
    };
    found.iter().map(send).filter(|send| known.insert(send.id)).collect()
}
