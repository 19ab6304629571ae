//! Memberships written to Aerospike.

use aerospike::query::PartitionFilter;
use aerospike::{
    BatchOperation, Bin, Bins, Client, QueryPolicy, Record, ResultCode, Statement, Value, expressions, operations,
};
use audience_contract::{LastChanges, MembershipChange, Progress, Reach, Sink, SinkError};
use futures_util::StreamExt;

use crate::cluster::{self, Clusters, Threads};
use crate::layout::{self, Layout};
use crate::{Error, Settings};

/// Changes that are best written at once: the more, the fewer records.
const CHANGES_AT_ONCE: usize = 50_000;
/// Records that are read before they are cleared.
const CLEAR_AT_ONCE: usize = 10_000;

/// Memberships in Aerospike, as upserts.
///
/// Costs a record for each user, and one for each segment and chunk, that changes.
pub struct AerospikeSink {
    /// `aerospike:` and the writer.
    name: String,
    settings: Settings,
    layout: Layout,
    // Before the threads, which it lives on.
    clusters: Option<Clusters>,
    /// Where it is open: the how-manieth opening of any writer.
    epoch: Option<i64>,
    threads: Threads,
}

impl AerospikeSink {
    /// A sink that is not open yet.
    pub fn new(settings: Settings) -> Result<AerospikeSink, Error> {
        let (name, layout) = (format!("aerospike:{}", settings.writer), Layout::new(&settings));
        Ok(AerospikeSink { name, settings, layout, clusters: None, epoch: None, threads: Threads::new()? })
    }

    fn opening(&self) -> Opening<'_> {
        Opening { settings: &self.settings, layout: &self.layout }
    }

    fn take_over(&mut self) -> Result<Option<String>, Error> {
        // One that has lost its nodes looks for them by itself.
        let known = self.clusters.clone();
        let opening = self.opening();
        let (clusters, epoch, reach) = self.threads.run(async {
            let clusters = match known {
                Some(clusters) => clusters,
                None => Clusters::connect(opening.settings).await?,
            };
            let (epoch, reach) = opening.take_over(&clusters.user_profiles).await?;
            Ok((clusters, epoch, reach))
        })?;
        (self.clusters, self.epoch) = (Some(clusters), Some(epoch));
        Ok(reach)
    }

    /// Runs as the writer of the opening, which is given up where it fails.
    fn run(&mut self, what: impl AsyncFnOnce(Writing<'_>) -> Result<(), Error>) -> Result<(), SinkError> {
        let (Some(epoch), Some(clusters)) = (self.epoch.take(), &self.clusters) else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        let writing = Writing { opening: self.opening(), clusters, epoch };
        self.threads.run(what(writing)).map_err(|error| error.into_sink(&self.name))?;
        self.epoch = Some(epoch);
        Ok(())
    }
}

impl Sink for AerospikeSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn changes_at_once(&self) -> usize {
        CHANGES_AT_ONCE
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.epoch = None;
        let reach = self.take_over().map_err(|error| error.into_sink(&self.name))?;
        let damaged =
            |error: serde_json::Error| SinkError::Corrupt { sink: self.name.clone(), detail: error.to_string() };
        reach.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        self.run(async |writing| writing.put(reach, changes).await)
    }

    /// Record by record; broken off, the reach is still there.
    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        self.run(async |writing| writing.clear(owns).await)
    }
}

#[derive(Clone, Copy)]
struct Opening<'a> {
    settings: &'a Settings,
    layout: &'a Layout,
}

