//! Events from a topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use audience_contract::{Batch, Gap, Lag, Share, Source, SourceError, SourcePosition};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::brokers::CUT_OFF;
use crate::closing;
use crate::filling::{Filling, left};
use crate::settings::{OnGone, Start};
use crate::source_settings::SourceSettings;
use crate::topics::{self, Topic};
use crate::watch::Watch;
use crate::{Error, Result};

/// The most that all readers of the topic together fetch ahead, unless the settings say otherwise.
const QUEUE_KIB: u32 = 64 << 10;

/// The time between commits of offsets at the brokers, which are for tools only.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// For how long a partition that was read does not exist before it is taken for gone: brokers that have just started may not
/// know all of them for a while.
const MISSING: Duration = Duration::from_secs(30);

/// A topic, read from positions that are kept elsewhere.
///
/// Partitions are assigned by us and never by a group of consumers; `group.id` (default `audience`) only says under which
/// name offsets are noted for tools. Costs the buffer of librdkafka (`queued.max.messages.kbytes`) and one batch.
pub struct KafkaSource {
    settings: SourceSettings,
    name: String,
    /// Made where they are missing.
    topics: Vec<Topic>,
    open: Option<OpenSource>,
}

struct OpenSource {
    consumer: BaseConsumer<Watch>,
    share: Share,
    /// The next offset of each partition of the share.
    next: BTreeMap<u32, u64>,
    /// The next offsets that were acknowledged and not yet committed at the brokers.
    unnoted: BTreeMap<u32, u64>,
    /// When it was noted last.
    noted: Option<Instant>,
    /// Partitions whose position is to be told though no message of them came yet.
    untold: Vec<u32>,
    /// The gaps that the next batch reports.
    gaps: Vec<Gap>,
    /// Partitions were added, and have not been taken yet.
    has_grown: bool,
    /// librdkafka met an offset that is gone, or a partition, and it has not been found out which.
    has_gap: bool,
    /// No broker was reached for a while.
    is_cut_off: bool,
    /// Since when a partition that is read does not exist.
    missing: Option<Instant>,
    /// Why nothing can be read any more.
    fault: Option<SourceError>,
}

impl KafkaSource {
    /// A source that is not open yet. Fails where a setting is not to be made.
    pub fn new(settings: SourceSettings) -> Result<KafkaSource> {
        let name = settings.name.clone().unwrap_or_else(|| settings.topic.clone());
        let source = KafkaSource { settings, name, topics: Vec::new(), open: None };
        source.config(Share::ALL)?;
        Ok(source)
    }

    /// Makes those topics, where they are missing, whenever it is opened: the brokers need not be there before.
    #[must_use]
    pub fn making(mut self, topics: Vec<Topic>) -> KafkaSource {
        self.topics = topics;
        self
    }

    fn config(&self, share: Share) -> Result<rdkafka::ClientConfig> {
        let queue_kib = (QUEUE_KIB / share.of.max(1)).to_string();
        let defaults = [
            ("queued.max.messages.kbytes", queue_kib.as_str()),
            ("group.id", "audience"),
            ("isolation.level", "read_committed"),
            // How soon a partition that was added is found.
            ("topic.metadata.refresh.interval.ms", "10000"),
            ("statistics.interval.ms", "1000"),
            // Events of 10 ms travel together, or the brokers are asked for every few of them.
            ("fetch.min.bytes", "65536"),
            ("fetch.wait.max.ms", "10"),
            // How soon it is fetched again once there is room for more: by default a second, in which all may be taken.
            ("fetch.queue.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "2000"),
        ];
        let fixed = [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // An offset that is gone is ours to judge.
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "false"),
            ("allow.auto.create.topics", "false"),
        ];
        self.settings.connection.config(&defaults, &fixed)
    }

    fn connect(&self, positions: &[SourcePosition], share: Share) -> Result<OpenSource, SourceError> {
        let config = self.config(share).map_err(Error::into_source)?;
        let consumer: Result<BaseConsumer<Watch>, _> = config.create_with_context(Watch::new(&self.settings.topic));
        let consumer = consumer.map_err(Error::client("making a consumer")).map_err(Error::into_source)?;
        let mut open = OpenSource::new(consumer, share);
        let own: BTreeMap<u32, u64> = positions
            .iter()
            .filter(|position| position.source == self.name)
            .map(|position| (position.partition, position.next_offset))
            .collect();
        for partition in self.partitions(&open)?.into_iter().filter(|partition| share.takes(*partition)) {
            let (earliest, end) = self.bounds(&open, partition)?;
            let offset = match own.get(&partition) {
                Some(wanted) => self.resume(&mut open, partition, *wanted, (earliest, end))?,
                // A partition that came after the others is read whole, or what was written to it first would be lost.
                None if !own.is_empty() || self.settings.start == Start::Earliest => earliest,
                None => end,
            };
            if own.get(&partition) != Some(&offset) {
                open.untold.push(partition);
            }
            open.next.insert(partition, offset);
        }
        open.assign().map_err(Error::into_source)?;
        Ok(open)
    }

