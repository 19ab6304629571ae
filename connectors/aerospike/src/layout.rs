//! Which records there are, and what is in them.

use std::collections::{BTreeMap, BTreeSet};

use aerospike::expressions::{self, Expression};
use aerospike::operations::lists::{self, ListPolicy, ListReturnType};
use aerospike::operations::maps::{self, MapOrder, MapPolicy, MapReturnType, MapWriteFlags};
use aerospike::operations::{self, Operation};
use aerospike::{BatchDeletePolicy, BatchOperation, BatchWritePolicy, Bin, Key, ParticleType, Value};
use audience_contract::{Cause, ChangeKind, HeldMembership, LastChanges, MembershipChange};

use crate::Error;
use crate::cluster::record_policy;
use crate::settings::{AerospikeSettings, StoreSettings};

/// Bin: a user's segments, each with since when and the segment's version.
pub(crate) const SEGMENTS: &str = "segments";
/// Bin: the users of a chunk, in order.
pub(crate) const USERS: &str = "users";
/// Bin: the opening whose writer wrote this last.
pub(crate) const EPOCH: &str = "epoch";
/// Bin: the number of the write that the reach is of.
pub(crate) const NUMBER: &str = "number";
/// Bin: how far a writer has come.
pub(crate) const REACH: &str = "reach";
/// Bin: into how many records users of a segment are dealt.
pub(crate) const CHUNKS: &str = "chunks";

/// Bin: the segments whose lists are not kept, since a chunk of them would be too large.
pub(crate) const GIVEN_UP: &str = "given_up";

/// The segments that the bin [`GIVEN_UP`] names.
pub(crate) fn given_up(bin: Option<&Value>) -> BTreeSet<String> {
    let Some(Value::List(segments)) = bin else { return BTreeSet::new() };
    let named = segments.iter().filter_map(|segment| match segment {
        Value::String(id) => Some(id.clone()),
        _ => None,
    });
    named.collect()
}

/// The places of all records.
pub(crate) struct RecordLayout {
    pub(crate) profiles: StoreSettings,
    pub(crate) ownership: StoreSettings,
    pub(crate) chunks: u32,
    writer: String,
}

impl RecordLayout {
    pub(crate) fn new(settings: &AerospikeSettings) -> Self {
        RecordLayout {
            profiles: settings.user_profiles.clone(),
            ownership: settings.segment_ownership.clone(),
            chunks: settings.chunks.max(1),
            writer: settings.writer.clone(),
        }
    }

    pub(crate) fn segments_set(&self) -> String {
        format!("{}segments", self.profiles.prefix)
    }

    pub(crate) fn members_set(&self) -> String {
        format!("{}members", self.ownership.prefix)
    }

    pub(crate) fn user_key(&self, user: &str) -> Result<Key, Error> {
        Ok(Key::new(&*self.profiles.namespace, self.segments_set(), Value::from(user))?)
    }

    fn chunk_of(&self, user: &str) -> u32 {
        (xxhash_rust::xxh3::xxh3_64(user.as_bytes()) % u64::from(self.chunks)) as u32
    }

    fn chunk_key(&self, segment: &str, chunk: u32) -> Result<Key, Error> {
        self.member_key(format!("{segment}/{chunk}"))
    }

    /// The key of the record of a segment's list that names a user.
    pub(crate) fn list_key(&self, segment: &str, user: &str) -> Result<Key, Error> {
        self.chunk_key(segment, self.chunk_of(user))
    }

    fn member_key(&self, name: String) -> Result<Key, Error> {
        Ok(Key::new(&*self.ownership.namespace, self.members_set(), Value::from(name))?)
    }

    /// The key of the counter of all writers' openings.
    pub(crate) fn openings_key(&self) -> Result<Key, Error> {
        progress_key(&self.profiles, "openings".to_owned())
    }

    /// The key of this writer's state.
    pub(crate) fn writer_key(&self) -> Result<Key, Error> {
        progress_key(&self.profiles, format!("writer/{}", self.writer))
    }

