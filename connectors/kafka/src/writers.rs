//! Several writers to the topic of membership changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_contract::{Reach, SharedSink, SinkError, Writer, Writers};
use rdkafka::producer::Producer;

use crate::held::Committed;
use crate::producer::Sender;
use crate::progress::{Deal, Filed, Record};
use crate::sink::{KafkaSink, SinkSettings, commit, fatal, note, take_over};
use crate::topics::{self, Topic};
use crate::{Error, Result};

/// The topic of membership changes, written by as many as the settings say, each in transactions of its own and to partitions
/// of its own.
///
/// One of a name deals users at a time: who opens takes the name's own transactional id over, under which that is done, in one
/// transaction, where the number of writers or of partitions is another than before. Each writer takes its own id over, and
/// finds then whether the opening that gave it out is still the last.
pub struct KafkaWriters {
    /// `kafka:` and the writer.
    name: String,
    settings: SinkSettings,
    /// Made where they are missing; the first is that of changes.
    topics: [Topic; 2],
    /// The change if users are to be dealt again: how they were, how they are to be, and who holds the name's own id, unless that
    /// is the one writer.
    opened: Option<(Deal, Deal, Option<Sender>)>,
}

impl KafkaWriters {
    /// Writers that are not open yet, to topics that are made where they are missing: that of changes and that of progress. Fails
    /// where a setting is not to be made.
    pub fn new(settings: SinkSettings, topics: [Topic; 2]) -> Result<KafkaWriters> {
        KafkaSink::new(settings.clone())?;
        Ok(KafkaWriters { name: format!("kafka:{}", settings.writer), settings, topics, opened: None })
    }

    /// Takes over, and gives how users are dealt; `None` where nobody has written anything that counts.
    fn take_over(&self) -> Result<(Sender, Option<Deal>), SinkError> {
        let SinkSettings { connection, writer, topic, .. } = &self.settings;
        let failed = |error: Error| error.into_sink(&self.name);
        let made = topics::ensure(connection, &self.topics).map_err(failed)?;
        let root = take_over(&self.settings, writer).map_err(failed)?;
        // What a writer was in the middle of ends, or nothing behind it could be read before the brokers give it up.
        self.shut_out(Filed::ids(&self.settings)?).map_err(failed)?;
        let Some((before, _)) = Filed::read(&self.settings)?.dealt()? else { return Ok((root, None)) };
        if !made.contains(topic) {
            return Ok((root, Some(before)));
        }
        tracing::error!(topic, "The topic of membership changes was deleted, and the sink writes a snapshot to it");
        // Who opened a writer since then is shut out, and who does it later finds that it is not asked for.
        let before = before.opened_anew();
        self.claim(&root, before).map_err(failed)?;
        self.shut_out((0..before.writers).map(|index| before.id(writer, index)).collect()).map_err(failed)?;
        self.file(&root, before, Deal::ALONE, None).map_err(failed)?;
        Ok((root, None))
    }

    /// Shuts out whoever writes under those ids, beside the name itself.
    fn shut_out(&self, ids: BTreeSet<String>) -> Result<()> {
        std::thread::scope(|scope| {
            let others = ids.iter().filter(|id| **id != self.settings.writer);
            let threads: Vec<_> = others.map(|id| scope.spawn(|| take_over(&self.settings, id).map(drop))).collect();
            let died = || Err(Error::TooLong("shutting out an earlier writer".to_owned()));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| died()))
        })
    }

    /// The dealing of users over the partitions that exist.
    fn wanted(&self) -> Result<Deal> {
        let SinkSettings { connection, topic, writers, .. } = &self.settings;
        let partitions = Committed::new(connection, topic)?.partitions()?.len();
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        Ok(match writers.get().min(partitions) {
            0 | 1 => Deal::ALONE,
            writers => Deal { writers, partitions, opening: 0 }.opened_anew(),
        })
    }

    /// Files that users are dealt so, and by whose opening; the reaches stay. One alone has the name's own id.
    fn claim(&self, root: &Sender, deal: Deal) -> Result<()> {
        if deal.writers == 1 {
            return Ok(());
        }
        transact(root, || note(root, &self.settings, &self.settings.writer, Some(&Record::Dealt { dealt: deal })))
    }

    /// Files how users are dealt, and the reach of all writers, in place of those of before.
    fn file(&self, root: &Sender, before: Deal, deal: Deal, reach: Option<&Reach>) -> Result<()> {
        let writer = &self.settings.writer;
        transact(root, || {
            for index in 0..before.writers {
                note::<Reach>(root, &self.settings, &before.id(writer, index), None)?;
            }
            if deal.writers > 1 {
                note(root, &self.settings, writer, Some(&Record::Dealt { dealt: deal }))?;
            }
            (0..deal.writers).try_for_each(|index| note(root, &self.settings, &deal.id(writer, index), reach))
        })
    }

    fn writers(&self, deal: Deal) -> Vec<Writer> {
        let writer = |index| Writer {
            sink: Box::new(KafkaSink::one_of(&self.settings, deal, index)),
            owns: Arc::new(move |user: &str| deal.writer_of(user) == index),
        };
        (0..deal.writers).map(writer).collect()
    }
}

impl SharedSink for KafkaWriters {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self) -> Result<Writers, SinkError> {
        self.opened = None;
        let failed = |error: Error| error.into_sink(&self.name);
        let (root, before) = self.take_over()?;
        let wanted = self.wanted().map_err(failed)?;
        match before {
            Some(before) if before.deals_as(&wanted) => {
                self.claim(&root, wanted).map_err(failed)?;
                Ok(Writers::AsWanted(self.writers(wanted)))
            }
            Some(before) => {
                let before = before.opened_anew();
                self.claim(&root, before).map_err(failed)?;
                // Where one alone wrote, the name's id is to be its own again.
                self.opened = Some((before, wanted, Some(root).filter(|_| before.writers > 1)));
                Ok(Writers::AsBefore(self.writers(before)))
            }
            None => {
                self.file(&root, Deal::ALONE, wanted, None).map_err(failed)?;
                Ok(Writers::AsWanted(self.writers(wanted)))
            }
        }
    }

    fn deal(&mut self, reach: &Reach) -> Result<Vec<Writer>, SinkError> {
        let failed = |error: Error| error.into_sink(&self.name);
        let Some((before, wanted, root)) = self.opened.take() else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        let root = match root {
            Some(root) => root,
            None => {
                let root = take_over(&self.settings, &self.settings.writer).map_err(failed)?;
                // Somebody may have been here since the last write.
                match Filed::read(&self.settings)?.reach(before, 0)? {
                    Some(Reach::All(progress)) if progress.tick == reach.progress().tick => {}
                    _ => return Err(SinkError::Transient(format!("{} was written by another meanwhile", self.name))),
                }
                root
            }
        };
        self.file(&root, before, wanted, Some(reach)).map_err(failed)?;
        tracing::info!(
            sink = self.name,
            from = before.writers,
            to = wanted.writers,
            "users are dealt over other writers"
        );
        Ok(self.writers(wanted))
    }
}

/// Files all of that, or nothing.
fn transact(root: &Sender, file: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = root.producer().begin_transaction().map_err(Error::client("beginning a transaction"));
    begun.and_then(|()| file()).and_then(|()| commit(root)).map_err(|error| fatal(root).unwrap_or(error))
}
