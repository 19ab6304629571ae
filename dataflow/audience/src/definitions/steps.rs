//! The steps from what a server has to what the files say, in an order in which each is possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_protocol::{Campaign, CampaignInput, CampaignStatus, ContentDocument, ContentStatus};
use audience_rules::catalogue::Catalogue;
use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_behaviour, parse_rules};
use audience_rules::value::Value;
use serde::Serialize;
use serde_json::value::RawValue;

use super::documents::{ContentFile, DefinedSettings, SegmentFile, WantedStatus, is_same_campaign};
use super::files::Definitions;
use super::kind::DefinitionKind;

/// The change. A version is the one that the server had: another one is not overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Change {
        version: u64,
    },
    Approve {
        version: u64,
    },
    /// Deletes; contents are archived, and campaigns cancelled.
    Delete {
        version: u64,
    },
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub kind: DefinitionKind,
    pub id: String,
    pub action: Action,
    pub segment: Option<SegmentFile>,
    /// The body of the request, but of a segment.
    pub definition: Option<Box<RawValue>>,
}

/// The definitions of a server, with versions.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldDefinitions {
    /// Archived ones included.
    pub segments: BTreeMap<String, (u64, SegmentFile)>,
    pub traits: BTreeMap<String, (u64, Box<RawValue>)>,
    /// Archived ones included.
    pub contents: BTreeMap<String, ContentDocument>,
    /// In any status.
    pub campaigns: BTreeMap<String, Campaign>,
    pub timezone: (u64, String),
    /// False if the server has no contents and campaigns at all.
    pub has_mail: bool,
}

impl HeldDefinitions {
    /// Those that get files: none that is archived, cancelled or over.
    pub(super) fn definitions(self) -> Definitions {
        let segments = self.segments.into_iter().filter(|(_, (_, segment))| !segment.is_archived());
        let contents = self.contents.into_iter().filter(|(_, content)| content.status != ContentStatus::Archived);
        let campaigns = self.campaigns.into_iter().filter(|(_, campaign)| !is_over(campaign));
        Definitions {
            segments: segments.map(|(id, (_, segment))| (id, segment)).collect(),
            traits: self.traits.into_iter().map(|(name, (_, definition))| (name, definition)).collect(),
            contents: contents.map(|(id, content)| (id, content_file(&content))).collect(),
            campaigns: campaigns.map(|(id, campaign)| (id, campaign.input)).collect(),
            settings: DefinedSettings { timezone: Some(self.timezone.1) },
            places: BTreeMap::new(),
        }
    }
}

fn is_over(campaign: &Campaign) -> bool {
    matches!(campaign.status, CampaignStatus::Completed | CampaignStatus::Cancelled)
}

fn content_file(content: &ContentDocument) -> ContentFile {
    let ContentDocument { id, name, purpose, subject, preheader, body, status, .. } = content.clone();
    let status = (status == ContentStatus::Approved).then_some(WantedStatus::Approved);
    ContentFile { id, name, status, purpose, subject, preheader, body }
}

impl Step {
    fn new(kind: DefinitionKind, id: &str, action: Action) -> Step {
        Step { kind, id: id.to_owned(), action, segment: None, definition: None }
    }

    fn with(self, definition: &impl Serialize) -> anyhow::Result<Step> {
        Ok(Step { definition: Some(serde_json::value::to_raw_value(definition)?), ..self })
    }
}

/// The steps: each definition after those that it names, and deletions last, the other way round.
pub(super) fn between(held: &HeldDefinitions, wanted: &Definitions, is_pruning: bool) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let (version, known) = &held.timezone;
    if let Some(zone) = wanted.settings.timezone.as_ref().filter(|zone| *zone != known) {
        let change = Action::Change { version: *version };
        let step = Step::new(DefinitionKind::Setting, &format!("timezone to {zone}"), change);
        steps.push(step.with(&wanted.settings)?);
    }
    for (name, definition) in &wanted.traits {
        let action = match held.traits.get(name) {
            None => Action::Create,
            Some((version, old)) if !is_same_trait(old, definition) => Action::Change { version: *version },
            Some(_) => continue,
        };
        steps.push(Step::new(DefinitionKind::Trait, name, action).with(definition)?);
    }
    for segment in in_order(&wanted.segments) {
        let action = match held.segments.get(&segment.id) {
            None => Action::Create,
            Some((version, old)) if !is_same_segment(old, segment) => Action::Change { version: *version },
            Some(_) => continue,
        };
        let step = Step::new(DefinitionKind::Segment, &segment.id, action);
        steps.push(Step { segment: Some(segment.clone()), ..step });
    }
    for content in wanted.contents.values() {
        steps.extend(content_steps(held.contents.get(&content.id), content)?);
    }
    for (id, campaign) in &wanted.campaigns {
        let action = match held.campaigns.get(id) {
            None => Action::Create,
            Some(old) if !is_same_campaign(&old.input, campaign) => Action::Change { version: old.version },
            Some(_) => continue,
        };
        let input = CampaignInput { id: Some(id.clone()), ..campaign.clone() };
        steps.push(Step::new(DefinitionKind::Campaign, id, action).with(&input)?);
    }
    if is_pruning {
        steps.extend(deletions(held, wanted));
    }
    Ok(steps)
}

