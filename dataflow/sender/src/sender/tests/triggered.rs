//! Triggered campaigns over random timelines, killed at random writes, against a naive evaluator.

use std::collections::HashSet;

use audience_protocol::CampaignAction;

use super::*;

const PEOPLE: [&str; 4] = ["ann", "bob", "cat", "dan"];

/// The naive evaluator: it knows every change, and looks at all of them.
struct TriggerModel {
    is_entry: bool,
    again: bool,
    known: HashSet<String>,
    accepted: BTreeSet<String>,
    stopped: u64,
}

impl TriggerModel {
    /// What changes that came while the campaign was active lead to, by who is in the segment afterwards.
    fn take(&mut self, changes: &[(u64, bool, String)], members: &BTreeSet<String>) {
        for (tick, _, user) in changes.iter().filter(|(_, is_entered, _)| *is_entered == self.is_entry) {
            let place = ChangePlace { tick: *tick, index: 0 }.to_string();
            let occurrence = if self.again { place } else { format_time(BEGIN) };
            let occurrence = occurrence.as_str();
            let id = SendId::of(&SendKey { tenant: 0, object: "k", occurrence, user, channel: "email", slot: 0 });
            if !self.known.insert(id.to_string()) {
                continue;
            }
            match members.contains(user) == self.is_entry {
                true => drop(self.accepted.insert(id.to_string())),
                false => self.stopped += 1,
            }
        }
    }
}

/// A small generator, so that a case is told by its number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Runs a random timeline; returns how often the sender was killed.
fn run(case: u64) -> usize {
    let mut dice = Dice(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (is_entry, again) = (dice.below(2) == 0, dice.below(2) == 0);
    let on = if is_entry { "entry" } else { "exit" };
    let (world, mut sender) = SmallWorld::with(json!({"trigger": {"on": on, "again": again}}));
    let mut model = TriggerModel { is_entry, again, known: HashSet::new(), accepted: BTreeSet::new(), stopped: 0 };
    world.until_idle(&mut sender, BEGIN);
    let (mut followed, mut deaths) = (world.town.changes.lock().len(), 0);
    for _ in 0..30 {
        for _ in 0..dice.below(6) {
            let user = PEOPLE[dice.below(PEOPLE.len() as u64) as usize];
            if dice.below(2) == 0 { world.town.enter(user) } else { world.town.leave(user) }
        }
        if dice.below(3) == 0 {
            world.notes.live_for(dice.below(8) as usize);
        }
        deaths += usize::from(world.until_idle(&mut sender, BEGIN));
        world.notes.live_for(usize::MAX);
        let changes: Vec<(u64, bool, String)> = {
            let changes = world.town.changes.lock();
            let numbered = (1..).zip(&*changes).skip(followed);
            numbered.map(|(tick, (is_entered, user))| (tick, *is_entered, user.clone())).collect()
        };
        followed += changes.len();
        model.take(&changes, &world.town.members.lock());
        assert_eq!(world.handed(), model.accepted, "case {case}");
        if dice.below(6) == 0 {
            // Nothing of a pause is made up for.
            sender.change_campaign("k", CampaignAction::Pause, None, "ann").unwrap();
            world.town.enter(PEOPLE[0]);
            world.town.leave(PEOPLE[1]);
            deaths += usize::from(world.until_idle(&mut sender, BEGIN));
            sender.change_campaign("k", CampaignAction::Resume, None, "ann").unwrap();
            world.until_idle(&mut sender, BEGIN);
            followed = world.town.changes.lock().len();
        }
    }
    let view = sender.campaign("k").unwrap();
    assert_eq!(view.campaign.status, CampaignStatus::Active, "case {case}");
    assert_eq!(view.stats.get("accepted").copied().unwrap_or(0), model.accepted.len() as u64, "case {case}");
    assert_eq!(view.stats.get("suppressed").copied().unwrap_or(0), model.stopped, "case {case}");
    let once = world.peer.0.lock().values().all(|count| *count == 1);
    assert!(once || deaths > 0, "case {case}: a mail was handed over twice without a crash");
    deaths
}

#[test]
fn each_change_of_a_random_timeline_has_its_send_once_over_kills() {
    let deaths: usize = (0..60).map(run).sum();
    assert!(deaths > 50, "{deaths}");
}

#[test]
fn the_sends_of_one_person_see_each_other() {
    let (world, mut sender) = SmallWorld::with(json!({
        "trigger": {"on": "entry", "again": true},
        "caps": [{"most": 1, "per": "hours", "hours": 24}],
    }));
    world.until_idle(&mut sender, BEGIN);
    for _ in 0..3 {
        world.town.enter("dan");
        world.town.leave("dan");
    }
    world.town.enter("dan");
    world.until_idle(&mut sender, BEGIN);
    let stats = sender.campaign("k").unwrap().stats;
    assert_eq!(stats, BTreeMap::from([("accepted".to_owned(), 1), ("planned".to_owned(), 3)]), "the others wait");
}

#[test]
fn a_triggered_campaign_completes_at_its_end() {
    let end = format_time(BEGIN + MINUTE);
    let (world, mut sender) = SmallWorld::with(json!({"trigger": {"on": "entry"}, "endDate": end}));
    world.until_idle(&mut sender, BEGIN);
    assert_eq!(sender.campaign("k").unwrap().campaign.status, CampaignStatus::Active);
    world.until_idle(&mut sender, BEGIN + MINUTE);
    assert_eq!(sender.campaign("k").unwrap().campaign.status, CampaignStatus::Completed);
    world.town.enter("dan");
    world.until_idle(&mut sender, BEGIN + 2 * MINUTE);
    assert_eq!(world.handed(), BTreeSet::new());
}
