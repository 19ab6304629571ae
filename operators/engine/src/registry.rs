//! What one worker computes: measures, predicates over them, and the rules made of those. Equal parts are shared.
//!
//! A predicate is a leaf with everything that uses it. Of each measure the predicates on numbers stand sorted by the
//! places at which they change, so that a change of the number from *v0* to *v1* touches only those in between.

use std::sync::Arc;

use audience_rules::ast::{Comparison, Condition, Millis, Sample, SegmentId, Test};
use audience_rules::record::EventRef;
use hashbrown::{HashMap, HashSet};

use crate::measure::{Kind, Listeners, MeasureId};
use crate::program::{Leaf, Program, RankProgram, Source, relative_offsets};
use crate::reading::{Reading, cuts};

/// A predicate's number within one worker.
pub type PredicateId = u32;
/// A rule's number within one worker.
pub type RuleId = u32;
/// A rank's number within one worker.
pub type RankId = u32;
/// A bitmap of users within one worker.
pub type BitmapId = u32;

/// Events below `sequence` that were accepted and happened up to `clock` are brought by a backfill, the others as their
/// time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Boundary {
    /// Sequence number.
    pub sequence: u64,
    /// Milliseconds.
    pub clock: Millis,
}

impl Boundary {
    /// Whether a backfill brings the event.
    pub fn is_before(&self, event: &EventRef<'_>) -> bool {
        event.sequence() < self.sequence && event.timestamp().max(event.accepted_at()) <= self.clock
    }
}

/// A measure.
pub struct Measure {
    /// Its key.
    pub source: Source,
    /// What it is.
    pub kind: Kind,
    /// What it says of a user of whom nothing is kept.
    pub default: Reading,
    /// See [`relative_offsets`]; sorted.
    pub offsets: Vec<Millis>,
    /// Tests of numbers by the places at which they change; sorted.
    cuts: Vec<Cut>,
    /// Tests that have no such place.
    uncut: Vec<PredicateId>,
    /// All predicates on it.
    predicates: Vec<PredicateId>,
    /// Those that may change by time alone.
    relative: Vec<PredicateId>,
    /// The ranks that it orders.
    pub ranks: Vec<RankId>,
    /// Set while a backfill brings its history.
    pub backfill: Option<Boundary>,
    uses: u32,
}

impl Measure {
    /// Whether it may change by time alone.
    pub fn is_temporal(&self) -> bool {
        !self.offsets.is_empty()
            || match &self.kind {
                Kind::Trait(_) => false,
                Kind::Behaviour { span, relative, .. } | Kind::Sequence { span, relative, .. } => {
                    *relative || matches!(span, crate::measure::Span::Sliding { .. })
                }
            }
    }
}

/// What a predicate asks.
#[derive(Clone, Debug)]
pub enum Question {
    /// A test of a measure.
    Measured(MeasureId, Arc<Test>),
    /// Membership in a segment.
    Segment(SegmentId),
    /// Being inside a rank.
    Rank(RankId),
    /// Being in a share.
    Sample(Sample),
}

/// A leaf with everything that uses it.
pub struct Predicate {
    leaf: Leaf,
    /// What it asks.
    pub question: Question,
    /// (rule, index of the leaf in it)
    pub uses: Vec<(RuleId, u16)>,
    /// Whether passing one of its places changes it for certain.
    single_cut: bool,
}

/// What a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is the running version of a segment.
    Published(SegmentId),
    /// It is being prepared.
    Shadow,
    /// It says who is ranked.
    Among(RankId),
}

/// A rule.
pub struct Rule {
    /// What it says.
    pub program: Arc<Program>,
    /// Its leaves.
    pub predicates: Vec<PredicateId>,
    /// Who fulfils it.
    pub members: BitmapId,
    /// What it is for.
    pub role: Role,
    /// Users below this slot are in `members` where they fulfil it; the others are yet to be looked at.
    pub scanned: u32,
    /// Greater than that of every segment it refers to.
    pub level: u32,
}

/// A rank.
pub struct RankEntry {
    /// What it says.
    pub program: Arc<RankProgram>,
    /// The measure that orders.
    pub by: MeasureId,
    /// Who is ranked.
    pub among: Option<RuleId>,
    /// Who is inside.
    pub inside: BitmapId,
    /// 1 where it depends on no other rank.
    pub depth: u32,
    /// As of a rule.
    pub scanned: u32,
    /// The predicate on it.
    pub predicate: PredicateId,
}

