//! Campaigns: created, previewed, launched, paused and called off; and the people who are not written to.

use audience_background::clock;
use audience_protocol::{
    AuditNote, Campaign, CampaignAction, CampaignInput, CampaignPreview, CampaignResource, CampaignStatus,
    CampaignView, ConflictKind, ContentDocument, ContentStatus, Page, PageLimit, PlatformError, ResourceKind, Result,
    SandboxMail, SendView, Suppression, SuppressionInput,
};
use audience_rules::fault::code;
use audience_rules::time::format_time;
use audience_sends::Millis;
use audience_sends::email::normalised;
use audience_sends::state::{STATES, SendState};

use crate::checks::check_settings;
use crate::documents::{check_version, id_of, invalid, unavailable};
use crate::log::LoggedSend;
use crate::sandbox::Sandbox;
use crate::schedule::Schedule;
use crate::sender::{CampaignSender, recurs_after};
use crate::suppress::{masked, of_address, of_user};

impl CampaignResource for CampaignSender {
    fn create_campaign(&self, input: CampaignInput, author: &str) -> Result<CampaignView> {
        let id = id_of(input.id.as_deref(), &input.name)?;
        self.check(&input)?;
        let _turn = self.turn();
        if self.documents().campaign(&id).is_ok() {
            return Err(PlatformError::Exists { kind: ResourceKind::Campaign, id });
        }
        let now = format_time(clock::now());
        let campaign = Campaign {
            id,
            input: CampaignInput { id: None, ..input },
            status: CampaignStatus::Draft,
            content_version: None,
            launched_at: None,
            occurrence: None,
            recurs_after: None,
            is_planned: false,
            version: 1,
            created_at: now.clone(),
            created_by: author.to_owned(),
            updated_at: now,
        };
        self.documents().put_campaign(&campaign)?;
        self.record(author, noted("created", None, &campaign));
        Ok(self.view(campaign))
    }

