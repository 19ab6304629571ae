//! Segments and computed traits that know of each other: what may refer to what, and what an edit would break.
//!
//! The checks take `&self`; an edit that was refused has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ast::{Behaviour, EventPath, EventTypes, Function, Measurable, Measure, Node, PathChoice, SegmentId};
use crate::fault::{Fault, code, in_document_order};
use crate::parse::{LiteralKind, TraitLookup, parse, parse_behaviour, parse_rules};
use crate::unparse::node_to_value;
use crate::value::Value;
use crate::zone::ZoneId;

/// A named behaviour measure.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputedTrait {
    /// Its name; no dots.
    pub name: Arc<str>,
    /// The behaviour that it measures.
    pub behaviour: Arc<Behaviour>,
}

/// The lifecycle status of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SegmentStatus {
    /// Not yet in use.
    Draft,
    /// In use.
    Active,
    /// Without members for now.
    Inactive,
    /// Without members, kept for the record.
    Archived,
}

/// The members of a segment, as a rule or as a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// The known users for whom a rule holds.
    Dynamic(Arc<Node>),
    /// The users of a list, known or not.
    Static(Arc<BTreeSet<Arc<str>>>),
}

/// A segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// The version: the number of edits so far.
    pub version: u64,
    /// Its lifecycle status.
    pub status: SegmentStatus,
    /// Its members.
    pub definition: Definition,
}

impl Definition {
    /// Returns whether it says the same; what was not edited since is the same piece of memory.
    pub fn is(&self, other: &Definition) -> bool {
        match (self, other) {
            (Definition::Dynamic(one), Definition::Dynamic(other)) => Arc::ptr_eq(one, other) || one == other,
            (Definition::Static(one), Definition::Static(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => false,
        }
    }
}

impl Segment {
    /// The rule of a dynamic segment.
    pub fn rules(&self) -> Option<&Node> {
        match &self.definition {
            Definition::Dynamic(node) => Some(node),
            Definition::Static(_) => None,
        }
    }

    fn references(&self) -> Vec<&SegmentId> {
        self.rules().map(Node::segments).unwrap_or_default()
    }

    fn uses(&self, name: &str) -> bool {
        self.rules().is_some_and(|rules| rules.fields().iter().any(|field| &***field == name))
    }
}

/// All segments and computed traits.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Catalogue {
    /// By name.
    pub traits: BTreeMap<Arc<str>, ComputedTrait>,
    /// By id.
    pub segments: BTreeMap<SegmentId, Segment>,
    /// The platform's time zone.
    pub timezone: ZoneId,
}

impl TraitLookup for Catalogue {
    fn behaviour(&self, name: &str) -> Option<&Behaviour> {
        self.traits.get(name).map(|computed| &*computed.behaviour)
    }
}

/// The computed traits as they would be with one more, or another in its place.
struct TraitsWith<'a> {
    catalogue: &'a Catalogue,
    new: &'a ComputedTrait,
}

impl TraitLookup for TraitsWith<'_> {
    fn behaviour(&self, name: &str) -> Option<&Behaviour> {
        if *self.new.name == *name { Some(&self.new.behaviour) } else { self.catalogue.behaviour(name) }
    }
}

