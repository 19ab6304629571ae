//! Computed traits.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Result, needs_engine};

/// Computed traits. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
///
/// `expected` is the version that the caller read; `None` replaces whatever is there.
pub trait TraitResource: Send + Sync + 'static {
    /// Creates (`expected` is `Some(0)`) or replaces a computed trait from its definition.
    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        needs_engine("computed traits", (definition, expected, author))
    }

    /// Deletes a computed trait.
    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        needs_engine("computed traits", (name, expected, author))
    }

    /// Returns a computed trait.
    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        needs_engine("computed traits", name)
    }

    /// Returns all computed traits in order of their names.
    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        needs_engine("computed traits", ())
    }
}

/// A computed trait as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraitDocument {
    /// Its name.
    pub name: String,
    /// Its definition: `{name, event, where?, measure?, within?}` in canonical form.
    pub definition: Box<RawValue>,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339.
    pub updated_at: String,
}
