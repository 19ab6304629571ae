//! The check of all steps before the first is taken: each as the server would check it, on a copy of its definitions.

use std::sync::Arc;

use audience_protocol::{
    CampaignInput, CampaignStatus, CheckedSegmentId, ContentStatus, MAX_ID_BYTES, PlatformError, SegmentKind, Word,
};
use audience_rules::catalogue::{Catalogue, ComputedTrait, Definition, Segment, SegmentStatus};
use audience_rules::fault::{Fault, code};
use audience_rules::json::parse_json;
use audience_rules::parse::parse_behaviour;
use audience_rules::zone::ZoneId;
use audience_sender::{check_campaign, check_content};
use serde_json::value::RawValue;

use super::documents::{SegmentFile, is_same_campaign};
use super::files::{Definitions, SETTINGS};
use super::kind::DefinitionKind;
use super::steps::{Action, HeldDefinitions, Step};

/// Every fault of the steps, each on a line after the file that it stands in.
pub(super) fn faults(held: &HeldDefinitions, wanted: &Definitions, steps: &[Step]) -> Vec<String> {
    let mut checks = Checks { held, wanted, catalogue: catalogue(held), found: Vec::new() };
    for step in steps {
        checks.step(step);
    }
    for (id, campaign) in &wanted.campaigns {
        checks.campaign(id, campaign, steps);
    }
    checks.found
}

/// The segments and traits of a server, as far as they can be read.
fn catalogue(held: &HeldDefinitions) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for (_, definition) in held.traits.values() {
        let read = parse_json(definition.get().as_bytes()).ok().and_then(|json| parse_behaviour(&json).ok());
        if let Some((name, behaviour)) = read {
            catalogue.put_trait(ComputedTrait { name, behaviour: Arc::new(behaviour) });
        }
    }
    // All ids first, so that rules are read in any order.
    for id in held.segments.keys() {
        catalogue.put_segment(segment(id, Definition::Static(Arc::default())));
    }
    for (id, (_, file)) in &held.segments {
        let json = file.rules.as_ref().and_then(|rules| parse_json(rules.get().as_bytes()).ok());
        if let Some(node) = json.and_then(|json| catalogue.check_rules(id, &json).ok()) {
            catalogue.put_segment(segment(id, Definition::Dynamic(node.into())));
        }
    }
    catalogue
}

fn segment(id: &str, definition: Definition) -> Segment {
    Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition }
}

struct Checks<'a> {
    held: &'a HeldDefinitions,
    wanted: &'a Definitions,
    /// The server's, changed by the steps so far.
    catalogue: Catalogue,
    found: Vec<String>,
}

