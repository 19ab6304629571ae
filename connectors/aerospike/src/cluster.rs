//! Connections, and batches of writes that are tried again record by record.

use std::sync::Arc;
use std::time::Duration;

use aerospike::expressions::Expression;
use aerospike::{
    AuthMode, BatchOperation, BatchPolicy, BatchWritePolicy, Client, ClientPolicy, Expiration, ReadPolicy, ResultCode,
    Value, WritePolicy,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::Error;
use crate::error::{in_one_line, is_permanent, is_too_large};
use crate::settings::{AerospikeSettings, StoreSettings};
use crate::tls;

/// Records in one request: large enough for its costs to be shared, small enough for a node to serve others between.
const BATCH: usize = 1_000;
/// Requests under way at once.
const IN_FLIGHT: usize = 8;
/// Waits before records are tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Threads of the client. The rest of the process is blocking, and waits for them.
const THREADS: usize = 2;

/// Threads on which the client lives; they end with it, and nobody waits for that.
pub(crate) struct ClientThreads(Option<Runtime>);

impl ClientThreads {
    pub(crate) fn new() -> Result<Self, Error> {
        let runtime =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name("aerospike").enable_all().build()?;
        Ok(ClientThreads(Some(runtime)))
    }

    /// Runs to the end on the calling thread, which is none that serves others.
    pub(crate) fn run<T>(&self, what: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.0 {
            Some(runtime) => runtime.block_on(what),
            None => Err(Error::Start(std::io::Error::other("the client has ended"))),
        }
    }
}

impl Drop for ClientThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The cluster of one logical store, joined when it is first needed.
pub(crate) struct LazyCluster {
    hosts: String,
    settings: AerospikeSettings,
    // Before the threads, which it lives on.
    client: Option<Arc<Client>>,
    threads: ClientThreads,
}

impl LazyCluster {
    pub(crate) fn new(settings: &AerospikeSettings, store: &StoreSettings) -> Result<Self, Error> {
        let hosts = store.hosts.as_ref().unwrap_or(&settings.hosts).clone();
        Ok(LazyCluster { hosts, settings: settings.clone(), client: None, threads: ClientThreads::new()? })
    }

    pub(crate) fn run<T>(&mut self, what: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let (known, hosts, settings) = (self.client.clone(), &self.hosts, &self.settings);
        let (client, done) = self.threads.run(async {
            let client = match known {
                // One that has lost its nodes looks for them by itself.
                Some(client) => client,
                None => connect(hosts, settings).await?,
            };
            let done = what(&client).await;
            Ok((client, done))
        })?;
        self.client = Some(client);
        done
    }
}

/// The clusters of the logical stores; the same one where they are in one.
#[derive(Clone)]
pub(crate) struct Clusters {
    pub(crate) user_profiles: Arc<Client>,
    pub(crate) segment_ownership: Arc<Client>,
}

impl Clusters {
    pub(crate) async fn connect(settings: &AerospikeSettings) -> Result<Self, Error> {
        let profiles = settings.user_profiles.hosts.as_ref().unwrap_or(&settings.hosts);
        let ownership = settings.segment_ownership.hosts.as_ref().unwrap_or(&settings.hosts);
        let user_profiles = connect(profiles, settings).await?;
        let segment_ownership = match profiles == ownership {
            true => user_profiles.clone(),
            false => connect(ownership, settings).await?,
        };
        Ok(Clusters { user_profiles, segment_ownership })
    }
}

/// Joins a cluster by its hosts. Fails while its nodes are starting.
pub(crate) async fn connect(hosts: &str, settings: &AerospikeSettings) -> Result<Arc<Client>, Error> {
    let mut policy = ClientPolicy::default();
    // How long one connection may take to come about.
    policy.timeout = settings.timeout_ms.min(policy.timeout);
    if let Some(user) = &settings.user {
        policy.set_auth_mode(AuthMode::Internal(user.clone(), settings.password.clone().unwrap_or_default()));
    }
    let mut hosts = hosts.to_owned();
    if let Some(settings) = &settings.tls {
        policy.tls_policy = Some(tls::config(settings)?.into());
        hosts = tls::named(&hosts);
    }
    // Overload is met by waiting here, for a few records at a time; the client's own breaker would turn away all of them.
    policy.max_error_rate = 0;
    Ok(Arc::new(Client::new(&policy, &hosts).await?))
}

/// For a single record.
pub(crate) fn write_policy(timeout_ms: u32, filter: Option<Expression>) -> WritePolicy {
    let mut policy = WritePolicy::default();
    policy.base_policy.total_timeout = timeout_ms;
    policy.base_policy.filter_expression = filter;
    policy.expiration = Expiration::Never;
    policy.send_key = true;
    policy
}

/// For reading a single record.
pub(crate) fn read_policy(timeout_ms: u32) -> ReadPolicy {
    let mut policy = ReadPolicy::default();
    policy.base_policy.total_timeout = timeout_ms;
    policy
}

/// For the records of a batch: kept until somebody writes them again, and found by their keys in a scan.
pub(crate) fn record_policy() -> BatchWritePolicy {
    BatchWritePolicy { expiration: Expiration::Never, send_key: true, ..BatchWritePolicy::default() }
}

/// The outcome for records that were written, beside that they are there.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The keys of those that are too large, which were left as they were.
    pub(crate) too_large: Vec<String>,
    /// The keys of those that were not there before.
    pub(crate) created: Vec<String>,
}

