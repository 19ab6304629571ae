//! Aerospike: [`AerospikeSink`] keeps memberships where whoever knows this page can read them, and [`AerospikeReader`]
//! reads them.
//!
//! | logical store, set | key | bins |
//! |---|---|---|
//! | `user_profiles`, `segments` | user id | `segments`: a map, by segment id a list of since when (epoch milliseconds) and the segment's version |
//! | `segment_ownership`, `members` | segment id, `/`, chunk | `users`: an ordered list of the ids of users |
//! | `user_profiles`, `progress` | `writer/` and the writer | `reach`: how far it has come (JSON), `chunks`: how many chunks a segment has |
//!
//! So one get gives a user's segments, and a batch read of the keys `{segment}/0` to `{segment}/{chunks - 1}` the users of
//! a segment. A logical store is a namespace of a cluster with a prefix for its sets ([`Settings`]); by default it is the
//! namespace of its name.
//!
//! Changes are upserts, one record operation for all that changes of a record, in batches that are written side by side; the
//! reach is written behind all of them, so that a write that was broken off is repeated whole. Every opening of any writer
//! has a number greater than all before (`openings` in the set `progress`); each record bears the number of the opening that
//! wrote it last, and takes nothing from an earlier one. A record that is not there yet takes what an earlier writer was
//! just sending; since the later one begins at the reach, it writes that record too.
//!
//! A user who has left everything keeps an empty record, because the Community Edition may find deleted records again when
//! a node starts; that of a user who was erased is deleted. No record expires.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cluster;
mod error;
mod layout;
mod reader;
mod settings;
mod sink;

pub use error::Error;
pub use reader::AerospikeReader;
pub use settings::{Settings, StoreSettings};
pub use sink::AerospikeSink;
