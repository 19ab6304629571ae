//! Users found by the value of a trait: a search is the preview of a rule that tests it.
//!
//! So the answer is what a segment of that rule would have, by the same law, and nothing is kept for it: the workers look
//! at every user once, and read history first where nobody needed the trait before.

use std::time::{Duration, Instant};

use audience_protocol::{FOUND_USERS, FoundUsers, PlatformError, PreviewInput, Result, UserSearch};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Lookup;

/// A search that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Lookup {
    /// Finds users by the value of a trait.
    pub(crate) fn find_users(&self, search: &UserSearch) -> Result<FoundUsers> {
        if let Some(segment) = &search.segment {
            self.editor.segment(segment)?;
        }
        let mut refused = None;
        for test in tests(search) {
            match self.find(search, &test) {
                // A measure that is a number is compared with numbers only.
                Err(PlatformError::Invalid(faults)) => refused = refused.or(Some(PlatformError::Invalid(faults))),
                found => return found,
            }
        }
        refused.map_or_else(|| Ok(FoundUsers::default()), Err)
    }

    fn find(&self, search: &UserSearch, test: &Value) -> Result<FoundUsers> {
        let limit = search.limit.min(FOUND_USERS);
        let rules = match &search.segment {
            Some(segment) => json!({"conditions": [{"segment": segment}, test]}),
            None => test.clone(),
        };
        let rules = RawValue::from_string(rules.to_string())
            .map_err(|error| PlatformError::Unavailable(format!("the search cannot be written: {error}")))?;
        let input =
            PreviewInput { id: None, rules, sample_size: Some(FOUND_USERS as u32), break_down: None, with_trait: None };
        let deadline = Instant::now() + PATIENCE;
        let found = self.editor.preview(input, &mut |_| Instant::now() < deadline)?;
        let mut items = found.sample_entered;
        items.sort_unstable();
        items.truncate(limit);
        Ok(FoundUsers { items, total: found.size })
    }
}

/// The tests that a search may stand for, in the order in which they are tried: a text may be meant as a number, or as true
/// or false.
fn tests(search: &UserSearch) -> Vec<Value> {
    let UserSearch { field, value, .. } = search;
    if search.is_prefix {
        return vec![json!({"field": field, "operator": "starts_with", "value": value})];
    }
    match serde_json::from_str::<Value>(value) {
        Ok(meant @ (Value::Number(_) | Value::Bool(_))) => vec![
            json!({"field": field, "operator": "in", "value": [value, meant]}),
            json!({"field": field, "operator": "eq", "value": meant}),
        ],
        _ => vec![json!({"field": field, "operator": "eq", "value": value})],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_stand_for_a_number() {
        let tried = |value: &str, is_prefix| {
            let search = UserSearch { value: value.to_owned(), is_prefix, ..UserSearch::default() };
            tests(&search).into_iter().map(|test| test["value"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(tried("12.50", false), [json!(["12.50", 12.50]), json!(12.50)]);
        assert_eq!(tried("true", false), [json!(["true", true]), json!(true)]);
        assert_eq!(tried("12", true), [json!("12")]);
        assert_eq!(tried("ada", false), [json!("ada")]);
        assert_eq!(tried("[1]", false), [json!("[1]")]);
    }
}