    fn replace_campaign(
        &self,
        id: &str,
        input: CampaignInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<CampaignView> {
        self.check(&input)?;
        let _turn = self.turn();
        let mut campaign = self.documents().campaign(id)?;
        check_version(expected, campaign.version)?;
        if campaign.status != CampaignStatus::Draft {
            return Err(wrong_status("only a draft changes; create another campaign"));
        }
        let before = campaign.clone();
        campaign.input = CampaignInput { id: None, ..input };
        campaign.version += 1;
        campaign.updated_at = format_time(clock::now());
        self.documents().put_campaign(&campaign)?;
        self.record(author, noted("updated", Some(&before), &campaign));
        Ok(self.view(campaign))
    }

    fn change_campaign(
        &self,
        id: &str,
        action: CampaignAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<CampaignView> {
        let now = clock::now();
        let campaign = {
            let _turn = self.turn();
            let mut campaign = self.documents().campaign(id)?;
            check_version(expected, campaign.version)?;
            self.act(&mut campaign, action, now)?;
            campaign.version += 1;
            campaign.updated_at = format_time(now);
            self.documents().put_campaign(&campaign)?;
            campaign
        };
        let note = AuditNote::of(audited(action), "campaign", id).with_note(&format!("version {}", campaign.version));
        self.record(author, note);
        self.wake();
        Ok(self.view(campaign))
    }

    fn campaign(&self, id: &str) -> Result<CampaignView> {
        Ok(self.view(self.documents().campaign(id)?))
    }

    fn campaigns(&self) -> Result<Vec<CampaignView>> {
        Ok(self.documents().campaigns()?.into_iter().map(|campaign| self.view(campaign)).collect())
    }

    fn preview_campaign(&self, id: &str) -> Result<CampaignPreview> {
        let campaign = self.documents().campaign(id)?;
        let purpose = self.documents().content(&campaign.input.content_id)?.purpose;
        let now = clock::now();
        // At its start, or at its first occurrence: a campaign without one sends to nobody now either.
        let now = Schedule::of(&campaign.input)?.next(now).unwrap_or(now);
        self.planner().preview(&campaign, purpose, now)
    }

    fn sends(&self, id: &str, state: Option<&str>, after: Option<&str>, limit: PageLimit) -> Result<Page<SendView>> {
        self.documents().campaign(id)?;
        let state = state.map(|name| SendState::named(name).ok_or_else(|| unknown_state(name))).transpose()?;
        let keep = |row: &crate::log::Row| state.is_none_or(|state| row.state == state);
        let sends = self.log().after(id, after, limit.and_one(), &keep).map_err(unavailable)?;
        let sends = sends.into_iter().map(shown).collect();
        Ok(Page::of_first(sends, limit, |send: &SendView| send.id.clone()))
    }

    fn suppressions(&self) -> Result<Vec<Suppression>> {
        self.suppressions_list().all().map_err(unavailable)
    }

    fn suppress(&self, input: SuppressionInput, author: &str) -> Result<Suppression> {
        let address = address(&input.address)?;
        let suppression = suppression(of_address(&address), masked(&address), "manual", author);
        self.suppressions_list().put(std::slice::from_ref(&suppression)).map_err(unavailable)?;
        self.record(author, AuditNote::of("created", "suppression", &suppression.hash));
        Ok(suppression)
    }

    fn allow_again(&self, text: &str, author: &str) -> Result<()> {
        let address = address(text)?;
        self.suppressions_list().remove(&address).map_err(unavailable)?;
        self.record(author, AuditNote::of("deleted", "suppression", &of_address(&address)));
        Ok(())
    }

    /// Both the address and the user are left out from here on: neither another profile nor another address gets mail.
    fn unsubscribe(&self, token: &str) -> Result<()> {
        let not_signed = || PlatformError::NotFound { kind: ResourceKind::UnsubscribeLink, id: "…".to_owned() };
        let (campaign, user) = self.tokens().read(token).ok_or_else(not_signed)?;
        let values = self.users().user_values(std::slice::from_ref(&user), &["email".to_owned()])?;
        let address = values.first().and_then(|values| serde_json::from_str::<String>(values.get("email")?.get()).ok());
        let mut list = vec![suppression(of_user(&user), "user".to_owned(), "unsubscribed", &campaign)];
        if let Some(address) = address.as_deref().and_then(normalised) {
            list.push(suppression(of_address(&address), masked(&address), "unsubscribed", &campaign));
        }
        self.suppressions_list().put(&list).map_err(unavailable)
    }

    fn sandbox_mails(&self) -> Result<Vec<SandboxMail>> {
        Sandbox::mails(self.notes()).map_err(unavailable)
    }

    fn figures(&self) -> String {
        let mut text =
            "# HELP audience_mail_sends Sends of all campaigns by state.\n# TYPE audience_mail_sends gauge\n"
                .to_owned();
        for state in STATES {
            text.push_str(&format!("audience_mail_sends{{state=\"{}\"}} {}\n", state.name(), self.log().total(state)));
        }
        text.push_str(&format!(
            "# HELP audience_mail_campaigns_faulty Campaigns that cannot go on and are tried again.\n\
             # TYPE audience_mail_campaigns_faulty gauge\naudience_mail_campaigns_faulty {}\n",
            self.troubles().count()
        ));
        text.push_str(&self.hand_overs().figures());
        text
    }
}

impl CampaignSender {
    /// Checks what a campaign is asked to be.
    fn check(&self, input: &CampaignInput) -> Result<()> {
        check_settings(input)?;
        self.segment_resource().segment(&input.segment_id).map_err(|error| at("/segmentId", error))?;
        for (index, segment) in input.exclude_segment_ids.iter().enumerate() {
            let place = format!("/excludeSegmentIds/{index}");
            self.segment_resource().segment(segment).map_err(|error| at(&place, error))?;
        }
        self.documents().content(&input.content_id).map_err(|error| at("/contentId", error))?;
        Ok(())
    }

    fn act(&self, campaign: &mut Campaign, action: CampaignAction, now: Millis) -> Result<()> {
        use CampaignStatus::{Active, Cancelled, Completed, Draft, Paused, Scheduled};
        campaign.status = match (action, campaign.status) {
            (CampaignAction::Launch, Draft) => {
                let content = self.documents().content(&campaign.input.content_id)?;
                campaign.content_version = Some(approved(&content)?);
                if Schedule::of(&campaign.input)?.next(now).is_none() {
                    return Err(wrong_status("it has no instant to be sent at before its end"));
                }
                campaign.launched_at = Some(format_time(now));
                campaign.recurs_after = campaign.input.frequency.as_ref().map(|_| format_time(now));
                Scheduled
            }
            (CampaignAction::Pause, Scheduled | Active) => Paused,
            // What came while it was paused is left out; what had begun goes on.
            (CampaignAction::Resume, Paused) if campaign.input.frequency.is_some() => {
                campaign.recurs_after = Some(format_time(now));
                if campaign.occurrence.is_some() { Active } else { Scheduled }
            }
            // A start that is yet to come is waited for.
            (CampaignAction::Resume, Paused) => Scheduled,
            (CampaignAction::Cancel, Draft | Scheduled | Active | Paused) => Cancelled,
            (CampaignAction::Launch, _) => {
                return Err(wrong_status("it was launched already; create another campaign"));
            }
            (CampaignAction::Pause, _) => return Err(wrong_status("only a campaign that sends is paused")),
            (CampaignAction::Resume, _) => return Err(wrong_status("only a paused campaign is resumed")),
            (CampaignAction::Cancel, Completed | Cancelled) => return Err(wrong_status("it is over already")),
        };
        Ok(())
    }

    fn view(&self, campaign: Campaign) -> CampaignView {
        let counts = self.log().counts(&campaign.id);
        let goes_on = matches!(campaign.status, CampaignStatus::Scheduled | CampaignStatus::Active);
        // A campaign that is stored has a schedule that can be read.
        let schedule = Schedule::of(&campaign.input).ok().filter(|schedule| goes_on && schedule.recurs());
        let next = schedule.and_then(|schedule| schedule.next(recurs_after(&campaign)));
        CampaignView {
            next_at: next.map(format_time),
            fault: self.troubles().fault(&campaign.id),
            campaign,
            stats: counts.states.iter().map(|(state, count)| (state.name().to_owned(), *count)).collect(),
            suppressed: counts.reasons.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect(),
        }
    }
}

/// The audit log's word for an action.
fn audited(action: CampaignAction) -> &'static str {
    match action {
        CampaignAction::Launch => "launched",
        CampaignAction::Pause => "paused",
        CampaignAction::Resume => "resumed",
        CampaignAction::Cancel => "cancelled",
    }
}

/// The note of a change of what a campaign is to do.
fn noted(action: &'static str, before: Option<&Campaign>, after: &Campaign) -> AuditNote {
    // Plain data always serializes.
    let json = |campaign: &Campaign| serde_json::to_value(&campaign.input).ok();
    AuditNote { before: before.and_then(json), after: json(after), ..AuditNote::of(action, "campaign", &after.id) }
}

/// The version of a content that may be sent.
fn approved(content: &ContentDocument) -> Result<u64> {
    match content.status {
        ContentStatus::Approved => Ok(content.version),
        _ => Err(wrong_status("its content is not approved; have it approved first")),
    }
}

fn wrong_status(message: &str) -> PlatformError {
    PlatformError::Conflict { kind: ConflictKind::WrongStatus, message: message.to_owned() }
}

fn unknown_state(name: &str) -> PlatformError {
    let names: Vec<&str> = STATES.into_iter().map(SendState::name).collect();
    invalid("", code::UNKNOWN_WORD, format!("there is no state {name:?}; there are {}", names.join(", ")))
}

/// A missing thing is a fault at the place that names it.
fn at(pointer: &str, error: PlatformError) -> PlatformError {
    match error {
        PlatformError::NotFound { .. } => invalid(pointer, code::UNKNOWN_SEGMENT, error.to_string()),
        other => other,
    }
}

fn address(text: &str) -> Result<String> {
    normalised(text).ok_or_else(|| invalid("/address", code::OUT_OF_RANGE, "this is no address of a mailbox"))
}

fn suppression(hash: String, shown: String, reason: &str, source: &str) -> Suppression {
    let (reason, source) = (reason.to_owned(), source.to_owned());
    Suppression { hash, shown, reason, at: format_time(clock::now()), source }
}

fn shown(send: LoggedSend) -> SendView {
    SendView {
        id: send.id.to_string(),
        occurrence: send.row.occurrence.map(format_time),
        state: send.row.state.name().to_owned(),
        reason: send.row.reason.map(|reason| reason.name().to_owned()),
        due_at: format_time(send.row.due),
        updated_at: format_time(send.row.at),
        attempts: send.row.attempts,
        reply: send.row.reply,
        user_id: send.row.user,
    }
}
