//! The user rows of one worker, and the evaluation of every rule on them.
//!
//! Law: after a tick with clock *t*, `membership` holds exactly the users that fulfil each published rule at *t*, given the
//! events so far. `changes` are the differences to the tick before, each at the second at which it came about. A
//! membership that changes and changes back within a second leaves no trace.
//! Cost: an event costs the measures that it feeds and the predicates between their old and new values. A tick costs the
//! users that are due. An edit costs one look at each user.

mod band_table;
mod breakdown;
mod checkpoint;
mod column;
mod edits;
mod feed;
mod identity;
mod in_force;
mod intake;
mod leaders;
mod leaf;
mod number_rule;
mod output;
mod plan;
mod prepare;
mod preview;
mod rows;
mod scan;
mod segments;
mod settle;
mod survey;
mod tick;

use std::sync::Arc;

use audience_contract::{MessageIndex, StoreError, UserHistory};
use audience_rules::ast::Millis;
use parking_lot::RwLock;

use crate::membership::Membership;
use crate::message::RankInput;

use in_force::RulesInForce;
use intake::WorkerIntake;
use rows::UserRows;
use scan::ScanState;
use settle::Evaluation;

pub use checkpoint::{CheckpointFault, MeasureText};
pub use intake::message_key;
pub use output::WorkerOutput;
pub use segments::{SegmentNames, SegmentNumbers};
pub use tick::TickInput;

/// The users of one worker.
pub struct WorkerState {
    rows: UserRows,
    membership: Arc<RwLock<Membership>>,
    segments: SegmentNumbers,
    in_force: RulesInForce,
    time: WorkerTime,
    scans: ScanState,
    intake: WorkerIntake,
    evaluation: Evaluation,
    /// Membership changes and messages to the ranks.
    pub output: WorkerOutput,
}

/// The instants of a worker.
struct WorkerTime {
    clock: Millis,
    /// All that is due up to here is done.
    done_until: Millis,
    /// True while a start is being made, which gives nothing out.
    silent: bool,
}

impl WorkerState {
    /// An empty state that reads history from `log` and tells repeated messages by `messages`.
    pub fn new(log: Arc<dyn UserHistory>, messages: Arc<dyn MessageIndex>) -> Self {
        WorkerState {
            rows: UserRows::default(),
            membership: Arc::default(),
            segments: SegmentNumbers::default(),
            in_force: RulesInForce::default(),
            time: WorkerTime { clock: Millis::MIN, done_until: Millis::MIN, silent: false },
            scans: ScanState::default(),
            intake: WorkerIntake::new(log, messages),
            evaluation: Evaluation::default(),
            output: WorkerOutput::default(),
        }
    }

    /// Returns the memberships, which others may read while this works.
    pub fn membership(&self) -> Arc<RwLock<Membership>> {
        self.membership.clone()
    }

    /// The accepted events of single users.
    pub fn history(&self) -> Arc<dyn UserHistory> {
        self.intake.log.clone()
    }

    /// The numbers of segments.
    pub fn segments(&self) -> &SegmentNumbers {
        &self.segments
    }

    /// Returns whether a start is being made, which gives nothing out.
    pub fn is_silent(&self) -> bool {
        self.time.silent
    }

    /// Now.
    pub fn clock(&self) -> Millis {
        self.time.clock
    }

    /// Returns the number of known users: those with an accepted event that counts, not merged into others and not erased.
    pub fn known_users(&self) -> u64 {
        self.rows.known_users
    }

    /// Takes out what the ranks up to a depth are to be told.
    pub fn take_rank_inputs(&mut self, depth: u32) -> Vec<RankInput> {
        self.output.take_rank_inputs(&self.rows.registry, depth)
    }

    /// The deepest rank; 0 where there is none.
    pub fn deepest_rank(&self) -> u32 {
        self.rows.registry.deepest_rank()
    }

    /// The first instant at which some user may change by time alone, to the second below.
    pub fn next_due(&self) -> Option<Millis> {
        self.rows.calendar.first()
    }

    /// The members of this worker by segment number, for the base of the collection of memberships.
    pub fn segment_members(&self) -> Vec<(u32, u64)> {
        let membership = self.membership.read();
        let members = membership.segments.keys().filter_map(|segment| {
            let members = membership.size(segment);
            (members > 0).then_some((self.segments.number(segment)?, members))
        });
        members.collect()
    }

    /// Begins the silence of a start: state is brought back as of `clock`, nothing is evaluated until
    /// [`Control::Activate`].
    ///
    /// [`Control::Activate`]: crate::message::Control::Activate
    pub fn begin_silence(&mut self, clock: Millis) {
        self.time = WorkerTime { clock, done_until: clock, silent: true };
    }

    /// Returns the number of users that have a number, and of the cells that are kept for them.
    pub fn figures(&self) -> (usize, usize) {
        (self.rows.users.len(), self.rows.users.iter().map(|user| user.cells.len()).sum())
    }
}

/// A fault that stops a worker.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A checkpoint does not fit.
    #[error("the checkpoint cannot be loaded: {0}")]
    Checkpoint(CheckpointFault),
    /// The event log does not say who is named.
    #[error("who a user is cannot be decided: {0}")]
    Identity(String),
}

#[cfg(test)]
mod tests;
