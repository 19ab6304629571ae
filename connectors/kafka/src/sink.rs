//! Membership changes to a topic.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::{Cause, ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError, failpoint};
use audience_rules::time::format_time;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};
use serde::{Deserialize, Serialize};

use crate::held::Committed;
use crate::producer::Sender;
use crate::progress::{Deal, Filed};
use crate::settings::Connection;
use crate::{Error, Result, topics, trace};

/// Deliveries are looked after this often, in records.
const SERVE_EVERY: usize = 1024;
/// Changes of one transaction where many are waiting: a transaction takes some 10 ms however few it has.
const CHANGES_AT_ONCE: usize = 40_000;
/// The number of retries of a commit whose answer was lost.
const COMMIT_ATTEMPTS: usize = 5;
/// The time that a fenced writer waits for the one that fenced it to file its claim.
const CLAIM: Duration = Duration::from_secs(10);
/// Between looks at whether it has.
const CLAIM_LOOK: Duration = Duration::from_millis(250);

/// The settings of a sink.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    /// The address of the brokers, and settings of the client.
    pub connection: Connection,
    /// The topic of changes.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// The topic of progress; one partition, compacted.
    #[serde(default = "default_progress_topic")]
    pub progress_topic: String,
    /// The writer: its transactional id, and what its progress is filed under. Of several that write to the same topic
    /// each has its own; one that starts under the name of another takes its place.
    #[serde(default = "default_writer")]
    pub writer: String,
    /// Milliseconds from the start of one transaction to that of the next, at least. More spares the brokers transactions, and
    /// readers have a change that much later.
    #[serde(default)]
    pub interval_ms: u64,
    /// Over how many writers users are dealt, who write side by side; not more than the topic has partitions.
    #[serde(default = "default_writers")]
    pub writers: NonZeroU32,
}

fn default_writers() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn default_topic() -> String {
    topics::USER_SEGMENTS.to_owned()
}

fn default_progress_topic() -> String {
    topics::USER_SEGMENTS_PROGRESS.to_owned()
}

fn default_writer() -> String {
    "audience".to_owned()
}

impl SinkSettings {
    /// The topic `user-segments`, with nothing else said.
    pub fn of(connection: Connection) -> SinkSettings {
        let (topic, progress_topic) = (default_topic(), default_progress_topic());
        let (writer, writers) = (default_writer(), default_writers());
        SinkSettings { connection, topic, progress_topic, writer, interval_ms: 0, writers }
    }
}

/// A change as it stands in the topic, filed under the user's id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeMessage<'a> {
    user_id: &'a str,
    segment_id: &'a str,
    change: ChangeKind,
    at: &'a str,
    version: u64,
    cause: Cause,
}

/// The part of it that is read again.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldChange {
    user_id: Arc<str>,
    segment_id: Arc<str>,
    change: ChangeKind,
    version: u64,
}

/// Each membership, user and segment, with the version of the segment that it came with.
type KeyedMembers = BTreeMap<(Arc<str>, Arc<str>), u64>;

/// A writer to the topic of membership changes, exactly once for readers of what is committed: the only one, or one of several.
///
/// Each write is one transaction: the changes, and one record of the reach they bring, filed under the writer in the
/// topic of progress. That topic, and not the offsets of a group, because a broker forgets the offsets of a group that
/// is at rest (after a week, by default), and with them where to go on. The same key lies in the same partition as a
/// Java client would put it. Costs one round trip of a transaction a write; a million changes take seconds.
pub struct KafkaSink {
    /// `kafka:` and the id.
    name: String,
    settings: SinkSettings,
    deal: Deal,
    index: u32,
    /// The transactional id.
    id: String,
    sender: Option<Sender>,
}

impl KafkaSink {
    /// One writer alone that is not open yet. Fails where a setting is not to be made.
    pub fn new(settings: SinkSettings) -> Result<KafkaSink> {
        settings.connection.config(&[], &fixed(&settings.writer))?;
        Ok(KafkaSink::one_of(&settings, Deal::ALONE, 0))
    }

    /// One of several.
    pub(crate) fn one_of(settings: &SinkSettings, deal: Deal, index: u32) -> KafkaSink {
        let id = deal.id(&settings.writer, index);
        KafkaSink { name: format!("kafka:{id}"), settings: settings.clone(), deal, index, id, sender: None }
    }

