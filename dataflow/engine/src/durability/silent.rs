//! Checkpoints of a standby: taken like those of a primary, and nothing is forgotten that a sink of the primary may want.

use std::sync::Arc;

use audience_background::Stop;

use super::checkpoint::Checkpointer;
use super::checkpoints::CheckpointTurn;
use super::erasures::Erasures;
use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::occurrence::CheckpointGivenUp;
use crate::stores::PlatformStores;

/// Takes checkpoints of an engine that gives nothing out.
pub(crate) struct SilentCheckpoints {
    checkpointer: Checkpointer,
    erasures: Erasures,
    metrics: Arc<Metrics>,
    turn: CheckpointTurn,
    stop: Stop,
}

impl SilentCheckpoints {
    /// Checkpoints in these stores, until the stop.
    pub(crate) fn new(stores: &PlatformStores, metrics: Arc<Metrics>, stop: Stop) -> SilentCheckpoints {
        SilentCheckpoints {
            checkpointer: Checkpointer::new(stores, false, metrics.clone()),
            erasures: Erasures::new(stores, None, stop.clone()),
            metrics,
            turn: CheckpointTurn::default(),
            stop,
        }
    }

    /// The turn, which edits that bring new measures take.
    pub(crate) fn turn(&self) -> &CheckpointTurn {
        &self.turn
    }

    /// Takes a checkpoint. A fault is told and passed over: the next one tries again.
    pub(crate) fn take(&self, engine: &Engine) {
        if let Err(error) = self.try_take(engine) {
            CheckpointGivenUp { error: &error }.emit(&self.metrics);
        }
    }

    fn try_take(&self, engine: &Engine) -> Result<(), EngineError> {
        let number = self.checkpointer.next_number()?;
        let _turn = self.turn.lock();
        let finished = self.checkpointer.take(number, engine, &self.stop)?;
        self.erasures.finish(finished.erased, engine)?;
        Ok(self.erasures.forget_lists()?)
    }
}
