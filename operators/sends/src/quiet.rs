//! Quiet hours: when a person is not written to, by the clock of the place where they are.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::Millis;

/// Days that are looked at for the end of quiet hours: a day with a change of the clock, and one beside it.
const DAYS: i8 = 2;

/// Hours of each local day in which nobody is written to: from `from` on, until `to`. They may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The first local minute that is quiet, of the day.
    from: i16,
    /// The first local minute that is not.
    to: i16,
}

impl QuietHours {
    /// Hours between two minutes of the day, each below 1,440; `None` where they are the same or out of range.
    pub fn new(from: i16, to: i16) -> Option<QuietHours> {
        let day = 0..1_440;
        (from != to && day.contains(&from) && day.contains(&to)).then_some(QuietHours { from, to })
    }

    /// Reads two times such as `21:00` and `08:00`.
    pub fn parse(from: &str, to: &str) -> Option<QuietHours> {
        QuietHours::new(minute_of(from)?, minute_of(to)?)
    }

    /// Returns whether an instant is quiet in a zone.
    pub fn is_quiet(&self, at: Millis, zone: &TimeZone) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at) else { return false };
        let local = zone.to_datetime(at).time();
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }

    /// The first instant from `due` on that is not quiet. A clock that is set forward over the end of the quiet hours ends
    /// them at once; one that is set back into them begins them again.
    pub fn first_permitted(&self, due: Millis, zone: &TimeZone) -> Millis {
        if !self.is_quiet(due, zone) {
            return due;
        }
        let Ok(at) = Timestamp::from_millisecond(due) else { return due };
        let ends = self.ends(at, zone).into_iter().chain(changes(at, zone));
        let permitted = ends.filter(|end| *end >= due && !self.is_quiet(*end, zone));
        permitted.min().unwrap_or(due)
    }

    /// The instants near one at which a local clock shows the end: two where the clock is set back over it.
    fn ends(&self, at: Timestamp, zone: &TimeZone) -> Vec<Millis> {
        let (hour, minute) = (self.to / 60, self.to % 60);
        let time = Time::constant(i8::try_from(hour).unwrap_or(0), i8::try_from(minute).unwrap_or(0), 0, 0);
        let mut days = vec![zone.to_datetime(at).date()];
        for _ in 0..DAYS {
            days.extend(days.last().and_then(|day| day.tomorrow().ok()));
        }
        let both = |day: jiff::civil::Date| {
            let local = zone.to_ambiguous_timestamp(day.to_datetime(time));
            [local.earlier(), local.later()]
        };
        days.into_iter().flat_map(both).flatten().map(Timestamp::as_millisecond).collect()
    }
}

/// The next changes of a zone's clock.
fn changes(at: Timestamp, zone: &TimeZone) -> Vec<Millis> {
    zone.following(at)
        .take(usize::from(DAYS.unsigned_abs()))
        .map(|change| change.timestamp().as_millisecond())
        .collect()
}

fn minute_of(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then(|| i16::from(hour) * 60 + i16::from(minute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone;

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn permitted(from: &str, to: &str, due: &str, name: &str) -> String {
        let first = QuietHours::parse(from, to).unwrap().first_permitted(at(due), &zone(name).unwrap());
        Timestamp::from_millisecond(first).unwrap().to_string()
    }

    #[test]
    fn a_night_is_waited_for() {
        assert_eq!(permitted("21:00", "08:00", "2026-01-10T20:30:00Z", "Europe/Berlin"), "2026-01-11T07:00:00Z");
        assert_eq!(permitted("21:00", "08:00", "2026-01-10T19:59:59Z", "Europe/Berlin"), "2026-01-10T19:59:59Z");
        assert_eq!(permitted("12:00", "13:00", "2026-01-10T12:15:00Z", "UTC"), "2026-01-10T13:00:00Z");
    }

    #[test]
    fn a_clock_that_skips_the_end_ends_the_quiet_hours_there() {
        // Berlin goes from 2:00 to 3:00 at 1:00 UTC.
        assert_eq!(permitted("22:00", "02:30", "2026-03-29T00:30:00Z", "Europe/Berlin"), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_clock_that_is_set_back_into_the_hours_begins_them_again() {
        // Berlin goes from 3:00 to 2:00 at 1:00 UTC: 2:30 is at 0:30 and at 1:30.
        assert_eq!(permitted("22:00", "02:30", "2026-10-25T00:10:00Z", "Europe/Berlin"), "2026-10-25T00:30:00Z");
        assert_eq!(permitted("22:00", "02:30", "2026-10-25T01:10:00Z", "Europe/Berlin"), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (from, to) in [("8:00", "9:00"), ("08:00", "08:00"), ("24:00", "08:00"), ("08:60", "09:00"), ("", "")] {
            assert_eq!(QuietHours::parse(from, to), None, "{from} {to}");
        }
    }
}