impl Opening<'_> {
    /// Shuts out earlier writers, and only then reads how far they came.
    async fn take_over(&self, client: &Client) -> Result<(i64, Option<String>), Error> {
        let timeout = self.settings.timeout_ms;
        let count = [operations::add(&Bin::new(layout::EPOCH, Value::Int(1))), operations::get_bin(layout::EPOCH)];
        let policy = cluster::write_policy(timeout, None);
        let counted = client.operate(&policy, &self.layout.openings_key()?, &count).await?;
        let answers = counted.results.unwrap_or_default();
        let Some(Value::Int(epoch)) = answers.last() else {
            return Err(Error::Damaged("the number of openings is no number".to_owned()));
        };
        let policy = cluster::write_policy(timeout, Some(layout::written_before(*epoch)));
        let take = [
            operations::put(&Bin::new(layout::EPOCH, Value::Int(*epoch))),
            operations::get_bin(layout::REACH),
            operations::get_bin(layout::CHUNKS),
        ];
        let taken = client.operate(&policy, &self.layout.writer_key()?, &take).await;
        let said = taken.map_err(fenced)?.results.unwrap_or_default();
        let chunks = self.layout.chunks;
        match said.get(2) {
            Some(Value::Int(found)) if *found != i64::from(chunks) => {
                Err(Error::OtherChunks { found: *found, expected: chunks })
            }
            _ => match said.get(1) {
                Some(Value::String(reach)) => Ok((*epoch, Some(reach.clone()))),
                Some(Value::Nil) | None => Ok((*epoch, None)),
                Some(other) => Err(Error::Damaged(format!("the reach is {other}"))),
            },
        }
    }
}

/// A write of the writer's own record that was turned away was turned away by a later writer.
fn fenced(error: aerospike::Error) -> Error {
    match error.server_result_code() {
        Some(ResultCode::FilteredOut) => Error::Fenced,
        _ => error.into(),
    }
}

/// What the writer of an opening does.
struct Writing<'a> {
    opening: Opening<'a>,
    clusters: &'a Clusters,
    epoch: i64,
}

