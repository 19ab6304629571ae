//! Random timelines over the whole rule language, made so that things collide: few users, event types and values, instants
//! at the edges of windows, ties, repeated messages, merges and edits.

mod event;
mod filter;
mod rule;
mod second_page;
mod values;

use std::collections::BTreeSet;

use audience_rules::ast::{Measure, Millis};
use audience_rules::time::{LATEST, format_duration, format_time};
use audience_rules::timeline::{OracleSubject, parse_timeline};
use serde_json::{Value, json};

use crate::case::Case;
use crate::check::step;
use crate::instants::Instants;
use crate::random::Random;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 2026-01-01T00:00:00Z.
const START: Millis = 1_767_225_600_000;
/// Half a day or less before clocks change: in New York, in Berlin, and there again in autumn.
const CLOCK_CHANGES: [Millis; 4] = [1_772_951_400_000, 1_774_740_600_000, 1_792_881_000_000, 1_793_507_400_000];
/// From seconds, in which milliseconds matter, to years.
const DURATIONS: [Millis; 14] = [
    SECOND,
    2 * SECOND,
    3 * SECOND,
    10 * SECOND,
    MINUTE,
    HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
    3653 * DAY,
];

/// The kinds of test that fit a field or a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Numbers,
    Durations,
    Anything,
}

/// A timeline in the making.
struct Maker {
    random: Random,
    /// Knows the clock, and what would be refused.
    oracle: OracleSubject,
    instants: Instants,
    lines: Vec<Value>,
    users: Vec<String>,
    /// The durations of this timeline: few, so that they meet.
    durations: Vec<Millis>,
    /// Tests that several rules have.
    shared: Vec<Value>,
    /// Nearly all rules and events are about how often two types of event have come: rules then share their measures, and
    /// an edit mostly asks another number of them.
    is_counting: bool,
    /// Rules and events have all of the second page of the language.
    has_second_page: bool,
    /// Inside a rank.
    is_in_rank: bool,
    last_event_at: Millis,
}

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let processes = *random.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3]);
    let workers = (random.between(1, 4) as usize).div_ceil(processes);
    let batch_events = random.between(1, 50);
    let scan_slice_users = random.between(1, 8) as u32;
    let every_line = random.percent(50);
    Case { processes, workers, batch_events, scan_slice_users, every_line, lines: Maker::new(random).timeline() }
}

impl Maker {
    fn new(mut random: Random) -> Self {
        let is_counting = random.percent(15);
        let has_second_page = random.percent(50);
        let users = if random.percent(70) { random.between(2, 4) } else { random.between(5, 8) };
        let window = random.between(0, 3) as usize;
        // Close to each other, or all of them.
        let pool = if window == 3 { &DURATIONS[..] } else { &DURATIONS[4 * window..4 * window + 5] };
        let durations = (0..random.between(1, 4)).map(|_| *random.pick(pool)).collect();
        Maker {
            random,
            oracle: OracleSubject::default(),
            instants: Instants::default(),
            lines: Vec::new(),
            users: (0..users).map(|user| format!("u{user}")).collect(),
            durations,
            shared: Vec::new(),
            is_counting,
            has_second_page,
            is_in_rank: false,
            last_event_at: START,
        }
    }

    fn timeline(mut self) -> Vec<Value> {
        let base =
            if self.has_second_page && self.random.percent(40) { *self.random.pick(&CLOCK_CHANGES) } else { START };
        let start = base + *self.random.pick(&[0, 1, 999, 500, 12 * HOUR + 1, DAY - 1]);
        self.add(json!({ "at": format_time(start) }));
        let lines = self.random.between(8, 90) as usize;
        // Some timelines have no edits behind the first events, some no clock steps, and so on.
        let weights = [
            self.random.between(20, 80),
            self.random.between(3, 15),
            self.random.between(0, 5),
            self.random.between(0, 4),
            self.random.between(4, 40),
            self.random.between(0, 4),
            if self.has_second_page { self.random.between(0, 4) } else { 0 },
        ];
        let most = if self.is_counting { 9 } else { 4 };
        for _ in 0..self.random.between(0, most) {
            self.add_segment();
        }
        while self.lines.len() < lines {
            match self.random.weighted(&weights) {
                0 => {
                    let event = self.event();
                    self.add(json!({ "event": event }));
                }
                1 => self.add_segment(),
                2 => {
                    let computed = self.computed_trait();
                    self.add(json!({ "trait": computed }));
                }
                3 => self.delete_or_change_status(),
                6 => {
                    let zone = *self.random.pick(&second_page::ZONES);
                    self.add(json!({ "timezone": zone }));
                }
                5 => {
                    let user = self.user_or_stranger();
                    self.add(json!({ "eraseUser": user }));
                }
                _ => {
                    let to = self.next_clock();
                    let to = if self.random.percent(50) { json!(to) } else { json!(format_time(to)) };
                    self.add(json!({ "at": to }));
                }
            }
        }
        self.lines
    }

