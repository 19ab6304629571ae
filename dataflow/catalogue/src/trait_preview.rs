//! The effect of a computed trait's definition on the segments that use it, before it is stored.

use audience_protocol::{
    NamedSegment, PlatformError, PreviewInput, Result, SegmentEffect, TraitPreview, TraitPreviewInput,
};
use audience_rules::ast::SegmentId;

use crate::documents_with::DocumentsWith;
use crate::editor::Editor;

/// Segments that one request counts: each costs a look at every user.
const MOST_COUNTED: usize = 20;

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
