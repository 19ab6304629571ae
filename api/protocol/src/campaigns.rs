//! Campaigns: a content sent to the members of a segment, and the people who are not written to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, needs_engine};
use crate::{Page, PageLimit};

/// Campaigns. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait CampaignResource: Send + Sync + 'static {
    /// Creates a campaign, as a draft.
    fn create_campaign(&self, input: CampaignInput, author: &str) -> Result<CampaignView> {
        needs_engine("campaigns", (input, author))
    }

    /// Replaces a campaign that is a draft.
    fn replace_campaign(
        &self,
        id: &str,
        input: CampaignInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<CampaignView> {
        needs_engine("campaigns", (id, input, expected, author))
    }

    /// Launches, pauses, resumes or cancels a campaign. Pausing and cancelling take effect before the next hand-over.
    fn change_campaign(
        &self,
        id: &str,
        action: CampaignAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<CampaignView> {
        needs_engine("campaigns", (id, action, expected, author))
    }

    /// Returns a campaign.
    fn campaign(&self, id: &str) -> Result<CampaignView> {
        needs_engine("campaigns", id)
    }

    /// Returns all campaigns in order of their ids.
    fn campaigns(&self) -> Result<Vec<CampaignView>> {
        needs_engine("campaigns", ())
    }

    /// Counts each member of the segment under exactly one verdict, as a launch now would.
    fn preview_campaign(&self, id: &str) -> Result<CampaignPreview> {
        needs_engine("campaigns", id)
    }

    /// Returns the sends of a campaign in order of their ids, those of one state where it is given.
    fn sends(&self, id: &str, state: Option<&str>, after: Option<&str>, limit: PageLimit) -> Result<Page<SendView>> {
        needs_engine("campaigns", (id, state, after, limit))
    }

    /// Returns everybody who is not written to.
    fn suppressions(&self) -> Result<Vec<Suppression>> {
        needs_engine("suppressions", ())
    }

    /// Has an address not written to any more.
    fn suppress(&self, input: SuppressionInput, author: &str) -> Result<Suppression> {
        needs_engine("suppressions", (input, author))
    }

    /// Lets an address be written to again.
    fn allow_again(&self, address: &str, author: &str) -> Result<()> {
        needs_engine("suppressions", (address, author))
    }

    /// Unsubscribes the person of a signed token; refuses a token that nobody signed.
    fn unsubscribe(&self, token: &str) -> Result<()> {
        needs_engine("suppressions", token)
    }

    /// Returns the newest mails of the sandbox, newest first.
    fn sandbox_mails(&self) -> Result<Vec<SandboxMail>> {
        needs_engine("the sandbox", ())
    }

    /// Metrics in OpenMetrics text; empty where there are none.
    fn figures(&self) -> String {
        String::new()
    }
}

/// A client's request to create or replace a campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignInput {
    /// The id; made from the name where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name.
    pub name: String,
    /// The segment whose members are written to.
    pub segment_id: String,
    /// Segments whose members are not.
    #[serde(default)]
    pub exclude_segment_ids: Vec<String>,
    /// The content.
    pub content_id: String,
    /// RFC 3339: the instant from which on it is sent; at launch where it is absent.
    #[serde(default)]
    pub start_date: Option<String>,
    /// RFC 3339: the instant from which on nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// The five fields of a cron expression, by the clock of `timezone`; it is sent once where they are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
    /// The change of memberships that has it sent, to whom it concerns; to all members at its start where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<CampaignTrigger>,
    /// The zone of people whose zone is not known, and of `frequency`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Limits of messages to one person, over all campaigns.
    #[serde(default)]
    pub caps: Vec<CampaignCap>,
    /// Local hours in which nobody is written to.
    #[serde(default)]
    pub quiet_hours: Option<CampaignQuietHours>,
    /// The trait that must be true for a marketing mail.
    #[serde(default = "consent_trait")]
    pub consent_trait: String,
    /// The most mails that are sent; any number where it is absent.
    #[serde(default)]
    pub most_mails: Option<u64>,
    /// The share of people who get nothing, so that the effect can be measured.
    #[serde(default)]
    pub hold_out: f64,
    /// The fate of mails that may have been sent when the program was killed.
    #[serde(default)]
    pub on_unknown: OnUnknown,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn consent_trait() -> String {
    "emailConsent".to_owned()
}

/// A change of memberships in the campaign's segment, while the campaign is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignTrigger {
    /// The change.
    pub on: TriggerChange,
    /// True if each change of a person counts; otherwise the first does.
    #[serde(default)]
    pub again: bool,
}