impl Catalogue {
    /// No segments, and the computed traits that every installation begins with: over the events of shops that send in our own
    /// words, in Segment's, GA4's or PostHog's.
    pub fn with_shipped_traits() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
        let purchase = || EventTypes::Named(names(&["Order Completed", "purchase"]));
        let refunds = ["Order Refunded", "refund"];
        let bills = EventTypes::Named(names(&["Order Completed", refunds[0], "purchase", refunds[1]]));
        let amounts = ["amount", "revenue", "total", "value"].map(|key| EventPath::Properties(names(&[key])));
        let amount = EventPath::First(Arc::new(PathChoice { paths: amounts.to_vec(), minus: names(&refunds) }));
        let views = EventTypes::Named(names(&["$pageview", "page", "page_view"]));
        let shipped = [
            ("totalSpent", bills, Measure::Of(Function::Sum, amount)),
            ("purchaseCount", purchase(), Measure::Count),
            ("pageViews", views, Measure::Count),
            ("firstSeen", EventTypes::Any, Measure::Of(Function::First, EventPath::Timestamp)),
            ("lastSeen", EventTypes::Any, Measure::Of(Function::Last, EventPath::Timestamp)),
            ("lastPurchase", purchase(), Measure::Of(Function::Last, EventPath::Timestamp)),
        ];
        let mut catalogue = Catalogue::default();
        for (name, events, measure) in shipped {
            let behaviour =
                Arc::new(Behaviour { events, filter: None, measure, window: None, each: None, unless: None });
            catalogue.put_trait(ComputedTrait { name: name.into(), behaviour });
        }
        catalogue
    }

    /// Reads the rules meant for the segment `id`, which need not exist yet; or gives every fault, those among segments
    /// included.
    pub fn check_rules(&self, id: &str, json: &Value) -> Result<Node, Vec<Fault>> {
        let mut parsed = parse(json, self);
        for (pointer, segment) in parsed.segments {
            if let Some((code, message)) = self.bad_reference(id, &segment) {
                parsed.faults.push(Fault { pointer, code, message });
            }
        }
        match parsed.node {
            Some(node) if parsed.faults.is_empty() => Ok(node),
            _ => Err(in_document_order(parsed.faults)),
        }
    }

    fn bad_reference(&self, from: &str, to: &SegmentId) -> Option<(&'static str, String)> {
        if **to == *from {
            return Some((code::CYCLIC_SEGMENT, "a segment cannot refer to itself".into()));
        }
        if !self.segments.contains_key(to) {
            return Some((code::UNKNOWN_SEGMENT, format!("there is no segment `{to}`; create it first")));
        }
        self.leads_to(to, from).then(|| {
            (code::CYCLIC_SEGMENT, format!("segment `{to}` itself depends on `{from}`; a cycle has no meaning"))
        })
    }

    /// Returns whether following references from one segment reaches another.
    fn leads_to(&self, from: &SegmentId, target: &str) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(segment) = open.pop().and_then(|id| self.segments.get(id)) {
            for next in segment.references() {
                if **next == *target {
                    return true;
                }
                if self.segments.contains_key(next) && seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// Creates or replaces a segment, already checked.
    pub fn put_segment(&mut self, segment: Segment) {
        self.segments.insert(segment.id.clone(), segment);
    }

    /// Reads a computed trait; or gives its faults and, where it has none, the rules that it would make invalid.
    pub fn check_trait(&self, json: &Value) -> Result<ComputedTrait, Vec<Fault>> {
        let (name, behaviour) = parse_behaviour(json)?;
        let new = ComputedTrait { name, behaviour: Arc::new(behaviour) };
        let with = TraitsWith { catalogue: self, new: &new };
        let broken: Vec<Fault> = self
            .reread_by(&new)
            .flat_map(|(segment, rules)| fits(rules, self, &with).into_iter().map(|fault| breaks(&segment.id, &fault)))
            .collect();
        if broken.is_empty() { Ok(new) } else { Err(broken) }
    }

    /// Creates or replaces a computed trait, already checked. Literals of rules that test it are read again if its
    /// measure is now of another kind: `"30d"` is a duration to `since_last` and a text to `last`.
    pub fn put_trait(&mut self, new: ComputedTrait) {
        let with = TraitsWith { catalogue: self, new: &new };
        let reread: Vec<(SegmentId, Node)> = self
            .reread_by(&new)
            .filter_map(|(segment, rules)| Some((segment.id.clone(), reread(rules, self, &with).ok()?)))
            .collect();
        for (id, rules) in reread {
            if let Some(segment) = self.segments.get_mut(&id) {
                segment.definition = Definition::Dynamic(rules.into());
            }
        }
        self.traits.insert(new.name.clone(), new);
    }

    /// The segments, with their rules, that must be read again with this computed trait.
    fn reread_by<'a>(&'a self, new: &'a ComputedTrait) -> impl Iterator<Item = (&'a Segment, &'a Node)> {
        let was_of_users = self.traits.get(&new.name).is_some_and(|computed| computed.behaviour.zones().user);
        let takes_changes = LiteralKind::of_field(&new.name, self) != LiteralKind::of(&new.behaviour.measure)
            || was_of_users != new.behaviour.zones().user;
        self.segments
            .values()
            .filter(move |segment| takes_changes && segment.uses(&new.name))
            .filter_map(|segment| Some((segment, segment.rules()?)))
    }

    /// Refused while any segment's rules refer to the segment.
    pub fn check_delete_segment(&self, id: &str) -> Result<(), Fault> {
        unless_used("segment", id, &self.users_of_segment(id))
    }

    /// Refused while any segment's rules refer to the computed trait.
    pub fn check_delete_trait(&self, name: &str) -> Result<(), Fault> {
        unless_used("computed trait", name, &self.users_of_trait(name))
    }

    /// The segments whose rules refer to a segment, by id.
    pub fn users_of_segment(&self, id: &str) -> Vec<&SegmentId> {
        self.users(|segment| segment.references().iter().any(|reference| &***reference == id))
    }

    /// The segments whose rules refer to a computed trait, by id.
    pub fn users_of_trait(&self, name: &str) -> Vec<&SegmentId> {
        self.users(|segment| segment.uses(name))
    }

    fn users(&self, uses: impl Fn(&Segment) -> bool) -> Vec<&SegmentId> {
        self.segments.values().filter(|segment| uses(segment)).map(|segment| &segment.id).collect()
    }

    /// Deletes a segment, already checked; gives it, where it was there.
    pub fn delete_segment(&mut self, id: &str) -> Option<Segment> {
        self.segments.remove(id)
    }

    /// Deletes a computed trait, already checked; gives it, where it was there.
    pub fn delete_trait(&mut self, name: &str) -> Option<ComputedTrait> {
        self.traits.remove(name)
    }

    /// Returns every segment, after all that its rules refer to, and by id if that leaves a choice. Segments on a cycle or
    /// after one, which the checks exclude, come last.
    pub fn in_dependency_order(&self) -> Vec<SegmentId> {
        let mut dependants: BTreeMap<&SegmentId, Vec<&SegmentId>> = BTreeMap::new();
        let mut waiting: BTreeMap<&SegmentId, usize> = BTreeMap::new();
        for (id, segment) in &self.segments {
            let references: BTreeSet<_> = segment.references().into_iter().collect();
            let references = references.into_iter().filter(|reference| self.segments.contains_key(*reference));
            let mut count = 0;
            for reference in references {
                dependants.entry(reference).or_default().push(id);
                count += 1;
            }
            waiting.insert(id, count);
        }
        let mut ready: BTreeSet<&SegmentId> =
            waiting.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
        let mut order = Vec::with_capacity(self.segments.len());
        while let Some(id) = ready.pop_first() {
            waiting.remove(id);
            order.push(id.clone());
            for dependant in dependants.remove(id).unwrap_or_default() {
                if let Some(count) = waiting.get_mut(dependant) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(dependant);
                    }
                }
            }
        }
        order.extend(waiting.into_keys().cloned());
        order
    }
}

