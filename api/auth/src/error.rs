//! Errors of what is asked of members, keys and sessions, and refusals at the door.

use audience_contract::StoreError;

use crate::permission::Permission;
use crate::secret::NoRandomness;

/// A reason why something of members, keys or sessions was not done.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A member of the request is wrong.
    #[error("{message}")]
    Invalid {
        /// The JSON pointer.
        pointer: &'static str,
        /// The fault, and what is taken.
        message: String,
    },
    /// The thing does not exist.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// member, key, session, invitation
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The change is not possible in this state.
    #[error("{message}")]
    Conflict {
        /// A stable word.
        code: &'static str,
        /// The obstacle, and the way round it.
        message: String,
    },
    /// Name and password do not fit, the secret is not known, or has ended: which of them is not said.
    #[error("{0}")]
    NotSignedIn(&'static str),
    /// Too many tried.
    #[error("too many attempts; try again in {retry_after_seconds} s")]
    TooMany {
        /// Seconds until another attempt is taken.
        retry_after_seconds: u64,
    },
    /// Too many passwords wait.
    #[error("too many sign in at this moment; try again in 1 s")]
    Busy,
    /// This process has no store of members.
    #[error("members and keys are known where the engine or the segment API runs: ask there")]
    NoStore,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRandomness> for AuthError {
    fn from(_: NoRandomness) -> AuthError {
        AuthError::NoRandomness
    }
}

/// The answer to what is asked of members, keys and sessions.
pub(crate) type Result<T, E = AuthError> = std::result::Result<T, E>;

/// A reason why the door stays shut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody is named.
    #[error("sign in, or send a key: `Authorization: Bearer ams_…`")]
    SignIn,
    /// The credential is unknown, has ended, or was withdrawn.
    #[error("this key, token or session is not known, or has ended")]
    NotKnown,
    /// The caller lacks a permission.
    #[error("this needs the permission {}, with which one may {}", .0.name(), .0.about())]
    Missing(Permission),
    /// A write key asks for something else than to send events.
    #[error("a write key only sends events; use a server key (ams_…)")]
    WriteKey,
    /// The key is not taken from this address.
    #[error("this key is not taken from this address")]
    Address,
    /// Scripts of another site ask.
    #[error("requests from pages of another site are not taken; see the setting cors_origins")]
    OtherSite,
    /// The name under which the process was reached is not one of this machine.
    #[error(
        "without sign-in, requests are taken only under a name of this machine, such as localhost; see docs/security.md"
    )]
    OtherHost,
}

impl Refusal {
    /// The words of all refusals.
    pub(crate) const CODES: [&str; 7] = [
        Refusal::SignIn.code(),
        Refusal::NotKnown.code(),
        Refusal::Missing(Permission::SystemRead).code(),
        Refusal::WriteKey.code(),
        Refusal::Address.code(),
        Refusal::OtherSite.code(),
        Refusal::OtherHost.code(),
    ];

    /// A stable word.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::SignIn => "sign_in",
            Refusal::NotKnown => "not_known",
            Refusal::Missing(_) => "missing_permission",
            Refusal::WriteKey => "write_key",
            Refusal::Address => "address_refused",
            Refusal::OtherSite => "other_site",
            Refusal::OtherHost => "other_host",
        }
    }

    /// Returns whether signing in may help: 401 in HTTP, else 403.
    pub const fn asks_for_sign_in(&self) -> bool {
        matches!(self, Refusal::SignIn | Refusal::NotKnown)
    }
}
