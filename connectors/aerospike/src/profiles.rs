//! Profiles of users, written to Aerospike.

use std::collections::BTreeMap;

use aerospike::expressions;
use aerospike::operations::{self, Operation};
use aerospike::query::PartitionFilter;
use aerospike::{
    BatchDeletePolicy, BatchOperation, Bin, Bins, Client, Key, QueryPolicy, RecordExistsAction, ResultCode, Statement,
    Value,
};
use audience_contract::{Profile, ProfileReach, ProfileStore, SinkError, TraitValues};
use futures_util::StreamExt;
use serde_json::Value as Json;

use crate::cluster::{self, LazyCluster};
use crate::layout::{REACH, progress_key};
use crate::{AerospikeSettings, Error};

/// Bin: traits by name.
const TRAITS: &str = "traits";
/// Bin: computed traits by name.
const COMPUTED: &str = "computed";
/// Bin: the instant that they are as of.
const AT: &str = "at";
/// JSON that is written into a bin at most; there it takes at most two and a quarter times as much, and a record has 1 MiB.
const MOST_BYTES: usize = 400_000;
/// Users that are found before they are taken out.
const ERASE_AT_ONCE: usize = 10_000;

/// Profiles of users in Aerospike, each whole in one record.
///
/// Costs a record for each user.
pub struct AerospikeProfiles {
    /// `aerospike-profiles:` and the writer.
    name: String,
    settings: AerospikeSettings,
    cluster: LazyCluster,
}

impl AerospikeProfiles {
    /// One that connects when it is first asked.
    pub fn new(settings: AerospikeSettings) -> Result<AerospikeProfiles, Error> {
        let name = format!("aerospike-profiles:{}", settings.writer);
        let cluster = LazyCluster::new(&settings, &settings.user_profiles)?;
        Ok(AerospikeProfiles { name, settings, cluster })
    }

    fn run<T>(
        &mut self,
        what: impl AsyncFnOnce(&Client, &AerospikeSettings) -> Result<T, Error>,
    ) -> Result<T, SinkError> {
        let settings = &self.settings;
        self.cluster.run(async |client| what(client, settings).await).map_err(|error| error.into_sink(&self.name))
    }
}

impl ProfileStore for AerospikeProfiles {
    fn name(&self) -> &str {
        &self.name
    }

    fn reached(&mut self) -> Result<Option<ProfileReach>, SinkError> {
        self.run(async |client, settings| {
            let policy = cluster::read_policy(settings.timeout_ms);
            match client.get(&policy, &reach_key(settings)?, Bins::from([REACH])).await {
                Ok(record) => match record.bins.get(REACH) {
                    Some(Value::String(reach)) => serde_json::from_str(reach).map(Some).map_err(Error::Unreadable),
                    other => Err(Error::Damaged(format!("how far profiles reach is {other:?}"))),
                },
                Err(error) if error.server_result_code() == Some(ResultCode::KeyNotFoundError) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn write(&mut self, profiles: &[Profile]) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            let policy = cluster::record_policy();
            let record = |profile: &Profile| {
                let bins = [
                    Bin::new(TRAITS, map(&profile.traits)?),
                    Bin::new(COMPUTED, map(&profile.computed)?),
                    Bin::new(AT, Value::Int(profile.at)),
                ];
                let puts: Vec<Operation> = bins.iter().map(operations::put).collect();
                Ok(BatchOperation::write(&policy, user_key(settings, &profile.user_id)?, puts))
            };
            let records = profiles.iter().map(record).collect::<Result<_, Error>>()?;
            cluster::write_all(client, records, None, settings.timeout_ms).await?.whole()
        })
    }

    fn erase(&mut self, user_ids: &[String]) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            erase(client, settings, user_ids.iter().map(|user| user_key(settings, user)).collect::<Result<_, _>>()?)
                .await
        })
    }

    fn erase_before(&mut self, at: i64) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            let mut policy = QueryPolicy::default();
            // As long as it takes; each part of an answer has its time.
            policy.base_policy.total_timeout = 0;
            policy.base_policy.socket_timeout = settings.timeout_ms;
            let is_before = expressions::lt(expressions::int_bin(AT.to_owned()), expressions::int_val(at));
            policy.base_policy.filter_expression = Some(is_before);
            let (namespace, set) = (&*settings.user_profiles.namespace, set(settings));
            let statement = Statement::new(namespace, &set, Bins::from([AT]));
            let mut found = client.query(&policy, PartitionFilter::all(), statement).await?.into_stream();
            let mut keys = Vec::new();
            while let Some(record) = found.next().await {
                keys.extend(record?.key);
                if keys.len() >= ERASE_AT_ONCE {
                    erase(client, settings, std::mem::take(&mut keys)).await?;
                }
            }
            erase(client, settings, keys).await
        })
    }

    fn reach(&mut self, reach: &ProfileReach) -> Result<(), SinkError> {
        self.run(async |client, settings| {
            let policy = cluster::write_policy(settings.timeout_ms, None);
            let reach = Value::from(serde_json::to_string(reach)?);
            Ok(client.put(&policy, &reach_key(settings)?, &[Bin::new(REACH, reach)]).await?)
        })
    }
}

