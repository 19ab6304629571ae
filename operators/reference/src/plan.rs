//! Rules as rows: a node each, named by the segment and the way to it, and the edges between them.

use std::collections::BTreeSet;

use audience_rules::ast::{Condition, Cut, Logic, Measurable, Node, Test};
use audience_rules::catalogue::{Catalogue, Definition, SegmentStatus};
use audience_rules::parse::NoTraits;
use audience_rules::unparse::node_to_json;
use audience_rules::zone::ZoneId;
use serde::{Deserialize, Serialize};

/// A node's name: its segment, then the number of each child on the way.
pub type NodeName = String;

/// The catalogue in force, in rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PlanRow {
    /// The members of a segment are the users for whom a node holds.
    Root(String, NodeName),
    /// An id is in a list.
    Listed(String, String),
    /// A node.
    Node(NodeName, Operation),
    /// (child, parent)
    Edge(NodeName, NodeName),
}

/// The work of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// All of so many children hold.
    All(isize),
    /// Any child holds.
    Any,
    /// No child holds.
    None,
    /// A condition over the user alone, as JSON.
    Leaf(String),
    /// Membership in a segment.
    Segment(String),
    /// The first by a measure.
    Rank {
        /// A leaf that has the measure, as JSON.
        by: String,
        /// Greatest first.
        descending: bool,
        /// So many.
        top: Option<u32>,
        /// So many units of 10^-9 percent.
        percent: Option<i128>,
        /// True if only users for whom the child holds are ranked.
        among: bool,
    },
}

/// The rules that a catalogue puts in force.
pub fn rows(catalogue: &Catalogue) -> BTreeSet<PlanRow> {
    let mut rows = BTreeSet::new();
    for segment in catalogue.segments.values().filter(|segment| segment.status == SegmentStatus::Active) {
        let id = segment.id.to_string();
        match &segment.definition {
            Definition::Static(list) => {
                rows.extend(list.iter().map(|user| PlanRow::Listed(id.clone(), user.to_string())));
            }
            Definition::Dynamic(node) => {
                add(node, &id, catalogue, &mut rows);
                rows.insert(PlanRow::Root(id.clone(), id));
            }
        }
    }
    rows
}

fn add(node: &Node, name: &str, catalogue: &Catalogue, rows: &mut BTreeSet<PlanRow>) {
    let mut child = |index: usize, node: &Node| {
        let below = format!("{name}/{index}");
        add(node, &below, catalogue, rows);
        rows.insert(PlanRow::Edge(below, name.to_owned()));
    };
    let operation = match node {
        Node::Group { logic, conditions } => {
            conditions.iter().enumerate().for_each(|(index, condition)| child(index, condition));
            match logic {
                Logic::And => Operation::All(conditions.len() as isize),
                Logic::Or => Operation::Any,
                Logic::Not => Operation::None,
            }
        }
        Node::Trait { .. } | Node::Behaviour { .. } | Node::Sequence(_) | Node::Sample(_) | Node::Compare(_) => {
            Operation::Leaf(leaf(node, catalogue))
        }
        Node::Segment(id) => Operation::Segment(id.to_string()),
        Node::Rank(rank) => {
            rank.among.iter().for_each(|among| child(0, among));
            let any = Test { negated: false, condition: Condition::Exists };
            let (top, percent) = match rank.cut {
                Cut::Top(top) => (Some(top), None),
                Cut::Percent(percent) => (None, Some(percent.units())),
            };
            Operation::Rank {
                by: leaf(
                    &match &rank.by {
                        Measurable::Field(field) => Node::Trait { field: field.clone(), test: any },
                        Measurable::Behaviour(behaviour) => Node::Behaviour { behaviour: behaviour.clone(), test: any },
                    },
                    catalogue,
                ),
                descending: rank.descending,
                top,
                percent,
                among: rank.among.is_some(),
            }
        }
    };
    rows.insert(PlanRow::Node(name.to_owned(), operation));
}

/// A leaf that knows what the computed traits measure: its JSON after the platform's zone.
fn leaf(node: &Node, catalogue: &Catalogue) -> String {
    format!("{} {}", catalogue.timezone.name(), node_to_json(&node.resolved(catalogue)))
}

/// The node of a leaf, and the platform's zone.
pub fn read_leaf(leaf: &str) -> (Node, ZoneId) {
    let (zone, json) = leaf.split_once(' ').unwrap_or((ZoneId::UTC.name(), leaf));
    let zone = ZoneId::named(zone).unwrap_or_else(|| panic!("{leaf}: a zone"));
    let value = audience_rules::json::parse_json(json.as_bytes());
    let value = value.unwrap_or_else(|fault| panic!("{json}: {fault}"));
    let node = audience_rules::parse::parse_rules(&value, &NoTraits);
    (node.unwrap_or_else(|faults| panic!("{json}: {faults:?}")), zone)
}
