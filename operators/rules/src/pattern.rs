//! Regular expressions of rules.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A checked regular expression; equal where its source is.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<regex::Regex>);

/// The most bytes of a compiled regular expression: bounds what repetitions of repetitions can take. It is the crate's
/// own default.
pub(crate) const MOST_PATTERN_BYTES: usize = 10 << 20;

impl Pattern {
    /// Compiles a regular expression that takes at most so much memory.
    pub(crate) fn compile(source: &str, most_bytes: usize) -> Result<Pattern, regex::Error> {
        let regex = regex::RegexBuilder::new(source).size_limit(most_bytes).build()?;
        Ok(Pattern(Arc::new(regex)))
    }

    /// The source text.
    pub fn source(&self) -> &str {
        self.0.as_str()
    }

    /// Returns whether it matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Pattern::compile(&source, MOST_PATTERN_BYTES).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}
impl Eq for Pattern {}
impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source().hash(state);
    }
}
impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.source().cmp(other.source())
    }
}
