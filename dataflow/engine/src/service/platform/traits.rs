//! Computed traits, answered by the catalogue.

use audience_protocol::{Result, TraitDocument, TraitInput, TraitResource, TraitView};

use crate::service::Service;

impl TraitResource for Service {
    fn put_trait(&self, input: TraitInput, expected: Option<u64>, author: &str) -> Result<TraitView> {
        let view = self.editor.put_trait(&input, expected, author)?;
        Ok(TraitView { warnings: self.warnings("", &input.definition), ..view })
    }

    fn rollback_trait(
        &self,
        name: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<TraitView> {
        self.editor.rollback_trait(name, version, note, expected, author)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_trait(name, expected, author)
    }

    fn computed_trait(&self, name: &str) -> Result<TraitView> {
        self.editor.computed_trait(name)
    }

    fn trait_versions(&self, name: &str) -> Result<Vec<TraitDocument>> {
        self.editor.trait_versions(name)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.editor.computed_traits())
    }
}
