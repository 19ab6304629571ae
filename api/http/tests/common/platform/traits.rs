//! Computed traits, in a map.

use audience_protocol::{
    NamedSegment, PlatformError, ResourceKind, Result, SegmentEffect, TraitDocument, TraitInput, TraitPreview,
    TraitPreviewInput, TraitResource, TraitView,
};
use audience_rules::fault::{Fault, code};

use super::{FakePlatform, check, special};

fn missing(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: ResourceKind::Trait, id: name.into() }
}

fn view(document: TraitDocument) -> TraitView {
    TraitView { document, used_by: Vec::new(), warnings: Vec::new() }
}

impl TraitResource for FakePlatform {
    fn put_trait(&self, input: TraitInput, expected: Option<u64>, author: &str) -> Result<TraitView> {
        let value: serde_json::Value = serde_json::from_str(input.definition.get()).unwrap();
        let (Some(name), Some(_)) = (value["name"].as_str(), value["event"].as_str()) else {
            return Err(PlatformError::Invalid(vec![Fault::whole(code::MISSING_MEMBER, "name and event")]));
        };
        special(name)?;
        let mut traits = self.traits.lock().unwrap();
        let versions = traits.entry(name.to_owned()).or_default();
        let current = versions.last().map_or(0, |document| document.version);
        check(expected, current)?;
        let document = TraitDocument {
            name: name.into(),
            definition: input.definition,
            version: current + 1,
            updated_at: "2024-01-01T00:00:00Z".into(),
            updated_by: author.into(),
            note: input.note,
        };
        versions.push(document.clone());
        Ok(view(document))
    }

    fn rollback_trait(
        &self,
        name: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<TraitView> {
        let wanted = self.trait_versions(name)?.into_iter().find(|one| one.version == version);
        let missing = || PlatformError::NotFound { kind: ResourceKind::Version, id: name.into() };
        let definition = wanted.ok_or_else(missing)?.definition;
        self.put_trait(TraitInput { definition, note }, expected, author)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, _: &str) -> Result<()> {
        special(name)?;
        check(expected, self.computed_trait(name)?.document.version)?;
        self.traits.lock().unwrap().remove(name);
        Ok(())
    }

    fn preview_trait(&self, preview: TraitPreviewInput, watch: &mut dyn FnMut() -> bool) -> Result<TraitPreview> {
        assert!(watch(), "somebody waits");
        let users: Vec<String> = (0..preview.sample_size.unwrap_or(10)).map(|number| format!("u{number}")).collect();
        let segment = NamedSegment { id: "vip".into(), name: preview.definition.get().to_owned() };
        let effect =
            SegmentEffect { segment, size: 3, entered: 2, left: 1, sample_entered: users, sample_left: Vec::new() };
        Ok(TraitPreview { segments: vec![effect], ..TraitPreview::default() })
    }

    fn computed_trait(&self, name: &str) -> Result<TraitView> {
        let newest = self.traits.lock().unwrap().get(name).and_then(|versions| versions.last().cloned());
        newest.map(view).ok_or_else(|| missing(name))
    }

    fn trait_versions(&self, name: &str) -> Result<Vec<TraitDocument>> {
        self.traits.lock().unwrap().get(name).cloned().ok_or_else(|| missing(name))
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        let traits = self.traits.lock().unwrap();
        Ok(traits.values().filter_map(|versions| versions.last().cloned()).collect())
    }
}
