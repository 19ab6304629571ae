//! The coordinator's stores, as the workers of other processes reach them: a question, then its answer.
//!
//! Each worker has a connection of its own, so nobody waits for another's answer.

use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::sync::Arc;

use audience_contract::{CheckpointStore, EventLog, MessageIndex, Result, StoreError, UserHistory};
use parking_lot::Mutex;

use super::frame;
use super::protocol::{Question, StoreAnswer};

/// The stores that are asked.
#[derive(Clone)]
pub struct AskedStores {
    /// Accepted events.
    pub events: Arc<dyn EventLog>,
    /// Which message came first.
    pub messages: Arc<dyn MessageIndex>,
    /// Checkpoints, where there are.
    pub checkpoints: Option<Arc<dyn CheckpointStore>>,
}

impl AskedStores {
    /// Answers until the other side asks no more.
    pub fn serve(&self, stream: TcpStream) {
        let Ok(mut from) = stream.try_clone() else { return };
        let mut to = BufWriter::new(stream);
        // Whoever asks notices that nobody answers; why, is told where the process is missed.
        while let Ok(question) = frame::read(&mut from) {
            let answer = self.answer(question).unwrap_or_else(|error| StoreAnswer::Failed(error.to_string()));
            if frame::write(&mut to, &answer).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, question: Question) -> Result<StoreAnswer> {
        Ok(match question {
            Question::OfUsers(ids, before) => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                StoreAnswer::Records(self.events.of_users(&ids, before)?)
            }
            Question::Note(messages) => StoreAnswer::Noted(self.messages.note(&messages)?),
            Question::First(keys) => StoreAnswer::First(self.messages.first(&keys)?),
            Question::Forget(keys, below) => {
                self.messages.forget(&keys, below)?;
                StoreAnswer::Done
            }
            Question::Shard(checkpoint, shard) => {
                let shard = self.checkpoints.as_ref().map_or(Ok(None), |store| store.shard(checkpoint, shard))?;
                StoreAnswer::Shard(shard.map(Into::into))
            }
        })
    }
}

/// The stores of the coordinator, for one worker of another process.
pub(crate) struct RemoteStores {
    connection: Mutex<TcpStream>,
}

impl RemoteStores {
    /// Over a connection that the coordinator serves.
    pub(crate) fn new(connection: TcpStream) -> Self {
        RemoteStores { connection: Mutex::new(connection) }
    }

    fn ask(&self, question: &Question) -> Result<StoreAnswer> {
        let failed = |detail: String| StoreError::Unavailable { action: "asking the coordinator", detail };
        let mut connection = self.connection.lock();
        let mut bytes = Vec::new();
        let asked = frame::write(&mut bytes, question).and_then(|()| connection.write_all(&bytes));
        let answer = asked.and_then(|()| frame::read(&mut *connection)).map_err(|error| failed(error.to_string()))?;
        match answer {
            StoreAnswer::Failed(detail) => Err(failed(detail)),
            answer => Ok(answer),
        }
    }

    /// A shard of a checkpoint.
    pub(crate) fn shard(&self, checkpoint: u64, shard: u32) -> Result<Option<Vec<u8>>> {
        match self.ask(&Question::Shard(checkpoint, shard))? {
            StoreAnswer::Shard(bytes) => Ok(bytes.map(serde_bytes::ByteBuf::into_vec)),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &StoreAnswer) -> StoreError {
    let detail = format!("the answer is to another question: {answer:?}");
    StoreError::Unavailable { action: "asking the coordinator", detail }
}

impl UserHistory for RemoteStores {
    fn of_users(&self, ids: &[&str], before: u64) -> Result<Vec<u8>> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        match self.ask(&Question::OfUsers(ids, before))? {
            StoreAnswer::Records(records) => Ok(records),
            other => Err(unexpected(&other)),
        }
    }
}

impl MessageIndex for RemoteStores {
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>> {
        match self.ask(&Question::Note(messages.to_vec()))? {
            StoreAnswer::Noted(first) => Ok(first),
            other => Err(unexpected(&other)),
        }
    }

    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>> {
        match self.ask(&Question::First(keys.to_vec()))? {
            StoreAnswer::First(first) => Ok(first),
            other => Err(unexpected(&other)),
        }
    }

    fn forget(&self, keys: &[u128], below: u64) -> Result<()> {
        match self.ask(&Question::Forget(keys.to_vec(), below))? {
            StoreAnswer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Nothing is kept here: the coordinator makes its own durable.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}
