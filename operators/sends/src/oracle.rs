//! The naive evaluator: the same law as [`gates`](crate::gates), looked for minute by minute, with nothing remembered.
//!
//! It is right by being plain. All its instants are whole minutes, as quiet hours and offsets of zones are.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::Millis;
use crate::caps::{Cap, CapWindow};
use crate::cron::Recurrence;
use crate::gates::{GateVerdict, Limits, Reason, Recipient};
use crate::id::share_of;

/// A minute.
pub const MINUTE: Millis = 60_000;
/// Minutes that are looked at: a week, as caps have it, and days of quiet hours.
const LOOK: Millis = 10 * 24 * 60;

/// Minutes before an instant from which on a clock is watched: two days, since a clock is set back by a day at most.
const WATCHED: Millis = 2 * 24 * 60;

/// The instants of a recurrence after one and up to another one, both in whole minutes. A clock is watched as it goes: a
/// minute that it has passed before does not come again, and those that it jumps over come at once.
pub fn occurrences(recurrence: &Recurrence, after: Millis, until: Millis, zone: &TimeZone) -> Vec<Millis> {
    let show = |at: Millis| Some(zone.to_datetime(Timestamp::from_millisecond(at).ok()?));
    let (mut found, mut shown) = (Vec::new(), None::<DateTime>);
    let mut at = after - WATCHED * MINUTE;
    while at <= until {
        let Some(now) = show(at) else { break };
        let mut passed = shown.map_or(Some(now), minute_after).filter(|first| *first <= now);
        let mut comes = false;
        while let Some(minute) = passed {
            comes |= recurrence.has_minute(minute);
            passed = minute_after(minute).filter(|next| *next <= now);
        }
        if comes && at > after {
            found.push(at);
        }
        shown = shown.max(Some(now));
        at += MINUTE;
    }
    found
}

fn minute_after(local: DateTime) -> Option<DateTime> {
    local.checked_add(jiff::Span::new().minutes(1)).ok()
}

/// The verdict over each member of a segment, in the order given.
pub fn verdicts(members: &[Recipient<'_>], limits: &Limits, at: Millis) -> Vec<GateVerdict> {
    let (mut addresses, mut sent) = (BTreeSet::new(), 0);
    let mut verdicts = Vec::new();
    for member in members {
        let verdict = verdict(member, limits, at, &addresses, sent);
        let passes = !matches!(verdict, GateVerdict::Not(Reason::NoAddress | Reason::NoConsent | Reason::Suppressed));
        if passes {
            addresses.extend(member.address);
        }
        sent += u64::from(verdict == GateVerdict::Send);
        verdicts.push(verdict);
    }
    verdicts
}

fn verdict(member: &Recipient<'_>, limits: &Limits, at: Millis, addresses: &BTreeSet<&str>, sent: u64) -> GateVerdict {
    let is_quiet = |at: Millis| limits.quiet.is_some_and(|quiet| quiet.is_quiet(at, member.zone));
    let is_capped = |at: Millis| limits.caps.iter().any(|cap| is_capped(cap, at, member));
    match member.address {
        None => return GateVerdict::Not(Reason::NoAddress),
        Some(_) if !member.has_consent => return GateVerdict::Not(Reason::NoConsent),
        Some(_) if member.is_suppressed => return GateVerdict::Not(Reason::Suppressed),
        Some(address) if addresses.contains(address) => return GateVerdict::Not(Reason::DuplicateAddress),
        Some(_) => {}
    }
    if limits.ends.is_some_and(|ends| ends <= at) {
        return GateVerdict::Not(Reason::Over);
    }
    if is_quiet(at) || is_capped(at) {
        let reason = if is_quiet(at) { Reason::Quiet } else { Reason::Capped };
        let permitted = |minute: &Millis| !is_quiet(at + minute * MINUTE) && !is_capped(at + minute * MINUTE);
        let until = at + (0..LOOK).find(permitted).unwrap_or(LOOK) * MINUTE;
        let is_late = limits.ends.is_some_and(|ends| until >= ends);
        return if is_late { GateVerdict::Not(reason) } else { GateVerdict::Later { until, reason } };
    }
    if limits.budget.is_some_and(|budget| sent >= budget) {
        return GateVerdict::Not(Reason::Budget);
    }
    if share_of(member.user, &limits.salt) < limits.hold_out {
        return GateVerdict::Not(Reason::HoldOut);
    }
    GateVerdict::Send
}

fn is_capped(cap: &Cap, at: Millis, member: &Recipient<'_>) -> bool {
    let is_within = |sent: Millis| match cap.window {
        CapWindow::Rolling(length) => sent > at - length,
        CapWindow::LocalDay => date(sent, member.zone) == date(at, member.zone),
        CapWindow::LocalWeek => monday(sent, member.zone) == monday(at, member.zone),
    };
    member.sent.iter().filter(|sent| is_within(**sent)).count() >= cap.most
}

fn date(at: Millis, zone: &TimeZone) -> Option<Date> {
    Some(zone.to_datetime(Timestamp::from_millisecond(at).ok()?).date())
}

/// The Monday on or before a day.
fn monday(at: Millis, zone: &TimeZone) -> Option<Date> {
    let mut day = date(at, zone)?;
    while day.weekday() != jiff::civil::Weekday::Monday {
        day = day.yesterday().ok()?;
    }
    Some(day)
}
