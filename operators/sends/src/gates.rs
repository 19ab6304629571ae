//! The gates of a send: who is sent to now, who later, and who not, each under exactly one verdict.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::caps::Cap;
use crate::id::share_of;
use crate::quiet::QuietHours;

/// Steps between quiet hours and caps until both permit an instant. Each step passes the end of a window that has sends in it.
const STEPS: usize = 1_000;

/// The facts of a member of the segment, as of the instant of the round.
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    /// The user.
    pub user: &'a str,
    /// The address, normalised; `None` without one.
    pub address: Option<&'a str>,
    /// True if the person agrees to messages of this kind.
    pub has_consent: bool,
    /// True if the address, or the person, is on a suppression list.
    pub is_suppressed: bool,
    /// The zone of the place where the person is.
    pub zone: &'a TimeZone,
    /// The instants of sends to the person that caps count, ascending.
    pub sent: &'a [Millis],
}

/// The limits of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Caps over all campaigns.
    pub caps: Vec<Cap>,
    /// Hours in which nobody is written to.
    pub quiet: Option<QuietHours>,
    /// Sends that the budget still pays for; `None` without a budget.
    pub budget: Option<u64>,
    /// The share of people who get nothing, so that the effect can be measured: 0 for nobody.
    pub hold_out: f64,
    /// The salt of the hold-out.
    pub salt: String,
    /// The instant after which nothing is sent.
    pub ends: Option<Millis>,
}

/// The reason why a member is not sent to, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no address.
    NoAddress,
    /// The person does not agree.
    NoConsent,
    /// The address or the person is suppressed.
    Suppressed,
    /// Somebody before in the order has the same address.
    DuplicateAddress,
    /// It is quiet at the person's place.
    Quiet,
    /// The person got as many messages as caps allow.
    Capped,
    /// The budget is used up.
    Budget,
    /// The person is held out, so that the effect can be measured.
    HoldOut,
    /// The person left the segment before the instant of the send.
    LeftSegment,
    /// The person is in the segment again whose exit triggered the send.
    InSegment,
    /// A variable of the content has no value for the person.
    MissingVariable,
    /// The campaign is over.
    Over,
}

/// Every reason.
pub const REASONS: [Reason; 12] = [
    Reason::NoAddress,
    Reason::NoConsent,
    Reason::Suppressed,
    Reason::DuplicateAddress,
    Reason::Quiet,
    Reason::Capped,
    Reason::Budget,
    Reason::HoldOut,
    Reason::LeftSegment,
    Reason::InSegment,
    Reason::MissingVariable,
    Reason::Over,
];

impl Reason {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::NoAddress => "no_address",
            Reason::NoConsent => "no_consent",
            Reason::Suppressed => "suppressed",
            Reason::DuplicateAddress => "duplicate_address",
            Reason::Quiet => "quiet",
            Reason::Capped => "capped",
            Reason::Budget => "budget",
            Reason::HoldOut => "hold_out",
            Reason::LeftSegment => "left_segment",
            Reason::InSegment => "in_segment",
            Reason::MissingVariable => "missing_variable",
            Reason::Over => "over",
        }
    }
}

/// The verdict over a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// Send now.
    Send,
    /// Look again at an instant: it is quiet, or capped, until then.
    Later {
        /// The first instant that both quiet hours and caps permit.
        until: Millis,
        /// The gate that stopped it first.
        reason: Reason,
    },
    /// Do not send.
    Not(Reason),
}

/// A round over the members of a segment at one instant, in the order of their ids.
#[derive(Debug)]
pub struct GateRound<'a> {
    limits: &'a Limits,
    at: Millis,
    addresses: HashSet<String>,
    budget: Option<u64>,
}

impl<'a> GateRound<'a> {
    /// A round at an instant.
    pub fn new(limits: &'a Limits, at: Millis) -> GateRound<'a> {
        GateRound { limits, at, addresses: HashSet::new(), budget: limits.budget }
    }

    /// Begins another occurrence: the addresses of the one before are no duplicates in it. The budget goes on.
    pub fn begin_occurrence(&mut self) {
        self.addresses.clear();
    }

    /// The verdict over the next member. The end of the campaign comes after the duplicates, and the hold-out last, so that
    /// those who are sent to and those who are held out passed the same gates.
    pub fn decide(&mut self, member: &Recipient<'_>) -> GateVerdict {
        let Some(address) = member.address else { return GateVerdict::Not(Reason::NoAddress) };
        if !member.has_consent {
            return GateVerdict::Not(Reason::NoConsent);
        }
        if member.is_suppressed {
            return GateVerdict::Not(Reason::Suppressed);
        }
        if !self.addresses.insert(address.to_owned()) {
            return GateVerdict::Not(Reason::DuplicateAddress);
        }
        if self.limits.ends.is_some_and(|ends| self.at >= ends) {
            return GateVerdict::Not(Reason::Over);
        }
        if let Some((until, reason)) = self.limits.waits(member, self.at) {
            let is_late = self.limits.ends.is_some_and(|ends| until >= ends);
            return if is_late { GateVerdict::Not(reason) } else { GateVerdict::Later { until, reason } };
        }
        if self.budget == Some(0) {
            return GateVerdict::Not(Reason::Budget);
        }
        if share_of(member.user, &self.limits.salt) < self.limits.hold_out {
            return GateVerdict::Not(Reason::HoldOut);
        }
        self.budget = self.budget.map(|left| left - 1);
        GateVerdict::Send
    }
}

impl Limits {
    /// The first instant from `at` on that quiet hours and caps permit, and the gate that stops it at `at`; `None` where
    /// neither does.
    pub fn waits(&self, member: &Recipient<'_>, at: Millis) -> Option<(Millis, Reason)> {
        let (mut until, mut first) = (at, None);
        for _ in 0..STEPS {
            let (quiet, capped) = (self.quiet_until(member, until), self.capped_until(member, until));
            let next = match (quiet, capped) {
                (Some(end), _) => (end, Reason::Quiet),
                (None, Some(end)) => (end, Reason::Capped),
                (None, None) => break,
            };
            until = next.0;
            first.get_or_insert(next.1);
        }
        first.map(|reason| (until, reason))
    }

