//! The demo: a generated shop that an instance without data can be filled with.

use serde::Serialize;

use crate::error::{Result, needs_engine};

/// The demo. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait DemoResource: Send + Sync + 'static {
    /// Returns how far the demo is.
    fn demo(&self) -> Result<DemoView> {
        needs_engine("the demo", ())
    }

    /// Begins to fill the instance with the demo, and returns at once. Conflicts unless the instance holds next to nothing.
    fn load_demo(&self) -> Result<DemoView> {
        needs_engine("the demo", ())
    }
}

/// The progress of the demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoView {
    /// The state.
    pub state: DemoState,
    /// The reason why filling ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A state of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DemoState {
    /// The instance holds next to nothing, and can be filled.
    Possible,
    /// The instance has data of its own.
    Impossible,
    /// The shop is being filled.
    Loading,
    /// The shop is there.
    Loaded,
    /// Filling ended early; it may be asked for again.
    Failed,
}
