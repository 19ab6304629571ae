use audience_rules::ast::{EventPath, Literal, Logic, Test};
use fastrand::Rng;

use super::*;
use crate::testing::{AGGREGATES, Happened, aggregate_of, event, for_each_case, pick, record};

/// Spans in order, none touching the next, the last of them sometimes without an end.
fn some_spans(from: Millis, random: &mut Rng) -> Vec<TimeRange> {
    let mut at = from;
    let mut spans: Vec<TimeRange> = (0..random.usize(1..4))
        .map(|_| {
            let start = at + random.i64(0..8);
            let end = start + random.i64(1..12);
            at = end + 1;
            (start, end)
        })
        .collect();
    if random.u8(..4) == 0
        && let Some(last) = spans.last_mut()
    {
        last.1 = Millis::MAX;
    }
    spans
}

#[test]
fn relative_log_reads_the_aggregate_over_the_events_whose_spans_hold_now() {
    for_each_case(1_000, |random| {
        let aggregate = *pick(random, &AGGREGATES);
        let mut log = RelativeLog::default();
        let mut added: Vec<(Happened, Vec<TimeRange>)> = Vec::new();
        let mut now = 1_000;
        let mut sequences: Vec<u64> = (0..random.u64(1..40)).collect();
        random.shuffle(&mut sequences);
        for sequence in sequences {
            if random.u8(..3) == 0 {
                now += random.i64(0..10);
                log.advance(now);
            } else {
                let event = Happened { timestamp: now - random.i64(0..10), sequence, value: random.i64(-2..3) };
                let spans = some_spans(event.timestamp, random);
                log.add(event.contribution(aggregate), event.timestamp, sequence, spans.clone());
                added.push((event, spans));
            }
            let is_counting = |spans: &[TimeRange]| spans.iter().any(|(start, end)| (*start..*end).contains(&now));
            let counting = added.iter().filter(|(_, spans)| is_counting(spans)).map(|(event, _)| *event);
            assert_eq!(log.reading(aggregate, now), aggregate_of(aggregate, counting), "{aggregate:?} at {now}");
            let edges = added.iter().flat_map(|(_, spans)| spans).flat_map(|(start, end)| [*start, *end]);
            let next = edges.filter(|edge| *edge > now).min().unwrap_or(Millis::MAX);
            assert_eq!(log.next_change(now), next, "the next change at {now}");
        }
        let ends = added.iter().filter_map(|(_, spans)| spans.last()).map(|(_, end)| *end);
        if let Some(end) = ends.max().filter(|end| now < *end && *end != Millis::MAX) {
            log.advance(end - 1);
            assert!(!log.is_empty(), "the last event counts until {end}");
            log.advance(end);
            assert!(log.is_empty(), "what counts no more at {end} is forgotten");
        }
    });
}

/// A filter on `w`, which is a time, several or none, mostly relative to now.
fn some_filter(depth: usize, random: &mut Rng) -> Filter {
    if depth > 0 && random.u8(..3) > 0 {
        let logic = *pick(random, &[Logic::And, Logic::Or, Logic::Not]);
        let parts = (0..random.usize(1..4)).map(|_| some_filter(depth - 1, random)).collect();
        return Filter::Group(logic, parts);
    }
    let ago = random.i64(0..20);
    let condition = match random.u8(..6) {
        0 => Condition::Exists,
        1 => Condition::Before(Moment::At(1_000 + ago)),
        2 => Condition::Equals(Literal::Number(Decimal::from_integer(1_000 + ago))),
        3 | 4 => Condition::Before(Moment::Ago(ago)),
        _ => Condition::After(Moment::Ago(ago)),
    };
    Filter::Test(EventPath::Properties(vec!["w".into()]), Test { negated: random.bool(), condition })
}

#[test]
fn filter_spans_hold_exactly_the_instants_at_which_the_filter_does() {
    for_each_case(1_500, |random| {
        let times: Vec<String> = (0..random.usize(0..4)).map(|_| random.i64(990..1_040).to_string()).collect();
        let properties = match &times[..] {
            [] => "{}".to_owned(),
            [one] => format!(r#"{{"w": {one}}}"#),
            several => format!(r#"{{"w": [{}]}}"#, several.join(",")),
        };
        let json = format!(
            r#"{{"userId": "u", "eventType": "p", "timestamp": "1970-01-01T00:00:01Z", "properties": {properties}}}"#
        );
        let record = record(&json, 1_000, 0);
        let event = event(&record);
        let filter = some_filter(2, random);
        let within = (1_000 - random.i64(0..10), if random.bool() { Millis::MAX } else { 1_000 + random.i64(1..60) });
        let spans = filter_spans(Some(&filter), &event, within);
        for now in 980..1_080 {
            let expected = within.0 <= now && now < within.1 && filter_holds(&filter, &event, now);
            assert_eq!(contains(&spans, now), expected, "{filter:?} of {times:?} at {now} within {within:?}");
        }
        assert!(spans.iter().all(|(start, end)| start < end), "no span is empty: {spans:?}");
        assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "no span touches the next: {spans:?}");
    });
}
