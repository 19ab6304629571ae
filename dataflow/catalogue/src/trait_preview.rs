//! The effect of a computed trait's definition on the segments that use it, before it is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_protocol::{
    NamedSegment, PlatformError, PreviewInput, Result, SegmentEffect, TraitPreview, TraitPreviewInput,
};
use audience_rules::ast::{Node, Rank, SegmentId};
use audience_rules::catalogue::{Catalogue, Segment, SegmentStatus};
use serde_json::value::RawValue;

use crate::documents::Documents;
use crate::editor::Editor;
use crate::traits::checked;

/// Segments that one request counts: each costs a look at every user.
const MOST_COUNTED: usize = 20;

/// The documents as they would be with another definition of a computed trait.
pub(crate) struct DocumentsWith {
    /// The documents.
    pub documents: Arc<Documents>,
    /// The active segments whose members may be others by it, the nearest first.
    pub reached: Vec<SegmentId>,
}

impl DocumentsWith {
    /// Reads a definition among the documents.
    pub fn read(documents: &Documents, definition: &RawValue) -> Result<DocumentsWith> {
        let computed = checked(documents, definition)?;
        let reached = reached_by(&documents.catalogue, &computed.name);
        let mut documents = documents.clone();
        documents.catalogue.put_trait(computed);
        Ok(DocumentsWith { documents: Arc::new(documents), reached })
    }

    /// A rule in which the segments that change are their rules: so it holds for whoever they would have.
    pub fn inline(&self, rule: &Node) -> Node {
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
        Node::Trait { .. } | Node::Behaviour { .. } | Node::Sequence(_) | Node::Segment(_) | Node::Sample(_) => {
            rule.clone()
        }
    }
}

impl Editor {
    /// Counts who would enter and leave the segments that use a trait, one segment after the other. Blocks until all are
    /// counted, and calls `watch` meanwhile; gives up if that returns false. Warnings are the caller's.
    pub fn preview_trait(&self, input: TraitPreviewInput, watch: &mut dyn FnMut() -> bool) -> Result<TraitPreview> {
        let documents = self.documents();
        let mut reached = DocumentsWith::read(&documents, &input.definition)?.reached;
        let named = |id: &SegmentId| NamedSegment { id: id.to_string(), name: documents.name_of(id).to_owned() };
        let not_counted = reached.split_off(reached.len().min(MOST_COUNTED)).iter().map(named).collect();
        let mut segments = Vec::with_capacity(reached.len());
        for id in &reached {
            let stored = documents.segments.get(&**id).and_then(|segment| segment.stored.document.rules.clone());
            // One that was read from the catalogue has rules.
            let Some(rules) = stored else { continue };
            let asked = PreviewInput {
                id: Some(id.to_string()),
                rules,
                sample_size: input.sample_size,
                break_down: None,
                with_trait: Some(input.definition.clone()),
            };
            let counted = match self.preview(asked, &mut |_| watch()) {
                Ok(counted) => counted,
                // The segment was deleted or changed meanwhile, and does not use the trait so any more.
                Err(PlatformError::Invalid(_)) => continue,
                Err(error) => return Err(error),
            };
            segments.push(SegmentEffect {
                segment: named(id),
                size: counted.size,
                entered: counted.entered,
                left: counted.left,
                sample_entered: counted.sample_entered,
                sample_left: counted.sample_left,
            });
        }
        Ok(TraitPreview { segments, not_counted, warnings: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use audience_protocol::{TraitInput, TraitResource as _, Transition};
    use serde_json::{Value, json};

    use super::*;
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
