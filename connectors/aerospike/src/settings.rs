//! The nodes of Aerospike, and the places of the logical stores.

use std::fmt;

use crate::tls::AerospikeTls;

const USER_PROFILES: &str = "user_profiles";
const SEGMENT_OWNERSHIP: &str = "segment_ownership";

/// The nodes of Aerospike, and the places of the logical stores. A store named `cache` is not used yet.
#[derive(Clone)]
pub struct AerospikeSettings {
    /// The first nodes, `host:port` separated by commas; they name the others. With TLS also `host:name:port`, where the
    /// certificate has another name than the host.
    pub hosts: String,
    /// The name under which progress is kept. Each of several engines that write the same sets has its own.
    pub writer: String,
    /// The user, where the cluster asks for one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// TLS to every node, of every store's cluster.
    pub tls: Option<AerospikeTls>,
    /// Milliseconds that a write or a read may take, retries included.
    pub timeout_ms: u32,
    /// Milliseconds that a reader waits for users' segments.
    pub read_timeout_ms: u32,
    /// Records into which the users of a segment are dealt. It must not change while there are any: a record of 1 MiB takes
    /// about 40,000 users.
    pub chunks: u32,
    /// The place of users' segments and profiles, and of their positions.
    pub user_profiles: StoreSettings,
    /// The place of the users of segments.
    pub segment_ownership: StoreSettings,
    /// The place of sizes of segments over time. A stock server has no third namespace, so the default is that of
    /// `segment_ownership`.
    pub analytics: StoreSettings,
}

/// The place of a logical store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Nodes of another cluster than that of [`AerospikeSettings::hosts`].
    pub hosts: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// The prefix of the names of its sets.
    pub prefix: String,
}

impl StoreSettings {
    /// A namespace of the cluster of all stores, without a prefix.
    pub fn of(namespace: &str) -> Self {
        StoreSettings { hosts: None, namespace: namespace.to_owned(), prefix: String::new() }
    }
}

/// Without user and password.
impl fmt::Debug for AerospikeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AerospikeSettings")
            .field("hosts", &self.hosts)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl AerospikeSettings {
    /// The defaults, for nodes.
    pub fn of(hosts: &str) -> Self {
        AerospikeSettings {
            hosts: hosts.to_owned(),
            writer: "audience".to_owned(),
            user: None,
            password: None,
            tls: None,
            timeout_ms: 10_000,
            read_timeout_ms: 100,
            chunks: 1_024,
            user_profiles: StoreSettings::of(USER_PROFILES),
            segment_ownership: StoreSettings::of(SEGMENT_OWNERSHIP),
            analytics: StoreSettings::of(SEGMENT_OWNERSHIP),
        }
    }
}