    /// The same, beside the members.
    pub(crate) fn mark_key(&self) -> Result<Key, Error> {
        progress_key(&self.ownership, format!("members/{}", self.writer))
    }

    /// The record of each user of some changes, with its changes.
    pub(crate) fn users(&self, last: &mut LastChanges<'_>, epoch: i64) -> Result<Vec<BatchOperation>, Error> {
        let policy = record_policy();
        last.by_user()
            .map(|changes| {
                let (entered, left) = parted(&changes);
                let held = |change: &&MembershipChange| {
                    let version = i64::try_from(change.version).unwrap_or(i64::MAX);
                    let value = Value::List(vec![Value::Int(change.at), Value::Int(version)]);
                    (Value::from(&*change.segment_id), value)
                };
                let mut operations = vec![operations::put(&Bin::new(EPOCH, Value::Int(epoch)))];
                if !left.is_empty() {
                    let left = left.iter().map(|change| Value::from(&*change.segment_id)).collect();
                    operations.push(maps::remove_by_key_list(SEGMENTS, left, MapReturnType::NONE));
                }
                if !entered.is_empty() {
                    let entered: BTreeMap<Value, Value> = entered.iter().map(held).collect();
                    let order = MapPolicy::new(MapOrder::KeyOrdered, MapWriteFlags::DEFAULT);
                    operations.push(maps::put_items(&order, SEGMENTS, entered));
                }
                Ok(BatchOperation::write(&policy, self.user_key(&changes[0].user_id)?, operations))
            })
            .collect()
    }

    /// The record of each chunk of the segments of some changes, with its changes; none of the segments whose lists were given
    /// up.
    pub(crate) fn members(
        &self,
        last: &mut LastChanges<'_>,
        given_up: &BTreeSet<String>,
        epoch: i64,
    ) -> Result<Vec<BatchOperation>, Error> {
        let policy = record_policy();
        let mut records = Vec::new();
        for changes in last.by_segment().filter(|changes| !given_up.contains(&*changes[0].segment_id)) {
            let mut dealt: Vec<(u32, &MembershipChange)> =
                changes.into_iter().map(|change| (self.chunk_of(&change.user_id), change)).collect();
            dealt.sort_unstable_by_key(|(chunk, _)| *chunk);
            for of_chunk in dealt.chunk_by(|one, next| one.0 == next.0) {
                let (chunk, first) = of_chunk[0];
                let changes: Vec<&MembershipChange> = of_chunk.iter().map(|(_, change)| *change).collect();
                let key = self.chunk_key(&first.segment_id, chunk)?;
                records.push(BatchOperation::write(&policy, key, of_members(&changes, epoch)));
            }
        }
        Ok(records)
    }

    /// The records of all chunks of a segment, to be deleted.
    pub(crate) fn list_of(&self, segment: &str) -> Result<Vec<BatchOperation>, Error> {
        let policy = BatchDeletePolicy::default();
        (0..self.chunks).map(|chunk| Ok(BatchOperation::delete(&policy, self.chunk_key(segment, chunk)?))).collect()
    }

    /// The records of users who were erased, and of ids that were merged into others, to be deleted where nothing is left in
    /// them.
    pub(crate) fn gone(&self, changes: &[MembershipChange], epoch: i64) -> Result<Vec<BatchOperation>, Error> {
        let mut policy = BatchDeletePolicy::default();
        let is_empty =
            expressions::eq(expressions::maps::size(expressions::map_bin(SEGMENTS), &[]), expressions::int_val(0));
        // Who has come again since stays: then the record says no, and is left alone.
        policy.filter_expression = Some(expressions::and(vec![is_empty, written_before(epoch)]));
        let may_be_gone = |change: &&MembershipChange| {
            matches!(change.cause, Cause::Erasure | Cause::Merge) && change.change == ChangeKind::Left
        };
        let mut users: Vec<&str> = changes.iter().filter(may_be_gone).map(|change| &*change.user_id).collect();
        users.sort_unstable();
        users.dedup();
        users.into_iter().map(|user| Ok(BatchOperation::delete(&policy, self.user_key(user)?))).collect()
    }