impl Written {
    /// An error where any of them was left.
    pub(crate) fn whole(self) -> Result<(), Error> {
        if self.too_large.is_empty() { Ok(()) } else { Err(Error::TooLarge(self.too_large.len())) }
    }

    fn add(mut self, other: Written) -> Written {
        self.too_large.extend(other.too_large);
        self.created.extend(other.created);
        self
    }
}

/// Writes records, no two of them the same, and each as often as it takes within the time given: a node may be overloaded,
/// starting or gone while others serve. `filter` is asked of each that is there; where it says no, [`Error::Fenced`]. A
/// record whose own filter says no is left as it is, and so is one that would be too large: it holds up no other.
pub(crate) async fn write_all(
    client: &Client,
    records: Vec<BatchOperation>,
    filter: Option<&Expression>,
    timeout_ms: u32,
) -> Result<Written, Error> {
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    let mut policy = BatchPolicy::write_default();
    policy.base_policy.total_timeout = timeout_ms;
    policy.base_policy.filter_expression = filter.cloned();
    let mut rest = records.into_iter();
    let batches = std::iter::from_fn(|| {
        let batch: Vec<BatchOperation> = rest.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    });
    stream::iter(batches)
        .map(|batch| write_batch(client, &policy, batch, deadline))
        .buffer_unordered(IN_FLIGHT)
        .try_fold(Written::default(), async |all, some| Ok(all.add(some)))
        .await
}

async fn write_batch(
    client: &Client,
    policy: &BatchPolicy,
    mut batch: Vec<BatchOperation>,
    deadline: Instant,
) -> Result<Written, Error> {
    let all = batch.len();
    let (mut pause, mut written) = (FIRST_PAUSE, Written::default());
    loop {
        // What it says of all of them it says of each as well.
        let said = client.batch(policy, &mut batch).await;
        batch = unwritten(batch, policy.filter_expression().is_some(), &mut written)?;
        if batch.is_empty() {
            return Ok(written);
        }
        if Instant::now() + pause >= deadline {
            let reason = batch.iter().find_map(BatchOperation::error).map(in_one_line);
            let reason = reason.or_else(|| said.err().map(|error| in_one_line(&error))).unwrap_or_default();
            return Err(Error::TimedOut { failed: batch.len(), all, reason });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Those that may be tried again.
fn unwritten(batch: Vec<BatchOperation>, is_fenced: bool, written: &mut Written) -> Result<Vec<BatchOperation>, Error> {
    let mut rest = Vec::new();
    for record in batch {
        match record.result_code() {
            Some(ResultCode::Ok) => written.created.extend(key_of_new(&record)),
            // Nothing to delete.
            Some(ResultCode::KeyNotFoundError) => {}
            code if is_too_large(code) => written.too_large.extend(key_of(&record)),
            Some(ResultCode::FilteredOut) if is_fenced => return Err(Error::Fenced),
            Some(ResultCode::FilteredOut) => {}
            _ => match record.error() {
                Some(error) if is_permanent(error) => return Err(Error::Aerospike(error.clone())),
                _ => rest.push(record),
            },
        }
    }
    Ok(rest)
}

fn key_of(record: &BatchOperation) -> Option<String> {
    match record.batch_record().key.user_key()? {
        Value::String(key) => Some(key.clone()),
        _ => None,
    }
}

/// The key of a record that a write has made.
fn key_of_new(record: &BatchOperation) -> Option<String> {
    let is_new = record.batch_record().record.as_ref().is_some_and(|record| record.generation == 1);
    if is_new { key_of(record) } else { None }
}
