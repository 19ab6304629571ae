//! Sizes of segments over time, written to Aerospike.

use std::collections::BTreeMap;

use aerospike::operations::maps::{self, MapOrder, MapPolicy, MapWriteFlags};
use aerospike::{BatchOperation, Bin, Bins, Client, Key, ResultCode, Value};
use audience_contract::{SinkError, SizeSample, SizeStore};

use crate::cluster::{self, LazyCluster};
use crate::layout::{REACH, progress_key};
use crate::{AerospikeSettings, Error};

/// Bin: by instant, how many members.
const SIZES: &str = "sizes";
/// Milliseconds of a segment's sizes that one record holds.
const DAY: i64 = 86_400_000;

/// Sizes of segments over time in Aerospike, as upserts.
///
/// Costs a record for each segment and day of which there is something new.
pub struct AerospikeSizes {
    /// `aerospike-sizes:` and the writer.
    name: String,
    settings: AerospikeSettings,
    cluster: LazyCluster,
}

impl AerospikeSizes {
    /// One that connects when it is first asked.
    pub fn new(settings: AerospikeSettings) -> Result<AerospikeSizes, Error> {
        let name = format!("aerospike-sizes:{}", settings.writer);
        let cluster = LazyCluster::new(&settings, &settings.analytics)?;
        Ok(AerospikeSizes { name, settings, cluster })
    }

    fn run<T>(
        &mut self,
        what: impl AsyncFnOnce(&Client, &AerospikeSettings) -> Result<T, Error>,
    ) -> Result<T, SinkError> {
        let settings = &self.settings;
        self.cluster.run(async |client| what(client, settings).await).map_err(|error| error.into_sink(&self.name))
    }
}

impl SizeStore for AerospikeSizes {
    fn name(&self) -> &str {
        &self.name
    }

    fn reached(&mut self) -> Result<Option<i64>, SinkError> {
        self.run(async |client, settings| {
            let policy = cluster::read_policy(settings.timeout_ms);
            match client.get(&policy, &reach_key(settings)?, Bins::from([REACH])).await {
                Ok(record) => match record.bins.get(REACH) {
                    Some(Value::Int(at)) => Ok(Some(*at)),
                    other => Err(Error::Damaged(format!("how far sizes reach is {other:?}"))),
                },
                Err(error) if error.server_result_code() == Some(ResultCode::KeyNotFoundError) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn write(&mut self, samples: &[SizeSample]) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            cluster::write_all(client, records(settings, samples)?, None, settings.timeout_ms).await?.whole()
        })
    }

    fn reach(&mut self, at: i64) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            let policy = cluster::write_policy(settings.timeout_ms, None);
            Ok(client.put(&policy, &reach_key(settings)?, &[Bin::new(REACH, Value::Int(at))]).await?)
        })
    }
}

/// Beside the sizes, so that it is lost with them.
fn reach_key(settings: &AerospikeSettings) -> Result<Key, Error> {
    progress_key(&settings.analytics, format!("sizes/{}", settings.writer))
}

/// The record of each segment and day, with its new sizes.
fn records(settings: &AerospikeSettings, samples: &[SizeSample]) -> Result<Vec<BatchOperation>, Error> {
    let mut by_day: BTreeMap<(&str, i64), BTreeMap<Value, Value>> = BTreeMap::new();
    for sample in samples {
        let of_day = by_day.entry((&sample.segment_id, sample.at.div_euclid(DAY))).or_default();
        of_day.insert(Value::Int(sample.at), Value::Int(i64::try_from(sample.size).unwrap_or(i64::MAX)));
    }
    let order = MapPolicy::new(MapOrder::KeyOrdered, MapWriteFlags::DEFAULT);
    let policy = cluster::record_policy();
    let (store, set) = (&settings.analytics, format!("{}sizes", settings.analytics.prefix));
    let record = |((segment, day), sizes): ((&str, i64), BTreeMap<Value, Value>)| {
        let key = Key::new(&*store.namespace, &*set, Value::from(format!("{segment}/{day}")))?;
        let put = maps::put_items(&order, SIZES, sizes);
        Ok(BatchOperation::write(&policy, key, vec![put]))
    };
    by_day.into_iter().map(record).collect()
}
