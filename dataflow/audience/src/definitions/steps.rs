//! The steps from what a server has to what the files say, in an order in which each is possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use audience_rules::catalogue::Catalogue;

use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_behaviour, parse_rules};
use audience_rules::value::Value;
use serde_json::value::RawValue;

use super::files::{DefinedSettings, Definitions, SegmentFile};

/// The kind of thing that a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    Segment,
    Trait,
    Setting,
}

impl StepKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            StepKind::Segment => "segment",
            StepKind::Trait => "trait",
            StepKind::Setting => "setting",
        }
    }
}

/// The change. A version is the one that the server had: another one is not overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Change { version: u64 },
    Delete { version: u64 },
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub kind: StepKind,
    pub id: String,
    pub action: Action,
    pub segment: Option<SegmentFile>,
    pub definition: Option<Box<RawValue>>,
}

/// The definitions of a server, with versions.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldDefinitions {
    pub segments: BTreeMap<String, (u64, SegmentFile)>,
    pub traits: BTreeMap<String, (u64, Box<RawValue>)>,
    pub timezone: (u64, String),
}

impl HeldDefinitions {
    /// Without versions.
    pub(super) fn definitions(self) -> Definitions {
        Definitions {
            segments: self.segments.into_iter().map(|(id, (_, segment))| (id, segment)).collect(),
            traits: self.traits.into_iter().map(|(name, (_, definition))| (name, definition)).collect(),
            settings: DefinedSettings { timezone: Some(self.timezone.1) },
        }
    }
}

/// The steps: settings before traits, traits before segments, a segment after those that its rules name, and deletions last, the other way round.
pub(super) fn between(held: &HeldDefinitions, wanted: &Definitions, is_pruning: bool) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let (version, known) = &held.timezone;
    if let Some(zone) = wanted.settings.timezone.as_ref().filter(|zone| *zone != known) {
        let definition = Some(serde_json::value::to_raw_value(&wanted.settings)?);
        let action = Action::Change { version: *version };
        let id = format!("timezone to {zone}");
        steps.push(Step { kind: StepKind::Setting, id, action, segment: None, definition });
    }
    for (name, definition) in &wanted.traits {
        let action = match held.traits.get(name) {
            None => Action::Create,
            Some((version, old)) if !is_same_trait(old, definition)? => Action::Change { version: *version },
            Some(_) => continue,
        };
        let definition = Some(definition.clone());
        steps.push(Step { kind: StepKind::Trait, id: name.clone(), action, segment: None, definition });
    }
    for segment in in_order(&wanted.segments) {
        let action = match held.segments.get(&segment.id) {
            None => Action::Create,
            Some((version, old)) if !is_same_segment(old, segment)? => Action::Change { version: *version },
            Some(_) => continue,
        };
        let (id, segment) = (segment.id.clone(), Some(segment.clone()));
        steps.push(Step { kind: StepKind::Segment, id, action, segment, definition: None });
    }
    if is_pruning {
        steps.extend(deletions(held, wanted));
    }
    Ok(steps)
}

fn deletions(held: &HeldDefinitions, wanted: &Definitions) -> Vec<Step> {
    let only: BTreeMap<String, SegmentFile> =
        held.segments.iter().map(|(id, (_, segment))| (id.clone(), segment.clone())).collect();
    let step = |kind, id: &str, version| {
        let action = Action::Delete { version };
        Step { kind, id: id.to_owned(), action, segment: None, definition: None }
    };
    let segments = in_order(&only).into_iter().rev().filter(|segment| !wanted.segments.contains_key(&segment.id));
    let segments = segments.filter_map(|segment| {
        let (version, _) = held.segments.get(&segment.id)?;
        Some(step(StepKind::Segment, &segment.id, *version))
    });
    let shipped = Catalogue::with_shipped_traits();
    let traits = held.traits.iter().filter(|(name, _)| !wanted.traits.contains_key(*name));
    let traits = traits.filter(|(name, _)| !shipped.traits.contains_key(name.as_str()));
    segments.chain(traits.map(|(name, (version, _))| step(StepKind::Trait, name, *version))).collect()
}

/// Segments after those that they name. A circle is left to the server, which names it.
fn in_order(segments: &BTreeMap<String, SegmentFile>) -> Vec<&SegmentFile> {
    fn visit<'a>(id: &str, left: &mut BTreeMap<&'a str, &'a SegmentFile>, ordered: &mut Vec<&'a SegmentFile>) {
        let Some(segment) = left.remove(id) else { return };
        let rules = segment.rules.as_ref().and_then(|rules| parse_json(rules.get().as_bytes()).ok());
        for named in rules.iter().flat_map(named_segments) {
            visit(&named, left, ordered);
        }
        ordered.push(segment);
    }
    let mut left = segments.iter().map(|(id, segment)| (id.as_str(), segment)).collect();
    let mut ordered = Vec::new();
    segments.keys().for_each(|id| visit(id, &mut left, &mut ordered));
    ordered
}

