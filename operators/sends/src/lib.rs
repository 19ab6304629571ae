//! The plan of a send, as pure functions: nothing here reads a clock, a store or a network.
//!
//! **The law.** A round looks at the members of a segment in the order of their ids, at one instant. Each member meets the
//! gates in one order and comes out under exactly one verdict, so that the counts of a preview sum up to the size of the
//! segment. A launch at that instant is the same function of the same facts, and sends to exactly those whom the preview
//! calls reachable.
//!
//! | Module | What it decides |
//! |---|---|
//! | [`id`] | The id of a send: a hash of its occurrence, not of its content. |
//! | [`gates`] | Who is sent to now, who later, and who not, each with its reason. |
//! | [`caps`], [`quiet`] | The first instant at which a person may be written to again. |
//! | [`cron`] | The instants of a campaign that recurs. |
//! | [`pace`] | How fast an account is handed mails. |
//! | [`zone`] | Time zones by name, from data in the program. |
//! | [`variants`] | The variant of a person, by weights. |
//! | [`state`] | The states of a send, and the steps between them. |
//! | [`template`] | Liquid with limits of steps and bytes. |
//! | [`email`] | The duties of a marketing mail, and the text of an HTML mail. |
//! | [`oracle`] | The naive evaluator: caps and quiet hours looked for minute by minute. |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod caps;
pub mod cron;
pub mod email;
pub mod gates;
pub mod id;
pub mod oracle;
pub mod pace;
pub mod quiet;
pub mod state;
pub mod template;
pub mod variants;
pub mod zone;

/// Milliseconds since 1970 in UTC.
pub type Millis = i64;
