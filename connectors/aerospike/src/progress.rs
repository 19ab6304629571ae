//! The progress of a writer, in a record beside the users and one beside the members, and who may write them.
//!
//! Both bear the number of the write that they are of. A node that is killed may lose what it took last, in one of the
//! namespaces or in both: then the numbers are not those that were written, and what is behind the lower one is written
//! again.

use std::collections::BTreeSet;

use aerospike::expressions::{self, Expression};
use aerospike::operations::{self, Operation};
use aerospike::{Bin, Bins, Client, Key, RecordExistsAction, ResultCode, Value};
use tokio::try_join;

use crate::Error;
use crate::cluster::{self, Clusters};
use crate::layout::{self, RecordLayout};

/// The state of a writer from its opening on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// The how-manieth opening of any writer it was.
    pub(crate) epoch: i64,
    /// The reach of the last write, if there was one.
    pub(crate) number: Option<i64>,
}

/// The lists that a writer does not keep, by segment.
pub(crate) type GivenUp = BTreeSet<String>;

/// The state that an opening finds.
pub(crate) enum FoundProgress {
    /// Everything is there up to this reach, or nothing is.
    Reach(Option<String>),
    /// One of the two has lost everything, and the other has not.
    Half,
}

/// The content of one of the two records.
struct ProgressRecord {
    number: i64,
    reach: String,
}

impl ProgressRecord {
    fn bins(&self) -> [Operation; 2] {
        [
            operations::put(&Bin::new(layout::NUMBER, Value::Int(self.number))),
            operations::put(&Bin::new(layout::REACH, Value::from(&*self.reach))),
        ]
    }
}

/// A record, and the cluster that it is in.
type RecordPlace<'a> = (&'a Client, Key);

/// Both records.
pub(crate) struct Marks<'a> {
    pub(crate) layout: &'a RecordLayout,
    pub(crate) clusters: &'a Clusters,
    pub(crate) timeout_ms: u32,
}

