//! Stored documents of access: members, keys, sessions and invitations.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::permission::Permissions;
use crate::role::Role;
use crate::secret::SecretDigest;

const HOUR: i64 = 3_600_000;
/// The time that an unused session lasts, and the time that any session lasts.
const IDLE: i64 = 12 * HOUR;
const LONGEST: i64 = 7 * 24 * HOUR;
/// The same of a program's.
const PROGRAM_IDLE: i64 = 14 * 24 * HOUR;
const PROGRAM_LONGEST: i64 = 90 * 24 * HOUR;

/// A text that no `Debug` shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The id of the tenant that is always there.
pub(crate) const DEFAULT_TENANT: &str = "default";

fn default_tenant() -> String {
    DEFAULT_TENANT.to_owned()
}

fn is_default_tenant(tenant: &String) -> bool {
    tenant == DEFAULT_TENANT
}

/// A tenant beside `default`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRecord {
    /// The id.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Requests a minute of all its callers together, where it is not the default of the platform; 0 for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Events a minute that it sends by HTTP, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_minute: Option<u32>,
    /// True once it was ended, until its data are gone.
    #[serde(default)]
    pub ending: bool,
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The id.
    pub id: String,
    /// The tenant.
    #[serde(default = "default_tenant", skip_serializing_if = "is_default_tenant")]
    pub tenant: String,
    /// The e-mail address in lower case, by which the member signs in. It is of one tenant.
    pub email: String,
    /// The name; may be empty.
    #[serde(default)]
    pub name: String,
    /// The role.
    pub role: Role,
    /// The hash of the password, as a PHC text.
    pub password: Hidden,
    /// True where the member is kept out.
    #[serde(default)]
    pub disabled: bool,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// The person at a provider of identities, where the member signs in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<MemberOrigin>,
}

/// A person at a provider of identities: the only thing by which it is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberOrigin {
    /// The provider.
    pub issuer: String,
    /// The id of the person there.
    pub subject: String,
}

/// The kind of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Sends events, and may stand in a web page.
    Write,
    /// For servers: does what its permissions say.
    Server,
}

/// The secret that a rotation has replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldSecret {
    /// The digest.
    pub digest: SecretDigest,
    /// The instant from which it is not taken any more, in epoch milliseconds.
    pub until: i64,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The id, which the key itself shows.
    pub id: String,
    /// The tenant.
    #[serde(default = "default_tenant", skip_serializing_if = "is_default_tenant")]
    pub tenant: String,
    /// The name, under which its changes are recorded.
    pub name: String,
    /// The kind.
    pub kind: KeyKind,
    /// The digest of the secret.
    pub digest: SecretDigest,
    /// The secret before, until the overlap of a rotation ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<OldSecret>,
    /// Its permissions; its maker has them all.
    pub permissions: Permissions,
    /// The addresses from which it is taken; empty is everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "ranges")]
    pub addresses: Vec<IpNet>,
    /// Its maker, as the audit log names them.
    pub made_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Epoch milliseconds, to about a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<i64>,
}

/// A refresh token that another one has replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldRefresh {
    /// Its digest.
    pub digest: SecretDigest,
    /// Epoch milliseconds.
    pub replaced_at: i64,
    /// The one that replaced it, encrypted under it.
    pub successor: String,
}

/// The refresh tokens of a session that were replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshChain {
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<OldRefresh>,
    /// Those before it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<SecretDigest>,
}

/// A key that signs access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SigningKey {
    /// The id, which tokens name.
    pub id: String,
    /// The pair as PKCS #8, in base64url.
    pub private: Hidden,
    /// The public key, in base64url.
    pub public: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// A session: somebody signed in with a browser, or drew tokens for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The id, by which it is listed and ended.
    pub id: String,
    /// The digest of the cookie, or of the newest refresh token.
    pub digest: SecretDigest,
    /// The id of the member.
    pub member: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds, to about a minute.
    pub used_at: i64,
    /// The address from which it was begun.
    pub address: String,
    /// The program that began it, as it calls itself; at most 200 bytes.
    pub agent: String,
    /// The refresh tokens that were replaced, where it is a program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<RefreshChain>,
}

impl Session {
    /// Returns whether it has ended by itself.
    pub fn has_ended(&self, now: i64) -> bool {
        let (idle, longest) = if self.tokens.is_some() { (PROGRAM_IDLE, PROGRAM_LONGEST) } else { (IDLE, LONGEST) };
        now - self.used_at >= idle || now - self.created_at >= longest
    }
}

/// An invitation: a link with which somebody becomes a member, or sets a new password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// The id.
    pub id: String,
    /// The tenant of whoever takes it.
    #[serde(default = "default_tenant", skip_serializing_if = "is_default_tenant")]
    pub tenant: String,
    /// The digest of the secret in the link.
    pub digest: SecretDigest,
    /// Whom it is for; whoever opens the first admin's link says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The role of the member.
    pub role: Role,
    /// The member who invites.
    pub made_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// A document that is written.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// A tenant.
    Tenant(TenantRecord),
    /// A tenant whose data are gone.
    NoTenant(String),
    /// A member.
    Member(Member),
    /// A member goes with the tenant.
    NoMember(String),
    /// A key.
    Key(ApiKey),
    /// A key is deleted.
    NoKey(String),
    /// A session.
    Session(Session),
    /// A session ends.
    NoSession(String),
    /// An invitation.
    Invitation(Invitation),
    /// An invitation is taken or withdrawn.
    NoInvitation(String),
    /// A key that signs tokens.
    Signing(SigningKey),
    /// A key that signs tokens no more.
    NoSigning(String),
}

/// Ranges of addresses as texts: the crate's own serialization would be one more feature of it.
mod ranges {
    use ipnet::IpNet;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(ranges: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ranges.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(|_| D::Error::custom("no range of addresses"))).collect()
    }
}
