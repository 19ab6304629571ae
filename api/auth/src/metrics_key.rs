//! The key of whoever scrapes figures, which stands in a file: processes without a store of keys know it, too.

use std::fmt;

use ring::digest;
use subtle::ConstantTimeEq as _;

/// A key that opens what `system:read` opens, and nothing else.
#[derive(Clone)]
pub struct MetricsKey(Vec<u8>);

impl MetricsKey {
    /// The least number of characters: so many cannot be guessed.
    pub const LEAST: usize = 24;

    /// The key of this text without the white space around it; `None` where it is too short.
    pub fn new(text: &str) -> Option<MetricsKey> {
        let text = text.trim();
        (text.len() >= MetricsKey::LEAST).then(|| MetricsKey(digest_of(text)))
    }

    /// Returns whether a header `Authorization` bears this key. Takes as long for every key.
    pub(crate) fn is_in(&self, authorization: &str) -> bool {
        let shown = authorization.trim().split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        shown.is_some_and(|(_, key)| digest_of(key.trim()).ct_eq(&self.0).into())
    }
}

fn digest_of(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

impl fmt::Debug for MetricsKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MetricsKey")
    }
}
