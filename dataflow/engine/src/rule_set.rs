//! What is in force, and what a new catalogue changes of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_operators::message::{Content, Publication};
use audience_operators::program::{Program, RankProgram, Source};
use audience_rules::ast::SegmentId;
use audience_rules::catalogue::{Catalogue, Definition, Status};
use hashbrown::{HashMap, HashSet};

/// What a segment is, made ready to run.
#[derive(Clone, Debug, PartialEq)]
enum Ready {
    Rule(Arc<Program>),
    List(Arc<BTreeSet<Arc<str>>>),
}

/// What is in force.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    segments: HashMap<SegmentId, (Ready, u64)>,
}

/// What a new catalogue changes.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// Rules to be computed.
    pub install: Vec<(SegmentId, Arc<Program>)>,
    /// What is put in or out of force, in order.
    pub publish: Vec<Publication>,
    /// Measures that nobody computes.
    pub new_sources: Vec<Source>,
    /// The deepest new rank; 0 for none.
    pub new_rank_depth: u32,
}

impl Difference {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.publish.is_empty()
    }
}

impl RuleSet {
    /// What is in force under a catalogue.
    pub fn of(catalogue: &Catalogue) -> RuleSet {
        let active = catalogue.segments.values().filter(|segment| segment.status == Status::Active);
        let segments = active.map(|segment| {
            let ready = match &segment.definition {
                Definition::Dynamic(node) => Ready::Rule(Arc::new(Program::compile(node, catalogue))),
                Definition::Static(list) => Ready::List(list.clone()),
            };
            (segment.id.clone(), (ready, segment.version))
        });
        RuleSet { segments: segments.collect() }
    }

    /// The measures that are computed.
    pub fn sources(&self) -> HashSet<&Source> {
        let rules = self.segments.values().filter_map(|(ready, _)| match ready {
            Ready::Rule(program) => Some(program.sources()),
            Ready::List(_) => None,
        });
        rules.flatten().collect()
    }

    /// What leads from this to `next`, segments in the order of `catalogue`: those referred to first.
    pub fn difference(&self, next: &RuleSet, catalogue: &Catalogue) -> Difference {
        let mut difference = Difference::default();
        for id in catalogue.in_dependency_order() {
            let Some((ready, version)) = next.segments.get(&id) else { continue };
            if let Some((known, known_version)) = self.segments.get(&id)
                && known == ready
            {
                if known_version != version {
                    // Changes from now on are of the new version, though it says the same.
                    let content = Content::Unchanged;
                    difference.publish.push(Publication { segment: id, version: *version, content });
                }
                continue;
            }
            let content = match ready {
                Ready::Rule(program) => {
                    difference.install.push((id.clone(), program.clone()));
                    Content::Rule
                }
                Ready::List(list) => Content::List(list.clone()),
            };
            difference.publish.push(Publication { segment: id, version: *version, content });
        }
        let mut gone: Vec<&SegmentId> = self.segments.keys().filter(|id| !next.segments.contains_key(*id)).collect();
        gone.sort_unstable();
        for id in gone {
            let version = catalogue.segments.get(id).map_or(0, |segment| segment.version);
            difference.publish.push(Publication { segment: id.clone(), version, content: Content::Nothing });
        }
        let known = self.sources();
        let mut new: HashSet<&Source> = HashSet::new();
        for (_, program) in &difference.install {
            new.extend(program.sources().into_iter().filter(|source| !known.contains(source)));
        }
        difference.new_sources = new.into_iter().cloned().collect();
        difference.new_rank_depth = self.new_rank_depth(next);
        difference
    }

    /// Ranks may depend on ranks through segments, so that every depth up to the number of ranks is to be looked at.
    fn new_rank_depth(&self, next: &RuleSet) -> u32 {
        let ranks = |set: &RuleSet| -> HashSet<Arc<RankProgram>> {
            let mut ranks = HashSet::new();
            for (ready, _) in set.segments.values() {
                if let Ready::Rule(program) = ready {
                    collect_ranks(program, &mut ranks);
                }
            }
            ranks
        };
        let (known, all) = (ranks(self), ranks(next));
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