    /// A user's record with nothing in it.
    pub(crate) fn emptied(&self, policy: &BatchWritePolicy, user: &str, epoch: i64) -> Result<BatchOperation, Error> {
        let operations = vec![
            operations::put(&Bin::new(EPOCH, Value::Int(epoch))),
            operations::put(&Bin::new(SEGMENTS, Value::SortedMap(BTreeMap::new()))),
        ];
        Ok(BatchOperation::write(policy, self.user_key(user)?, operations))
    }

    /// A chunk without these users.
    pub(crate) fn without(
        &self,
        policy: &BatchWritePolicy,
        chunk: &str,
        users: Vec<Value>,
        epoch: i64,
    ) -> Result<BatchOperation, Error> {
        let operations = vec![
            operations::put(&Bin::new(EPOCH, Value::Int(epoch))),
            lists::remove_by_value_list(USERS, users, ListReturnType::NONE),
        ];
        Ok(BatchOperation::write(policy, self.member_key(chunk.to_owned())?, operations))
    }
}

/// In the set that tells how far writers have come.
pub(crate) fn progress_key(store: &StoreSettings, name: String) -> Result<Key, Error> {
    Ok(Key::new(&*store.namespace, format!("{}progress", store.prefix), Value::from(name))?)
}

fn of_members(changes: &[&MembershipChange], epoch: i64) -> Vec<Operation> {
    let (entered, left) = parted(changes);
    let ids =
        |changes: Vec<&MembershipChange>| changes.into_iter().map(|change| Value::from(&*change.user_id)).collect();
    let mut operations = vec![operations::put(&Bin::new(EPOCH, Value::Int(epoch)))];
    if !left.is_empty() {
        operations.push(lists::remove_by_value_list(USERS, ids(left), ListReturnType::NONE));
    }
    if !entered.is_empty() {
        let once = lists::ListWriteFlags::ADD_UNIQUE | lists::ListWriteFlags::NO_FAIL | lists::ListWriteFlags::PARTIAL;
        let policy = ListPolicy::new(lists::ListOrderType::Ordered, once);
        operations.push(lists::append_items(&policy, USERS, ids(entered)));
    }
    operations
}

fn parted<'a>(changes: &[&'a MembershipChange]) -> (Vec<&'a MembershipChange>, Vec<&'a MembershipChange>) {
    changes.iter().partition(|change| change.change == ChangeKind::Entered)
}

/// True of a record that no later writer has written: its epoch is lower, or it has none, since somebody else wrote it. A
/// missing record is not asked.
pub(crate) fn written_before(epoch: i64) -> Expression {
    // Alone, the comparison is neither true nor false of a record without the bin, and such a record would be passed over.
    let is_foreign = expressions::ne(expressions::bin_type(EPOCH), expressions::int_val(ParticleType::Integer as i64));
    expressions::or(vec![is_foreign, expressions::le(expressions::int_bin(EPOCH), expressions::int_val(epoch))])
}

/// A user's segments as they are in the record.
pub(crate) fn held(segments: &Value) -> Option<Vec<HeldMembership>> {
    let mut held: Vec<HeldMembership> = entries(segments)?
        .into_iter()
        .map(|(segment, value)| match (segment, value) {
            (Value::String(segment_id), Value::List(value)) => match value.first() {
                Some(Value::Int(since)) => Some(HeldMembership { segment_id: segment_id.clone(), since: *since }),
                _ => None,
            },
            _ => None,
        })
        .collect::<Option<_>>()?;
    held.sort_unstable();
    Some(held)
}

fn entries(map: &Value) -> Option<Vec<(&Value, &Value)>> {
    match map {
        Value::SortedMap(map) => Some(map.iter().collect()),
        Value::OrderedMap(map) => Some(map.iter().collect()),
        Value::HashMap(map) => Some(map.iter().collect()),
        _ => None,
    }
}
