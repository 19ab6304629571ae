//! The states of a send, and the steps between them.

use serde::{Deserialize, Serialize};

/// The state of a send.
///
/// ```text
/// planned ─► suppressed │ cancelled │ claimed ─► handing ─► accepted │ deferred │ rejected │ unknown
/// deferred ─► claimed │ cancelled       unknown ─► accepted │ planned │ held
/// accepted ─► delivered │ bounced │ complained
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is due at an instant.
    Planned,
    /// A gate stopped it, for the reason that stands beside it.
    Suppressed,
    /// It was called off before it was handed over.
    Cancelled,
    /// A sender has taken it, and nothing that could commit the provider has left.
    Claimed,
    /// It is on its way to the provider: after a crash nobody knows whether the provider has it.
    Handing,
    /// The provider has taken it.
    Accepted,
    /// The provider asks for another attempt later.
    Deferred,
    /// The provider refuses it for good.
    Rejected,
    /// It was on its way when the sender ended.
    Unknown,
    /// Nobody knows whether it was sent, and the campaign says that it is not sent again.
    Held,
    /// It reached the mailbox.
    Delivered,
    /// It came back after it was accepted.
    Bounced,
    /// The recipient reported it as unwanted.
    Complained,
}

/// Every state.
pub const STATES: [State; 13] = [
    State::Planned,
    State::Suppressed,
    State::Cancelled,
    State::Claimed,
    State::Handing,
    State::Accepted,
    State::Deferred,
    State::Rejected,
    State::Unknown,
    State::Held,
    State::Delivered,
    State::Bounced,
    State::Complained,
];

impl State {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Suppressed => "suppressed",
            State::Cancelled => "cancelled",
            State::Claimed => "claimed",
            State::Handing => "handing",
            State::Accepted => "accepted",
            State::Deferred => "deferred",
            State::Rejected => "rejected",
            State::Unknown => "unknown",
            State::Held => "held",
            State::Delivered => "delivered",
            State::Bounced => "bounced",
            State::Complained => "complained",
        }
    }

    /// The state of a name.
    pub fn named(name: &str) -> Option<State> {
        STATES.into_iter().find(|state| state.name() == name)
    }

    /// Returns whether a send may go from this state to another in one step.
    pub const fn may_become(self, next: State) -> bool {
        use State::{
            Accepted, Bounced, Cancelled, Claimed, Complained, Deferred, Delivered, Handing, Held, Planned, Rejected,
            Suppressed, Unknown,
        };
        match self {
            Planned => matches!(next, Suppressed | Cancelled | Claimed),
            // Whoever claimed it ended, or something that only shows then stops it.
            Claimed => matches!(next, Planned | Suppressed | Cancelled | Handing),
            Handing => matches!(next, Planned | Accepted | Deferred | Rejected | Unknown),
            Deferred => matches!(next, Claimed | Cancelled),
            Unknown => matches!(next, Accepted | Planned | Held),
            Accepted => matches!(next, Delivered | Bounced | Complained),
            Delivered => matches!(next, Bounced | Complained),
            // A provider's word, or a person's, may still settle it.
            Held => matches!(next, Accepted | Planned),
            Suppressed | Cancelled | Rejected | Bounced | Complained => false,
        }
    }

    /// Returns whether caps and budgets count the send: it was sent, is being sent, or may have been sent.
    pub const fn counts(self) -> bool {
        !matches!(self, State::Planned | State::Suppressed | State::Cancelled | State::Rejected)
    }

    /// Returns whether nothing more is done about the send by itself.
    pub const fn is_settled(self) -> bool {
        !matches!(self, State::Planned | State::Claimed | State::Handing | State::Deferred | State::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in STATES {
            assert_eq!(State::named(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn what_left_for_the_provider_is_never_called_off_or_stopped_by_a_gate() {
        for state in [State::Handing, State::Accepted, State::Unknown, State::Held] {
            assert!(!state.may_become(State::Cancelled) && !state.may_become(State::Suppressed), "{state:?}");
        }
    }

    #[test]
    fn only_a_claimed_send_is_handed_over_and_only_one_that_was_has_a_result() {
        for state in STATES {
            assert_eq!(state.may_become(State::Handing), state == State::Claimed);
            assert_eq!(state.may_become(State::Rejected), state == State::Handing);
            assert!(!state.may_become(state), "{state:?} is no step");
        }
    }

    #[test]
    fn every_state_is_reached_and_those_that_are_not_settled_go_on() {
        for state in STATES {
            let is_reached = state == State::Planned || STATES.iter().any(|before| before.may_become(state));
            assert!(is_reached, "{state:?}");
            let goes_on = STATES.iter().any(|next| state.may_become(*next));
            assert!(state.is_settled() || goes_on, "{state:?}");
        }
    }
}
