//! The topic of progress: the progress of writers, and how users are dealt over them.
//!
//! | key | says |
//! |---|---|
//! | the writer's name | the reach of one writer alone, or `{"dealt": …}`: over how many users are dealt |
//! | the name, `-2-of-4` | the reach of the second of four |
//!
//! The keys are transactional ids too. Whoever opens the writers files anew how users are dealt, with a number that nobody else
//! has, and whoever deals them otherwise files all of it in one transaction, both under the writer's name. Each writer reads that
//! behind taking its id over: one that was given out by an earlier opening finds that it is no longer asked for.

use std::collections::{BTreeMap, BTreeSet};

use audience_contract::{Reach, SinkError};
use murmur2::{KAFKA_SEED, murmur2};
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::held::Committed;
use crate::sink::SinkSettings;

/// A dealing of users over writers: by the partition that they lie in, so that each writer has partitions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deal {
    /// The number of writers, at least 1.
    pub writers: u32,
    /// The number of partitions when users were dealt. Partitions that are added later change nobody's writer.
    pub partitions: u32,
    /// Whose opening this is of.
    pub opening: u64,
}

impl Deal {
    /// One writer for everybody.
    pub(crate) const ALONE: Deal = Deal { writers: 1, partitions: 1, opening: 0 };

    /// The same users' writers, of an opening that is new. One alone needs no number: its id is the name itself.
    pub(crate) fn opened_anew(self) -> Deal {
        if self.writers == 1 { Deal::ALONE } else { Deal { opening: fastrand::u64(..), ..self } }
    }

    /// Returns whether each user has the same writer.
    pub(crate) fn deals_as(&self, other: &Deal) -> bool {
        (self.writers, self.partitions) == (other.writers, other.partitions)
    }

    /// The writer of a user, from 0.
    pub(crate) fn writer_of(&self, user: &str) -> u32 {
        // As Kafka's own clients choose the partition of a key.
        let partition = (murmur2(user.as_bytes(), KAFKA_SEED) & 0x7fff_ffff) % self.partitions.max(1);
        partition % self.writers.max(1)
    }

    /// The transactional id of a writer, under which its reach is filed.
    pub(crate) fn id(&self, name: &str, index: u32) -> String {
        if self.writers == 1 { name.to_owned() } else { format!("{name}-{}-of-{}", index + 1, self.writers) }
    }
}

/// The content of a message under a writer's name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
pub(crate) enum Record {
    /// Users are dealt over several.
    Dealt {
        /// How.
        dealt: Deal,
    },
    /// One writes alone, and has come so far.
    Reach(Reach),
}

/// All that is filed under one writer's name.
pub(crate) struct Filed {
    writer: String,
    /// The newest value of each key.
    held: BTreeMap<String, Vec<u8>>,
}

impl Filed {
    /// Reads what is committed; earlier writers are shut out before, or it may be old at once.
    pub(crate) fn read(settings: &SinkSettings) -> Result<Filed, SinkError> {
        let mut held = BTreeMap::new();
        each(settings, true, &mut |key, value| {
            match value {
                Some(value) => held.insert(key.to_owned(), value.to_vec()),
                None => held.remove(key),
            };
        })?;
        Ok(Filed { writer: settings.writer.clone(), held })
    }

    /// The ids of all writers that may have a transaction under way, by all that was ever filed, committed or not: what is
    /// committed can be read only once those have ended.
    pub(crate) fn ids(settings: &SinkSettings) -> Result<BTreeSet<String>, SinkError> {
        let mut ids = BTreeSet::new();
        each(settings, false, &mut |key, value| {
            let record = value.filter(|_| key == settings.writer).and_then(|value| serde_json::from_slice(value).ok());
            if let Some(Record::Dealt { dealt }) = record {
                ids.extend((0..dealt.writers).map(|index| dealt.id(key, index)));
            }
        })?;
        Ok(ids)
    }

    /// The dealing of users, or the reach of the one writer where they are not dealt; `None` where nothing was ever written.
    pub(crate) fn dealt(&self) -> Result<Option<(Deal, Option<Reach>)>, SinkError> {
        Ok(self.of(&self.writer)?.map(|record| match record {
            Record::Dealt { dealt } => (dealt, None),
            Record::Reach(reach) => (Deal::ALONE, Some(reach)),
        }))
    }

    /// The reach of one of the writers. Fails where users are dealt otherwise by now.
    pub(crate) fn reach(&self, deal: Deal, index: u32) -> Result<Option<Reach>, SinkError> {
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

/// Visits what is filed under keys that begin with the writer's name, in order: what is committed, or all of it.
fn each(
    settings: &SinkSettings,
    is_committed: bool,
    visit: &mut dyn FnMut(&str, Option<&[u8]>),
) -> Result<(), SinkError> {
    let SinkSettings { connection, progress_topic, writer, .. } = settings;
    let read = Committed::new(connection, progress_topic).and_then(|topic| {
        topic.read_all(is_committed, &mut |message| {
            let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
            if let Some(key) = key.filter(|key| key.starts_with(writer)) {
                visit(key, message.payload());
            }
        })
    });
    read.map_err(|error: Error| error.into_sink(writer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values in Kafka's own tests of its hash.
    #[test]
    fn users_are_dealt_by_their_partition() {
        for (key, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107)] {
            let deal = Deal { writers: 5, partitions: 12, opening: 0 };
            assert_eq!(deal.writer_of(key), (hash & 0x7fff_ffff) as u32 % 12 % 5, "{key}");
        }
        assert_eq!(Deal::ALONE.writer_of("anybody"), 0);
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let reach = br#"{"all":{"tick":7,"clock":9,"sequence":8,"catalogue_version":1}}"#;
        assert!(matches!(serde_json::from_slice(reach), Ok(Record::Reach(Reach::All(_)))));
        let deal = Deal { writers: 4, partitions: 12, opening: u64::MAX };
        let dealt = serde_json::to_vec(&Record::Dealt { dealt: deal }).expect("it has a form");
        assert_eq!(dealt, br#"{"dealt":{"writers":4,"partitions":12,"opening":18446744073709551615}}"#);
        // A version that knows of one writer alone says that it cannot read this, and writes nothing.
        assert!(serde_json::from_slice::<Reach>(&dealt).is_err());
        assert!(matches!(serde_json::from_slice(&dealt), Ok(Record::Dealt { dealt }) if dealt == deal));
    }
}
