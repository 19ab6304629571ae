//! Group commit: callers that append at the same time share one write and one fsync.
//!
//! A caller takes its sequence numbers and adds its records to the group that waits. Whoever finds nobody writing writes
//! the whole group, its own records and those of the others, while the next group gathers. There is no thread for it.

use std::mem;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use audience_contract::{Result, SourcePosition};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::chunk::{ChunkWriter, Survey};
use crate::positions::Positions;

/// A group takes no more callers once it is this large; they wait for the one being written.
const GROUP_BYTES: usize = 8 << 20;

/// Where callers meet.
pub struct Groups {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    next: u64,
    /// Where sources will be once everything in the queue is written.
    positions: Positions,
    /// Where they are.
    durable: Positions,
    /// The number behind the last record that is written.
    end: u64,
    waiting: Group,
    writing: bool,
}

/// Records that are written together.
#[derive(Default)]
pub struct Group {
    /// The records, numbered.
    pub chunks: Vec<ChunkWriter>,
    /// What users each caller's records name: the first number of its records, and each place with the user's hash.
    pub users: Vec<(u64, Vec<(u64, u64)>)>,
    /// The number behind the last.
    pub end: u64,
    /// Where sources are with these records.
    pub positions: Positions,
    bytes: usize,
    outcome: Arc<OnceLock<Result<()>>>,
}

impl Groups {
    /// Begins at that number and those positions.
    pub fn new(next: u64, positions: Positions) -> Groups {
        let durable = positions.clone();
        let queue = Queue { next, positions, durable, end: next, waiting: Group::default(), writing: false };
        Groups { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Where sources are in what is written.
    pub fn positions(&self) -> Vec<SourcePosition> {
        self.queue.lock().durable.all()
    }

    /// The number behind the last record that is written, and where sources are with it.
    pub fn reach(&self) -> (u64, Vec<SourcePosition>) {
        let queue = self.queue.lock();
        (queue.end, queue.durable.all())
    }

    /// Numbers the records, sees to it that they are written by `write` with the positions, and gives their numbers.
    pub fn append(
        &self,
        records: &mut [u8],
        survey: Survey,
        positions: &[SourcePosition],
        write: impl Fn(Group) -> Result<()>,
    ) -> Result<Range<u64>> {
        let mut queue = self.queue.lock();
        while queue.waiting.bytes >= GROUP_BYTES {
            self.changed.wait(&mut queue);
        }
        queue.positions.check(positions)?;
        let range = queue.join(records, survey, positions);
        let outcome = Arc::clone(&queue.waiting.outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                return outcome.clone().map(|()| range);
            }
            if queue.writing {
                self.changed.wait(&mut queue);
            } else {
                self.write_waiting(&mut queue, &write);
            }
        }
    }

    fn write_waiting(&self, queue: &mut MutexGuard<'_, Queue>, write: impl Fn(Group) -> Result<()>) {
        queue.writing = true;
        let group = mem::take(&mut queue.waiting);
        let (first, outcome) = (group.first(), Arc::clone(&group.outcome));
        let (reached, end) = (group.positions.clone(), group.end);
        let written = MutexGuard::unlocked(queue, || write(group));
        queue.writing = false;
        if written.is_err() {
            // Those who wait have numbers that build on numbers nobody has now.
            let late = mem::take(&mut queue.waiting);
            queue.next = first.unwrap_or(queue.next);
            queue.positions = queue.durable.clone();
            let _ = late.outcome.set(written.clone());
        } else {
            queue.durable.merge(&reached);
            queue.end = end;
        }
        let _ = outcome.set(written);
        self.changed.notify_all();
    }
}

impl Queue {
    fn join(&mut self, mut records: &mut [u8], survey: Survey, positions: &[SourcePosition]) -> Range<u64> {
        let first = self.next;
        self.positions.advance(positions);
        let group = &mut self.waiting;
        group.bytes += records.len();
        group.positions.advance(positions);
        while !records.is_empty() {
            if group.chunks.last().is_none_or(ChunkWriter::is_full) {
                group.chunks.push(ChunkWriter::new(self.next));
            }
            let Some(chunk) = group.chunks.last_mut() else { break };
            let taken = chunk.fill(records, &mut self.next);
            records = &mut records[taken..];
        }
        group.users.push((first, survey.users));
        group.end = self.next;
        first..self.next
    }
}

impl Group {
    fn first(&self) -> Option<u64> {
        self.users.first().map(|(first, _)| *first)
    }
}
