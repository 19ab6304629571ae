//! Memberships written to Aerospike.

use aerospike::query::PartitionFilter;
use aerospike::{BatchOperation, Bins, Client, QueryPolicy, Record, Statement, Value};
use audience_contract::{LastChanges, MembershipChange, Progress, Reach, ServingStore, Sink, SinkError};
use futures_util::StreamExt;

use crate::cluster::{self, ClientThreads, Clusters, Written};
use crate::layout::{self, RecordLayout};
use crate::progress::{FoundProgress, GivenUp, Marks, Own};
use crate::{AerospikeReader, AerospikeSettings, Error};

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
    settings: AerospikeSettings,
    layout: RecordLayout,
    // Before the threads, which it lives on.
    clusters: Option<Clusters>,
    /// The connection, while it is open.
    own: Option<Own>,
    /// The segments whose lists are too large for their chunks, and are not kept.
    given_up: GivenUp,
    /// Records of users that are too large, and were left as they were.
    left: u64,
    /// Users whose records were not there before the last write.
    created: Vec<String>,
    threads: ClientThreads,
}

impl AerospikeSink {
    /// A sink that is not open yet.
    pub fn new(settings: AerospikeSettings) -> Result<AerospikeSink, Error> {
        let (name, layout) = (format!("aerospike:{}", settings.writer), RecordLayout::new(&settings));
        let (given_up, threads) = (GivenUp::new(), ClientThreads::new()?);
        Ok(AerospikeSink {
            name,
            settings,
            layout,
            clusters: None,
            own: None,
            given_up,
            left: 0,
            created: Vec::new(),
            threads,
        })
    }

    fn take_over(&mut self) -> Result<Option<String>, Error> {
        // One that has lost its nodes looks for them by itself.
        let known = self.clusters.clone();
        let (settings, layout) = (&self.settings, &self.layout);
        let (clusters, own, reach, given_up) = self.threads.run(async {
            let clusters = match known {
                Some(clusters) => clusters,
                None => Clusters::connect(settings).await?,
            };
            let writing = |own| SinkWrites { layout, clusters: &clusters, timeout_ms: settings.timeout_ms, own };
            let marks = Marks { layout, clusters: &clusters, timeout_ms: settings.timeout_ms };
            let (own, found) = marks.take_over().await?;
            let given_up = marks.given_up().await?;
            let reach = match found {
                FoundProgress::Reach(reach) => reach,
                // What is left is of nobody knows when.
                FoundProgress::Half => {
                    writing(own).clear_all(&|_| true).await?;
                    None
                }
            };
            Ok((clusters, own, reach, given_up))
        })?;
        (self.clusters, self.own, self.given_up) = (Some(clusters), Some(own), given_up);
        Ok(reach)
    }