impl Writing<'_> {
    async fn put(&self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), Error> {
        let reach = serde_json::to_string(reach)?;
        let layout = self.opening.layout;
        if !changes.is_empty() {
            self.look().await?;
            let mut last = LastChanges::of(changes);
            let (users, members) = (layout.users(&mut last, self.epoch)?, layout.members(&mut last, self.epoch)?);
            self.write_data(users, members).await?;
            self.delete_erased(changes).await?;
        }
        let bins = [
            operations::put(&Bin::new(layout::REACH, Value::from(reach))),
            operations::put(&Bin::new(layout::CHUNKS, Value::Int(layout.chunks.into()))),
        ];
        self.write_own(&bins).await
    }

    /// Writes the records of users and of segments side by side.
    async fn write_data(&self, users: Vec<BatchOperation>, members: Vec<BatchOperation>) -> Result<(), Error> {
        let (filter, timeout) = (layout::written_before(self.epoch), self.opening.settings.timeout_ms);
        let users = cluster::write_all(&self.clusters.user_profiles, users, Some(&filter), timeout);
        let members = cluster::write_all(&self.clusters.segment_ownership, members, Some(&filter), timeout);
        let written = tokio::try_join!(users, members);
        match written {
            Ok(_) => Ok(()),
            // Be it a record of a later opening whose count was lost: then this one is still the last.
            Err(Error::Fenced) => {
                self.look().await?;
                Err(Error::Damaged(format!("records are of a later opening than this one, {}", self.epoch)))
            }
            Err(error) => Err(error),
        }
    }

    async fn delete_erased(&self, changes: &[MembershipChange]) -> Result<(), Error> {
        let erased = self.opening.layout.erased(changes, self.epoch)?;
        let timeout = self.opening.settings.timeout_ms;
        cluster::write_all(&self.clusters.user_profiles, erased, None, timeout).await
    }

    /// Fails where a later writer has taken over, or the store has lost what is known of this one.
    async fn look(&self) -> Result<(), Error> {
        let policy = cluster::read_policy(self.opening.settings.timeout_ms);
        let key = self.opening.layout.writer_key()?;
        match self.clusters.user_profiles.get(&policy, &key, Bins::from([layout::EPOCH])).await {
            Ok(record) if record.bins.get(layout::EPOCH) == Some(&Value::Int(self.epoch)) => Ok(()),
            Ok(_) => Err(Error::Fenced),
            Err(error) if error.server_result_code() == Some(ResultCode::KeyNotFoundError) => Err(Error::Lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the writer's own record, behind everything else.
    async fn write_own(&self, operations: &[operations::Operation]) -> Result<(), Error> {
        let is_mine = expressions::eq(expressions::int_bin(layout::EPOCH), expressions::int_val(self.epoch));
        let mut policy = cluster::write_policy(self.opening.settings.timeout_ms, Some(is_mine));
        policy.record_exists_action = aerospike::RecordExistsAction::UpdateOnly;
        let written =
            self.clusters.user_profiles.operate(&policy, &self.opening.layout.writer_key()?, operations).await;
        match written {
            Ok(_) => Ok(()),
            Err(error) if error.server_result_code() == Some(ResultCode::KeyNotFoundError) => Err(Error::Lost),
            Err(error) => Err(fenced(error)),
        }
    }

    /// Segments and members are gone through each by itself: a write that was broken off may have left either.
    async fn clear(&self, owns: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        self.look().await?;
        let (layout, policy) = (self.opening.layout, cluster::record_policy());
        let profiles = (&*self.clusters.user_profiles, &*layout.profiles.namespace, layout.segments_set());
        self.each(profiles, &[layout::SEGMENTS], |record, records| {
            match key_of(record) {
                Some(user) if owns(user) => records.push(layout.emptied(&policy, user, self.epoch)?),
                _ => {}
            }
            Ok(())
        })
        .await?;
        let ownership = (&*self.clusters.segment_ownership, &*layout.ownership.namespace, layout.members_set());
        self.each(ownership, &[layout::USERS], |record, records| {
            let (Some(chunk), Some(Value::List(users))) = (key_of(record), record.bins.get(layout::USERS)) else {
                return Ok(());
            };
            let is_owned = |user: &&Value| matches!(user, Value::String(user) if owns(user));
            let gone: Vec<Value> = users.iter().filter(is_owned).cloned().collect();
            if !gone.is_empty() {
                records.push(layout.without(&policy, chunk, gone, self.epoch)?);
            }
            Ok(())
        })
        .await?;
        let forget = [
            operations::put(&Bin::new(layout::REACH, Value::Nil)),
            operations::put(&Bin::new(layout::CHUNKS, Value::Nil)),
        ];
        self.write_own(&forget).await
    }

    /// Reads every record of a set, and writes what `change` makes of them.
    async fn each(
        &self,
        (client, namespace, set): (&Client, &str, String),
        bins: &[&str],
        mut change: impl FnMut(&Record, &mut Vec<BatchOperation>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (filter, timeout) = (layout::written_before(self.epoch), self.opening.settings.timeout_ms);
        let mut policy = QueryPolicy::default();
        // As long as it takes; each part of an answer has its time.
        policy.base_policy.total_timeout = 0;
        policy.base_policy.socket_timeout = timeout;
        let names: Vec<String> = bins.iter().map(|bin| (*bin).to_owned()).collect();
        let statement = Statement::new(namespace, set, Bins::Some(names));
        let mut found = client.query(&policy, PartitionFilter::all(), statement).await?.into_stream();
        let mut records = Vec::new();
        while let Some(record) = found.next().await {
            change(&record?, &mut records)?;
            if records.len() >= CLEAR_AT_ONCE {
                cluster::write_all(client, std::mem::take(&mut records), Some(&filter), timeout).await?;
            }
        }
        cluster::write_all(client, records, Some(&filter), timeout).await
    }
}

fn key_of(record: &Record) -> Option<&str> {
    match record.key.as_ref()?.user_key()? {
        Value::String(key) => Some(key),
        _ => None,
    }
}