impl Marks<'_> {
    /// Shuts out earlier writers, and only then reads how far they came.
    pub(crate) async fn take_over(&self) -> Result<(Own, FoundProgress), Error> {
        let count = [operations::add(&Bin::new(layout::EPOCH, Value::Int(1))), operations::get_bin(layout::EPOCH)];
        let policy = cluster::write_policy(self.timeout_ms, None);
        let counted = self.clusters.user_profiles.operate(&policy, &self.layout.openings_key()?, &count).await?;
        let Some(Value::Int(epoch)) = counted.results.unwrap_or_default().pop() else {
            return Err(Error::Damaged("the number of openings is no number".to_owned()));
        };
        let [profiles, ownership] = self.places()?;
        let users = self.take(&profiles, epoch).await?;
        let members = match self.take(&ownership, epoch).await {
            Err(Error::Fenced) => {
                // Either there is a later opening, or the count of openings was lost.
                self.look_at(&profiles, Own { epoch, number: users.map(|mark| mark.number) }).await?;
                self.count_on(&ownership, epoch).await?;
                return Err(Error::Lost);
            }
            taken => taken?,
        };
        let own = |mark: &ProgressRecord| Own { epoch, number: Some(mark.number) };
        match (users, members) {
            (None, None) => Ok((Own { epoch, number: None }, FoundProgress::Reach(None))),
            (Some(users), Some(members)) => {
                let own = if users.number <= members.number { own(&users) } else { own(&members) };
                let reach = if users.number < members.number {
                    self.put(&ownership, epoch, &users.bins()).await?;
                    users.reach
                } else if members.number < users.number {
                    self.put(&profiles, epoch, &members.bins()).await?;
                    members.reach
                } else {
                    users.reach
                };
                Ok((own, FoundProgress::Reach(Some(reach))))
            }
            _ => Ok((Own { epoch, number: None }, FoundProgress::Half)),
        }
    }

    /// Counts openings on from behind the one that a record is of.
    async fn count_on(&self, (client, key): &RecordPlace<'_>, epoch: i64) -> Result<(), Error> {
        let policy = cluster::read_policy(self.timeout_ms);
        let record = client.get(&policy, key, Bins::from([layout::EPOCH])).await.map_err(lost)?;
        let Some(Value::Int(found)) = record.bins.get(layout::EPOCH) else { return Err(Error::Lost) };
        let missing = Bin::new(layout::EPOCH, Value::Int((found - epoch).max(0)));
        let policy = cluster::write_policy(self.timeout_ms, None);
        let openings = self.layout.openings_key()?;
        self.clusters.user_profiles.operate(&policy, &openings, &[operations::add(&missing)]).await?;
        Ok(())
    }

    /// Makes a record this opening's, and gives what it says.
    async fn take(&self, (client, key): &RecordPlace<'_>, epoch: i64) -> Result<Option<ProgressRecord>, Error> {
        let policy = cluster::write_policy(self.timeout_ms, Some(layout::written_before(epoch)));
        let take = [
            operations::put(&Bin::new(layout::EPOCH, Value::Int(epoch))),
            operations::get_bin(layout::REACH),
            operations::get_bin(layout::NUMBER),
            operations::get_bin(layout::CHUNKS),
        ];
        let said = client.operate(&policy, key, &take).await.map_err(fenced)?.results.unwrap_or_default();
        let expected = self.layout.chunks;
        match (said.get(1), said.get(2), said.get(3)) {
            (_, _, Some(Value::Int(found))) if *found != i64::from(expected) => {
                Err(Error::OtherChunks { found: *found, expected })
            }
            (Some(Value::String(reach)), Some(Value::Int(number)), _) => {
                Ok(Some(ProgressRecord { number: *number, reach: reach.clone() }))
            }
            (Some(Value::Nil) | None, ..) => Ok(None),
            (Some(reach), number, _) => Err(Error::Damaged(format!("the reach is {reach}, of write {number:?}"))),
        }
    }

    /// Fails where a later writer has taken over, or the store does not have what was written last.
    pub(crate) async fn look(&self, own: Own) -> Result<(), Error> {
        let [profiles, ownership] = self.places()?;
        try_join!(self.look_at(&profiles, own), self.look_at(&ownership, own))?;
        Ok(())
    }

    async fn look_at(&self, (client, key): &RecordPlace<'_>, own: Own) -> Result<(), Error> {
        let policy = cluster::read_policy(self.timeout_ms);
        let bins = Bins::from([layout::EPOCH, layout::NUMBER]);
        let record = client.get(&policy, key, bins).await.map_err(lost)?;
        let number = match record.bins.get(layout::NUMBER) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        match record.bins.get(layout::EPOCH) {
            Some(Value::Int(epoch)) if *epoch > own.epoch => Err(Error::Fenced),
            Some(Value::Int(epoch)) if *epoch == own.epoch && number == own.number => Ok(()),
            _ => Err(Error::Lost),
        }
    }

    /// Writes how far the next write has come, behind everything else of it; beside the users last. Gives its number.
    pub(crate) async fn reach(&self, own: Own, reach: String) -> Result<i64, Error> {
        let mark = ProgressRecord { number: own.number.unwrap_or(0) + 1, reach };
        self.put_both(own.epoch, &mark.bins(), Value::Int(self.layout.chunks.into())).await?;
        Ok(mark.number)
    }

    /// The segments whose lists are not kept.
    pub(crate) async fn given_up(&self) -> Result<GivenUp, Error> {
        let [_, (client, key)] = self.places()?;
        let policy = cluster::read_policy(self.timeout_ms);
        let record = client.get(&policy, &key, Bins::from([layout::GIVEN_UP])).await.map_err(lost)?;
        Ok(layout::given_up(record.bins.get(layout::GIVEN_UP)))
    }

    /// Notes them, beside the members.
    pub(crate) async fn give_up(&self, own: Own, segments: &GivenUp) -> Result<(), Error> {
        let [_, ownership] = self.places()?;
        let segments = Value::List(segments.iter().map(|id| Value::from(id.as_str())).collect());
        self.put(&ownership, own.epoch, &[operations::put(&Bin::new(layout::GIVEN_UP, segments))]).await
    }

    /// Nothing is there from now on.
    pub(crate) async fn forget(&self, own: Own) -> Result<(), Error> {
        let nothing =
            [layout::NUMBER, layout::REACH, layout::GIVEN_UP].map(|bin| operations::put(&Bin::new(bin, Value::Nil)));
        self.put_both(own.epoch, &nothing, Value::Nil).await
    }

    async fn put_both(&self, epoch: i64, bins: &[Operation], chunks: Value) -> Result<(), Error> {
        let bins = [bins, &[operations::put(&Bin::new(layout::CHUNKS, chunks))]].concat();
        let [profiles, ownership] = self.places()?;
        self.put(&ownership, epoch, &bins).await?;
        self.put(&profiles, epoch, &bins).await
    }

    async fn put(&self, (client, key): &RecordPlace<'_>, epoch: i64, bins: &[Operation]) -> Result<(), Error> {
        let mut policy = cluster::write_policy(self.timeout_ms, Some(is_of(epoch)));
        policy.record_exists_action = RecordExistsAction::UpdateOnly;
        client.operate(&policy, key, bins).await.map_err(|error| match error.server_result_code() {
            Some(ResultCode::KeyNotFoundError) => Error::Lost,
            _ => fenced(error),
        })?;
        Ok(())
    }

    /// Beside the users, and beside the members.
    fn places(&self) -> Result<[RecordPlace<'_>; 2], Error> {
        let (users, members) = (&*self.clusters.user_profiles, &*self.clusters.segment_ownership);
        Ok([(users, self.layout.writer_key()?), (members, self.layout.mark_key()?)])
    }
}

/// Tells that it is a record of this very opening.
fn is_of(epoch: i64) -> Expression {
    expressions::eq(expressions::int_bin(layout::EPOCH), expressions::int_val(epoch))
}

fn lost(error: aerospike::Error) -> Error {
    match error.server_result_code() {
        Some(ResultCode::KeyNotFoundError) => Error::Lost,
        _ => error.into(),
    }
}

/// A write of the writer's own record that was turned away was turned away by a later writer.
fn fenced(error: aerospike::Error) -> Error {
    match error.server_result_code() {
        Some(ResultCode::FilteredOut) => Error::Fenced,
        _ => error.into(),
    }
}