    /// Runs as the writer of the opening, which is given up where it fails. Gives the number of the write, if it is one.
    fn run(&mut self, what: impl AsyncFnOnce(SinkWrites<'_>) -> Result<Option<i64>, Error>) -> Result<(), SinkError> {
        let (Some(own), Some(clusters)) = (self.own.take(), &self.clusters) else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        let writing = SinkWrites { layout: &self.layout, clusters, timeout_ms: self.settings.timeout_ms, own };
        let number = self.threads.run(what(writing)).map_err(|error| error.into_sink(&self.name))?;
        self.own = Some(Own { number, ..own });
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

    fn is_transactional(&self) -> bool {
        false
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.own = None;
        let reach = self.take_over().map_err(|error| error.into_sink(&self.name))?;
        let damaged =
            |error: serde_json::Error| SinkError::Corrupt { sink: self.name.clone(), detail: error.to_string() };
        reach.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    fn keeps_history(&self) -> bool {
        false
    }

    fn store(&self) -> Option<Box<dyn ServingStore>> {
        Some(Box::new(AerospikeReader::new(self.settings.clone()).ok()?))
    }

    fn notice(&self) -> Option<String> {
        let lists: Vec<&str> = self.given_up.iter().map(String::as_str).collect();
        let lists = (!lists.is_empty()).then(|| {
            let (chunks, lists) = (self.layout.chunks, lists.join(", "));
            format!(
                "lists of users too large for {chunks} chunks are not kept: {lists}; set `chunks` higher and rebuild it"
            )
        });
        let users =
            (self.left > 0).then(|| format!("{} records of users are too large and are not kept up", self.left));
        let both: Vec<String> = lists.into_iter().chain(users).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    fn take_created(&mut self) -> Vec<String> {
        std::mem::take(&mut self.created)
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let mut given_up = std::mem::take(&mut self.given_up);
        let (mut left, mut created) = (0, Vec::new());
        let done = self.run(async |writing| {
            let put = writing.put(reach, changes, &mut given_up).await?;
            (left, created) = (put.left, put.created);
            Ok(Some(put.number))
        });
        (self.given_up, self.created) = (given_up, created);
        self.left += left;
        done
    }

    /// Record by record; broken off, the reach is still there.
    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        (self.given_up, self.left) = (GivenUp::new(), 0);
        self.run(async |writing| writing.clear(owns).await)
    }
}

/// A write that is done.
struct Put {
    number: i64,
    /// Records of users that are too large.
    left: u64,
    /// Users whose records are new.
    created: Vec<String>,
}

/// The writes of an opened sink.
#[derive(Clone, Copy)]
struct SinkWrites<'a> {
    layout: &'a RecordLayout,
    clusters: &'a Clusters,
    timeout_ms: u32,
    own: Own,
}

impl<'a> SinkWrites<'a> {
    fn marks(&self) -> Marks<'a> {
        Marks { layout: self.layout, clusters: self.clusters, timeout_ms: self.timeout_ms }
    }

    async fn put(&self, reach: &Reach, changes: &[MembershipChange], given_up: &mut GivenUp) -> Result<Put, Error> {
        let reach = serde_json::to_string(reach)?;
        self.marks().look(self.own).await?;
        let (mut left, mut created) = (0, Vec::new());
        if !changes.is_empty() {
            let mut last = LastChanges::of(changes);
            let epoch = self.own.epoch;
            let users = self.layout.users(&mut last, epoch)?;
            let members = self.layout.members(&mut last, given_up, epoch)?;
            let (users, members) = self.write_data(users, members).await?;
            (left, created) = (users.too_large.len() as u64, users.created);
            self.give_up(&members.too_large, given_up).await?;
            self.delete_gone(changes).await?;
        }
        Ok(Put { number: self.marks().reach(self.own, reach).await?, left, created })
    }

    /// Gives up the lists of segments of which a chunk is too large: what is written of them no more is not there to be read.
    async fn give_up(&self, too_large: &[String], given_up: &mut GivenUp) -> Result<(), Error> {
        let segments: GivenUp = too_large.iter().filter_map(|key| Some(key.rsplit_once('/')?.0.to_owned())).collect();
        if segments.is_empty() {
            return Ok(());
        }
        given_up.extend(segments.iter().cloned());
        self.marks().give_up(self.own, given_up).await?;
        for segment in &segments {
            let (list, timeout) = (self.layout.list_of(segment)?, self.timeout_ms);
            cluster::write_all(&self.clusters.segment_ownership, list, None, timeout).await?;
        }
        Ok(())
    }

    /// Writes the records of users and of segments side by side.
    async fn write_data(
        &self,
        users: Vec<BatchOperation>,
        members: Vec<BatchOperation>,
    ) -> Result<(Written, Written), Error> {
        let (filter, timeout) = (layout::written_before(self.own.epoch), self.timeout_ms);
        let users = cluster::write_all(&self.clusters.user_profiles, users, Some(&filter), timeout);
        let members = cluster::write_all(&self.clusters.segment_ownership, members, Some(&filter), timeout);
        let written = tokio::try_join!(users, members);
        match written {
            Ok(both) => Ok(both),
            // Be it a record of a later opening whose count was lost: then this one is still the last.
            Err(Error::Fenced) => {
                self.marks().look(self.own).await?;
                Err(Error::Damaged(format!("records are of a later opening than this one, {}", self.own.epoch)))
            }
            Err(error) => Err(error),
        }
    }

    async fn delete_gone(&self, changes: &[MembershipChange]) -> Result<(), Error> {
        let gone = self.layout.gone(changes, self.own.epoch)?;
        let timeout = self.timeout_ms;
        cluster::write_all(&self.clusters.user_profiles, gone, None, timeout).await?.whole()
    }

    async fn clear(&self, owns: &dyn Fn(&str) -> bool) -> Result<Option<i64>, Error> {
        self.marks().look(self.own).await?;
        self.clear_all(owns).await?;
        Ok(None)
    }

    /// Segments and members are gone through each by itself: a write that was broken off may have left either.
    async fn clear_all(&self, owns: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        let (layout, policy) = (self.layout, cluster::record_policy());
        let profiles = (&*self.clusters.user_profiles, &*layout.profiles.namespace, layout.segments_set());
        self.each(profiles, &[layout::SEGMENTS], |record, records| {
            match key_of(record) {
                Some(user) if owns(user) => records.push(layout.emptied(&policy, user, self.own.epoch)?),
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
                records.push(layout.without(&policy, chunk, gone, self.own.epoch)?);
            }
            Ok(())
        })
        .await?;
        self.marks().forget(self.own).await
    }

    /// Reads every record of a set, and writes what `change` makes of them.
    async fn each(
        &self,
        (client, namespace, set): (&Client, &str, String),
        bins: &[&str],
        mut change: impl FnMut(&Record, &mut Vec<BatchOperation>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (filter, timeout) = (layout::written_before(self.own.epoch), self.timeout_ms);
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
                cluster::write_all(client, std::mem::take(&mut records), Some(&filter), timeout).await?.whole()?;
            }
        }
        cluster::write_all(client, records, Some(&filter), timeout).await?.whole()
    }
}

fn key_of(record: &Record) -> Option<&str> {
    match record.key.as_ref()?.user_key()? {
        Value::String(key) => Some(key),
        _ => None,
    }
}
