//! The instants at which a campaign is planned: its start, or those at which it recurs.

use audience_protocol::{CampaignInput, Result};
use audience_rules::fault::code;
use audience_rules::time::parse_rfc3339;
use audience_sends::Millis;
use audience_sends::cron::Recurrence;
use audience_sends::zone::zone;
use jiff::tz::TimeZone;

use crate::documents::invalid;

/// The schedule of a campaign.
///
/// An occurrence is an instant that the recurrence names, from the start on and before the end.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Option<Millis>,
    end: Option<Millis>,
    recurrence: Option<(Recurrence, TimeZone)>,
}

impl Schedule {
    /// Reads the schedule of a campaign.
    pub(crate) fn of(input: &CampaignInput) -> Result<Schedule> {
        let instant = |pointer: &str, text: &Option<String>| {
            let wrong = || invalid(pointer, code::BAD_TIME, "this is a time such as 2026-12-01T09:00:00Z");
            text.as_deref().map(|text| parse_rfc3339(text).ok_or_else(wrong)).transpose()
        };
        let (start, end) = (instant("/startDate", &input.start_date)?, instant("/endDate", &input.end_date)?);
        if start.zip(end).is_some_and(|(start, end)| start >= end) {
            return Err(invalid("/endDate", code::OUT_OF_RANGE, "a campaign ends after its start"));
        }
        let no_zone = || invalid("/timezone", code::UNKNOWN_WORD, "a time zone has a name such as Europe/Berlin");
        let place = zone(&input.timezone).ok_or_else(no_zone)?;
        let wrong = |fault| invalid("/frequency", code::OUT_OF_RANGE, format!("{fault}"));
        let read = |text: &String| Ok((Recurrence::parse(text).map_err(wrong)?, place));
        let recurrence = input.frequency.as_ref().map(read).transpose()?;
        Ok(Schedule { start, end, recurrence })
    }

    /// Returns whether the campaign is planned more than once.
    pub(crate) fn recurs(&self) -> bool {
        self.recurrence.is_some()
    }

    /// Returns whether a campaign that does not recur is to be planned.
    pub(crate) fn has_started(&self, now: Millis) -> bool {
        self.start.is_none_or(|start| start <= now)
    }

    /// Returns whether nothing is sent any more.
    pub(crate) fn has_ended(&self, now: Millis) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    /// The first instant after another one at which the campaign is planned.
    pub(crate) fn next(&self, after: Millis) -> Option<Millis> {
        let first = match &self.recurrence {
            Some((recurrence, zone)) => recurrence.after(self.from(after), zone)?,
            None => self.start.unwrap_or(after).max(after),
        };
        (!self.has_ended(first)).then_some(first)
    }

    /// The newest occurrence after an instant and up to now. Older ones that were missed are left out: nobody wants the
    /// mails of a week at once.
    pub(crate) fn due(&self, after: Millis, now: Millis) -> Option<Millis> {
        let (recurrence, zone) = self.recurrence.as_ref()?;
        if self.has_ended(now) {
            return None;
        }
        recurrence.last(self.from(after), now, zone)
    }

    /// The later one of an instant and the last one before the start.
    fn from(&self, after: Millis) -> Millis {
        self.start.map_or(after, |start| after.max(start - 1))
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::time::format_time;
    use serde_json::{Value, json};

    use super::*;

    fn schedule(more: Value) -> Result<Schedule> {
        let mut input = json!({"name": "n", "segmentId": "s", "contentId": "c", "timezone": "Europe/Berlin"});
        more.as_object().unwrap().iter().for_each(|(key, value)| input[key] = value.clone());
        Schedule::of(&serde_json::from_value(input).unwrap())
    }

    fn at(text: &str) -> Millis {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_newest_occurrence_between_start_and_end_is_due() {
        let weekly = schedule(json!({
            "frequency": "0 9 * * MON",
            "startDate": "2026-03-30T07:00:00Z",
            "endDate": "2026-04-13T07:00:00Z",
        }));
        let weekly = weekly.unwrap();
        let due = |after: &str, now: &str| weekly.due(at(after), at(now)).map(format_time);
        assert_eq!(due("2026-03-01T00:00:00Z", "2026-03-30T06:59:59Z"), None, "before the start");
        let first = "2026-03-30T07:00:00Z";
        assert_eq!(due("2026-03-01T00:00:00Z", first).as_deref(), Some(first), "the start itself is one");
        assert_eq!(due(first, "2026-04-06T06:59:59Z"), None, "each comes once");
        assert_eq!(due("2026-03-01T00:00:00Z", "2026-04-12T00:00:00Z").as_deref(), Some("2026-04-06T07:00:00Z"));
        assert_eq!(due("2026-03-01T00:00:00Z", "2026-04-13T07:00:00Z"), None, "the end is none");
        assert_eq!(weekly.next(at("2026-04-06T07:00:00Z")), None);
        assert_eq!(weekly.next(at("2026-01-01T00:00:00Z")).map(format_time).as_deref(), Some(first));
    }

    #[test]
    fn faults_name_their_place() {
        let place = |more: Value| match schedule(more) {
            Err(audience_protocol::PlatformError::Invalid(faults)) => faults[0].pointer.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(place(json!({"frequency": "0 9 * *"})), "/frequency");
        assert_eq!(place(json!({"endDate": "tomorrow"})), "/endDate");
        assert_eq!(place(json!({"startDate": "2026-01-02T00:00:00Z", "endDate": "2026-01-02T00:00:00Z"})), "/endDate");
        assert_eq!(place(json!({"timezone": "Mars"})), "/timezone");
    }
}
