//! Checks of contents and campaigns that need nothing but the request, so that files are checked before anything is sent.

use audience_protocol::{
    CampaignInput, CapPeriod, ContentDocument, ContentInput, ContentPurpose, ContentStatus, Result,
};
use audience_rules::fault::code;
use audience_sends::email::missing_duties;
use audience_sends::quiet::QuietHours;

use crate::compose::composer;
use crate::documents::{id_of, invalid};
use crate::schedule::Schedule;

/// The longest subject.
const SUBJECT: usize = 1_000;
/// Caps of a campaign.
const CAPS: usize = 10;
/// The longest rolling window: 30 days.
const HOURS: u32 = 720;
/// Segments that a campaign leaves out.
const EXCLUDED: usize = 20;

/// Checks a content by itself, and whether it may be approved where that is asked for.
pub fn check_content(input: ContentInput, is_to_be_approved: bool) -> Result<()> {
    let content = drafted(id_of(input.id.as_deref(), &input.name)?, input, None, String::new(), "")?;
    if is_to_be_approved { check_duties(&content) } else { Ok(()) }
}

/// Checks a campaign by itself: its segments and its content are not looked up.
pub fn check_campaign(input: &CampaignInput) -> Result<()> {
    id_of(input.id.as_deref(), &input.name)?;
    check_settings(input)
}

/// The next draft of a content.
pub(crate) fn drafted(
    id: String,
    input: ContentInput,
    known: Option<&ContentDocument>,
    now: String,
    author: &str,
) -> Result<ContentDocument> {
    let mut content = ContentDocument {
        id,
        name: input.name,
        channel: "email".to_owned(),
        purpose: input.purpose,
        subject: input.subject,
        preheader: input.preheader,
        body: input.body,
        variables: Vec::new(),
        status: ContentStatus::Draft,
        version: known.map_or(1, |known| known.version + 1),
        created_at: known.map_or_else(|| now.clone(), |known| known.created_at.clone()),
        updated_at: now,
        updated_by: author.to_owned(),
    };
    if content.subject.trim().is_empty() || content.subject.len() > SUBJECT {
        return Err(invalid("/subject", code::OUT_OF_RANGE, format!("a subject has 1 to {SUBJECT} bytes")));
    }
    content.variables = composer(&content)?.names().into_iter().collect();
    Ok(content)
}

/// Refuses a marketing mail that lacks what the law asks for.
pub(crate) fn check_duties(content: &ContentDocument) -> Result<()> {
    if content.purpose != ContentPurpose::Marketing {
        return Ok(());
    }
    let missing = missing_duties(composer(content)?.body_names());
    let Some(first) = missing.first() else { return Ok(()) };
    let message = format!("a marketing mail shows {}; write {{{{ {first} }}}} into it", missing.join(" and "));
    Err(invalid("/body", code::MISSING_MEMBER, message))
}

/// Refuses settings of a campaign that it cannot run with.
pub(crate) fn check_settings(input: &CampaignInput) -> Result<()> {
    if input.exclude_segment_ids.len() > EXCLUDED {
        let message = format!("at most {EXCLUDED} segments are left out");
        return Err(invalid("/excludeSegmentIds", code::OUT_OF_RANGE, message));
    }
    Schedule::of(input)?;
    if input.trigger.is_some() && input.frequency.is_some() {
        let message = "a campaign is triggered or recurs; leave out `trigger` or `frequency`";
        return Err(invalid("/trigger", code::UNEXPECTED_MEMBER, message));
    }
    if input.caps.len() > CAPS {
        return Err(invalid("/caps", code::OUT_OF_RANGE, format!("at most {CAPS} caps")));
    }
    for (index, cap) in input.caps.iter().enumerate() {
        let is_rolling = cap.per == CapPeriod::Hours;
        if cap.most == 0
            || cap.hours.is_some() != is_rolling
            || cap.hours.is_some_and(|hours| !(1..=HOURS).contains(&hours))
        {
            let message = format!("a cap has `most` of at least 1, and `hours` of 1 to {HOURS} where it is per hours");
            return Err(invalid(&format!("/caps/{index}"), code::OUT_OF_RANGE, message));
        }
    }
    if let Some(hours) = &input.quiet_hours
        && QuietHours::parse(&hours.from, &hours.to).is_none()
    {
        let message = "quiet hours go from one time to another, such as 21:00 to 08:00";
        return Err(invalid("/quietHours", code::BAD_TIME, message));
    }
    if !(0.0..1.0).contains(&input.hold_out) {
        return Err(invalid("/holdOut", code::OUT_OF_RANGE, "the share that is held out is from 0 to below 1"));
    }
    Ok(())
}