    fn quiet_until(&self, member: &Recipient<'_>, at: Millis) -> Option<Millis> {
        let end = self.quiet?.first_permitted(at, member.zone);
        (end > at).then_some(end)
    }

    fn capped_until(&self, member: &Recipient<'_>, at: Millis) -> Option<Millis> {
        self.caps.iter().filter_map(|cap| cap.free_at(at, member.sent, member.zone)).max()
    }
}

/// The counts of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Members that are sent to now.
    pub reachable: u64,
    /// Members that wait, by reason.
    pub later: BTreeMap<Reason, u64>,
    /// Members that are not sent to, by reason.
    pub stopped: BTreeMap<Reason, u64>,
}

impl VerdictCounts {
    /// Counts a verdict.
    pub fn count(&mut self, verdict: GateVerdict) {
        match verdict {
            GateVerdict::Send => self.reachable += 1,
            GateVerdict::Later { reason, .. } => *self.later.entry(reason).or_default() += 1,
            GateVerdict::Not(reason) => *self.stopped.entry(reason).or_default() += 1,
        }
    }

    /// The members counted: the size of the segment.
    pub fn total(&self) -> u64 {
        self.reachable + self.later.values().chain(self.stopped.values()).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static UTC: TimeZone = TimeZone::UTC;

    fn member<'a>(user: &'a str, address: Option<&'a str>) -> Recipient<'a> {
        Recipient { user, address, has_consent: true, is_suppressed: false, zone: &UTC, sent: &[] }
    }

    #[test]
    fn the_first_gate_gives_the_reason() {
        let limits = Limits { budget: Some(1), ..Limits::default() };
        let mut round = GateRound::new(&limits, 0);
        let without = Recipient { has_consent: false, is_suppressed: true, ..member("a", None) };
        assert_eq!(round.decide(&without), GateVerdict::Not(Reason::NoAddress));
        let without = Recipient { address: Some("a@x"), ..without };
        assert_eq!(round.decide(&without), GateVerdict::Not(Reason::NoConsent));
        assert_eq!(round.decide(&Recipient { has_consent: true, ..without }), GateVerdict::Not(Reason::Suppressed));
        assert_eq!(round.decide(&member("b", Some("a@x"))), GateVerdict::Send);
        assert_eq!(round.decide(&member("c", Some("a@x"))), GateVerdict::Not(Reason::DuplicateAddress));
        assert_eq!(round.decide(&member("d", Some("d@x"))), GateVerdict::Not(Reason::Budget));
    }

    #[test]
    fn who_is_capped_waits_until_free_or_until_the_campaign_is_over() {
        let cap = Cap { most: 1, window: crate::caps::CapWindow::Rolling(100) };
        let limits = Limits { caps: vec![cap], ..Limits::default() };
        let capped = Recipient { sent: &[950], ..member("a", Some("a@x")) };
        let verdict = |limits: &Limits| GateRound::new(limits, 1_000).decide(&capped);
        assert_eq!(verdict(&limits), GateVerdict::Later { until: 1_050, reason: Reason::Capped });
        assert_eq!(verdict(&Limits { ends: Some(1_050), ..limits.clone() }), GateVerdict::Not(Reason::Capped));
    }

    #[test]
    fn the_hold_out_takes_its_share_of_those_who_pass() {
        let limits = Limits { hold_out: 0.25, salt: "s".to_owned(), ..Limits::default() };
        let mut round = GateRound::new(&limits, 0);
        let mut tally = VerdictCounts::default();
        for user in 0..4_000 {
            let (user, address) = (user.to_string(), format!("{user}@x"));
            tally.count(round.decide(&member(&user, Some(&address))));
        }
        assert_eq!(tally.total(), 4_000);
        assert!((900..1_100).contains(&tally.stopped[&Reason::HoldOut]), "{tally:?}");
    }

    #[test]
    fn reasons_have_the_names_that_are_stored() {
        for reason in REASONS {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
