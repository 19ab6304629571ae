//! Computed traits, answered by the catalogue.

use audience_protocol::{Result, TraitDocument, TraitResource};
use serde_json::value::RawValue;

use crate::service::Service;

impl TraitResource for Service {
    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        self.editor.put_trait(definition, expected, author)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_trait(name, expected, author)
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        self.editor.computed_trait(name)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.editor.computed_traits())
    }
}