/// The change of memberships that triggers a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerChange {
    /// A person enters the segment.
    Entry,
    /// A person leaves it.
    Exit,
}

/// At most so many messages to one person within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignCap {
    /// The most.
    pub most: u32,
    /// The window.
    pub per: CapPeriod,
    /// The hours of a rolling window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
}

/// The window of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CapPeriod {
    /// The person's day.
    Day,
    /// The person's week, from Monday on.
    Week,
    /// The hours before each instant.
    Hours,
}

/// Local hours in which nobody is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignQuietHours {
    /// The first quiet minute, such as `21:00`.
    pub from: String,
    /// The first minute after them, such as `08:00`.
    pub to: String,
}

/// The fate of mails of which nobody knows whether they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// They are not sent again: nobody gets one twice.
    #[default]
    Hold,
    /// They are sent again with the same Message-ID: nobody is left out.
    Resend,
}

/// A campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Campaign {
    /// Its id.
    pub id: String,
    /// The campaign as it was asked for.
    #[serde(flatten)]
    pub input: CampaignInput,
    /// The status.
    pub status: CampaignStatus,
    /// The version of the content that it sends; set at launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_version: Option<u64>,
    /// RFC 3339: the instant of the launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<String>,
    /// RFC 3339: the newest instant at which it recurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<String>,
    /// RFC 3339: the instant after which the next occurrence comes: the one before, the launch, or the end of a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurs_after: Option<String>,
    /// True if every member has a send, of the newest occurrence where it recurs.
    #[serde(default)]
    pub is_planned: bool,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339: the instant of creation.
    pub created_at: String,
    /// The author of the campaign.
    pub created_by: String,
    /// RFC 3339: the instant of this version.
    pub updated_at: String,
}

/// The status of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CampaignStatus {
    /// It may change.
    Draft,
    /// It was launched, and its start or its next occurrence is yet to come.
    Scheduled,
    /// It sends.
    Active,
    /// It sends nothing until it is resumed.
    Paused,
    /// Every member was sent to, or has a reason.
    Completed,
    /// It was called off.
    Cancelled,
}

/// An action on a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignAction {
    /// It sends from its start on.
    Launch,
    /// Nothing is handed over until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// Nothing more is handed over.
    Cancel,
}

/// A campaign with its figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignView {
    /// The campaign.
    #[serde(flatten)]
    pub campaign: Campaign,
    /// Sends by state. Together they are the members that were planned.
    pub stats: BTreeMap<String, u64>,
    /// Suppressed sends by reason.
    pub suppressed: BTreeMap<String, u64>,
    /// RFC 3339: the instant of the next occurrence; absent where none comes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// The reason why it could not go on at the last try; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The verdicts over the members of a segment. Reachable, later and stopped together are its size.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignPreview {
    /// The members of the segment, without those of excluded segments.
    pub size: u64,
    /// Members that a launch now sends to.
    pub reachable: u64,
    /// Members that are sent to later, by reason.
    pub later: BTreeMap<String, u64>,
    /// Members that are not sent to, by reason.
    pub stopped: BTreeMap<String, u64>,
    /// Some users under each reason, and under `reachable`.
    pub samples: BTreeMap<String, Vec<String>>,
}

/// A send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendView {
    /// Its id, which is that of the mail too.
    pub id: String,
    /// The user.
    pub user_id: String,
    /// RFC 3339: the occurrence of a campaign that recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<String>,
    /// The state.
    pub state: String,
    /// The reason of a suppressed send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// RFC 3339: the instant at which it is due.
    pub due_at: String,
    /// RFC 3339: the instant of the state.
    pub updated_at: String,
    /// Hand-overs so far.
    pub attempts: u32,
    /// The code of the provider's last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// Somebody who is not written to. The address is kept as a hash alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppression {
    /// The SHA-256 of the address or user, as hexadecimal digits.
    pub hash: String,
    /// The address with most letters left out, or the word `user`.
    pub shown: String,
    /// The reason: `unsubscribed`, `bounced`, `manual`.
    pub reason: String,
    /// RFC 3339: the instant.
    pub at: String,
    /// The author, or the campaign by which it came.
    pub source: String,
}

/// A client's request to have an address not written to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuppressionInput {
    /// The address.
    pub address: String,
}

/// A mail that the sandbox kept instead of sending it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxMail {
    /// The id of the send.
    pub id: String,
    /// RFC 3339: the instant.
    pub at: String,
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
    /// Other headers.
    pub headers: BTreeMap<String, String>,
}
