//! The documents as they would be with another definition of a computed trait.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_protocol::Result;
use audience_rules::ast::{Node, Rank, SegmentId};
use audience_rules::catalogue::{Catalogue, Segment, SegmentStatus};
use serde_json::value::RawValue;

use crate::documents::Documents;
use crate::traits::checked;

/// The documents as they would be with another definition of a computed trait.
pub(crate) struct DocumentsWith {
    /// The documents.
    pub documents: Arc<Documents>,
    /// The active segments whose members may be others by it, the nearest first.
    pub reached: Vec<SegmentId>,
}

impl DocumentsWith {
    /// Reads a definition among the documents.
    pub(crate) fn read(documents: &Documents, definition: &RawValue) -> Result<DocumentsWith> {
        let computed = checked(documents, definition)?;
        let reached = reached_by(&documents.catalogue, &computed.name);
        let mut documents = documents.clone();
        documents.catalogue.put_trait(computed);
        Ok(DocumentsWith { documents: Arc::new(documents), reached })
    }

    /// A rule in which the segments that change are their rules: so it holds for whoever they would have.
    pub(crate) fn inline(&self, rule: &Node) -> Node {
        let reached: BTreeSet<&SegmentId> = self.reached.iter().collect();
        inlined(rule, &self.documents.catalogue, &reached)
    }
}

/// The active segments that use a trait, directly or through other active ones. Those that are not active have no members,
/// whatever a trait says.
fn reached_by(catalogue: &Catalogue, name: &str) -> Vec<SegmentId> {
    let is_active =
        |id: &&SegmentId| catalogue.segments.get(*id).is_some_and(|segment| segment.status == SegmentStatus::Active);
    let mut reached: Vec<SegmentId> = Vec::new();
    let mut wave: Vec<SegmentId> = catalogue.users_of_trait(name).into_iter().filter(is_active).cloned().collect();
    while !wave.is_empty() {
        let next: BTreeSet<SegmentId> =
            wave.iter().flat_map(|id| catalogue.users_of_segment(id)).filter(is_active).cloned().collect();
        reached.append(&mut wave);
        wave = next.into_iter().filter(|id| !reached.contains(id)).collect();
    }
    reached
}

fn inlined(rule: &Node, catalogue: &Catalogue, which: &BTreeSet<&SegmentId>) -> Node {
    match rule {
        Node::Group { logic, conditions } => {
            let conditions = conditions.iter().map(|condition| inlined(condition, catalogue, which)).collect();
            Node::Group { logic: *logic, conditions }
        }
        Node::Segment(id) if which.contains(id) => {
            let rules = catalogue.segments.get(id).and_then(Segment::rules);
            rules.map_or_else(|| rule.clone(), |rules| inlined(rules, catalogue, which))
        }
        Node::Rank(rank) => {
            let among = rank.among.as_ref().map(|among| inlined(among, catalogue, which));
            Node::Rank(Arc::new(Rank { among, ..Rank::clone(rank) }))
        }
        Node::Trait { .. }
        | Node::Behaviour { .. }
        | Node::Sequence(_)
        | Node::Segment(_)
        | Node::Sample(_)
        | Node::Compare(_) => rule.clone(),
    }
}

#[cfg(test)]
mod tests {
    use audience_protocol::{PlatformError, TraitInput, TraitResource as _, Transition};
    use serde_json::{Value, json};

    use super::*;
    use crate::editor::Editor;
    use crate::testing::{TestStore, segment};

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    /// An editor with a trait, a segment that tests it, and segments that refer to that one.
    fn editor() -> Editor {
        let editor = Editor::open_without_engine(TestStore::open()).unwrap();
        let input = TraitInput { definition: raw(&json!({"name": "t", "event": "a"})), note: None };
        editor.put_trait(input, Some(0), "ann").unwrap();
        let create = |id: &str, rules: &Value| editor.create_segment(segment(id, rules), "ann").unwrap();
        create("z", &json!({"field": "t", "operator": "gte", "value": 2}));
        create("b", &json!({"logic": "NOT", "conditions": [{"segment": "z"}, {"event": "x"}]}));
        create("a", &json!({"rank": {"by": "lastSeen"}, "top": 3, "among": {"segment": "b"}}));
        create("other", &json!({"event": "a"}));
        editor
    }

    #[test]
    fn the_segments_that_use_a_trait_are_found_through_others_the_nearest_first() {
        let documents = editor().documents();
        let with = DocumentsWith::read(&documents, &raw(&json!({"name": "t", "event": "c"}))).unwrap();
        assert_eq!(with.reached.iter().map(|id| &**id).collect::<Vec<_>>(), ["z", "b", "a"]);
    }

    #[test]
    fn a_segment_that_is_not_active_carries_nothing_on() {
        let editor = editor();
        editor.transition_segment("b", Transition::Deactivate, None, None, "ann").unwrap();
        let with = DocumentsWith::read(&editor.documents(), &raw(&json!({"name": "t", "event": "c"}))).unwrap();
        assert_eq!(with.reached.iter().map(|id| &**id).collect::<Vec<_>>(), ["z"]);
    }

    #[test]
    fn what_changes_stands_in_a_rule_as_its_own_rules() {
        let documents = editor().documents();
        let with = DocumentsWith::read(&documents, &raw(&json!({"name": "t", "event": "c"}))).unwrap();
        let rules = |id: &str| with.documents.catalogue.segments.get(id).and_then(Segment::rules).unwrap().clone();
        let inlined = with.inline(&rules("a"));
        let Node::Rank(rank) = &inlined else { panic!("{inlined:?}") };
        let Some(Node::Group { conditions, .. }) = &rank.among else { panic!("{rank:?}") };
        assert_eq!(conditions[0], rules("z"));
        assert!(inlined.segments().is_empty(), "{inlined:?}");
    }

    #[test]
    fn a_definition_that_breaks_a_rule_is_refused_with_its_reason() {
        let documents = editor().documents();
        let refused = DocumentsWith::read(&documents, &raw(&json!({"name": "t", "event": 7})));
        assert!(matches!(refused.err(), Some(PlatformError::Invalid(_))));
    }
}
