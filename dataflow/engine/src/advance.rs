//! Time, where it moves only when told: in replays, and at a start.

use audience_rules::ast::Millis;

use crate::edit::Position;
use crate::engine::{Engine, EngineError};

/// Moves the clock to `to` from where it stands; where there are ranks, over every second in which anything is due, since
/// who is first depends on all users at one instant. `hold_at` moves the clock of the position.
pub fn advance(
    engine: &Engine,
    position: &dyn Position,
    hold_at: impl Fn(Millis),
    to: Millis,
) -> Result<(), EngineError> {
    loop {
        let done = engine.done();
        let next = match done.next_due {
            Some(due) if done.deepest_rank > 0 => to.min((due + 999).max(position.boundary().clock)),
            _ => to,
        };
        hold_at(next);
        let tick = engine.submit_control(next, None)?;
        engine.wait_for(tick)?;
        if next >= to {
            return Ok(());
        }
    }
}
