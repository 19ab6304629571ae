//! Computed traits, in a map.

use audience_protocol::{PlatformError, Result, TraitDocument, TraitResource};
use audience_rules::fault::{Fault, code};
use serde_json::value::RawValue;

use super::{FakePlatform, check, special};

impl TraitResource for FakePlatform {
    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, _: &str) -> Result<TraitDocument> {
        let value: serde_json::Value = serde_json::from_str(definition.get()).unwrap();
        let (Some(name), Some(_)) = (value["name"].as_str(), value["event"].as_str()) else {
            return Err(PlatformError::Invalid(vec![Fault::whole(code::MISSING_MEMBER, "name and event")]));
        };
        special(name)?;
        let mut traits = self.traits.lock().unwrap();
        let current = traits.get(name).map_or(0, |document| document.version);
        check(expected, current)?;
        let document = TraitDocument {
            name: name.into(),
            definition: definition.to_owned(),
            version: current + 1,
            updated_at: "2024-01-01T00:00:00Z".into(),
        };
        traits.insert(name.into(), document.clone());
        Ok(document)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, _: &str) -> Result<()> {
        special(name)?;
        check(expected, self.computed_trait(name)?.version)?;
        self.traits.lock().unwrap().remove(name);
        Ok(())
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        let missing = || PlatformError::NotFound { kind: "trait", id: name.into() };
        self.traits.lock().unwrap().get(name).cloned().ok_or_else(missing)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.traits.lock().unwrap().values().cloned().collect())
    }
}