    /// Sends changes, and the reach or that there is none, in one transaction.
    fn transact(&self, sender: &Sender, reach: Option<&Reach>, changes: &[MembershipChange]) -> Result<()> {
        sender.producer().begin_transaction().map_err(Error::client("beginning a transaction"))?;
        let (mut encoder, headers) = (Encoder::default(), trace::headers());
        for (number, change) in changes.iter().enumerate() {
            let payload = encoder.encode(change)?;
            let mut record = BaseRecord::with_opaque_to(&self.settings.topic, number);
            record.headers.clone_from(&headers);
            sender.send(record.key(change.user_id.as_bytes()).payload(payload))?;
            if number % SERVE_EVERY == 0 {
                sender.serve();
            }
        }
        note(sender, &self.settings, &self.id, reach)?;
        failpoint("kafka_noted");
        commit(sender)?;
        failpoint("kafka_committed");
        Ok(())
    }

    /// Runs a transaction. Where it fails, the sender is given up: only taking over again tells what became of it.
    fn run(&mut self, reach: Option<&Reach>, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let Some(sender) = self.sender.take() else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        match self.transact(&sender, reach, changes) {
            Ok(()) => {
                self.sender = Some(sender);
                Ok(())
            }
            Err(error) => {
                let error = fatal(&sender).unwrap_or(error);
                if !error.is_fenced() && sender.away().is_none() {
                    // Readers need not wait for the transaction to run out.
                    let _ = sender.ask(|producer, call| producer.abort_transaction(call));
                }
                Err(if error.is_fenced() { self.fenced() } else { error.into_sink(&self.name) })
            }
        }
    }

    /// The fault where another took this writer's id over. A later process files next that it is asked for, which is waited for; one
    /// that came late, of an earlier opening, goes again by itself.
    fn fenced(&self) -> SinkError {
        let begun = Instant::now();
        let has_others = self.deal.writers > 1;
        loop {
            let dealt = if has_others { Filed::read(&self.settings).and_then(|filed| filed.dealt()) } else { Ok(None) };
            match dealt {
                Ok(Some((dealt, _))) if dealt == self.deal => {}
                Ok(_) => return SinkError::Fenced(self.name.clone()),
                Err(error) => return error,
            }
            if begun.elapsed() >= CLAIM || self.settings.connection.is_ending() {
                let text = format!("{} was taken over by an earlier process for a moment", self.name);
                return SinkError::Transient(text);
            }
            // The other writer is another process, and shows what it does only in the topic.
            std::thread::park_timeout(CLAIM_LOOK);
        }
    }

    /// The memberships of those users that a partition of the topic adds up to.
    fn members(&self, partition: i32, committed: &Committed<'_>, owns: &dyn Fn(&str) -> bool) -> Result<KeyedMembers> {
        let mut members = KeyedMembers::new();
        committed.read(partition, &mut |message| {
            let Some(change) = message.payload().and_then(|bytes| serde_json::from_slice::<HeldChange>(bytes).ok())
            else {
                tracing::warn!(
                    topic = message.topic(),
                    offset = message.offset(),
                    "A message of the topic is not a membership change"
                );
                return;
            };
            if !owns(&change.user_id) {
                return;
            }
            let membership = (change.user_id, change.segment_id);
            match change.change {
                ChangeKind::Entered => members.insert(membership, change.version),
                ChangeKind::Left => members.remove(&membership),
            };
        })?;
        Ok(members)
    }

    /// The leaves of everybody whom the topic adds up to. Reads the whole topic.
    fn all_leave(&self, at: i64, owns: &dyn Fn(&str) -> bool) -> Result<Vec<MembershipChange>, SinkError> {
        self.leaves_at(at, owns).map_err(|error| error.into_sink(&self.name))
    }

