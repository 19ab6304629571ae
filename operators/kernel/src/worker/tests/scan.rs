use super::column::place;
use super::rules::{number_rule, rule};
use super::*;
use crate::testing::for_each_case;

/// The rules that are installed.
fn installed(platform: &ModelledWorker) -> Vec<RuleId> {
    platform.worker.in_force.installed.values().copied().collect()
}

fn check_installed(platform: &ModelledWorker) {
    for rule in installed(platform) {
        assert_eq!(platform.members(rule), platform.fulfilling(rule), "rule {rule} by one rule");
    }
}

/// Many rules at once are a survey: where the numbers of a block of users stand is found once for all of them.
#[test]
fn survey_enters_whom_looking_at_each_rule_by_itself_does() {
    for_each_case(120, |random| {
        let mut platform = ModelledWorker::new();
        let users = random.u32(1..150);
        let records = (0..2 * users).map(|_| some_record(START, users, random)).collect();
        platform.tick(records);
        let rules: Vec<(String, String)> = (0..random.usize(2..20))
            .map(|own| (format!("s{own}"), if random.u8(..4) == 0 { rule(0, random) } else { number_rule(random) }))
            .collect();
        let rules: Vec<(&str, &str)> = rules.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        platform.install_with_history(&rules);
        platform.worker.begin_scan(None);
        let slice = *pick(random, &[7, 64, 100, u32::MAX]);
        while !platform.worker.scan_slice(slice) {}
        check_installed(&platform);
        platform.publish(&rules);
        platform.check();
    });
}

#[test]
fn survey_goes_through_blocks_of_users() {
    for_each_case(2, |random| {
        let mut platform = ModelledWorker::new();
        let records = (0..2_500).map(|_| some_record(START, 1_300, random)).collect();
        platform.tick(records);
        let texts: Vec<(String, String)> = (0..3)
            .map(|own| (format!("s{own}"), format!(r#"{{"event": "a", "operator": "gt", "value": {own}}}"#)))
            .collect();
        let rules: Vec<(&str, &str)> = texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        platform.install_with_history(&rules);
        platform.worker.begin_scan(None);
        while !platform.worker.scan_slice(u32::MAX) {}
        check_installed(&platform);
    });
}

/// A column tells where each user's number stands, or that only the row does.
fn check_columns(platform: &ModelledWorker) {
    let worker = &platform.worker;
    for (measure, places, is_whole) in worker.scans.columns.kept() {
        assert!(places.len() <= worker.rows.users.len());
        for (slot, found) in (0u32..).zip(places) {
            let expected = place(&worker.rows.registry, &worker.rows.users[slot as usize], measure, platform.now);
            assert_eq!(*found, expected, "user {slot} of measure {measure}, whole: {is_whole}");
        }
        let untold = worker.rows.users[places.len()..].iter().filter(|user| user.known);
        assert!(!is_whole || untold.count() == 0, "a whole column tells of everybody who is somebody");
    }
}

/// Rules of numbers made one after another use the columns that those before have left, which follow what happens.
#[test]
fn columns_tell_where_numbers_stand_and_whom_a_rule_holds_of() {
    let used = std::cell::Cell::new(0);
    let cases = std::cell::Cell::new(0);
    for_each_case(200, |random| {
        let mut platform = ModelledWorker::new();
        let users = random.u32(2..100);
        let records = (0..users).map(|_| some_record(START, users, random)).collect();
        platform.tick(records);
        for _ in 0..random.usize(2..8) {
            let text = number_rule(random);
            let rules = [("s0", text.as_str())];
            platform.install_with_history(&rules);
            platform.worker.begin_scan(None);
            let slice = *pick(random, &[5, 64, 70, u32::MAX]);
            let is_busy = random.bool();
            while !platform.worker.scan_slice(slice) {
                if is_busy {
                    platform.some_tick(users + 3, random);
                }
                check_columns(&platform);
            }
            check_installed(&platform);
            check_columns(&platform);
            platform.publish(&rules);
            for _ in 0..random.usize(0..4) {
                platform.some_tick(users + 3, random);
                check_columns(&platform);
            }
            platform.check();
        }
        cases.set(cases.get() + 1);
        used.set(used.get() + u32::from(platform.worker.scans.columns.kept().next().is_some()));
    });
    assert!(2 * used.get() > cases.get(), "columns are used: {} of {}", used.get(), cases.get());
}