/// Slots of a table that are reused.
#[derive(Default)]
pub struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    fn new() -> Self {
        Slab { items: Vec::new(), free: Vec::new() }
    }

    fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = Some(item);
                at
            }
            None => {
                self.items.push(Some(item));
                self.items.len() as u32 - 1
            }
        }
    }

    fn remove(&mut self, at: u32) -> Option<T> {
        let item = self.items.get_mut(at as usize)?.take();
        if item.is_some() {
            self.free.push(at);
        }
        item
    }

    /// The item, where there is one.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }

    /// The item, where there is one.
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }

    /// All items with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.items.iter().enumerate().filter_map(|(at, item)| item.as_ref().map(|item| (at as u32, item)))
    }

    /// One more than the greatest number.
    pub fn bound(&self) -> usize {
        self.items.len()
    }
}

/// What one worker computes.
pub struct Registry {
    /// Measures.
    pub measures: Slab<Measure>,
    by_source: HashMap<Source, MeasureId>,
    /// Predicates.
    pub predicates: Slab<Predicate>,
    by_leaf: HashMap<Leaf, PredicateId>,
    /// Rules.
    pub rules: Slab<Rule>,
    /// Ranks.
    pub ranks: Slab<RankEntry>,
    /// Which measures events feed.
    pub listeners: Listeners,
    /// Whether some measure may change by time alone.
    pub is_temporal: bool,
    /// Measures that were dropped since the rows were last swept of their cells.
    pub dropped: HashSet<MeasureId>,
    default_rules: Option<Vec<RuleId>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            measures: Slab::new(),
            by_source: HashMap::new(),
            predicates: Slab::new(),
            by_leaf: HashMap::new(),
            rules: Slab::new(),
            ranks: Slab::new(),
            listeners: Listeners::default(),
            is_temporal: false,
            dropped: HashSet::new(),
            default_rules: None,
        }
    }
}

impl Registry {
    /// The measure of a source, if it is computed.
    pub fn measure_of(&self, source: &Source) -> Option<MeasureId> {
        self.by_source.get(source).copied()
    }

    /// The measure of a source, made where there is none; with a backfill from `boundary` then.
    pub fn require_measure(&mut self, source: &Source, boundary: Option<Boundary>) -> MeasureId {
        if let Some(id) = self.by_source.get(source) {
            return *id;
        }
        let kind = Kind::of(source);
        let measure = Measure {
            source: source.clone(),
            default: kind.default_reading(),
            kind,
            offsets: Vec::new(),
            cuts: Vec::new(),
            uncut: Vec::new(),
            predicates: Vec::new(),
            relative: Vec::new(),
            ranks: Vec::new(),
            backfill: boundary,
            uses: 0,
        };
        self.is_temporal |= measure.is_temporal();
        let id = self.measures.insert(measure);
        self.by_source.insert(source.clone(), id);
        self.listeners.add(id, source);
        id
    }

