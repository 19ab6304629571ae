//! What a rule becomes: its measures, conditions and plan, and the rules that share them.
//!
//! Law: a pipeline is a function of the catalogue at one version, so whoever computes it again finds the same. Cost: every
//! active rule of that version is compiled once.

use std::collections::{BTreeMap, BTreeSet};

use audience_catalogue::{Documents, segment_not_found, unavailable};
use audience_kernel::footprint::{StateGrowth, footprint};
use audience_kernel::program::{Leaf, MeasureKey, Program};
use audience_kernel::question::Asks;
use audience_protocol::{
    PipelineCost, PipelineEvents, PipelineField, PipelineMeasure, PipelinePlan, PipelinePredicate, PlatformError,
    ResourceKind, Result, SegmentPipeline,
};
use audience_rules::ast::{Behaviour, Logic, Node};
use audience_rules::catalogue::{Catalogue, Segment, SegmentStatus};
use audience_rules::reads::{DataRead, measure_to_json};
use audience_rules::unparse::{node_to_json, node_to_json_with};
use hashbrown::{HashMap, HashSet};
use serde_json::json;
use serde_json::value::RawValue;

use super::Lookup;

impl Lookup {
    /// The pipeline of a version of a segment; of its newest version, as the catalogue is now, where none is named. The sources
    /// are left to the caller.
    pub(crate) fn pipeline(&self, id: &str, version: Option<u64>) -> Result<SegmentPipeline> {
        let Some(version) = version else { return pipeline(&self.editor.documents(), id) };
        let missing = || PlatformError::NotFound { kind: ResourceKind::Version, id: format!("{id} {version}") };
        let found = self.editor.segment_version_at(id, version)?.ok_or_else(missing)?;
        pipeline(&Documents::at(&*self.catalogue, found).map_err(unavailable)?, id)
    }
}

/// The pipeline of a segment among these documents.
pub(crate) fn pipeline(documents: &Documents, id: &str) -> Result<SegmentPipeline> {
    let catalogue = &documents.catalogue;
    let not_found = || segment_not_found(id);
    let document = &documents.segments.get(id).ok_or_else(not_found)?.stored.document;
    let rules = catalogue.segments.get(id).ok_or_else(not_found)?.rules();
    let mut parts =
        RuleParts { catalogue, shares: Shares::of(catalogue, id), measures: Vec::new(), predicates: Vec::new() };
    let plan = rules.map(|rules| parts.plan(rules));
    let read = rules.map(DataRead::of).unwrap_or_default();
    let program = rules.map(|rules| Program::compile(rules, catalogue));
    let events = parts.events();
    let segments: BTreeSet<String> = rules.iter().flat_map(|rules| rules.segments()).map(|id| id.to_string()).collect();
    Ok(SegmentPipeline {
        segment_id: id.to_owned(),
        version: document.version,
        catalogue_version: documents.version,
        kind: document.kind,
        status: document.status,
        sources: Vec::new(),
        fields: parts.fields(),
        cost: parts.cost(&events),
        events,
        measures: parts.measures.into_iter().map(|measure| measure.shown).collect(),
        predicates: parts.predicates.into_iter().map(|(_, shown)| shown).collect(),
        plan,
        is_table: program.is_some_and(|program| program.table.is_some()),
        segments: segments.into_iter().collect(),
        windows: read.windows.into_iter().map(raw).collect(),
        history_from: None,
    })
}

/// The active rules that have each measure and each condition; the rule that is asked about counts in any status.
struct Shares {
    measures: HashMap<MeasureKey, u64>,
    leaves: HashMap<Leaf, u64>,
}

impl Shares {
    fn of(catalogue: &Catalogue, id: &str) -> Shares {
        let mut shares = Shares { measures: HashMap::new(), leaves: HashMap::new() };
        let counts = |segment: &&Segment| segment.status == SegmentStatus::Active || &*segment.id == id;
        for rules in catalogue.segments.values().filter(counts).filter_map(Segment::rules) {
            let program = Program::compile(rules, catalogue);
            for key in program.measures().into_iter().collect::<HashSet<_>>() {
                *shares.measures.entry(key.clone()).or_default() += 1;
            }
            let mut leaves = HashSet::new();
            collect_leaves(&program, &mut leaves);
            for leaf in leaves {
                *shares.leaves.entry(leaf.clone()).or_default() += 1;
            }
        }
        shares
    }
}

