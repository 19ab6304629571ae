//! How far writers have come, and how users are dealt over them: what stands in the topic of progress.
//!
//! | key | says |
//! |---|---|
//! | the writer's name | the reach of one writer alone, or `{"dealt": …}`: over how many users are dealt |
//! | the name, `-2-of-4` | the reach of the second of four |
//!
//! The keys are transactional ids too. Whoever deals users anew writes all of it in one transaction, under the writer's name,
//! and shuts those before out first; one of those who comes back finds that it is no longer asked for.

use std::collections::BTreeMap;

use audience_contract::{Reach, SinkError};
use murmur2::{KAFKA_SEED, murmur2};
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::held::Committed;
use crate::sink::SinkSettings;

/// How users are dealt over writers: by the partition that they lie in, so that each writer has partitions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// How many writers there are; at least 1.
    pub writers: u32,
    /// How many partitions there were when users were dealt. More since then change nobody's writer.
    pub partitions: u32,
}

impl Deal {
    /// One writer for everybody.
    pub const ALONE: Deal = Deal { writers: 1, partitions: 1 };

    /// The writer of a user, from 0.
    pub fn writer_of(&self, user: &str) -> u32 {
        // As Kafka's own clients choose the partition of a key.
        let partition = (murmur2(user.as_bytes(), KAFKA_SEED) & 0x7fff_ffff) % self.partitions.max(1);
        partition % self.writers.max(1)
    }

    /// The transactional id of a writer, under which its reach is filed.
    pub fn id(&self, name: &str, index: u32) -> String {
        if self.writers == 1 { name.to_owned() } else { format!("{name}-{}-of-{}", index + 1, self.writers) }
    }
}

/// What stands under a writer's name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Record {
    /// Users are dealt over several.
    Dealt {
        /// How.
        dealt: Deal,
    },
    /// One writes alone, and has come so far.
    Reach(Reach),
}

/// All that is filed under one writer's name.
pub struct Filed {
    writer: String,
    /// The newest value of each key.
    held: BTreeMap<String, Vec<u8>>,
}

impl Filed {
    /// Reads what is committed; earlier writers are shut out before, or it may be old at once.
    pub fn read(settings: &SinkSettings) -> Result<Filed, SinkError> {
        let SinkSettings { connection, progress_topic, writer, .. } = settings;
        let failed = |error: Error| error.into_sink(writer);
        let committed = Committed::new(connection, progress_topic).map_err(failed)?;
        let mut held = BTreeMap::new();
        for partition in committed.partitions().map_err(failed)? {
            let read = committed.read(partition, &mut |message| {
                let Some(Ok(key)) = message.key().map(std::str::from_utf8) else { return };
                if !key.starts_with(writer) {
                    return;
                }
                match message.payload() {
                    Some(value) => held.insert(key.to_owned(), value.to_vec()),
                    None => held.remove(key),
                };
            });
            read.map_err(failed)?;
        }
        Ok(Filed { writer: writer.clone(), held })
    }

    /// How users are dealt, and the reach of the one writer where they are not; `None` where nothing was ever written.
    pub fn dealt(&self) -> Result<Option<(Deal, Option<Reach>)>, SinkError> {
        Ok(self.of(&self.writer)?.map(|record| match record {
            Record::Dealt { dealt } => (dealt, None),
            Record::Reach(reach) => (Deal::ALONE, Some(reach)),
        }))
    }

    /// The reach of one of the writers. Fails where users are dealt otherwise by now.
    pub fn reach(&self, deal: Deal, index: u32) -> Result<Option<Reach>, SinkError> {
        match self.dealt()? {
            None if deal.writers == 1 => Ok(None),
            Some((found, reach)) if deal.writers == 1 && found.writers == 1 => Ok(reach),
            Some((found, _)) if found == deal => self.of(&deal.id(&self.writer, index)),
            _ => Err(SinkError::Fenced(format!("kafka:{}", self.writer))),
        }
    }

    fn of<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, SinkError> {
        let damaged = |error: serde_json::Error| SinkError::Corrupt { sink: key.to_owned(), detail: error.to_string() };
        self.held.get(key).map(|bytes| serde_json::from_slice(bytes).map_err(damaged)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka's own tests say of its hash.
    #[test]
    fn users_are_dealt_by_their_partition() {
        for (key, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107)] {
            let deal = Deal { writers: 5, partitions: 12 };
            assert_eq!(deal.writer_of(key), (hash & 0x7fff_ffff) as u32 % 12 % 5, "{key}");
        }
        assert_eq!(Deal::ALONE.writer_of("anybody"), 0);
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let reach = br#"{"all":{"tick":7,"clock":9,"sequence":8,"catalogue_version":1}}"#;
        assert!(matches!(serde_json::from_slice(reach), Ok(Record::Reach(Reach::All(_)))));
        let deal = Deal { writers: 4, partitions: 12 };
        let dealt = serde_json::to_vec(&Record::Dealt { dealt: deal }).expect("it has a form");
        assert_eq!(dealt, br#"{"dealt":{"writers":4,"partitions":12}}"#);
        // A version that knows of one writer alone says that it cannot read this, and writes nothing.
        assert!(serde_json::from_slice::<Reach>(&dealt).is_err());
    }
}
