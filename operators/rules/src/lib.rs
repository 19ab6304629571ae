//! The rule language: what a rule means, with no I/O, no clock and no dataflow.
//!
//! - [`event`]: an event in JSON → its checked, flat form ([`record`]).
//! - [`parse`]: a rule in JSON → a checked tree ([`ast`]), or every fault with its JSON pointer.
//! - [`catalogue`]: segments and computed traits that know of each other.
//! - [`scope`]: what of a rule depends on a zone, and what the second page of the language is needed for.
//! - [`zone`]: time zones of the bundled tz database, and the calendar in them. [`caseless`]: texts without case.
//! - [`mod@test`]: one test against one value, the only place that knows the operators.
//! - [`three_valued`]: truth where a value is missing.
//! - [`oracle`]: the law, evaluated naively from the whole history. It is the truth that everything faster is held to.
//! - [`explain`]: why the oracle says of a user what it says, node by node.
//! - [`reads`]: the events, fields and traits that a rule reads.
//! - [`seen`]: warnings of names and values in a rule that the data never had.
//! - [`timeline`]: events, edits and clock steps in an order, and the members expected in between.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ast;
pub mod caseless;
pub mod catalogue;
pub mod decimal;
pub mod event;
pub mod explain;
pub mod fault;
pub mod flat;
pub mod json;
pub mod oracle;
pub mod parse;
mod pattern;
pub mod placeholders;
pub mod reads;
pub mod record;
pub mod scope;
pub mod seen;
pub mod test;
pub mod three_valued;
pub mod time;
pub mod timeline;
pub mod unparse;
pub mod value;
pub mod zone;

/// The JSON Schema (2020-12) of rules, for editors. A test holds it to the parser: it takes what the parser takes, and
/// refuses what the parser refuses, as far as a schema can say it.
pub const RULES_SCHEMA: &str = include_str!("rules.schema.json");

#[cfg(test)]
mod testing;
