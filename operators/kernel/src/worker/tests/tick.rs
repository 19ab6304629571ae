use super::rules::{number_leaf, rule};
use super::*;
use crate::testing::for_each_case;

const USERS: u32 = 5;

/// Puts a rule in force while events go on.
fn edit(platform: &mut ModelledWorker, own: usize, random: &mut Rng) {
    let (id, text) = (format!("s{own}"), rule(own, random));
    let rules = [(id.as_str(), text.as_str())];
    platform.install(&rules);
    if random.bool() {
        platform.some_tick(USERS, random);
    }
    platform.backfill();
    platform.worker.begin_scan(None);
    while !platform.worker.scan_slice(random.u32(1..4)) {
        platform.some_tick(USERS, random);
    }
    platform.publish(&rules);
}

/// The plans, the bands and the bookkeeping of what changed lead to what looking at everything does.
#[test]
fn worker_keeps_memberships_at_what_the_law_says_by_looking_only_at_what_changed() {
    for_each_case(300, |random| {
        let mut platform = ModelledWorker::new();
        for own in 0..random.usize(1..5) {
            edit(&mut platform, own, random);
            platform.check();
        }
        for _ in 0..random.usize(1..25) {
            match random.u8(..12) {
                0 => edit(&mut platform, random.usize(..4), random),
                _ => platform.some_tick(USERS, random),
            }
            platform.check();
        }
    });
}

/// Many rules of few predicates: an event that flips one of them leads to those only whose guards may hold.
#[test]
fn plans_pass_over_no_rule_that_a_flipped_predicate_changes() {
    for_each_case(80, |random| {
        let mut platform = ModelledWorker::new();
        let leaves: Vec<String> = (0..6).map(|_| number_leaf(random)).collect();
        let texts: Vec<(String, String)> = (0..16)
            .map(|own| {
                let (one, other) = (pick(random, &leaves).clone(), pick(random, &leaves).clone());
                (format!("s{own}"), format!(r#"{{"logic": "AND", "conditions": [{one}, {other}]}}"#))
            })
            .collect();
        let rules: Vec<(&str, &str)> = texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        platform.install_with_history(&rules);
        platform.worker.begin_scan(None);
        while !platform.worker.scan_slice(u32::MAX) {}
        platform.publish(&rules);
        for _ in 0..random.usize(1..20) {
            platform.some_tick(3, random);
            platform.check();
        }
    });
}

/// A change has the second at which it came about, also in a tick that spans many seconds.
#[test]
fn worker_gives_the_same_changes_however_much_time_a_tick_spans() {
    for_each_case(150, |random| {
        let seed = random.u64(..);
        let in_steps_of = |step: Millis| {
            let mut random = Rng::with_seed(seed);
            let mut platform = ModelledWorker::new();
            let rules: Vec<(String, String)> =
                (0..random.usize(1..4)).map(|own| (format!("s{own}"), rule(own, &mut random))).collect();
            for (id, text) in &rules {
                let rules = [(id.as_str(), text.as_str())];
                platform.install_with_history(&rules);
                platform.worker.begin_scan(None);
                while !platform.worker.scan_slice(u32::MAX) {}
                platform.publish(&rules);
            }
            let records = (0..6).map(|_| some_record(START, USERS, &mut random)).collect();
            platform.tick(records);
            let mut changes = Vec::new();
            let end = START + 30_000;
            while platform.now < end {
                platform.now = end.min(platform.now + step);
                let clock = TickClock::at(platform.now);
                platform.worker.tick(TickInput { clock, routed: Vec::new() }).expect("a tick");
                let seconds = |change: &WorkerChange| change.at.div_euclid(1_000);
                changes.extend(
                    platform.worker.output.changes.iter().map(|it| (seconds(it), it.user, it.segment, it.entered)),
                );
                platform.fold_changes();
                platform.check();
            }
            changes.sort_unstable();
            changes
        };
        let expected = in_steps_of(1_000);
        assert_eq!(in_steps_of(30_000), expected);
        assert_eq!(in_steps_of(7_000), expected);
    });
}
