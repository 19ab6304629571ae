//! Computed traits, answered by the catalogue, with warnings of what no event had.

use std::sync::Arc;

use audience_catalogue::Editor;
use audience_protocol::{Result, TraitDocument, TraitInput, TraitPreview, TraitPreviewInput, TraitResource, TraitView};

use crate::intake::shapes::EventShapes;

/// Answers the resource of traits.
pub(super) struct TraitRequests {
    pub(super) editor: Arc<Editor>,
    pub(super) shapes: Arc<EventShapes>,
}

impl TraitResource for TraitRequests {
    fn put_trait(&self, input: TraitInput, expected: Option<u64>, author: &str) -> Result<TraitView> {
        let definition = input.definition.clone();
        let view = self.editor.put_trait(input, expected, author)?;
        Ok(TraitView { warnings: self.shapes.warnings("", &definition, &self.editor.documents()), ..view })
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

    fn preview_trait(&self, preview: TraitPreviewInput, watch: &mut dyn FnMut() -> bool) -> Result<TraitPreview> {
        let warnings = self.shapes.warnings("", &preview.definition, &self.editor.documents());
        Ok(TraitPreview { warnings, ..self.editor.preview_trait(preview, watch)? })
    }

    fn computed_trait(&self, name: &str) -> Result<TraitView> {
        self.editor.computed_trait(name)
    }

    fn trait_versions(&self, name: &str) -> Result<Vec<TraitDocument>> {
        self.editor.trait_versions(name)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        self.editor.computed_traits()
    }
}
