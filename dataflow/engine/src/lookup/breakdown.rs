//! The members of a segment by the value of a trait: counted by the workers, on the rows that they have.
//!
//! A test whether there is any value is installed, as a preview is; so the workers compute the trait for every user, and
//! count the members by what they find.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use audience_protocol::{Breakdown, PlatformError, PreviewInput, Result, ValueCount};
use serde_json::json;
use serde_json::value::RawValue;

use super::Lookup;

/// A count that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Lookup {
    /// Counts the members of a segment by their values of a trait, told or computed: the most frequent `limit`, and the rest.
    pub(crate) fn break_down(&self, segment: &str, field: &str, limit: usize) -> Result<Breakdown> {
        self.editor.segment(segment)?;
        let unwritten = |error: serde_json::Error| PlatformError::Unavailable(error.to_string());
        let rules =
            RawValue::from_string(json!({"field": field, "operator": "exists"}).to_string()).map_err(unwritten)?;
        let input = PreviewInput {
            id: None,
            rules,
            sample_size: Some(0),
            break_down: Some(segment.to_owned()),
            with_trait: None,
        };
        let deadline = Instant::now() + PATIENCE;
        let counted = self.editor.preview(input, &mut |_| Instant::now() < deadline)?.values.unwrap_or_default();
        let mut values = counted.values;
        // The most frequent first, and of one count in the order of their texts.
        values.sort_unstable_by(|(text, count), (other, more)| (Reverse(count), text).cmp(&(Reverse(more), other)));
        let of_values: u64 = values.iter().map(|(_, count)| count).sum();
        let different = values.len() as u64;
        values.truncate(limit);
        let shown: u64 = values.iter().map(|(_, count)| count).sum();
        let items = values
            .into_iter()
            .filter_map(|(text, count)| Some(ValueCount { value: RawValue::from_string(text).ok()?, count }));
        Ok(Breakdown {
            segment_id: segment.to_owned(),
            field: field.to_owned(),
            size: of_values + counted.missing + counted.other,
            items: items.collect(),
            rest: of_values - shown + counted.other,
            missing: counted.missing,
            different_values: (counted.other == 0).then_some(different),
        })
    }
}
