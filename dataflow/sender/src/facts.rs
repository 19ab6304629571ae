//! The facts of members that gates need, as of one instant.

use std::collections::HashMap;
use std::sync::Arc;

use audience_protocol::{Campaign, CapPeriod, ContentPurpose, Result, UserResource};
use audience_rules::time::parse_rfc3339;
use audience_sends::Millis;
use audience_sends::caps::{Cap, CapWindow};
use audience_sends::email::normalised;
use audience_sends::gates::{Limits, Recipient};
use audience_sends::quiet::QuietHours;
use audience_sends::zone::zone;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::documents::unavailable;
use crate::log::SendLog;
use crate::suppress::Suppressions;

/// The trait of the address.
const EMAIL: &str = "email";
/// The trait of the time zone.
const TIMEZONE: &str = "timezone";
const HOUR: Millis = 3_600_000;
/// The longest local window: a week, and a day for the difference of zones.
const LOCAL: Millis = 8 * 24 * HOUR;

/// The facts of a user.
pub(crate) struct RecipientFacts {
    pub(crate) user: String,
    pub(crate) values: Map<String, Value>,
    pub(crate) address: Option<String>,
    has_consent: bool,
    is_suppressed: bool,
    zone: TimeZone,
    sent: Vec<Millis>,
}

impl RecipientFacts {
    /// The facts as gates take them.
    pub(crate) fn member(&self) -> Recipient<'_> {
        Recipient {
            user: &self.user,
            address: self.address.as_deref(),
            has_consent: self.has_consent,
            is_suppressed: self.is_suppressed,
            zone: &self.zone,
            sent: &self.sent,
        }
    }
}

/// Reads facts.
pub(crate) struct FactReader {
    pub(crate) users: Arc<dyn UserResource>,
    pub(crate) suppressions: Suppressions,
    pub(crate) log: Arc<SendLog>,
}

impl FactReader {
    /// The facts of users for a campaign, with the values of more traits. Cost: the history of each user.
    pub(crate) fn read(
        &self,
        ids: &[String],
        campaign: &Campaign,
        purpose: ContentPurpose,
        traits: &[String],
        now: Millis,
    ) -> Result<Vec<RecipientFacts>> {
        let consent = campaign.input.consent_trait.as_str();
        let mut columns: Vec<String> = [EMAIL, TIMEZONE, consent].map(str::to_owned).to_vec();
        columns.extend(traits.iter().cloned());
        let values = self.users.user_values(ids, &columns)?;
        let since = now.saturating_sub(look_back(campaign));
        let mut zones = HashMap::new();
        let mut facts = Vec::with_capacity(ids.len());
        for (user, values) in ids.iter().zip(values) {
            let read = |(name, value): (String, Box<serde_json::value::RawValue>)| {
                (name, serde_json::from_str(value.get()).unwrap_or_default())
            };
            let values: Map<String, Value> = values.into_iter().map(read).collect();
            let address = values.get(EMAIL).and_then(Value::as_str).and_then(normalised);
            let is_suppressed = match &address {
                Some(address) => self.suppressions.has(address, user).map_err(unavailable)?,
                None => false,
            };
            let sent = if campaign.input.caps.is_empty() {
                Vec::new()
            } else {
                self.log.sent_to(user, since).map_err(unavailable)?
            };
            let has_consent =
                purpose == ContentPurpose::Transactional || values.get(consent) == Some(&Value::Bool(true));
            let name = values.get(TIMEZONE).and_then(Value::as_str).unwrap_or_default().to_owned();
            let place =
                zones.entry(name).or_insert_with_key(|name| zone(name).or_else(|| zone(&campaign.input.timezone)));
            let zone = place.clone().unwrap_or(TimeZone::UTC);
            facts.push(RecipientFacts { user: user.clone(), values, address, has_consent, is_suppressed, zone, sent });
        }
        Ok(facts)
    }
}

/// The time before an instant in which sends matter for the caps of a campaign.
fn look_back(campaign: &Campaign) -> Millis {
    let hours = campaign.input.caps.iter().filter_map(|cap| cap.hours).max().unwrap_or(0);
    LOCAL.max(Millis::from(hours) * HOUR)
}

/// The limits of a campaign that has `counted` sends already.
pub(crate) fn limits(campaign: &Campaign, counted: u64) -> Limits {
    let input = &campaign.input;
    let window = |cap: &audience_protocol::CampaignCap| match cap.per {
        CapPeriod::Day => CapWindow::LocalDay,
        CapPeriod::Week => CapWindow::LocalWeek,
        CapPeriod::Hours => CapWindow::Rolling(Millis::from(cap.hours.unwrap_or(24)) * HOUR),
    };
    Limits {
        caps: input.caps.iter().map(|cap| Cap { most: cap.most as usize, window: window(cap) }).collect(),
        quiet: input.quiet_hours.as_ref().and_then(|hours| QuietHours::parse(&hours.from, &hours.to)),
        budget: input.most_mails.map(|most| most.saturating_sub(counted)),
        hold_out: input.hold_out,
        salt: campaign.id.clone(),
        ends: input.end_date.as_deref().and_then(parse_rfc3339),
    }
}
