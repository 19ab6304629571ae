//! Users looked at one by one, and what their events look like.

mod figures;
mod schema;

use std::time::Instant;

use audience_rules::ast::Millis;
use parking_lot::Mutex;

use self::figures::Rates;
use self::schema::Shapes;
use super::clock;

/// What is kept for looking at users.
pub struct People {
    /// What events look like.
    shapes: Mutex<Shapes>,
    /// How fast events and changes come.
    rates: Mutex<Rates>,
    started: Instant,
    started_at: Millis,
}

impl Default for People {
    fn default() -> Self {
        People { shapes: Mutex::default(), rates: Mutex::default(), started: Instant::now(), started_at: clock::now() }
    }
}
