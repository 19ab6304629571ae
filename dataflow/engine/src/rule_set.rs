//! The rules in force, and the difference that a new catalogue makes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use audience_kernel::message::{Publication, SegmentContent};
use audience_kernel::program::{MeasureKey, Program, RankProgram};
use audience_rules::ast::SegmentId;
use audience_rules::catalogue::{Catalogue, ComputedTrait, Definition, SegmentStatus};
use audience_rules::zone::ZoneId;
use hashbrown::{HashMap, HashSet};

/// A segment, made ready to run.
#[derive(Clone, Debug)]
enum Ready {
    Rule(Arc<Program>),
    List(Arc<BTreeSet<Arc<str>>>),
}

impl Ready {
    /// Returns whether it says the same; that of the same version is the same piece of memory.
    fn is(&self, other: &Ready) -> bool {
        match (self, other) {
            (Ready::Rule(one), Ready::Rule(other)) => Arc::ptr_eq(one, other) || one == other,
            (Ready::List(one), Ready::List(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => false,
        }
    }
}

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    segments: HashMap<SegmentId, (Ready, u64)>,
    /// The definition of each: a version by itself says little, as one that is deleted and made again begins at 1.
    definitions: HashMap<SegmentId, Definition>,
    traits: BTreeMap<Arc<str>, ComputedTrait>,
    timezone: ZoneId,
}

/// The difference that a new catalogue makes.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// Rules to be computed.
    pub install: Vec<(SegmentId, Arc<Program>)>,
    /// The rules that are put in or out of force, in order.
    pub publish: Vec<Publication>,
    /// Measures that nobody computes.
    pub new_measures: Vec<MeasureKey>,
    /// The deepest new rank; 0 for none.
    pub new_rank_depth: u32,
}

impl Difference {
    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.publish.is_empty()
    }
}

impl RuleSet {
    /// The rules in force under a catalogue.
    pub fn of(catalogue: &Catalogue) -> RuleSet {
        RuleSet::default().followed_by(catalogue)
    }

    /// The rules in force under the catalogue that follows: segments of the same version stay as they are, unless a
    /// computed trait or the platform's zone has changed, which may mean anything to any rule.
    pub fn followed_by(&self, catalogue: &Catalogue) -> RuleSet {
        let has_same_traits = self.traits == catalogue.traits && self.timezone == catalogue.timezone;
        let active = || catalogue.segments.values().filter(|segment| segment.status == SegmentStatus::Active);
        let segments = active().map(|segment| {
            let known = self.segments.get(&segment.id).filter(|(_, version)| *version == segment.version);
            let known =
                known.filter(|_| self.definitions.get(&segment.id).is_some_and(|known| known.is(&segment.definition)));
            let ready = match (&segment.definition, known) {
                (_, Some((known, _))) if has_same_traits => known.clone(),
                (Definition::Dynamic(node), _) => Ready::Rule(Arc::new(Program::compile(node, catalogue))),
                (Definition::Static(list), _) => Ready::List(list.clone()),
            };
            (segment.id.clone(), (ready, segment.version))
        });
        let definitions = active().map(|segment| (segment.id.clone(), segment.definition.clone()));
        RuleSet {
            segments: segments.collect(),
            definitions: definitions.collect(),
            traits: catalogue.traits.clone(),
            timezone: catalogue.timezone,
        }
    }

    /// The measures that are computed.
    pub fn measures(&self) -> HashSet<&MeasureKey> {
        let rules = self.segments.values().filter_map(|(ready, _)| match ready {
            Ready::Rule(program) => Some(program.measures()),
            Ready::List(_) => None,
        });
        rules.flatten().collect()
    }

