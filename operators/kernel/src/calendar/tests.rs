use super::*;
use crate::testing::for_each_case;

#[test]
fn calendar_gives_each_entry_once_and_as_soon_as_its_second_has_begun() {
    for_each_case(1_000, |random| {
        let mut calendar = Calendar::default();
        let mut waiting: Vec<(Millis, u32)> = Vec::new();
        let mut now: Millis = random.i64(-5_000..5_000);
        for user in 0..random.u32(1..60) {
            if random.bool() {
                let at = now + random.i64(-500..4_000);
                calendar.add(at, user);
                waiting.push((at, user));
            } else {
                now += random.i64(0..2_500);
                let mut taken = Vec::new();
                calendar.take(now, &mut taken);
                taken.sort_unstable();
                let second_has_begun = |(at, _): &(Millis, u32)| at.div_euclid(1_000) * 1_000 <= now;
                let mut expected: Vec<u32> =
                    waiting.iter().filter(|entry| second_has_begun(entry)).map(|(_, user)| *user).collect();
                expected.sort_unstable();
                assert_eq!(taken, expected, "at {now}");
                waiting.retain(|entry| !second_has_begun(entry));
            }
            let first = waiting.iter().map(|(at, _)| at.div_euclid(1_000) * 1_000).min();
            assert_eq!(calendar.first(), first);
        }
    });
}

#[test]
fn calendar_announces_each_entry_once_and_the_earliest_first() {
    for_each_case(500, |random| {
        let mut calendar = Calendar::default();
        let (mut waiting, mut announced) = (Vec::new(), Vec::new());
        for user in 0..random.u32(1..60) {
            if random.bool() {
                let second = random.i64(0..20);
                calendar.add(second * 1_000 + random.i64(0..1_000), user);
                waiting.push((second, user));
                continue;
            }
            let (until, most) = (random.i64(0..20), random.usize(0..5));
            let mut found = Vec::new();
            calendar.announce(until * 1_000, most, &mut found);
            waiting.sort_by_key(|(second, _)| *second);
            let near = waiting.iter().filter(|(second, _)| *second <= until).count();
            assert_eq!(found.len(), near.min(most));
            let expected: Vec<u32> = waiting.drain(..found.len()).map(|(_, user)| user).collect();
            assert_eq!(found, expected);
            announced.extend(found);
        }
        let mut taken = Vec::new();
        calendar.take(Millis::MAX, &mut taken);
        let mut all: Vec<u32> = announced.into_iter().chain(waiting.into_iter().map(|(_, user)| user)).collect();
        all.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, all, "who is announced is due all the same");
    });
}