/// Deletes records. A server of the Community Edition may find deleted ones again when it starts: so nothing is in them first.
async fn erase(client: &Client, settings: &AerospikeSettings, keys: Vec<Key>) -> Result<(), Error> {
    let mut policy = cluster::record_policy();
    policy.record_exists_action = RecordExistsAction::UpdateOnly;
    let empty = |key: &Key| {
        let nothing = || Value::SortedMap(BTreeMap::new());
        let puts = [TRAITS, COMPUTED].map(|bin| operations::put(&Bin::new(bin, nothing())));
        BatchOperation::write(&policy, key.clone(), Vec::<Operation>::from(puts))
    };
    cluster::write_all(client, keys.iter().map(empty).collect(), None, settings.timeout_ms).await?;
    let policy = BatchDeletePolicy::default();
    let deletions = keys.into_iter().map(|key| BatchOperation::delete(&policy, key)).collect();
    cluster::write_all(client, deletions, None, settings.timeout_ms).await?.whole()
}

fn set(settings: &AerospikeSettings) -> String {
    format!("{}profile", settings.user_profiles.prefix)
}

fn user_key(settings: &AerospikeSettings, user: &str) -> Result<Key, Error> {
    Ok(Key::new(&*settings.user_profiles.namespace, set(settings), Value::from(user))?)
}

/// Beside the profiles, so that it is lost with them.
fn reach_key(settings: &AerospikeSettings) -> Result<Key, Error> {
    progress_key(&settings.user_profiles, format!("profiles/{}", settings.writer))
}

/// Traits as a map; nothing where they are too large for a record.
fn map(values: &TraitValues) -> Result<Value, Error> {
    let bytes: usize = values.iter().map(|(name, value)| name.len() + value.get().len()).sum();
    if bytes > MOST_BYTES {
        return Ok(Value::Nil);
    }
    let value = |value: &str| Ok::<_, Error>(held(serde_json::from_str(value)?));
    let entries = values.iter().map(|(name, text)| Ok((Value::from(name.as_str()), value(text.get())?)));
    Ok(Value::SortedMap(entries.collect::<Result<_, Error>>()?))
}

/// A value as Aerospike holds it.
fn held(value: Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => number.as_f64().map_or(Value::Nil, Value::from),
        },
        Json::String(text) => Value::String(text),
        Json::Array(values) => Value::List(values.into_iter().map(held).collect()),
        Json::Object(members) => {
            Value::SortedMap(members.into_iter().map(|(name, value)| (Value::String(name), held(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> TraitValues {
        serde_json::from_str(text).expect("an object")
    }

    #[test]
    fn what_a_record_does_not_take_is_left_out() {
        let of = |length| map(&values(&format!(r#"{{"a": "{}"}}"#, "x".repeat(length)))).expect("a map");
        assert!(matches!(of(MOST_BYTES - 3), Value::SortedMap(_)));
        assert_eq!(of(MOST_BYTES - 2), Value::Nil);
    }

    #[test]
    fn values_are_as_plain_as_they_can_be() {
        let entry = |text: &str| match map(&values(&format!(r#"{{"a": {text}}}"#))) {
            Ok(Value::SortedMap(map)) => map.into_values().next().expect("one"),
            other => panic!("{other:?}"),
        };
        assert_eq!(entry("1000000000000000000"), Value::Int(1_000_000_000_000_000_000));
        assert_eq!(entry("-2.50"), Value::from(-2.5));
        assert_eq!(entry("0.000000001"), Value::from(1e-9));
        assert_eq!(entry("[true, null]"), Value::List(vec![Value::Bool(true), Value::Nil]));
    }
}
