//! Random segments, limits, zones and instants, many of them near changes of the clock: the plan is held to the oracle.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use audience_sends::Millis;
use audience_sends::caps::{Cap, CapWindow};
use audience_sends::cron::Recurrence;
use audience_sends::gates::{GateRound, GateVerdict, Limits, Recipient, VerdictCounts};
use audience_sends::oracle::{self, MINUTE};
use audience_sends::quiet::QuietHours;
use audience_sends::zone::zone;
use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Zones with changes of an hour, of half an hour, at midnight, of whole days, and none.
const ZONES: [&str; 10] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Asia/Tokyo",
    "UTC",
];
const HOUR: Millis = 60 * MINUTE;

/// A person as a case has it.
struct Person {
    user: String,
    address: Option<String>,
    has_consent: bool,
    is_suppressed: bool,
    zone: TimeZone,
    sent: Vec<Millis>,
}

/// An instant in whole minutes, in two of three cases within a day of a change of the zone's clock.
fn instant(random: &mut Rng, zone: &TimeZone) -> Millis {
    let begin = "2011-06-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
    let any = begin + random.i64(0..15 * 365 * 24 * 60) * MINUTE;
    let change = zone.following(Timestamp::from_millisecond(any).unwrap()).next();
    match change.filter(|_| random.u8(..3) > 0) {
        Some(change) => change.timestamp().as_millisecond() / MINUTE * MINUTE + near(random) * MINUTE,
        None => any,
    }
}

/// Minutes from a change of the clock: hours in half of the cases, a day in the others.
fn near(random: &mut Rng) -> i64 {
    if random.bool() { random.i64(-180..180) } else { random.i64(-1_440..1_440) }
}

/// Quiet hours, in half of the cases around the local time of an instant, so that they end near a change of the clock.
fn quiet(random: &mut Rng, at: Millis, zone: &TimeZone) -> Option<QuietHours> {
    let local = zone.to_datetime(Timestamp::from_millisecond(at).unwrap());
    let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
    let around = |minutes: i16| (minute + minutes).rem_euclid(1_440);
    match random.bool() {
        true => QuietHours::new(around(-random.i16(0..600)), around(random.i16(0..240))),
        false => QuietHours::new(random.i16(..1_440), random.i16(..1_440)),
    }
}

fn cap(random: &mut Rng) -> Cap {
    let window = match random.u8(..3) {
        0 => CapWindow::LocalDay,
        1 => CapWindow::LocalWeek,
        _ => CapWindow::Rolling(random.i64(1..48) * HOUR),
    };
    Cap { most: random.usize(1..4), window }
}

fn limits(random: &mut Rng, at: Millis, zone: &TimeZone) -> Limits {
    let some = |random: &mut Rng| random.bool();
    Limits {
        caps: (0..random.usize(..3)).map(|_| cap(random)).collect(),
        quiet: some(random).then(|| quiet(random, at, zone)).flatten(),
        budget: some(random).then(|| random.u64(..6)),
        hold_out: if some(random) { random.f64() } else { 0.0 },
        salt: random.u8(..).to_string(),
        ends: some(random).then(|| at + random.i64(-4..72) * HOUR),
    }
}

fn person(random: &mut Rng, number: usize, at: Millis) -> Person {
    let mut sent: Vec<Millis> = (0..random.usize(..5)).map(|_| at - random.i64(0..8 * 24 * 60) * MINUTE).collect();
    sent.sort_unstable();
    Person {
        user: format!("user-{number}"),
        address: (random.u8(..8) > 0).then(|| format!("{}@example.org", random.usize(..8))),
        has_consent: random.u8(..8) > 0,
        is_suppressed: random.u8(..8) == 0,
        zone: zone(ZONES[random.usize(..ZONES.len())]).unwrap(),
        sent,
    }
}

