//! Work for instants that are near. An instant at which many users are due, as midnight in a zone is, comes at once for all of
//! them; the answers of questions that change then are found before, some users at a time.
//!
//! Law: an answer that is ready is the one that would be found at its instant; an event that matters to it drops it. Cost: for
//! each user who is due soon one look at the kept events, which the instant itself then need not take.

use audience_rules::ast::Millis;

use super::rows::UserRows;
use crate::measure::MeasureKind;

/// How long before its instant an answer is found.
const AHEAD: Millis = 10 * 60 * 1_000;
/// Users in a second of the clock: those of one worker of a million are done in a part of that time.
const USERS_A_SECOND: Millis = 20_000;
/// Users after one tick, so that the next does not wait.
const MOST_USERS: Millis = 1_000;

impl UserRows {
    /// Makes answers ready for users who are due soon: as many as the time from `before` to `now` allows.
    pub(super) fn prepare(&mut self, before: Millis, now: Millis) {
        if !self.registry.has_questions {
            return;
        }
        let passed = now.saturating_sub(before).clamp(0, 1_000);
        let most = (passed * USERS_A_SECOND / 1_000).min(MOST_USERS);
        let mut users = Vec::new();
        self.calendar.announce(now.saturating_add(AHEAD), most as usize, &mut users);
        for slot in users {
            let Some(user) = self.users.get_mut(slot as usize) else { continue };
            for cell in &mut user.cells {
                let definition = self.registry.measures.get(cell.measure());
                if let Some(MeasureKind::Asked(question)) = definition.map(|definition| &definition.kind) {
                    cell.prepare(question, now.saturating_add(AHEAD));
                }
            }
        }
    }
}