/// The segments that rules name.
fn named_segments(rules: &Value) -> Vec<String> {
    match rules {
        Value::Array(items) => items.iter().flat_map(named_segments).collect(),
        Value::Object(members) => {
            let named = |(key, value): &(Arc<str>, Value)| match (&**key, value) {
                ("segment", Value::Text(id)) => vec![id.to_string()],
                (_, value) => named_segments(value),
            };
            members.iter().flat_map(named).collect()
        }
        _ => Vec::new(),
    }
}

fn is_same_trait(old: &RawValue, new: &RawValue) -> anyhow::Result<bool> {
    let read = |text: &RawValue| parse_json(text.get().as_bytes()).map(|json| parse_behaviour(&json).ok());
    let (old, new) = (read(old).context("a trait of the server")?, read(new).context("a trait")?);
    // A faulty one is sent, so that the server says the faults.
    Ok(new.is_some() && old == new)
}

fn is_same_segment(old: &SegmentFile, new: &SegmentFile) -> anyhow::Result<bool> {
    ensure!(
        old.is_list() == new.is_list(),
        "the segment {} is {} at the server, and cannot become the other kind: give the file another id",
        old.id,
        if old.is_list() { "a list" } else { "one of rules" }
    );
    let tags = |segment: &SegmentFile| {
        let mut tags = segment.tags.clone();
        tags.sort_unstable();
        tags
    };
    let words = |segment: &SegmentFile| {
        let owner = segment.owner.clone().filter(|owner| !owner.is_empty());
        (segment.name.clone(), segment.description.clone(), segment.status().to_uppercase(), tags(segment), owner)
    };
    Ok(words(old) == words(new) && (new.is_list() || is_same_rule(old, new)))
}

/// Returns whether rules mean the same, whatever their spelling. A faulty one is sent, so that the server says the faults.
fn is_same_rule(old: &SegmentFile, new: &SegmentFile) -> bool {
    let read = |segment: &SegmentFile| {
        let json = parse_json(segment.rules.as_ref()?.get().as_bytes()).ok()?;
        parse_rules(&json, &NoTraits).ok()
    };
    let new = read(new);
    new.is_some() && read(old) == new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(id: &str, rules: &str) -> SegmentFile {
        serde_json::from_str(&format!(r#"{{"id":"{id}","name":"{id}","rules":{rules}}}"#)).unwrap()
    }

    fn of(segments: &[SegmentFile]) -> BTreeMap<String, SegmentFile> {
        segments.iter().map(|segment| (segment.id.clone(), segment.clone())).collect()
    }

    fn names(steps: &[Step]) -> Vec<String> {
        let name = |step: &Step| format!("{:?} {}", step.action, step.id);
        steps.iter().map(name).collect()
    }

    const EXISTS: &str = r#"{"field":"x","operator":"exists"}"#;

    #[test]
    fn a_segment_comes_after_those_that_it_names_and_goes_before_them() {
        let all = of(&[
            segment("a", r#"{"conditions":[{"segment":"c"},{"segment":"b"}]}"#),
            segment("b", r#"{"segment":"c"}"#),
            segment("c", EXISTS),
        ]);
        let wanted = Definitions { segments: all.clone(), ..Definitions::default() };
        let steps = between(&HeldDefinitions::default(), &wanted, false).unwrap();
        assert_eq!(names(&steps), ["Create c", "Create b", "Create a"]);
        let held = all.into_iter().map(|(id, segment)| (id, (1, segment))).collect();
        let held = HeldDefinitions { segments: held, ..HeldDefinitions::default() };
        assert!(between(&held, &Definitions::default(), false).unwrap().is_empty());
        let steps = between(&held, &Definitions::default(), true).unwrap();
        assert_eq!(names(&steps), ["a", "b", "c"].map(|id| format!("Delete {{ version: 1 }} {id}")));
    }

    #[test]
    fn another_spelling_is_no_difference() {
        let held = |rules: &str| HeldDefinitions {
            segments: BTreeMap::from([("a".to_owned(), (4, segment("a", rules)))]),
            ..HeldDefinitions::default()
        };
        let wanted = |rules: &str| Definitions { segments: of(&[segment("a", rules)]), ..Definitions::default() };
        let count = |operator: &str| format!(r#"{{"event":"buy","operator":"{operator}","value":3.0}}"#);
        let steps = |rules: &str| names(&between(&held(&count("gte")), &wanted(rules), false).unwrap());
        assert!(steps(&count(">=")).is_empty());
        assert_eq!(steps(&count(">")), ["Change { version: 4 } a"]);
        assert_eq!(steps(r#"{"nonsense":1}"#), ["Change { version: 4 } a"], "the server says what is wrong");
    }

    #[test]
    fn shipped_traits_are_not_pruned() {
        let definition = || RawValue::from_string(r#"{"name":"t","event":"buy"}"#.to_owned()).unwrap();
        let traits = ["t", "totalSpent"].map(|name| (name.to_owned(), (1, definition())));
        let held = HeldDefinitions { traits: BTreeMap::from(traits), ..HeldDefinitions::default() };
        assert_eq!(names(&between(&held, &Definitions::default(), true).unwrap()), ["Delete { version: 1 } t"]);
    }
}
