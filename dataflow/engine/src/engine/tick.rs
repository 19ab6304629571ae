//! A tick that is done, as its sink takes it.

use std::time::Instant;

use audience_contract::Progress;
use audience_kernel::aliases::Aliases;
use audience_kernel::operator::TickOutput;
use audience_kernel::worker::MeasureText;

use super::error::EngineError;

/// A tick of all workers.
#[derive(Debug)]
pub struct TickDone {
    /// Its number in this run.
    pub tick: u64,
    /// The progress of the change log that it leads to.
    pub progress: Progress,
    /// When its oldest event was accepted.
    pub oldest_accepted: Option<Instant>,
    /// The output of each worker.
    pub outputs: Vec<TickOutput>,
    /// True if a part of a checkpoint is taken as of this tick: it is of use only once the tick is committed.
    pub is_captured: bool,
    /// True if more ticks that are done stand right behind this one: a sink may keep what it writes until those come.
    pub has_more: bool,
}

/// A part of a checkpoint, as of one tick of one worker.
#[derive(Debug)]
pub struct CheckpointPart {
    /// Shards.
    pub shards: Vec<(u32, Vec<u8>)>,
    /// The measures that are computed.
    pub sources: Vec<MeasureText>,
    /// The aliases, in the first part.
    pub aliases: Option<Aliases>,
}

/// Takes every tick, in order. A tick counts as done once the next one without [`TickDone::has_more`] is taken.
pub type TickTaker = Box<dyn FnMut(TickDone) -> Result<(), EngineError> + Send>;