    fn close(&mut self) {
        if let Some(OpenSource { consumer, .. }) = self.open.take() {
            closing::close(consumer, &self.name);
        }
    }

    /// Goes on with a new client where the one that is there reaches no broker any more. That may be the client's fault: one that
    /// was told of no broker at all, as by one that has just come back, looks for none again (librdkafka's issue 5301).
    fn connect_anew(&mut self) -> Result<(), SourceError> {
        let Some(open) = self.open.as_ref().filter(|open| open.is_cut_off && !open.next.is_empty()) else {
            return Ok(());
        };
        let positions: Vec<SourcePosition> =
            open.next.keys().filter_map(|partition| self.position(open, *partition)).collect();
        match self.connect(&positions, open.share) {
            Ok(mut anew) => {
                tracing::warn!(
                    source = self.name,
                    "A new Kafka consumer reads on, since the one before reached no broker"
                );
                anew.gaps.splice(0..0, open.gaps.iter().cloned());
                anew.untold.extend(&open.untold);
                self.close();
                self.open = Some(anew);
                Ok(())
            }
            // They are away: the client that is there says so.
            Err(SourceError::Transient(fault)) => {
                tracing::debug!(source = self.name, fault, "A new Kafka consumer does not reach the brokers either");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The position from which a partition is read on.
    fn position(&self, open: &OpenSource, partition: u32) -> Option<SourcePosition> {
        let next_offset = *open.next.get(&partition)?;
        Some(SourcePosition { source: self.name.clone(), partition, next_offset })
    }

    fn partitions(&self, open: &OpenSource) -> Result<Vec<u32>, SourceError> {
        let found = self.find_partitions(open)?;
        found.ok_or_else(|| SourceError::Fatal(format!("there is no topic {}", self.settings.topic)))
    }

    /// The partitions of the topic, where there is one.
    fn find_partitions(&self, open: &OpenSource) -> Result<Option<Vec<u32>>, SourceError> {
        let topic = &self.settings.topic;
        let metadata = self.settings.connection.ask(|call| open.consumer.fetch_metadata(Some(topic), call));
        let metadata = metadata.map_err(Error::client("asking for the partitions")).map_err(Error::into_source)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(None),
            Some(reason) => return Err(Error::Topic { topic: topic.clone(), reason }.into_source()),
        }
        Ok(Some(found.partitions().iter().filter_map(|partition| u32::try_from(partition.id()).ok()).collect()))
    }

    /// The first offset of a partition and the one behind its last.
    fn bounds(&self, open: &OpenSource, partition: u32) -> Result<(u64, u64), SourceError> {
        let topic = &self.settings.topic;
        let connection = &self.settings.connection;
        let bounds = connection.ask(|call| open.consumer.fetch_watermarks(topic, partition as i32, call));
        let (low, high) = bounds.map_err(Error::client("asking for offsets")).map_err(Error::into_source)?;
        Ok((low.try_into().unwrap_or(0), high.try_into().unwrap_or(0)))
    }

    /// The offset at which a partition is read on that was read up to `wanted`.
    fn resume(
        &self,
        open: &mut OpenSource,
        partition: u32,
        wanted: u64,
        bounds: (u64, u64),
    ) -> Result<u64, SourceError> {
        let (earliest, end) = bounds;
        if (earliest..=end).contains(&wanted) {
            return Ok(wanted);
        }
        let resumed = match self.settings.on_gone {
            // A position is never taken back, so what was made anew under the same name cannot be gone on with.
            OnGone::Earliest if wanted < earliest => earliest,
            OnGone::Latest if wanted < earliest => end,
            _ => {
                let source_name = self.name.clone();
                return Err(SourceError::OffsetGone { source_name, partition, wanted, earliest, end });
            }
        };
        tracing::warn!(
            source = self.name,
            partition,
            wanted,
            resumed,
            "Kafka removed messages before the source read them"
        );
        open.gaps.push(Gap { partition, wanted, resumed });
        open.untold.push(partition);
        Ok(resumed)
    }

    /// After a poll without messages, returns an error if no broker answers.
    fn look_for_brokers(&self, open: &mut OpenSource, batch: &Filling) -> Result<(), SourceError> {
        let brokers = &open.consumer.context().brokers;
        let away = || brokers.away(Some(&self.settings.topic), open.consumer.client());
        let Some(fault) = batch.is_empty().then(away).flatten() else { return Ok(()) };
        open.is_cut_off = brokers.doubted().is_some_and(|doubted| doubted >= CUT_OFF);
        Err(Error::client("reaching the brokers")(fault).into_source())
    }

    /// Takes partitions that were added. Where the brokers do not answer, the next call tries again.
    fn look_for_partitions(&self, open: &mut OpenSource) -> Result<(), SourceError> {
        open.has_grown |= open.consumer.context().take_grown();
        if !open.has_grown {
            return Ok(());
        }
        let share = open.share;
        let is_new = |partition: &u32| share.takes(*partition) && !open.next.contains_key(partition);
        let new: Vec<u32> = open.consumer.context().partitions().into_iter().filter(is_new).collect();
        let begin = |partition: &u32| Ok((*partition, self.bounds(open, *partition)?.0));
        let begins: Vec<(u32, u64)> = new.iter().map(begin).collect::<Result<_, SourceError>>()?;
        for (partition, earliest) in begins {
            tracing::info!(source = self.name, partition, "A partition was added");
            open.next.insert(partition, earliest);
            open.untold.push(partition);
        }
        if !new.is_empty() {
            open.assign().map_err(Error::into_source)?;
        }
        open.has_grown = false;
        Ok(())
    }

    /// After librdkafka met an offset or a partition that is gone: finds which, and goes on elsewhere or says it. Where the
    /// brokers do not answer, the next call tries again.
    fn look_for_gaps(&self, open: &mut OpenSource) -> Result<(), SourceError> {
        if !open.has_gap {
            return Ok(());
        }
        let there = self.find_partitions(open)?.unwrap_or_default();
        for (partition, wanted) in open.next.clone() {
            if !there.contains(&partition) {
                return Err(self.missing(open, partition, wanted));
            }
            let bounds = self.bounds(open, partition)?;
            let resumed = self.resume(open, partition, wanted, bounds)?;
            open.next.insert(partition, resumed);
        }
        open.assign().map_err(Error::into_source)?;
        open.has_gap = false;
        open.missing = None;
        Ok(())
    }

    /// The fault where a partition that is read does not exist: one that stays, unless it was never read or is not missed for
    /// long. Made anew meanwhile, it ends below where reading stopped, as long as it is looked at soon enough.
    fn missing(&self, open: &mut OpenSource, partition: u32, wanted: u64) -> SourceError {
        let since = *open.missing.get_or_insert_with(Instant::now);
        if wanted == 0 || since.elapsed() < MISSING {
            let topic = &self.settings.topic;
            return SourceError::Transient(format!("there is no partition {partition} of the topic {topic}"));
        }
        SourceError::OffsetGone { source_name: self.name.clone(), partition, wanted, earliest: 0, end: 0 }
    }

    /// Nothing rests on what is noted at the brokers.
    fn note(&mut self) {
        if let Some(Err(error)) = self.open.as_mut().map(OpenSource::note) {
            tracing::debug!(source = self.name, %error, "The offsets could not be committed at the broker");
        }
    }

    /// Decides about an error between messages.
    fn judge(&self, open: &mut OpenSource, error: KafkaError) -> Result<(), SourceError> {
        use RDKafkaErrorCode::{AutoOffsetReset, UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
        let gone = [AutoOffsetReset, UnknownPartition, UnknownTopic, UnknownTopicOrPartition];
        if error.rdkafka_error_code().is_some_and(|code| gone.contains(&code)) {
            open.has_gap = true;
            return self.look_for_gaps(open);
        }
        // Said again and again, and of the past: they are asked once nothing more comes.
        if open.consumer.context().brokers.heard(&error) {
            return Ok(());
        }
        Err(Error::client("reading messages")(error).into_source())
    }

    fn fill(&self, open: &mut OpenSource, batch: &mut Filling, deadline: Instant) -> Result<(), SourceError> {
        self.look_for_partitions(open)?;
        self.look_for_gaps(open)?;
        // While brokers are away librdkafka says so again and again; what it said before they were back is not to be
        // taken for what is.
        let mut told = None;
        loop {
            let is_idle = batch.is_empty() && open.untold.is_empty() && open.gaps.is_empty();
            let wait = if is_idle { left(deadline) } else { Duration::ZERO };
            match open.consumer.poll(wait) {
                None if is_idle && !wait.is_zero() => self.look_for_partitions(open)?,
                None => match batch.rest() {
                    Some(rest) => std::thread::park_timeout(rest),
                    None => return told.map_or_else(|| self.look_for_brokers(open, batch), Err),
                },
                Some(Ok(message)) => {
                    batch.take(&message, &mut open.next);
                    if batch.count >= self.settings.batch_messages || batch.bytes >= self.settings.batch_bytes {
                        return Ok(());
                    }
                }
                Some(Err(error)) => match self.judge(open, error) {
                    Err(fault @ SourceError::Transient(_)) if !left(deadline).is_zero() => told = Some(fault),
                    judged => judged?,
                },
            }
        }
    }
}

impl OpenSource {
    fn new(consumer: BaseConsumer<Watch>, share: Share) -> OpenSource {
        OpenSource {
            consumer,
            share,
            next: BTreeMap::new(),
            unnoted: BTreeMap::new(),
            noted: None,
            untold: Vec::new(),
            gaps: Vec::new(),
            has_grown: false,
            has_gap: false,
            is_cut_off: false,
            missing: None,
            fault: None,
        }
    }

    /// Reads every partition from its next offset on.
    fn assign(&self) -> Result<()> {
        self.consumer.assign(&self.list(&self.next)?).map_err(Error::client("assigning partitions"))
    }

    /// Notes at the brokers, for tools, how far was read; not more often than they should be asked to.
    fn note(&mut self) -> Result<()> {
        if self.unnoted.is_empty() || self.noted.is_some_and(|noted| noted.elapsed() < NOTE_EVERY) {
            return Ok(());
        }
        self.noted = Some(Instant::now());
        let unnoted = std::mem::take(&mut self.unnoted);
        let list = self.list(&unnoted)?;
        self.consumer.commit(&list, CommitMode::Async).map_err(Error::client("noting offsets"))
    }

    fn list(&self, next: &BTreeMap<u32, u64>) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, next) in next {
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            list.add_partition_offset(self.topic(), *partition as i32, offset)
                .map_err(Error::client("naming an offset"))?;
        }
        Ok(list)
    }

    fn topic(&self) -> &str {
        self.consumer.context().topic()
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.close();
    }
}

impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self, positions: &[SourcePosition], share: Share) -> Result<(), SourceError> {
        self.close();
        topics::ensure(&self.settings.connection, &self.topics).map_err(Error::into_source)?;
        self.open = Some(self.connect(positions, share)?);
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Batch, SourceError> {
        // Where nothing comes any more, the last of what came is noted too.
        self.note();
        self.connect_anew()?;
        let Some(mut open) = self.open.take() else {
            return Err(SourceError::Fatal(format!("{} is not open", self.name)));
        };
        let mut filling = Filling::default();
        let mut filled = open.fault.clone().map_or(Ok(()), Err);
        if filled.is_ok() {
            filled = self.fill(&mut open, &mut filling, Instant::now() + patience);
        }
        if let Err(fault @ (SourceError::OffsetGone { .. } | SourceError::Fatal(_))) = &filled {
            open.fault = Some(fault.clone());
        }
        let mut batch = filling.batch;
        batch.gaps = std::mem::take(&mut open.gaps);
        for partition in std::mem::take(&mut open.untold) {
            filling.moved.insert(partition);
        }
        batch.positions = filling.moved.into_iter().filter_map(|partition| self.position(&open, partition)).collect();
        self.open = Some(open);
        match filled {
            // What was read before the fault is given out; the fault comes again.
            Err(fault) if batch.is_empty() => Err(fault),
            Err(fault) => {
                tracing::debug!(source = self.name, %fault, "behind what was read");
                Ok(batch)
            }
            Ok(()) => Ok(batch),
        }
    }

    fn acknowledge(&mut self, positions: &[SourcePosition]) {
        let Some(open) = &mut self.open else { return };
        let own = positions.iter().filter(|position| open.next.contains_key(&position.partition));
        open.unnoted.extend(own.map(|position| (position.partition, position.next_offset)));
        self.note();
    }

    fn lag(&self) -> Vec<Lag> {
        let Some(open) = &self.open else { return Vec::new() };
        let lag = |(partition, next): (&u32, &u64)| {
            let end = open.consumer.context().end(*partition)?;
            Some(Lag { partition: *partition, messages: end.saturating_sub(*next) })
        };
        open.next.iter().filter_map(lag).collect()
    }
}
