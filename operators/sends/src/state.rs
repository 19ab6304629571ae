//! The states of a send, and the steps between them.

use serde::{Deserialize, Serialize};

/// The state of a send.
///
/// ```text
/// planned ─► suppressed │ cancelled │ held │ claimed ─► handing ─► accepted │ deferred │ rejected │ unknown
/// deferred ─► claimed │ cancelled       unknown ─► accepted │ planned │ held
/// accepted ─► delivered │ bounced │ complained
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendState {
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
pub const STATES: [SendState; 13] = [
    SendState::Planned,
    SendState::Suppressed,
    SendState::Cancelled,
    SendState::Claimed,
    SendState::Handing,
    SendState::Accepted,
    SendState::Deferred,
    SendState::Rejected,
    SendState::Unknown,
    SendState::Held,
    SendState::Delivered,
    SendState::Bounced,
    SendState::Complained,
];

impl SendState {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            SendState::Planned => "planned",
            SendState::Suppressed => "suppressed",
            SendState::Cancelled => "cancelled",
            SendState::Claimed => "claimed",
            SendState::Handing => "handing",
            SendState::Accepted => "accepted",
            SendState::Deferred => "deferred",
            SendState::Rejected => "rejected",
            SendState::Unknown => "unknown",
            SendState::Held => "held",
            SendState::Delivered => "delivered",
            SendState::Bounced => "bounced",
            SendState::Complained => "complained",
        }
    }

    /// The state of a name.
    pub fn named(name: &str) -> Option<SendState> {
        STATES.into_iter().find(|state| state.name() == name)
    }

    /// Returns whether a send may go from this state to another in one step.
    pub const fn may_become(self, next: SendState) -> bool {
        use SendState::{
            Accepted, Bounced, Cancelled, Claimed, Complained, Deferred, Delivered, Handing, Held, Planned, Rejected,
            Suppressed, Unknown,
        };
        match self {
            // One in doubt that is to be handed over again is held where that cannot be any more.
            Planned => matches!(next, Suppressed | Cancelled | Claimed | Held),
            // Whoever claimed it ended, or something that only shows then stops it.
            Claimed => matches!(next, Planned | Suppressed | Cancelled | Handing | Held),
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
        !matches!(self, SendState::Planned | SendState::Suppressed | SendState::Cancelled | SendState::Rejected)
    }

    /// Returns whether nothing more is done about the send by itself.
    pub const fn is_settled(self) -> bool {
        !matches!(
            self,
            SendState::Planned | SendState::Claimed | SendState::Handing | SendState::Deferred | SendState::Unknown
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in STATES {
            assert_eq!(SendState::named(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn what_left_for_the_provider_is_never_called_off_or_stopped_by_a_gate() {
        for state in [SendState::Handing, SendState::Accepted, SendState::Unknown, SendState::Held] {
            assert!(!state.may_become(SendState::Cancelled) && !state.may_become(SendState::Suppressed), "{state:?}");
        }
    }

    #[test]
    fn only_a_claimed_send_is_handed_over_and_only_one_that_was_has_a_result() {
        for state in STATES {
            assert_eq!(state.may_become(SendState::Handing), state == SendState::Claimed);
            assert_eq!(state.may_become(SendState::Rejected), state == SendState::Handing);
            assert!(!state.may_become(state), "{state:?} is no step");
        }
    }

    #[test]
    fn every_state_is_reached_and_those_that_are_not_settled_go_on() {
        for state in STATES {
            let is_reached = state == SendState::Planned || STATES.iter().any(|before| before.may_become(state));
            assert!(is_reached, "{state:?}");
            let goes_on = STATES.iter().any(|next| state.may_become(*next));
            assert!(state.is_settled() || goes_on, "{state:?}");
        }
    }
}
