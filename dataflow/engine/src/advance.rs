//! Time, where it moves only when told: in replays, and at a start.

use audience_rules::ast::Millis;

use crate::engine::{Engine, EngineError, TickItems};

/// Moves the clock to `to`. If there are ranks, it stops at every second in which anything is due, since who is first
/// depends on all users at one instant.
pub(crate) fn advance(engine: &Engine, to: Millis) -> Result<(), EngineError> {
    loop {
        let done = engine.done();
        let next = match done.next_due {
            Some(due) if done.deepest_rank > 0 => to.min((due + 999).max(engine.head().clock)),
            _ => to,
        };
        let tick = engine.submit(|head| {
            head.clock = next;
            TickItems::default()
        })?;
        engine.wait_for(tick)?;
        if next >= to {
            return Ok(());
        }
    }
}
