//! A store of memberships, for readers without an engine.

use crate::{Progress, Reach, Result, StoreError};

/// A segment that a user is in, as a store of memberships holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeldMembership {
    /// The segment.
    pub segment_id: String,
    /// Since when, milliseconds.
    pub since: i64,
}

/// The state of a store of memberships, as its writer says it in the store itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingState {
    /// It holds every membership as of that progress, or of a later one.
    Whole(Progress),
    /// It is being filled or emptied: of some users it holds nothing, or what is over.
    Partial,
    /// Nobody has ever written to it, or everything was lost.
    Empty,
}

impl ServingState {
    /// The state of a store whose writer reaches that far.
    pub fn of(reach: Option<&Reach>) -> ServingState {
        match reach {
            None => ServingState::Empty,
            Some(Reach::All(progress)) if progress.tick != u64::MAX => ServingState::Whole(*progress),
            Some(_) => ServingState::Partial,
        }
    }

    /// Refuses a read, unless the store is whole.
    pub fn check(self) -> Result<(), ServingError> {
        match self {
            ServingState::Whole(_) => Ok(()),
            ServingState::Partial => Err(ServingError::Partial),
            ServingState::Empty => Err(ServingError::Empty),
        }
    }
}

/// Why a store of memberships does not say which segments a user is in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ServingError {
    /// It is being filled or emptied.
    #[error("it is being filled")]
    Partial,
    /// It holds nothing.
    #[error("it holds nothing, or has lost what it held")]
    Empty,
    /// It does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The memberships that a [`Sink`](crate::Sink) writes, as their readers find them.
///
/// Readers MUST see what the sink has written when its last write returned, and MAY see more of what is being written. A read
/// MUST fail within the time that the reader was given, however the store hangs.
pub trait ServingStore: Send + Sync {
    /// The name in logs and health.
    fn name(&self) -> &str;

    /// The state that its writer has stored. Costs one read. It MAY connect, and take a second.
    fn state(&self) -> Result<ServingState>;

    /// The segments that a user is in, in order of their ids; none for an unknown user. MUST fail where the store is not
    /// whole at that moment: nothing is ever read out of a store that is being filled. Costs one round trip.
    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, ServingError>;

    /// Returns whether the lists of these segments name a user. A store whose lists are not looked at says that they do.
    fn are_listing(&self, _user_id: &str, segments: &[String]) -> Result<Vec<bool>, ServingError> {
        Ok(vec![true; segments.len()])
    }
}
