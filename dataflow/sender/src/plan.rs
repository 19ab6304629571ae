//! From the members of a segment to planned sends. The preview is the same without a write.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use audience_protocol::{Campaign, CampaignPreview, ContentPurpose, Result, SegmentResource};
use audience_rules::time::parse_rfc3339;
use audience_sends::Millis;
use audience_sends::gates::{GateRound, GateVerdict, Reason, VerdictCounts};
use audience_sends::id::{SendId, SendKey};
use audience_sends::state::SendState;

use crate::documents::unavailable;
use crate::facts::{FactReader, limits};
use crate::log::{LoggedSend, Row, SendLog};

/// Members that are looked at, and written, at a time.
const BATCH: usize = 1_000;
/// Users that stand for each verdict of a preview.
const SAMPLES: usize = 5;
/// The one tenant that there is until others are made.
pub(crate) const TENANT: u32 = 0;

/// Takes members of a batch, each with the verdict over them.
type TakeVerdicts<'a> = dyn FnMut(&[(String, GateVerdict)]) -> Result<()> + 'a;

/// Plans campaigns.
pub(crate) struct Planner {
    pub(crate) segments: Arc<dyn SegmentResource>,
    pub(crate) facts: FactReader,
    pub(crate) log: Arc<SendLog>,
}

impl Planner {
    /// The members of a campaign's segment without those of excluded ones, in the order of their ids.
    fn members(&self, campaign: &Campaign) -> Result<Vec<String>> {
        let mut excluded = HashSet::new();
        for segment in &campaign.input.exclude_segment_ids {
            self.segments.visit_members(segment, &mut |piece| {
                excluded.extend(piece);
                true
            })?;
        }
        let mut members = Vec::new();
        self.segments.visit_members(&campaign.input.segment_id, &mut |piece| {
            members.extend(piece.into_iter().filter(|member| !excluded.contains(member)));
            true
        })?;
        members.sort_unstable();
        Ok(members)
    }

    /// Decides over every member, in order, and hands the verdicts on, batch by batch.
    fn decide(
        &self,
        campaign: &Campaign,
        purpose: ContentPurpose,
        now: Millis,
        take: &mut TakeVerdicts<'_>,
    ) -> Result<VerdictCounts> {
        let limits = limits(campaign, self.log.counts(&campaign.id).counted());
        let (mut round, mut tally) = (GateRound::new(&limits, now), VerdictCounts::default());
        for ids in self.members(campaign)?.chunks(BATCH) {
            let facts = self.facts.read(ids, campaign, purpose, &[], now)?;
            let verdicts: Vec<(String, GateVerdict)> =
                facts.iter().map(|facts| (facts.user.clone(), round.decide(&facts.member()))).collect();
            verdicts.iter().for_each(|(_, verdict)| tally.count(*verdict));
            take(&verdicts)?;
        }
        Ok(tally)
    }

    /// Counts each member under its verdict.
    pub(crate) fn preview(&self, campaign: &Campaign, purpose: ContentPurpose, now: Millis) -> Result<CampaignPreview> {
        let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let tally = self.decide(campaign, purpose, now, &mut |verdicts| {
            for (user, verdict) in verdicts {
                let name = match verdict {
                    GateVerdict::Send => "reachable",
                    GateVerdict::Later { reason, .. } | GateVerdict::Not(reason) => reason.name(),
                };
                let some = samples.entry(name.to_owned()).or_default();
                if some.len() < SAMPLES {
                    some.push(user.clone());
                }
            }
            Ok(())
        })?;
        let named = |counts: &BTreeMap<Reason, u64>| {
            counts.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect()
        };
        Ok(CampaignPreview {
            size: tally.total(),
            reachable: tally.reachable,
            later: named(&tally.later),
            stopped: named(&tally.stopped),
            samples,
        })
    }

    /// Writes a send for every member. A member that has one already keeps it, so that a plan that was cut off is made again.
    pub(crate) fn plan(&self, campaign: &Campaign, purpose: ContentPurpose, now: Millis) -> Result<()> {
        self.decide(campaign, purpose, now, &mut |verdicts| {
            let sends: Vec<LoggedSend> =
                verdicts.iter().map(|(user, verdict)| send(campaign, user, *verdict, now)).collect();
            self.log.add(&campaign.id, &sends).map_err(unavailable)
        })?;
        Ok(())
    }
}

/// The send of a user in the newest occurrence, or in the only launch.
fn send(campaign: &Campaign, user: &str, verdict: GateVerdict, now: Millis) -> LoggedSend {
    let object = campaign.id.as_str();
    let occurrence = campaign.occurrence.as_deref().or(campaign.launched_at.as_deref()).unwrap_or_default();
    let id = SendId::of(&SendKey { tenant: TENANT, object, occurrence, user, channel: "email", slot: 0 });
    let (state, reason, due) = match verdict {
        GateVerdict::Send => (SendState::Planned, None, now),
        GateVerdict::Later { until, .. } => (SendState::Planned, None, until),
        GateVerdict::Not(reason) => (SendState::Suppressed, Some(reason), now),
    };
    let occurrence = campaign.occurrence.as_deref().and_then(parse_rfc3339);
    LoggedSend { id, row: Row { occurrence, state, reason, due, ..Row::planned(user, now) } }
}
