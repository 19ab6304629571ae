//! Explanations against the oracle, on random timelines: the same verdict of every user and segment, and no change before
//! the instant that is named.
#![allow(missing_docs)]

use audience_rules::ast::Millis;
use audience_rules::catalogue::{Segment, SegmentStatus};
use audience_rules::explain::{Explained, Explainer, NextChange};
use audience_rules::oracle::World;
use audience_rules::record::records;
use audience_rules::time::LATEST;
use audience_rules::timeline::{Line, OracleSubject, parse_timeline};
use audience_tests::check::step;
use audience_tests::generate;
use audience_tests::random::Random;

/// Counts of the nodes looked at: a test that saw nothing shows nothing.
#[derive(Debug, Default)]
struct NodeCounts {
    held: usize,
    not_held: usize,
    certain: usize,
    possible: usize,
    never: usize,
    unknown: usize,
}

fn member(world: &World, segment: &Segment, user: &str, now: Millis) -> bool {
    world.members(&segment.id, now).contains(user)
}

/// Checks one verdict, and what is said of its next change.
fn check(world: &World, segment: &Segment, user: &str, now: Millis, seen: &mut NodeCounts) -> Result<(), String> {
    let moment = world.at(now);
    let mut explainer = Explainer::new(&moment, user, true).ok_or("an unknown user")?;
    let explained = explainer.explain(segment);
    let held = explained.held.ok_or_else(|| format!("nothing is known: {explained:?}"))?;
    if held != member(world, segment, user, now) {
        return Err(format!("the oracle says otherwise than {explained:?}"));
    }
    *(if held { &mut seen.held } else { &mut seen.not_held }) += 1;
    let changed = |at: Millis| member(world, segment, user, at) != held;
    let quiet_until = match explained.change {
        None => now + 4000 * 86_400_000,
        Some(NextChange { at, .. }) => at.unwrap_or(now),
    };
    let span = quiet_until - now;
    let quiet = [1, span / 3, span / 2, span - 1].map(|offset| now + offset);
    if let Some(at) = quiet.into_iter().find(|at| *at > now && *at < quiet_until && *at <= LATEST && changed(*at)) {
        return Err(format!("it changes at {at} already: {explained:?}"));
    }
    match explained.change {
        None => seen.never += 1,
        Some(NextChange { is_certain: false, .. }) => seen.possible += 1,
        Some(NextChange { at, .. }) => {
            seen.certain += 1;
            if !at.is_some_and(changed) {
                return Err(format!("nothing changes then: {explained:?}"));
            }
        }
    }
    check_nodes(&explained)
}

/// The law that every node keeps to.
fn check_nodes(explained: &Explained<'_>) -> Result<(), String> {
    let is_bounded = explained.evidence.as_ref().is_none_or(|found| found.events.len() <= found.total.min(20));
    if explained.text.is_empty() || !is_bounded {
        return Err(format!("{explained:?}"));
    }
    explained.children.iter().try_for_each(check_nodes)
}

/// The same with what a user's own events tell: it may know less, and nothing else.
fn check_alone(
    world: &World,
    events: &[u8],
    segment: &Segment,
    user: &str,
    now: Millis,
    seen: &mut NodeCounts,
) -> Result<(), String> {
    let mut alone = World::new(world.catalogue.clone());
    let is_of_user = |id: &str| *world.resolve(id) == *user;
    records(events).for_each(|event| alone.accept_own(&event, is_of_user));
    let moment = alone.at(now);
    let Some(mut explainer) = Explainer::new(&moment, user, false) else { return Ok(()) };
    let explained = explainer.explain(segment);
    match explained.held {
        None => seen.unknown += 1,
        Some(held) if held != member(world, segment, user, now) => {
            return Err(format!("alone, the oracle says otherwise than {explained:?}"));
        }
        Some(_) => {}
    }
    Ok(())
}

fn run(seed: u64, seen: &mut NodeCounts) -> Result<(), String> {
    let case = generate::case(seed);
    let mut oracle = OracleSubject::default();
    let mut random = Random::new(seed);
    let (mut events, mut decoder) = (Vec::new(), audience_rules::event::EventDecoder::new());
    let mut has_erased = false;
    for json in &case.lines {
        let Ok(lines) = parse_timeline(&json.to_string()) else { continue };
        for (_, line) in &lines {
            if let Line::Event(json) = line {
                let defaults = audience_rules::event::EventDefaults { accepted_at: oracle.now };
                let _ = decoder.decode(json, &defaults, &mut events);
            }
            has_erased |= matches!(line, Line::EraseUser(_));
            let _ = step(&mut oracle, line);
        }
        if !random.percent(12) {
            continue;
        }
        // The past too: what is accepted by now, as of then.
        let now = if random.percent(20) { oracle.now - random.between(0, 200_000_000) as Millis } else { oracle.now };
        for segment in
            oracle.world.catalogue.segments.values().filter(|segment| segment.status == SegmentStatus::Active)
        {
            for user in oracle.world.known_users() {
                let told = |message: String| format!("seed {seed}, `{}`, `{user}`, {now}: {message}", segment.id);
                check(&oracle.world, segment, &user, now, seen).map_err(told)?;
                if !has_erased {
                    check_alone(&oracle.world, &events, segment, &user, now, seen).map_err(told)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn explanations_say_what_the_oracle_says() {
    let cases = std::env::var("AUDIENCE_PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut seeds = Random::new(7);
    let mut seen = NodeCounts::default();
    for _ in 0..cases {
        if let Err(message) = run(seeds.next_number(), &mut seen) {
            panic!("{message}");
        }
    }
    eprintln!("{seen:?}");
    let NodeCounts { held, not_held, certain, possible, never, unknown } = seen;
    assert!([held, not_held, certain, possible, never, unknown].iter().all(|count| *count > 0));
}
