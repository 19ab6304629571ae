//! What putting an installed rule in force would change.

use audience_rules::ast::Millis;
use roaring::RoaringBitmap;

use crate::membership::{Membership, Users};
use crate::message::{Counted, PreviewOf, Previewed};
use crate::reading::Reading;
use crate::registry::{Question, Registry, Rule};

use super::{Partition, User};

impl Partition {
    /// Counts whom a rule for which everybody was looked at would make members. Cost: one look at each of these members where
    /// a value may be missing, else nothing but bitmaps.
    pub fn preview(&self, of: &PreviewOf) -> Previewed {
        let membership = self.membership();
        let guard = membership.read();
        let users = self.known_users;
        let Some(rule) = self.installed.get(&of.rule).and_then(|rule| self.registry.rules.get(*rule)) else {
            return Previewed { users, ..Previewed::default() };
        };
        let nobody = RoaringBitmap::new();
        let running = of.against.as_ref().and_then(|segment| guard.segments.get(segment));
        let running = running.map_or(&nobody, |bitmap| guard.bitmap(*bitmap));
        let members = guard.bitmap(rule.members);
        let counted = |found: &RoaringBitmap| counted(found, &guard.users, of.samples);
        Previewed {
            users,
            members: members.len(),
            entered: counted(&(members - running)),
            left: counted(&(running - members)),
            by_missing: counted(&self.by_missing(rule, members, &guard)),
        }
    }

    /// Those who fulfil a rule only because a value is missing.
    fn by_missing(&self, rule: &Rule, members: &RoaringBitmap, membership: &Membership) -> RoaringBitmap {
        if !may_miss(rule, &self.registry) {
            return RoaringBitmap::new();
        }
        let now = self.clock;
        let rests_on_missing = |slot: &u32| {
            let user = &self.users[*slot as usize];
            let mut leaf = |index: u16| self.leaf_by_value(rule, index, *slot, user, now, membership);
            rule.program.expression.evaluate_by_value(&mut leaf).is_none()
        };
        members.iter().filter(rests_on_missing).collect()
    }

    fn leaf_by_value(
        &self,
        rule: &Rule,
        index: u16,
        slot: u32,
        user: &User,
        now: Millis,
        membership: &Membership,
    ) -> Option<bool> {
        let predicate = rule.predicates[usize::from(index)];
        match self.registry.predicates.get(predicate).map(|predicate| &predicate.question) {
            Some(Question::Measured(measure, test)) => {
                let definition = self.registry.measures.get(*measure)?;
                match user.cell(*measure) {
                    Some(at) => user.cells[at].reading(&definition.kind, now).holds_by_value(test, now),
                    None => definition.default.holds_by_value(test, now),
                }
            }
            _ => Some(self.is_true(predicate, slot, now, membership)),
        }
    }
}

/// Whether the rule asks for anything that users may have no value of.
fn may_miss(rule: &Rule, registry: &Registry) -> bool {
    let questions = rule.predicates.iter().filter_map(|predicate| registry.predicates.get(*predicate));
    questions.into_iter().any(|predicate| match &predicate.question {
        Question::Measured(measure, _) => {
            registry.measures.get(*measure).is_some_and(|measure| measure.default == Reading::Missing)
        }
        Question::Segment(_) | Question::Rank(_) | Question::Sample(_) => false,
    })
}

fn counted(found: &RoaringBitmap, users: &Users, samples: u32) -> Counted {
    let count = found.len();
    let taken = count.min(u64::from(samples));
    // Spread over all: the first would be the oldest users.
    let places = (0..taken).filter_map(|place| u32::try_from(place * count / taken).ok());
    let sample = places.filter_map(|place| found.select(place)).map(|slot| users.id(slot).to_owned()).collect();
    Counted { count, sample }
}