/// The leaves of a program and of its ranks.
fn collect_leaves<'p>(program: &'p Program, found: &mut HashSet<&'p Leaf>) {
    for leaf in &program.leaves {
        found.insert(leaf);
        if let Leaf::Rank(rank) = leaf
            && let Some(among) = &rank.among
        {
            collect_leaves(among, found);
        }
    }
}

/// A measure with the data that it reads.
struct ReadMeasure {
    key: MeasureKey,
    read: DataRead,
    shown: PipelineMeasure,
}

/// The parts of a rule that are found so far, in the order of the rule.
struct RuleParts<'a> {
    catalogue: &'a Catalogue,
    shares: Shares,
    measures: Vec<ReadMeasure>,
    predicates: Vec<(Leaf, PipelinePredicate)>,
}

impl RuleParts<'_> {
    /// The plan of a node; takes in its parts.
    fn plan(&mut self, node: &Node) -> PipelinePlan {
        let Node::Group { logic, conditions } = node else { return PipelinePlan::Predicate(self.predicate(node)) };
        let parts = conditions.iter().map(|condition| self.plan(condition)).collect();
        match logic {
            Logic::And => PipelinePlan::All(parts),
            Logic::Or => PipelinePlan::Any(parts),
            Logic::Not => PipelinePlan::None(parts),
        }
    }

    /// The name of the condition that a node is.
    fn predicate(&mut self, node: &Node) -> String {
        let Some(leaf) = Program::compile(node, self.catalogue).leaves.pop() else { return String::new() };
        if let Some((_, known)) = self.predicates.iter().find(|(known, _)| *known == leaf) {
            return known.id.clone();
        }
        let (kind, measure) = match &leaf {
            Leaf::Measured(key, _) | Leaf::Valued(key, _) => ("test", Some(self.measure(key))),
            Leaf::Rank(rank) => ("rank", Some(self.measure(&rank.by))),
            Leaf::Segment(_) => ("segment", None),
            Leaf::Sample(_) => ("sample", None),
        };
        let among = match node {
            Node::Rank(rank) => rank.among.as_ref().map(|among| self.plan(among)),
            _ => None,
        };
        let id = format!("p{}", self.predicates.len() + 1);
        let shared_by = self.shares.leaves.get(&leaf).copied().unwrap_or_default();
        let condition = raw(node_to_json_with(node, self.catalogue));
        self.predicates.push((leaf, PipelinePredicate { id: id.clone(), kind, condition, measure, among, shared_by }));
        id
    }

    /// The name of a measure.
    fn measure(&mut self, key: &MeasureKey) -> String {
        if let Some(known) = self.measures.iter().find(|known| known.key == *key) {
            return known.shown.id.clone();
        }
        let (kind, definition, read) = described(key);
        let traits = self.catalogue.traits.values().filter(|one| behaviour_of(key) == Some(&*one.behaviour));
        let footprint = footprint(key);
        let shown = PipelineMeasure {
            id: format!("m{}", self.measures.len() + 1),
            kind,
            definition: raw(definition),
            traits: traits.map(|one| one.name.to_string()).collect(),
            shared_by: self.shares.measures.get(key).copied().unwrap_or_default(),
            bytes_per_user: footprint.bytes_per_user,
            grows_with: match footprint.grows_with {
                StateGrowth::Nothing => None,
                StateGrowth::Values => Some("values"),
                StateGrowth::Events => Some("events"),
                StateGrowth::Records => Some("records"),
            },
            bytes_each: footprint.bytes_each,
        };
        let id = shown.id.clone();
        self.measures.push(ReadMeasure { key: key.clone(), read, shown });
        id
    }

    /// The types of events, each with the measures and conditions that it may touch. Traits are fed by `identify`.
    fn events(&self) -> Vec<PipelineEvents> {
        let mut fed: BTreeMap<&str, Vec<&ReadMeasure>> = BTreeMap::new();
        for part in &self.measures {
            let identify = (!part.read.traits.is_empty()).then_some("identify");
            for event in part.read.events.iter().map(String::as_str).chain(identify) {
                fed.entry(event).or_default().push(part);
            }
        }
        let predicates = |measures: &[&ReadMeasure]| {
            let asks = |(_, predicate): &&(Leaf, PipelinePredicate)| {
                measures.iter().any(|part| predicate.measure.as_ref() == Some(&part.shown.id))
            };
            self.predicates.iter().filter(asks).count() as u64
        };
        let shown = |(event, measures): (&str, Vec<&ReadMeasure>)| PipelineEvents {
            event_type: event.to_owned(),
            predicates: predicates(&measures),
            measures: measures.iter().map(|part| part.shown.id.clone()).collect(),
        };
        fed.into_iter().map(shown).collect()
    }

    fn fields(&self) -> Vec<PipelineField> {
        let mut read: BTreeMap<(&'static str, &str), Vec<String>> = BTreeMap::new();
        for part in &self.measures {
            let of_events = part.read.fields.iter().map(|field| ("event", field.as_str()));
            let of_users = part.read.traits.iter().map(|field| ("trait", field.as_str()));
            for field in of_events.chain(of_users) {
                read.entry(field).or_default().push(part.shown.id.clone());
            }
        }
        let shown = |((of, field), measures): ((&'static str, &str), _)| PipelineField {
            field: field.to_owned(),
            of,
            measures,
        };
        read.into_iter().map(shown).collect()
    }

    /// The costs. An event has one type, and feeds what listens to all types too.
    fn cost(&self, events: &[PipelineEvents]) -> PipelineCost {
        let bytes = |is_counted: &dyn Fn(&PipelineMeasure) -> bool| {
            let measures = self.measures.iter().map(|part| &part.shown).filter(|measure| is_counted(measure));
            measures.map(|measure| measure.bytes_per_user).sum()
        };
        let most = |count: &dyn Fn(&PipelineEvents) -> u64| {
            let of_all = events.iter().find(|events| events.event_type == "*").map_or(0, count);
            let of_one = events.iter().filter(|events| events.event_type != "*").map(count).max().unwrap_or_default();
            of_all + of_one
        };
        PipelineCost {
            bytes_per_user: bytes(&|_| true),
            own_bytes_per_user: bytes(&|measure| measure.shared_by == 1),
            measures_per_event: most(&|events| events.measures.len() as u64),
            predicates_per_event: most(&|events| events.predicates),
        }
    }
}

/// The behaviour that a measure is the value of.
fn behaviour_of(key: &MeasureKey) -> Option<&Behaviour> {
    match key {
        MeasureKey::Behaviour(behaviour) => Some(behaviour),
        MeasureKey::Asked(question) => match (&question.node, question.asks) {
            (Node::Behaviour { behaviour, .. }, Asks::Value) => Some(behaviour),
            _ => None,
        },
        MeasureKey::Trait(_) | MeasureKey::Sequence(_) => None,
    }
}

/// The kind of a measure, its definition in JSON, and the data that it reads.
fn described(key: &MeasureKey) -> (&'static str, String, DataRead) {
    match key {
        MeasureKey::Trait(path) => {
            let field = path.join(".");
            let definition = json!({ "field": field }).to_string();
            ("trait", definition, DataRead { traits: BTreeSet::from([field]), ..DataRead::default() })
        }
        MeasureKey::Behaviour(behaviour) => {
            ("behaviour", measure_to_json(behaviour), DataRead::of_behaviour(behaviour))
        }
        MeasureKey::Sequence(sequence) => {
            let node = Node::Sequence(sequence.clone());
            ("sequence", node_to_json(&node), DataRead::of(&node))
        }
        MeasureKey::Asked(question) => {
            let definition = behaviour_of(key).map_or_else(|| node_to_json(&question.node), measure_to_json);
            ("question", definition, DataRead::of(&question.node))
        }
    }
}

/// Text that is JSON.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
