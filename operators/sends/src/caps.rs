//! Caps: at most so many sends to one person within a window, over all campaigns.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::Millis;

/// The window of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapWindow {
    /// So many milliseconds before the instant, exact to the millisecond.
    Rolling(Millis),
    /// The calendar day at the person's place.
    LocalDay,
    /// The calendar week at the person's place, from Monday on.
    LocalWeek,
}

/// At most so many sends within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The most, at least 1.
    pub most: usize,
    /// The window.
    pub window: CapWindow,
}

impl Cap {
    /// The first instant from `at` on at which one more send is within the cap, where it is not at `at`. `sent` are the instants
    /// of sends that count, ascending.
    pub fn free_at(&self, at: Millis, sent: &[Millis], zone: &TimeZone) -> Option<Millis> {
        match self.window {
            CapWindow::Rolling(length) => {
                let first = sent.partition_point(|time| *time <= at.saturating_sub(length));
                let counted = &sent[first..];
                let over = counted.len().checked_sub(self.most.max(1))?;
                counted.get(over).map(|time| time.saturating_add(length))
            }
            CapWindow::LocalDay => self.free_after(at, sent, &day_of(at, zone)?),
            CapWindow::LocalWeek => self.free_after(at, sent, &week_of(at, zone)?),
        }
    }

    fn free_after(&self, at: Millis, sent: &[Millis], (begin, end): &(Millis, Millis)) -> Option<Millis> {
        let counted = sent.iter().filter(|time| (*begin..*end).contains(*time)).count();
        (counted >= self.most && *end > at).then_some(*end)
    }
}

/// The local day of an instant: its first instant, and that of the next day.
fn day_of(at: Millis, zone: &TimeZone) -> Option<(Millis, Millis)> {
    let begin = local(at, zone)?.start_of_day().ok()?;
    let end = begin.date().tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some((millis(&begin), millis(&end)))
}

/// The local week of an instant: its first instant, and that of the next week.
fn week_of(at: Millis, zone: &TimeZone) -> Option<(Millis, Millis)> {
    let date = local(at, zone)?.date();
    let monday = date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()?;
    let next = monday.checked_add(7.days()).ok()?;
    Some((millis(&monday.to_zoned(zone.clone()).ok()?), millis(&next.to_zoned(zone.clone()).ok()?)))
}

fn local(at: Millis, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(at).ok()?.to_zoned(zone.clone()))
}

fn millis(zoned: &Zoned) -> Millis {
    zoned.timestamp().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_rolling_window_frees_at_the_millisecond() {
        let cap = Cap { most: 2, window: CapWindow::Rolling(HOUR) };
        let free = |at, sent: &[Millis]| cap.free_at(at, sent, &TimeZone::UTC);
        assert_eq!(free(HOUR, &[10]), None);
        assert_eq!(free(HOUR, &[10, 20]), Some(HOUR + 10));
        assert_eq!(free(HOUR + 9, &[10, 20]), Some(HOUR + 10));
        assert_eq!(free(HOUR + 10, &[10, 20]), None);
        assert_eq!(free(HOUR, &[10, 20, 30]), Some(HOUR + 20), "one more than there should be");
    }

    #[test]
    fn a_local_day_is_that_of_the_place() {
        let cap = Cap { most: 1, window: CapWindow::LocalDay };
        let tokyo = zone("Asia/Tokyo").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let sent = [at("2026-05-04T14:00:00Z")];
        assert_eq!(cap.free_at(at("2026-05-04T14:59:00Z"), &sent, &tokyo), Some(at("2026-05-04T15:00:00Z")));
        assert_eq!(cap.free_at(at("2026-05-04T15:00:00Z"), &sent, &tokyo), None);
        let week = Cap { most: 1, window: CapWindow::LocalWeek };
        assert_eq!(week.free_at(at("2026-05-06T00:00:00Z"), &sent, &tokyo), Some(at("2026-05-10T15:00:00Z")));
    }
}
