//! One thing that a doctor looked at.

use serde::Serialize;

/// The state of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// As it must be.
    Good,
    /// A start works, and something may fail later.
    Warning,
    /// A start fails, or waits until this is mended.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The part that was looked at.
    pub part: &'static str,
    /// Its state.
    pub verdict: Verdict,
    /// The finding, in words.
    pub found: String,
    /// The fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(crate) fn good(part: &'static str, found: impl Into<String>) -> Finding {
        Finding { part, verdict: Verdict::Good, found: found.into(), fix: None }
    }

    pub(crate) fn warning(part: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { part, verdict: Verdict::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    pub(crate) fn fault(part: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { part, verdict: Verdict::Fault, found: found.into(), fix: Some(fix.into()) }
    }
}
