//! A rule that is no segment's, among the segments and traits that it refers to.

use audience_protocol::Result;
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::explain::Dependencies;
use audience_rules::json::parse_json;
use serde_json::value::RawValue;

use crate::checks::{below_rules, malformed_rules};
use crate::editor::Editor;

impl Editor {
    /// The catalogue that a rule needs to be evaluated by itself: the rule as an active segment of that id, and what it
    /// refers to, as it is now.
    pub fn rule_alone(&self, id: &str, rules: &RawValue) -> Result<Catalogue> {
        let mut catalogue = self.read(|documents| documents.catalogue.clone());
        let json = parse_json(rules.get().as_bytes()).map_err(|fault| malformed_rules(&fault))?;
        let rule = catalogue.check_rules(id, &json).map_err(below_rules)?;
        let definition = Definition::Dynamic(rule.into());
        let segment = Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition };
        catalogue.segments.insert(segment.id.clone(), segment);
        let reach = Dependencies::of(&catalogue, id);
        catalogue.segments.retain(|known, _| reach.segments.contains(known));
        Ok(catalogue)
    }
}