    /// The difference from this to `next`, segments in the order of `catalogue`: those referred to first.
    pub fn difference(&self, next: &RuleSet, catalogue: &Catalogue) -> Difference {
        let mut difference = Difference::default();
        for id in catalogue.in_dependency_order() {
            let Some((ready, version)) = next.segments.get(&id) else { continue };
            if let Some((known, known_version)) = self.segments.get(&id)
                && known.is(ready)
            {
                if known_version != version {
                    // Changes from now on are of the new version, though it says the same.
                    let content = SegmentContent::Unchanged;
                    difference.publish.push(Publication { segment: id, version: *version, content });
                }
                continue;
            }
            let content = match ready {
                Ready::Rule(program) => {
                    difference.install.push((id.clone(), program.clone()));
                    SegmentContent::Rule
                }
                Ready::List(list) => SegmentContent::List(list.clone()),
            };
            difference.publish.push(Publication { segment: id, version: *version, content });
        }
        let mut gone: Vec<&SegmentId> = self.segments.keys().filter(|id| !next.segments.contains_key(*id)).collect();
        gone.sort_unstable();
        for id in gone {
            let version = catalogue.segments.get(id).map_or(0, |segment| segment.version);
            difference.publish.push(Publication { segment: id.clone(), version, content: SegmentContent::Nothing });
        }
        let known = if difference.install.is_empty() { HashSet::new() } else { self.measures() };
        let mut new: HashSet<&MeasureKey> = HashSet::new();
        for (_, program) in &difference.install {
            new.extend(program.measures().into_iter().filter(|measure| !known.contains(measure)));
        }
        difference.new_measures = new.into_iter().cloned().collect();
        difference.new_rank_depth = self.new_rank_depth(next);
        difference
    }

    /// The measures and the deepest rank that a rule needs beside these; measures in `kept` are not lacking.
    pub fn lacking(&self, program: &Program, kept: &[MeasureKey]) -> (Vec<MeasureKey>, u32) {
        let known = self.measures();
        let needed: HashSet<&MeasureKey> = program.measures().into_iter().collect();
        let is_lacking = |measure: &&MeasureKey| !known.contains(measure) && !kept.contains(measure);
        let measures = needed.into_iter().filter(is_lacking).cloned().collect();
        let mut ranks = self.ranks();
        let before = ranks.len();
        collect_ranks(program, &mut ranks);
        (measures, if ranks.len() == before { 0 } else { ranks.len() as u32 })
    }

    fn ranks(&self) -> HashSet<Arc<RankProgram>> {
        let mut ranks = HashSet::new();
        for (ready, _) in self.segments.values() {
            if let Ready::Rule(program) = ready {
                collect_ranks(program, &mut ranks);
            }
        }
        ranks
    }

    /// Ranks may depend on ranks through segments, so that every depth up to the number of ranks is to be looked at.
    fn new_rank_depth(&self, next: &RuleSet) -> u32 {
        let (known, all) = (self.ranks(), next.ranks());
        if all.iter().all(|rank| known.contains(rank)) { 0 } else { all.len() as u32 }
    }
}

fn collect_ranks(program: &Program, ranks: &mut HashSet<Arc<RankProgram>>) {
    for rank in program.ranks() {
        ranks.insert(rank.clone());
        if let Some(among) = &rank.among {
            collect_ranks(among, ranks);
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::catalogue::Segment;
    use audience_rules::json::parse_json;

    use super::*;

    #[test]
    fn a_segment_made_again_is_another_one() {
        let mut catalogue = Catalogue::default();
        let mut put = |rules: &str| {
            let json = parse_json(rules.as_bytes()).unwrap();
            let definition = Definition::Dynamic(catalogue.check_rules("s", &json).unwrap().into());
            catalogue.put_segment(Segment { id: "s".into(), version: 1, status: SegmentStatus::Active, definition });
            catalogue.clone()
        };
        let (before, after) = (put(r#"{"event": "a"}"#), put(r#"{"event": "b"}"#));
        let in_force = RuleSet::of(&before);
        assert!(in_force.difference(&in_force.followed_by(&before), &before).is_empty());
        let difference = in_force.difference(&in_force.followed_by(&after), &after);
        assert_eq!((difference.install.len(), difference.publish.len()), (1, 1));
    }
}