fn unless_used(what: &str, name: &str, users: &[&SegmentId]) -> Result<(), Fault> {
    if users.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = users.iter().map(|id| &***id).collect();
    let message = format!("the rules of these segments refer to the {what} `{name}`: {}", users.join(", "));
    Err(Fault::whole(code::REFERENCED, message))
}

/// Returns the faults that a rule read with the computed traits `old` has with `new`, with pointers into its canonical
/// form.
pub fn fits(node: &Node, old: &dyn TraitLookup, new: &dyn TraitLookup) -> Vec<Fault> {
    reread(node, old, new).err().unwrap_or_default()
}

/// A rule read with the computed traits `old`, as it reads with `new`.
fn reread(node: &Node, old: &dyn TraitLookup, new: &dyn TraitLookup) -> Result<Node, Vec<Fault>> {
    parse_rules(&node_to_value(node, old), new)
}

fn breaks(segment: &SegmentId, fault: &Fault) -> Fault {
    let place = if fault.pointer.is_empty() { "the root" } else { &fault.pointer };
    let message = format!("it would make the rules of segment `{segment}` invalid, at {place}: {}", fault.message);
    Fault::whole(code::BREAKS_RULE, message)
}

impl Node {
    /// The segments that it refers to, in order, with repeats.
    pub fn segments(&self) -> Vec<&SegmentId> {
        let mut found = Vec::new();
        self.walk(&mut |node| {
            if let Node::Segment(id) = node {
                found.push(id);
            }
        });
        found
    }

    /// The fields (computed or `identify` traits, whole paths) that it tests or ranks by, in order, with repeats.
    pub fn fields(&self) -> Vec<&Arc<str>> {
        let mut found = Vec::new();
        self.walk(&mut |node| match node {
            Node::Trait { field, .. } => found.push(field),
            Node::Rank(rank) => found.extend(rank.by.field()),
            Node::Compare(compare) => found.extend(compare.left.field().into_iter().chain(compare.right.field())),
            _ => {}
        });
        found
    }

    /// Visits this node, then those below, in order.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Node)) {
        visit(self);
        match self {
            Node::Group { conditions, .. } => {
                for condition in conditions {
                    condition.walk(visit);
                }
            }
            Node::Rank(rank) => {
                if let Some(among) = &rank.among {
                    among.walk(visit);
                }
            }
            Node::Trait { .. }
            | Node::Behaviour { .. }
            | Node::Sequence(_)
            | Node::Segment(_)
            | Node::Sample(_)
            | Node::Compare(_) => {}
        }
    }
}

impl Measurable {
    /// The field that it reads, if it does.
    pub fn field(&self) -> Option<&Arc<str>> {
        match self {
            Measurable::Field(field) => Some(field),
            Measurable::Behaviour(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
