use fastrand::Rng;

use super::*;
use crate::testing::{AGGREGATES, Happened, aggregate_of, for_each_case, pick};

/// A window log beside all events that were ever added to it.
struct Compared {
    aggregate: Aggregate,
    span: Span,
    now: Millis,
    log: WindowLog,
    added: Vec<Happened>,
}

impl Compared {
    fn new(random: &mut Rng) -> Self {
        let aggregate = *pick(random, &AGGREGATES);
        let enter = if random.bool() { 0 } else { random.i64(1..20) };
        let span = Span::Sliding { enter, leave: enter + random.i64(1..30) };
        // Close to midnight, so that days are told apart.
        let now = DAY_MILLIS - 40 + random.i64(0..80);
        Compared { aggregate, span, now, log: WindowLog::new(aggregate), added: Vec::new() }
    }

    /// Time passes, or an event of now or of before comes in.
    fn step(&mut self, sequence: u64, random: &mut Rng) {
        if random.u8(..3) == 0 {
            self.now += random.i64(0..15);
            return self.log.advance(self.span, self.now);
        }
        let event = Happened { timestamp: self.now - random.i64(0..50), sequence, value: random.i64(-2..3) };
        let contribution = event.contribution(self.aggregate);
        self.log.add(contribution, event.timestamp, event.sequence, self.span, self.now);
        self.added.push(event);
    }

    /// The instants from which on, and up to which, an event counts.
    fn instants(&self, event: &Happened) -> (Millis, Millis) {
        self.span.of_event(event.timestamp).expect("a span")
    }

    fn check(&self) {
        let is_counting = |event: &&Happened| {
            let (enter, leave) = self.instants(event);
            enter <= self.now && self.now < leave
        };
        let expected = aggregate_of(self.aggregate, self.added.iter().filter(is_counting).copied());
        assert_eq!(self.log.reading(self.aggregate), expected, "{:?} at {}", self.aggregate, self.now);
        let edges = self.added.iter().flat_map(|event| <[Millis; 2]>::from(self.instants(event)));
        let next = edges.filter(|edge| *edge > self.now).min();
        assert_eq!(self.log.next_change(self.span), next.unwrap_or(Millis::MAX), "the next change");
        assert_eq!(self.log.is_empty(), next.is_none(), "what has left is forgotten");
    }
}

#[test]
fn window_log_reads_the_aggregate_over_the_events_that_count_now() {
    for_each_case(1_500, |random| {
        let mut compared = Compared::new(random);
        // The order of acceptance is not that of arrival: history may come later than what followed it.
        let mut sequences: Vec<u64> = (0..random.u64(1..60)).collect();
        random.shuffle(&mut sequences);
        for sequence in sequences {
            compared.step(sequence, random);
            compared.check();
        }
    });
}

#[test]
fn window_log_survives_its_encoding() {
    for_each_case(200, |random| {
        let mut compared = Compared::new(random);
        for sequence in 0..random.u64(1..30) {
            compared.step(sequence, random);
        }
        let bytes = bincode::serialize(&compared.log).expect("bytes");
        let decoded: WindowLog = bincode::deserialize(&bytes).expect("a log");
        assert_eq!(decoded, compared.log);
        compared.log = decoded;
        compared.step(30, random);
        compared.check();
    });
}