    /// Adds a rule that nobody has been looked at for. `bitmap` makes an empty bitmap.
    pub fn add_rule(
        &mut self,
        program: &Arc<Program>,
        role: Role,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> RuleId {
        let predicates: Vec<PredicateId> =
            program.leaves.iter().map(|leaf| self.require_predicate(leaf, boundary, bitmap)).collect();
        let rule = Rule {
            program: program.clone(),
            predicates: predicates.clone(),
            members: bitmap(),
            role,
            scanned: 0,
            level: 0,
        };
        let id = self.rules.insert(rule);
        for (index, predicate) in predicates.into_iter().enumerate() {
            if let Some(predicate) = self.predicates.get_mut(predicate) {
                predicate.uses.push((id, index as u16));
            }
        }
        self.default_rules = None;
        id
    }

    fn require_predicate(
        &mut self,
        leaf: &Leaf,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> PredicateId {
        if let Some(id) = self.by_leaf.get(leaf) {
            return *id;
        }
        let question = match leaf {
            Leaf::Measured(source, test) => {
                Question::Measured(self.require_measure(source, boundary), Arc::new(test.clone()))
            }
            Leaf::Segment(id) => Question::Segment(id.clone()),
            Leaf::Rank(program) => Question::Rank(self.add_rank(program, boundary, bitmap)),
            Leaf::Sample(sample) => Question::Sample(sample.clone()),
        };
        let predicate = Predicate { leaf: leaf.clone(), question, uses: Vec::new(), single_cut: false };
        let id = self.predicates.insert(predicate);
        self.by_leaf.insert(leaf.clone(), id);
        match leaf {
            Leaf::Measured(source, test) => self.attach(source, test, id),
            Leaf::Rank(_) => {
                if let Some(Question::Rank(rank)) = self.predicates.get(id).map(|found| found.question.clone())
                    && let Some(entry) = self.ranks.get_mut(rank)
                {
                    entry.predicate = id;
                }
            }
            Leaf::Segment(_) | Leaf::Sample(_) => {}
        }
        id
    }

    /// Enters a predicate into its measure's order.
    fn attach(&mut self, source: &Source, test: &Test, id: PredicateId) {
        let Some(measure) = self.by_source.get(source).and_then(|measure| self.measures.get_mut(*measure)) else {
            return;
        };
        measure.uses += 1;
        measure.predicates.push(id);
        let offsets = relative_offsets(test, measure.kind.is_since());
        if !offsets.is_empty() {
            measure.relative.push(id);
            measure.offsets.extend(offsets);
            measure.offsets.sort_unstable();
            measure.offsets.dedup();
        }
        self.is_temporal |= measure.is_temporal();
        let places = cuts(test).unwrap_or_default();
        for place in &places {
            let at = measure.cuts.partition_point(|cut| cut.place < *place);
            measure.cuts.insert(at, Cut { place: *place, predicate: id, side: Side::of(test) });
        }
        if places.is_empty() {
            measure.uncut.push(id);
        }
        if let Some(predicate) = self.predicates.get_mut(id) {
            predicate.single_cut = places.len() == 1;
        }
    }

    fn add_rank(
        &mut self,
        program: &Arc<RankProgram>,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> RankId {
        let by = self.require_measure(&program.by, boundary);
        let entry = RankEntry {
            program: program.clone(),
            by,
            among: None,
            inside: bitmap(),
            depth: 0,
            scanned: 0,
            predicate: 0,
        };
        let id = self.ranks.insert(entry);
        let among = program.among.as_ref().map(|program| self.add_rule(program, Role::Among(id), boundary, bitmap));
        if let Some(entry) = self.ranks.get_mut(id) {
            entry.among = among;
        }
        if let Some(measure) = self.measures.get_mut(by) {
            measure.uses += 1;
            measure.ranks.push(id);
        }
        id
    }

    /// Removes a rule and what only it needed; gives the bitmaps that are free now and the ranks that are gone.
    pub fn remove_rule(&mut self, id: RuleId) -> (Vec<BitmapId>, Vec<RankId>) {
        let mut gone = (Vec::new(), Vec::new());
        self.remove_rule_into(id, &mut gone);
        self.default_rules = None;
        gone
    }

    fn remove_rule_into(&mut self, id: RuleId, gone: &mut (Vec<BitmapId>, Vec<RankId>)) {
        let Some(rule) = self.rules.remove(id) else { return };
        gone.0.push(rule.members);
        for predicate in rule.predicates {
            let Some(found) = self.predicates.get_mut(predicate) else { continue };
            found.uses.retain(|(user, _)| *user != id);
            if found.uses.is_empty() {
                self.remove_predicate(predicate, gone);
            }
        }
    }

    fn remove_predicate(&mut self, id: PredicateId, gone: &mut (Vec<BitmapId>, Vec<RankId>)) {
        let Some(predicate) = self.predicates.remove(id) else { return };
        self.by_leaf.remove(&predicate.leaf);
        match predicate.question {
            Question::Measured(measure, _) => {
                if let Some(found) = self.measures.get_mut(measure) {
                    found.predicates.retain(|known| *known != id);
                    found.relative.retain(|known| *known != id);
                    found.cuts.retain(|cut| cut.predicate != id);
                    found.uncut.retain(|known| *known != id);
                    if found.relative.is_empty() {
                        found.offsets.clear();
                    }
                }
                self.release_measure(measure);
            }
            Question::Rank(rank) => {
                let Some(entry) = self.ranks.remove(rank) else { return };
                gone.0.push(entry.inside);
                gone.1.push(rank);
                if let Some(found) = self.measures.get_mut(entry.by) {
                    found.ranks.retain(|known| *known != rank);
                }
                self.release_measure(entry.by);
                if let Some(among) = entry.among {
                    self.remove_rule_into(among, gone);
                }
            }
            Question::Segment(_) | Question::Sample(_) => {}
        }
    }

    fn release_measure(&mut self, id: MeasureId) {
        let Some(measure) = self.measures.get_mut(id) else { return };
        measure.uses = measure.uses.saturating_sub(1);
        if measure.uses == 0 {
            self.drop_measure(id);
        }
    }

    /// Drops the measures that nothing uses.
    pub fn drop_unneeded_measures(&mut self) {
        let unused: Vec<MeasureId> =
            self.measures.iter().filter(|(_, measure)| measure.uses == 0).map(|(id, _)| id).collect();
        unused.into_iter().for_each(|id| self.drop_measure(id));
    }

    fn drop_measure(&mut self, id: MeasureId) {
        if let Some(measure) = self.measures.items[id as usize].take() {
            // The number is free again once no row has a cell of it: see `forget_dropped`.
            self.by_source.remove(&measure.source);
            self.listeners.remove(id);
            self.dropped.insert(id);
        }
        self.is_temporal = self.measures.iter().any(|(_, measure)| measure.is_temporal());
    }

    /// The numbers of dropped measures may be used again: no row has a cell of them any more.
    pub fn forget_dropped(&mut self) {
        self.measures.free.extend(self.dropped.drain());
    }

    /// The predicate on membership in a segment, if a rule has one.
    pub fn segment_predicate(&self, id: &SegmentId) -> Option<PredicateId> {
        self.by_leaf.get(&Leaf::Segment(id.clone())).copied()
    }

    /// Collects the predicates on a measure whose value changes with the reading, or by time alone.
    pub fn flips(
        &self,
        measure: MeasureId,
        (before, before_now): (&Reading, Millis),
        (after, now): (&Reading, Millis),
        out: &mut Vec<PredicateId>,
    ) {
        let Some(measure) = self.measures.get(measure) else { return };
        let verify = |id: PredicateId, out: &mut Vec<PredicateId>| {
            let Some(Question::Measured(_, test)) = self.predicates.get(id).map(|found| &found.question) else {
                return;
            };
            if before.holds(test, before_now) != after.holds(test, now) {
                out.push(id);
            }
        };
        if before == after {
            return measure.relative.iter().for_each(|id| verify(*id, out));
        }
        match (before.position(), after.position()) {
            (Some(from), Some(to)) => measure.passed(from.min(to), from.max(to), out),
            (Some(place), None) | (None, Some(place)) if measure.kind.is_plain_number() => {
                measure.appeared(place, out);
            }
            _ => return measure.predicates.iter().for_each(|id| verify(*id, out)),
        }
        if measure.uncut.is_empty() && measure.cuts.len() == measure.predicates.len() {
            // Each has exactly one place, so that passing it changes it.
            return;
        }
        // A test with two places or more may be met twice, and not change.
        let mut unsure: Vec<PredicateId> = measure.uncut.clone();
        out.retain(|id| {
            let sure = self.predicates.get(*id).is_some_and(|found| found.single_cut);
            if !sure {
                unsure.push(*id);
            }
            sure
        });
        unsure.sort_unstable();
        unsure.dedup();
        unsure.into_iter().for_each(|id| verify(id, out));
    }

    /// The rules that hold of a user of whom nothing is kept, and those that cannot be told without looking.
    pub fn default_rules(&mut self) -> &[RuleId] {
        if self.default_rules.is_none() {
            let candidates = self.rules.iter().filter(|(_, rule)| {
                let mut needs_look = false;
                let holds = rule.program.expression.evaluate(&mut |index| {
                    let id = rule.predicates[usize::from(index)];
                    match self.predicates.get(id).map(|found| &found.question) {
                        Some(Question::Measured(measure, test)) => {
                            self.measures.get(*measure).is_some_and(|measure| measure.default.holds(test, 0))
                        }
                        Some(Question::Rank(_)) | None => false,
                        Some(Question::Segment(_) | Question::Sample(_)) => {
                            needs_look = true;
                            false
                        }
                    }
                });
                needs_look |= rule.program.leaves.iter().any(|leaf| matches!(leaf, Leaf::Segment(_) | Leaf::Sample(_)));
                holds || needs_look
            });
            self.default_rules = Some(candidates.map(|(id, _)| id).collect());
        }
        self.default_rules.as_deref().unwrap_or(&[])
    }

    /// Whether any rule refers to a segment, or ranks: without that every level is 0.
    pub fn has_references(&self) -> bool {
        let refers = |predicate: &Predicate| matches!(predicate.question, Question::Segment(_) | Question::Rank(_));
        self.predicates.iter().any(|(_, predicate)| refers(predicate))
    }

    /// Sets the levels of rules (deeper than the segments they refer to) and the depths of ranks.
    pub fn set_levels(&mut self, published: &HashMap<SegmentId, RuleId>) {
        loop {
            let mut changed = false;
            let ids: Vec<RuleId> = self.rules.iter().map(|(id, _)| id).collect();
            for id in ids {
                let Some(level) = self.level_of(id, published) else { continue };
                if let Some(rule) = self.rules.get_mut(id)
                    && rule.level < level
                {
                    rule.level = level;
                    changed = true;
                }
            }
            let ids: Vec<RankId> = self.ranks.iter().map(|(id, _)| id).collect();
            for id in ids {
                let depth = self.depth_of(id, published);
                if let Some(rank) = self.ranks.get_mut(id)
                    && rank.depth < depth
                {
                    rank.depth = depth;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn level_of(&self, id: RuleId, published: &HashMap<SegmentId, RuleId>) -> Option<u32> {
        let rule = self.rules.get(id)?;
        rule.predicates
            .iter()
            .filter_map(|predicate| match &self.predicates.get(*predicate)?.question {
                Question::Segment(segment) => self.rules.get(*published.get(segment)?).map(|rule| rule.level + 1),
                _ => None,
            })
            .max()
    }

    /// One more than the deepest rank that decides who is ranked, through segments too.
    fn depth_of(&self, id: RankId, published: &HashMap<SegmentId, RuleId>) -> u32 {
        1 + self.ranks.get(id).and_then(|rank| rank.among).map_or(0, |among| self.rank_depth_of_rule(among, published))
    }

    /// The depth of the deepest rank that a rule depends on, through segments too; 0 for none.
    pub fn rank_depth_of_rule(&self, id: RuleId, published: &HashMap<SegmentId, RuleId>) -> u32 {
        let Some(rule) = self.rules.get(id) else { return 0 };
        rule.predicates
            .iter()
            .filter_map(|predicate| match &self.predicates.get(*predicate)?.question {
                Question::Rank(rank) => self.ranks.get(*rank).map(|rank| rank.depth.max(1)),
                Question::Segment(segment) => {
                    published.get(segment).map(|rule| self.rank_depth_of_rule(*rule, published))
                }
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }

    /// The deepest rank; 0 where there is none.
    pub fn deepest_rank(&self) -> u32 {
        self.ranks.iter().map(|(_, rank)| rank.depth).max().unwrap_or(0)
    }
}

impl Measure {
    /// The predicates with a place between two places of a number.
    fn passed(&self, low: i128, high: i128, out: &mut Vec<PredicateId>) {
        let start = self.cuts.partition_point(|cut| cut.place < low);
        out.extend(self.cuts[start..].iter().take_while(|cut| cut.place < high).map(|cut| cut.predicate));
    }

    /// The predicates that may change where a number appears at a place, or vanishes from there.
    fn appeared(&self, place: i128, out: &mut Vec<PredicateId>) {
        let may_change = |cut: &&Cut| match cut.side {
            Side::Above => cut.place < place,
            Side::Below => cut.place > place,
            Side::Either => true,
        };
        out.extend(self.cuts.iter().filter(may_change).map(|cut| cut.predicate));
    }
}

/// A place at which a predicate on a number changes.
struct Cut {
    place: i128,
    predicate: PredicateId,
    side: Side,
}

/// Where the number must be for the predicate to hold.
#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
    Either,
}

impl Side {
    fn of(test: &Test) -> Side {
        match test.condition {
            Condition::Compare(Comparison::Greater | Comparison::GreaterOrEqual, _) => Side::Above,
            Condition::Compare(Comparison::Less | Comparison::LessOrEqual, _) => Side::Below,
            _ => Side::Either,
        }
    }
}
