//! A look at clusters before a start. It changes nothing.

use std::collections::BTreeSet;

use aerospike::AdminPolicy;

use crate::cluster::{ClientThreads, connect};
use crate::{AerospikeSettings, Error};

/// The cluster of a logical store as it stands before a start.
#[derive(Clone, Debug)]
pub struct AerospikeInspection {
    /// The logical store.
    pub store: &'static str,
    /// The nodes of its cluster.
    pub nodes: usize,
    /// The namespace of the store.
    pub namespace: String,
    /// True for a cluster that has that namespace.
    pub has_namespace: bool,
}

/// Looks at the cluster of each logical store. Costs a connection and one question each.
pub fn inspect(settings: &AerospikeSettings) -> Result<Vec<AerospikeInspection>, Error> {
    let threads = ClientThreads::new()?;
    let stores = [
        ("user_profiles", &settings.user_profiles),
        ("segment_ownership", &settings.segment_ownership),
        ("analytics", &settings.analytics),
    ];
    threads.run(async {
        let mut inspections = Vec::new();
        for (store, place) in stores {
            let client = connect(place.hosts.as_ref().unwrap_or(&settings.hosts), settings).await?;
            let answer = client.info(&AdminPolicy::default(), &["namespaces"]).await?;
            let names: BTreeSet<&str> = answer.values().flat_map(|names| names.trim().split(';')).collect();
            inspections.push(AerospikeInspection {
                store,
                nodes: client.nodes().len(),
                namespace: place.namespace.clone(),
                has_namespace: names.contains(place.namespace.as_str()),
            });
        }
        Ok(inspections)
    })
}