/// A content is created or replaced, and approved if its file says so.
fn content_steps(held: Option<&ContentDocument>, wanted: &ContentFile) -> anyhow::Result<Vec<Step>> {
    let is_same =
        held.is_some_and(|held| content_file(held).has_text_of(wanted) && held.status != ContentStatus::Archived);
    let is_approved = is_same && held.is_some_and(|held| held.status == ContentStatus::Approved);
    let version = held.map_or(0, |held| held.version);
    let mut steps = Vec::new();
    if !is_same {
        let action = if held.is_some() { Action::Change { version } } else { Action::Create };
        steps.push(Step::new(DefinitionKind::Content, &wanted.id, action).with(&wanted.input())?);
    }
    if wanted.is_to_be_approved() && !is_approved {
        let action = Action::Approve { version: version + u64::from(!is_same) };
        steps.push(Step::new(DefinitionKind::Content, &wanted.id, action));
    }
    Ok(steps)
}

fn deletions(held: &HeldDefinitions, wanted: &Definitions) -> Vec<Step> {
    let delete = |kind, id: &str, version| Step::new(kind, id, Action::Delete { version });
    let campaigns = held
        .campaigns
        .iter()
        .filter(|(id, campaign)| campaign.status == CampaignStatus::Draft && !wanted.campaigns.contains_key(*id));
    let campaigns = campaigns.map(|(id, campaign)| delete(DefinitionKind::Campaign, id, campaign.version));
    let only: BTreeMap<String, SegmentFile> =
        held.segments.iter().map(|(id, (_, segment))| (id.clone(), segment.clone())).collect();
    let segments = in_order(&only).into_iter().rev();
    let segments = segments.filter(|segment| !segment.is_archived() && !wanted.segments.contains_key(&segment.id));
    let segments = segments.filter_map(|segment| {
        let (version, _) = held.segments.get(&segment.id)?;
        Some(delete(DefinitionKind::Segment, &segment.id, *version))
    });
    let shipped = Catalogue::with_shipped_traits();
    let traits = held.traits.iter().filter(|(name, _)| !wanted.traits.contains_key(*name));
    let traits = traits.filter(|(name, _)| !shipped.traits.contains_key(name.as_str()));
    let traits = traits.map(|(name, (version, _))| delete(DefinitionKind::Trait, name, *version));
    let contents = held
        .contents
        .iter()
        .filter(|(id, content)| content.status != ContentStatus::Archived && !wanted.contents.contains_key(*id));
    let contents = contents.map(|(id, content)| delete(DefinitionKind::Content, id, content.version));
    campaigns.chain(segments.collect::<Vec<_>>()).chain(traits).chain(contents).collect()
}

/// Segments after those that they name. A circle is told when the steps are checked.
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

fn is_same_trait(old: &RawValue, new: &RawValue) -> bool {
    let read = |text: &RawValue| parse_behaviour(&parse_json(text.get().as_bytes()).ok()?).ok();
    let new = read(new);
    new.is_some() && read(old) == new
}

fn is_same_segment(old: &SegmentFile, new: &SegmentFile) -> bool {
    let tags = |segment: &SegmentFile| {
        let mut tags = segment.tags.clone();
        tags.sort_unstable();
        tags
    };
    let words = |segment: &SegmentFile| {
        let owner = segment.owner.clone().filter(|owner| !owner.is_empty());
        let kind = (segment.is_list(), segment.status().to_uppercase());
        (segment.name.clone(), segment.description.clone(), kind, tags(segment), owner)
    };
    words(old) == words(new) && (new.is_list() || is_same_rule(old, new))
}

/// Returns whether rules mean the same, whatever their spelling. A faulty one differs, and is told when the steps are checked.
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
        assert_eq!(steps(r#"{"nonsense":1}"#), ["Change { version: 4 } a"], "it is told when the steps are checked");
    }

    #[test]
    fn shipped_traits_are_not_pruned() {
        let definition = || RawValue::from_string(r#"{"name":"t","event":"buy"}"#.to_owned()).unwrap();
        let traits = ["t", "totalSpent"].map(|name| (name.to_owned(), (1, definition())));
        let held = HeldDefinitions { traits: BTreeMap::from(traits), ..HeldDefinitions::default() };
        assert_eq!(names(&between(&held, &Definitions::default(), true).unwrap()), ["Delete { version: 1 } t"]);
    }
}
