use std::sync::Arc;

use audience_rules::ast::{Condition, EventPath, EventTypes, Filter, Literal, Moment, SequenceStep, Test, Window};
use audience_rules::decimal::Decimal;
use audience_rules::oracle::EventHistory;
use fastrand::Rng;

use super::*;
use crate::measure::MeasureKind;
use crate::program::MeasureKey;
use crate::testing::{event, for_each_case, pick, record};

const START: Millis = 1_000_000_000_000;

fn some_step(is_relative: bool, random: &mut Rng) -> SequenceStep {
    let events = match random.u8(..4) {
        0 => EventTypes::Any,
        1 => EventTypes::Named(vec!["a".into(), "b".into()]),
        _ => EventTypes::Named(vec![(*pick(random, &["a", "b"])).into()]),
    };
    let (path, condition) = match is_relative && random.bool() {
        true if random.bool() => ("w", Condition::Before(Moment::Ago(random.i64(0..20)))),
        true => ("w", Condition::After(Moment::Ago(random.i64(0..20)))),
        false => ("v", Condition::Equals(Literal::Number(Decimal::from_integer(random.i64(0..2))))),
    };
    let test = Test { negated: random.u8(..4) == 0, condition };
    let filter = (is_relative || random.bool()).then(|| Filter::Test(EventPath::Properties(vec![path.into()]), test));
    SequenceStep { events, filter, max_gap: (random.u8(..3) == 0).then(|| random.i64(1..15)), absent: false }
}

fn some_sequence(random: &mut Rng) -> Sequence {
    let is_relative = random.u8(..3) == 0;
    let mut steps: Vec<SequenceStep> = (0..random.usize(2..4)).map(|_| some_step(is_relative, random)).collect();
    steps[0].max_gap = None;
    let window = match random.u8(..5) {
        0 => Some(Window::Last(random.i64(1..40))),
        1 => {
            let to = random.i64(1..15);
            Some(Window::Ago { from: to + random.i64(1..30), to })
        }
        2 => Some(Window::Fixed { from: Some(START + random.i64(0..20)), to: Some(START + random.i64(20..60)) }),
        _ => None,
    };
    Sequence { steps, window, same: Vec::new(), lasting: None }
}

fn some_event(sequence: u64, now: Millis, random: &mut Rng) -> Vec<u8> {
    let timestamp = (now - random.i64(0..40)).max(START - 20);
    let (name, value, time) = (pick(random, &["a", "b", "c"]), random.u8(..2), now + random.i64(-30..30));
    let json = format!(
        r#"{{"userId": "u", "eventType": "{name}", "timestamp": {timestamp}, "properties": {{"v": {value}, "w": {time}}}}}"#
    );
    record(&json, now, sequence)
}

/// Returns whether some choice of events makes the sequence, by the naive evaluator.
fn holds(records: &[Vec<u8>], sequence: &Sequence, now: Millis) -> bool {
    let mut history = EventHistory::default();
    records.iter().for_each(|record| history.push(event(record)));
    history.sequence(sequence, now)
}

#[test]
fn sequence_state_holds_while_some_choice_of_events_does() {
    for_each_case(1_500, |random| {
        let sequence = some_sequence(random);
        let MeasureKind::Sequence { span, relative, .. } =
            MeasureKind::of(&MeasureKey::Sequence(Arc::new(sequence.clone())))
        else {
            panic!("a sequence")
        };
        let mut state = SequenceState::default();
        let mut records: Vec<Vec<u8>> = Vec::new();
        let mut now = START;
        for number in 0..random.u64(1..25) {
            if random.u8(..3) == 0 {
                now += random.i64(0..25);
                // As a worker does: nobody looks before the instant that was told.
                if state.next_change() <= now {
                    state.advance(&sequence, span, now);
                }
            } else {
                let record = some_event(number, now, random);
                if state.add(&sequence, span, relative, &event(&record), now) {
                    state.advance(&sequence, span, now);
                }
                records.push(record);
            }
            assert_eq!(state.held(), holds(&records, &sequence, now), "{sequence:?} at {now}");
        }
    });
}

#[test]
fn sequence_state_tells_the_next_instant_at_which_its_answer_may_change() {
    for_each_case(600, |random| {
        let sequence = some_sequence(random);
        let kind = MeasureKind::of(&MeasureKey::Sequence(Arc::new(sequence.clone())));
        let MeasureKind::Sequence { span, relative, .. } = kind else { panic!("a sequence") };
        let mut state = SequenceState::default();
        let records: Vec<Vec<u8>> = (0..random.u64(2..12)).map(|number| some_event(number, START, random)).collect();
        for record in &records {
            if state.add(&sequence, span, relative, &event(record), START) {
                state.advance(&sequence, span, START);
            }
        }
        let next = state.next_change();
        assert!(next > START, "{next} is not later");
        for now in START..next.min(START + 80) {
            assert_eq!(holds(&records, &sequence, now), state.held(), "{sequence:?} at {now}, before {next}");
        }
    });
}