impl Checks<'_> {
    fn say(&mut self, kind: DefinitionKind, id: &str, faults: impl IntoIterator<Item = Fault>) {
        let place = match self.wanted.place(kind, id) {
            Some(place) => place.display().to_string(),
            None if kind == DefinitionKind::Setting => SETTINGS.to_owned(),
            None => format!("{} {id}, which has no file", kind.word()),
        };
        self.found.extend(faults.into_iter().map(|fault| format!("{place}: {fault}")));
    }

    fn step(&mut self, step: &Step) {
        let Step { kind, id, .. } = step;
        let faults = match (kind, step.action) {
            (DefinitionKind::Segment, Action::Delete { .. }) => {
                let fault = self.catalogue.check_delete_segment(id).err();
                self.catalogue.delete_segment(id);
                fault.into_iter().collect()
            }
            (DefinitionKind::Trait, Action::Delete { .. }) => {
                let fault = self.catalogue.check_delete_trait(id).err();
                self.catalogue.delete_trait(id);
                fault.into_iter().collect()
            }
            (DefinitionKind::Segment, _) => step.segment.as_ref().map_or_else(Vec::new, |file| self.segment(file)),
            (DefinitionKind::Trait, _) => {
                step.definition.as_ref().map_or_else(Vec::new, |definition| self.computed_trait(definition))
            }
            (DefinitionKind::Setting, _) => {
                let is_known =
                    self.wanted.settings.timezone.as_deref().is_none_or(|name| ZoneId::named(name).is_some());
                let message = "a time zone has a name of the tz database, such as Europe/Berlin or UTC";
                (!is_known).then(|| fault("/timezone", code::BAD_ZONE, message)).into_iter().collect()
            }
            (DefinitionKind::Content, Action::Create | Action::Change { .. } | Action::Approve { .. }) => {
                self.content(id)
            }
            (DefinitionKind::Content | DefinitionKind::Campaign, _) => Vec::new(),
        };
        self.say(*kind, id, faults);
    }

    fn computed_trait(&mut self, definition: &RawValue) -> Vec<Fault> {
        let json = match parse_json(definition.get().as_bytes()) {
            Ok(json) => json,
            Err(error) => return vec![Fault::whole("malformed_json", error.to_string())],
        };
        match self.catalogue.check_trait(&json) {
            Ok(new) => {
                self.catalogue.put_trait(new);
                Vec::new()
            }
            Err(faults) => faults,
        }
    }

    fn segment(&mut self, file: &SegmentFile) -> Vec<Fault> {
        let mut faults = self.segment_words(file);
        if !self.catalogue.segments.contains_key(file.id.as_str()) {
            self.catalogue.put_segment(segment(&file.id, Definition::Static(Arc::default())));
        }
        let message = "a list has no `rules`, and its members are in no file; other segments have `rules`";
        match &file.rules {
            Some(_) if file.is_list() => faults.push(fault("/rules", code::UNEXPECTED_MEMBER, message)),
            None if !file.is_list() => faults.push(fault("", code::MISSING_MEMBER, message)),
            None => {}
            Some(rules) => match parse_json(rules.get().as_bytes()) {
                Err(error) => faults.push(fault("/rules", "malformed_json", &error.to_string())),
                Ok(json) => match self.catalogue.check_rules(&file.id, &json) {
                    Ok(node) => self.catalogue.put_segment(segment(&file.id, Definition::Dynamic(node.into()))),
                    Err(own) => {
                        let below = |own: Fault| Fault { pointer: format!("/rules{}", own.pointer), ..own };
                        faults.extend(own.into_iter().map(below));
                    }
                },
            },
        }
        faults
    }

    /// The faults of all but the rules.
    fn segment_words(&self, file: &SegmentFile) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(faulty) = CheckedSegmentId::parse(&file.id) {
            faults.push(fault("/id", faulty.code, &faulty.message));
        }
        if !(1..=MAX_ID_BYTES).contains(&file.name.len()) {
            faults.push(fault("/name", code::OUT_OF_RANGE, &format!("a name has 1 to {MAX_ID_BYTES} bytes")));
        }
        if file.kind.as_deref().is_some_and(|kind| SegmentKind::parse(kind).is_none()) {
            faults.push(fault("/type", code::UNKNOWN_WORD, &format!("a type is {}", SegmentKind::choices())));
        }
        let Some(status) = SegmentStatus::parse(file.status()).filter(|status| *status != SegmentStatus::Archived)
        else {
            let message = "a status is DRAFT, ACTIVE or INACTIVE; to archive a segment, use the API or the console";
            faults.push(fault("/status", code::UNKNOWN_WORD, message));
            return faults;
        };
        let Some((_, old)) = self.held.segments.get(&file.id) else { return faults };
        if old.is_list() != file.is_list() {
            let message = "the server's segment is of another type, and keeps it; give the file another id";
            faults.push(fault("/type", code::DOES_NOT_FIT, message));
        }
        let is_step = match SegmentStatus::parse(old.status()) {
            Some(SegmentStatus::Archived) => false,
            Some(SegmentStatus::Draft) => status != SegmentStatus::Inactive,
            _ => status != SegmentStatus::Draft,
        };
        if !is_step {
            let message = format!("the server's segment is {}, and cannot become {}", old.status(), file.status());
            faults.push(fault("/status", code::DOES_NOT_FIT, &message));
        }
        faults
    }

    fn content(&mut self, id: &str) -> Vec<Fault> {
        let Some(content) = self.wanted.contents.get(id) else { return Vec::new() };
        if !self.held.has_mail {
            return vec![no_mail()];
        }
        refused(check_content(content.input(), content.is_to_be_approved()))
    }

    /// Checks what a campaign's file names against what there is after all steps.
    fn campaign(&mut self, id: &str, campaign: &CampaignInput, steps: &[Step]) {
        let held = self.held.campaigns.get(id);
        if !self.held.has_mail {
            return self.say(DefinitionKind::Campaign, id, [no_mail()]);
        }
        if let Some(held) = held.filter(|held| held.status != CampaignStatus::Draft) {
            if !is_same_campaign(&held.input, campaign) {
                let message = "the campaign was launched or cancelled, and does not change; give the file another id";
                self.say(DefinitionKind::Campaign, id, [Fault::whole(code::DOES_NOT_FIT, message)]);
            }
            return;
        }
        let mut faults = refused(check_campaign(&CampaignInput { id: Some(id.to_owned()), ..campaign.clone() }));
        let excluded = campaign.exclude_segment_ids.iter().enumerate();
        let excluded = excluded.map(|(index, segment)| (format!("/excludeSegmentIds/{index}"), segment));
        for (pointer, segment) in excluded.chain([("/segmentId".to_owned(), &campaign.segment_id)]) {
            if !self.catalogue.segments.contains_key(segment.as_str()) {
                faults.push(fault(&pointer, code::UNKNOWN_SEGMENT, &format!("there is no segment `{segment}`")));
            }
        }
        let is_gone = |step: &Step| step.id == campaign.content_id && matches!(step.action, Action::Delete { .. });
        let held = self.held.contents.get(&campaign.content_id);
        let is_held = held.is_some_and(|content| content.status != ContentStatus::Archived)
            && !steps.iter().any(|step| step.kind == DefinitionKind::Content && is_gone(step));
        if !is_held && !self.wanted.contents.contains_key(&campaign.content_id) {
            let message = format!("there is no content `{}`", campaign.content_id);
            faults.push(fault("/contentId", code::UNKNOWN_WORD, &message));
        }
        self.say(DefinitionKind::Campaign, id, faults);
    }
}

fn fault(pointer: &str, code: &'static str, message: &str) -> Fault {
    Fault { pointer: pointer.to_owned(), code, message: message.to_owned() }
}

fn no_mail() -> Fault {
    Fault::whole(code::DOES_NOT_FIT, "this server has no contents and campaigns; name the engine's address")
}

fn refused(checked: audience_protocol::Result<()>) -> Vec<Fault> {
    match checked {
        Ok(()) => Vec::new(),
        Err(PlatformError::Invalid(faults)) => faults,
        Err(error) => vec![Fault::whole(code::DOES_NOT_FIT, error.to_string())],
    }
}