/// One case: a segment at an instant.
fn case(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let place = zone(ZONES[random.usize(..ZONES.len())]).unwrap();
    let at = instant(&mut random, &place);
    let limits = limits(&mut random, at, &place);
    let people: Vec<Person> = (0..random.usize(1..10)).map(|number| person(&mut random, number, at)).collect();
    let members: Vec<Recipient<'_>> = people
        .iter()
        .map(|person| Recipient {
            user: &person.user,
            address: person.address.as_deref(),
            has_consent: person.has_consent,
            is_suppressed: person.is_suppressed,
            zone: &person.zone,
            sent: &person.sent,
        })
        .collect();
    let mut round = GateRound::new(&limits, at);
    let planned: Vec<GateVerdict> = members.iter().map(|member| round.decide(member)).collect();
    assert_eq!(planned, oracle::verdicts(&members, &limits, at), "seed {seed} at {at} within {limits:?}");
    let mut tally = VerdictCounts::default();
    planned.iter().for_each(|verdict| tally.count(*verdict));
    assert_eq!(tally.total(), members.len() as u64, "seed {seed}: each member is under exactly one verdict");
}

#[test]
fn the_plan_is_that_of_the_oracle() {
    (0..3_000).for_each(case);
}

/// Whoever waits is let through at the instant they were told, and not a minute before.
#[test]
fn who_waits_is_free_at_the_instant_told() {
    let mut waited = 0;
    for seed in 0..6_000 {
        let mut random = Rng::with_seed(seed);
        let place = zone(ZONES[random.usize(..ZONES.len())]).unwrap();
        let at = instant(&mut random, &place);
        let limits = Limits { budget: None, hold_out: 0.0, ends: None, ..limits(&mut random, at, &place) };
        let mut person = person(&mut random, 0, at);
        person.zone = place;
        let member = Recipient {
            user: &person.user,
            address: Some("a@example.org"),
            has_consent: true,
            is_suppressed: false,
            zone: &person.zone,
            sent: &person.sent,
        };
        let decide = |at| GateRound::new(&limits, at).decide(&member);
        let GateVerdict::Later { until, .. } = decide(at) else { continue };
        waited += 1;
        assert_eq!(decide(until), GateVerdict::Send, "seed {seed}");
        assert!(matches!(decide(until - MINUTE), GateVerdict::Later { .. }), "seed {seed}: free before {until}");
    }
    assert!(waited > 700, "{waited}");
}

/// A field of a recurrence: anything, a step, or some numbers.
fn field(random: &mut Rng, least: u8, most: u8) -> String {
    match random.u8(..4) {
        0 => "*".to_owned(),
        1 => format!("*/{}", random.u8(1..=most)),
        2 => {
            let from = random.u8(least..=most);
            format!("{from}-{}", random.u8(from..=most))
        }
        _ => format!("{},{}", random.u8(least..=most), random.u8(least..=most)),
    }
}

/// The instants of random recurrences are those at which a clock that is watched comes to them.
#[test]
fn recurrences_come_when_the_clock_comes_to_them() {
    let mut came = 0;
    for seed in 0..400 {
        let mut random = Rng::with_seed(seed);
        let place = zone(ZONES[random.usize(..ZONES.len())]).unwrap();
        let at = instant(&mut random, &place);
        let day = if random.bool() { "*".to_owned() } else { field(&mut random, 1, 28) };
        let text =
            format!("{} {} {day} * {}", field(&mut random, 0, 59), field(&mut random, 0, 23), field(&mut random, 0, 7));
        let recurrence = Recurrence::parse(&text).unwrap();
        let until = at + random.i64(1..2 * 24 * 60) * MINUTE;
        let expected = oracle::occurrences(&recurrence, at, until, &place);
        let mut found = Vec::new();
        let mut next = recurrence.after(at, &place);
        while let Some(instant) = next.filter(|instant| *instant <= until) {
            found.push(instant);
            next = recurrence.after(instant, &place);
        }
        assert_eq!(found, expected, "seed {seed}: {text} from {at} until {until}");
        assert_eq!(recurrence.last(at, until, &place), expected.last().copied(), "seed {seed}: {text}");
        came += expected.len();
    }
    assert!(came > 10_000, "{came}");
}
