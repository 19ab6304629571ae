//! How Aerospike is reached, and which logical store is kept where.

use serde::Deserialize;

const USER_PROFILES: &str = "user_profiles";
const SEGMENT_OWNERSHIP: &str = "segment_ownership";

/// How Aerospike is reached, and which logical store is kept where. There is nothing yet that would be kept in one named
/// `cache`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Nodes to begin with, `host:port` separated by commas; they say which others there are.
    pub hosts: String,
    /// What its progress is filed under. Of several that write to the same sets each has its own name.
    #[serde(default = "default_writer")]
    pub writer: String,
    /// How long a write or a read may take in all, with what is tried again, milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u32,
    /// Into how many records the users of a segment are dealt. Stays as it is for as long as there are any: a record of
    /// 1 MiB takes about 40,000 users.
    #[serde(default = "default_chunks")]
    pub chunks: u32,
    /// Where a user's segments and profile are, and how far they reach.
    #[serde(default = "user_profiles")]
    pub user_profiles: StoreSettings,
    /// Where the users of segments are.
    #[serde(default = "segment_ownership")]
    pub segment_ownership: StoreSettings,
    /// Where sizes of segments over time are. A stock server has no third namespace: by default it is that of
    /// `segment_ownership`.
    #[serde(default = "segment_ownership")]
    pub analytics: StoreSettings,
}

/// Where a logical store is kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Nodes of another cluster than the one named above.
    #[serde(default)]
    pub hosts: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// What the names of its sets begin with.
    #[serde(default)]
    pub prefix: String,
}

impl StoreSettings {
    /// In a namespace of the cluster that is named for all.
    pub fn of(namespace: &str) -> Self {
        StoreSettings { hosts: None, namespace: namespace.to_owned(), prefix: String::new() }
    }
}

impl Settings {
    /// With what is so by default.
    pub fn of(hosts: &str) -> Self {
        Settings {
            hosts: hosts.to_owned(),
            writer: default_writer(),
            timeout_ms: default_timeout(),
            chunks: default_chunks(),
            user_profiles: user_profiles(),
            segment_ownership: segment_ownership(),
            analytics: segment_ownership(),
        }
    }
}

fn default_writer() -> String {
    "audience".to_owned()
}

fn default_timeout() -> u32 {
    10_000
}

fn default_chunks() -> u32 {
    1_024
}

fn user_profiles() -> StoreSettings {
    StoreSettings::of(USER_PROFILES)
}

fn segment_ownership() -> StoreSettings {
    StoreSettings::of(SEGMENT_OWNERSHIP)
}