    /// Adds a line; one that is refused only now and then.
    fn add(&mut self, line: Value) {
        let Ok(parsed) = parse_timeline(&line.to_string()) else { return };
        let taken = parsed.iter().all(|(_, line)| step(&mut self.oracle, line).is_ok());
        if taken || self.random.percent(5) {
            self.instants.note(&line, self.oracle.now);
            self.lines.push(line);
        }
    }

    fn now(&self) -> Millis {
        self.oracle.now
    }

    fn duration(&mut self) -> Millis {
        *self.random.pick(&self.durations)
    }

    fn duration_text(&mut self) -> String {
        format_duration(self.duration())
    }

    /// A step forward, often to where something changes, or just beside.
    fn next_clock(&mut self) -> Millis {
        let now = self.now();
        let to = match self.random.weighted(&[12, 60, 15, 4]) {
            0 => now + *self.random.pick(&[0, 1, 2, 500, 999, 1000, 1001, 60_000]),
            1 => self.edge_after(now).unwrap_or(now + 1),
            2 => now + self.duration() + *self.random.pick(&[-1, 0, 1]),
            _ => now + *self.random.pick(&[DAY, 31 * DAY, 365 * DAY]),
        };
        to.clamp(now, LATEST)
    }

    /// An instant after another at which something may change, or beside one.
    fn edge_after(&mut self, now: Millis) -> Option<Millis> {
        let mut edges: Vec<Millis> = self.instants.within(now, LATEST).into_iter().collect();
        // Often one of the nearest.
        if self.random.percent(20) {
            edges.truncate(9);
        }
        if edges.is_empty() { None } else { Some(*self.random.pick(&edges)) }
    }

    /// The time of an event or of a value: at the edges of windows, ties, the past and the future.
    fn instant(&mut self) -> Millis {
        let now = self.now();
        let beside = *self.random.pick(&[-1, 0, 0, 0, 1]);
        let instant = match self.random.weighted(&[30, 15, 15, 10, 10, 10]) {
            0 => now - self.duration() + beside,
            1 => self.last_event_at + beside,
            2 => now + beside,
            3 => now + self.duration() + beside,
            4 => now - self.random.between(0, 2 * DAY as u64) as Millis,
            _ => {
                let times: Vec<Millis> = self.instants.times();
                let base = if times.is_empty() { now } else { *self.random.pick(&times) };
                let duration = self.duration();
                base + *self.random.pick(&[-duration, 0, duration]) + beside
            }
        };
        instant.clamp(0, LATEST)
    }

    fn time(&mut self) -> Value {
        let instant = self.instant();
        if self.random.percent(50) { json!(instant) } else { json!(format_time(instant)) }
    }

    /// The kinds of test that fit a field now.
    fn takes(&self, field: &str) -> Takes {
        match self.oracle.world.catalogue.traits.get(field).map(|computed| &computed.behaviour.measure) {
            Some(Measure::SinceFirst | Measure::SinceLast) => Takes::Durations,
            Some(measure) if measure.is_number() => Takes::Numbers,
            _ => Takes::Anything,
        }
    }

    fn segment_ids(&self) -> Vec<String> {
        self.oracle.world.catalogue.segments.keys().map(|id| id.to_string()).collect()
    }

    fn add_segment(&mut self) {
        let id = *self.random.pick(&["a", "b", "c", "d", "e", "f", "g"]);
        let mut segment = json!({ "id": id });
        if self.random.percent(15) {
            let users: BTreeSet<String> = (0..self.random.between(0, 4)).map(|_| self.user_or_stranger()).collect();
            segment["members"] = json!(users);
        } else {
            segment["rules"] = self.rule();
        }
        if self.random.percent(8) {
            segment["status"] = json!(*self.random.pick(&["INACTIVE", "DRAFT", "ARCHIVED"]));
        }
        self.add(json!({ "segment": segment }));
    }

    fn user(&mut self) -> String {
        self.random.pick(&self.users).clone()
    }

    fn user_or_stranger(&mut self) -> String {
        if self.random.percent(15) { (*self.random.pick(&["ghost", "phantom"])).to_owned() } else { self.user() }
    }

    fn delete_or_change_status(&mut self) {
        let ids = self.segment_ids();
        if ids.is_empty() {
            return;
        }
        let id = self.random.pick(&ids).clone();
        if self.random.percent(40) {
            return self.add(json!({ "deleteSegment": id }));
        }
        // The last definition again, with another status.
        let last = self.lines.iter().rev().find_map(|line| line.get("segment").filter(|segment| segment["id"] == *id));
        let Some(mut segment) = last.cloned() else { return };
        segment["status"] = json!(*self.random.pick(&["ACTIVE", "ACTIVE", "INACTIVE", "ARCHIVED"]));
        self.add(json!({ "segment": segment }));
    }
}