    fn leaves_at(&self, at: i64, owns: &dyn Fn(&str) -> bool) -> Result<Vec<MembershipChange>> {
        let committed = Committed::new(&self.settings.connection, &self.settings.topic)?;
        let mut leaves = Vec::new();
        for partition in committed.partitions()? {
            let members = self.members(partition, &committed, owns)?;
            leaves.extend(members.into_iter().map(|((user_id, segment_id), version)| MembershipChange {
                user_id,
                segment_id,
                change: ChangeKind::Left,
                at,
                version,
                cause: Cause::Rule,
            }));
        }
        Ok(leaves)
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn changes_at_once(&self) -> usize {
        CHANGES_AT_ONCE
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.settings.interval_ms)
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn fault(&self) -> Option<String> {
        let fault = self.sender.as_ref()?.away()?;
        Some(Error::client("reaching the brokers")(fault).to_string())
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.sender = None;
        let sender = take_over(&self.settings, &self.id).map_err(|error| error.into_sink(&self.name))?;
        let reach = Filed::read(&self.settings)?.reach(self.deal, self.index)?;
        self.sender = Some(sender);
        Ok(reach)
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        self.run(Some(reach), changes)
    }

    fn leaves(
        &mut self,
        progress: Progress,
        owns: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<MembershipChange>>, SinkError> {
        self.all_leave(progress.clock, owns).map(Some)
    }

    /// In one transaction; reads the whole topic first.
    fn clear(&mut self, progress: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let leaves = self.all_leave(progress.clock, owns)?;
        self.run(None, &leaves)
    }
}

fn fixed(id: &str) -> [(&'static str, &str); 3] {
    [("transactional.id", id), ("enable.idempotence", "true"), ("acks", "all")]
}

/// Shuts out whoever writes under that id. Their unfinished transaction is finished or undone when this returns.
pub(crate) fn take_over(settings: &SinkSettings, id: &str) -> Result<Sender> {
    let defaults = [
        ("partitioner", "murmur2_random"),
        ("compression.type", "lz4"),
        // A transaction is not committed before its last record has waited for company.
        ("linger.ms", "1"),
        ("transaction.timeout.ms", "120000"),
        ("reconnect.backoff.max.ms", "2000"),
    ];
    let sender = Sender::new(&settings.connection, &defaults, &fixed(id))?;
    let fenced = sender.ask(|producer, call| producer.init_transactions(call));
    fenced.map_err(Error::client("shutting out earlier writers"))?;
    Ok(sender)
}

/// Files something under a key in the topic of progress, or nothing any more.
pub(crate) fn note<T: Serialize>(sender: &Sender, settings: &SinkSettings, key: &str, value: Option<&T>) -> Result<()> {
    let payload = value.map(serde_json::to_vec).transpose().map_err(|fault| Error::Unwritable(fault.into()))?;
    let mut record: BaseRecord<'_, [u8], [u8], usize> =
        BaseRecord::with_opaque_to(&settings.progress_topic, usize::MAX).key(key.as_bytes());
    if let Some(payload) = &payload {
        record = record.payload(payload);
    }
    sender.send(record)
}

/// Waits for what was sent, and commits; asks again where the answer got lost, which changes nothing.
pub(crate) fn commit(sender: &Sender) -> Result<()> {
    if let Some((_, fault)) = sender.wait()?.into_iter().next() {
        return Err(Error::Client { action: "sending", fault });
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        match sender.ask(|producer, call| producer.commit_transaction(call)) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && attempts < COMMIT_ATTEMPTS => {}
            committed => return committed.map_err(Error::client("committing a transaction")),
        }
    }
}

/// Why the producer can do nothing more, if so.
pub(crate) fn fatal(sender: &Sender) -> Option<Error> {
    let (code, text) = sender.producer().client().fatal_error()?;
    tracing::error!(%code, text, "The Kafka producer has ended");
    Some(Error::Client { action: "The sink writes membership changes", fault: KafkaError::Global(code) })
}

/// Writes changes as they stand in the topic.
#[derive(Default)]
struct Encoder {
    /// The instant of the latest change and its text: those of a tick have the same.
    at: Option<(i64, String)>,
    out: Vec<u8>,
}

impl Encoder {
    fn encode(&mut self, change: &MembershipChange) -> Result<&[u8]> {
        let known = self.at.take().filter(|(at, _)| *at == change.at);
        let (_, at) = &*self.at.insert(known.unwrap_or_else(|| (change.at, format_time(change.at))));
        let message = ChangeMessage {
            user_id: &change.user_id,
            segment_id: &change.segment_id,
            change: change.change,
            at,
            version: change.version,
            cause: change.cause,
        };
        self.out.clear();
        serde_json::to_writer(&mut self.out, &message).map_err(|fault| Error::Unwritable(fault.into()))?;
        Ok(&self.out)
    }
}
