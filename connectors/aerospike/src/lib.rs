//! Aerospike: [`AerospikeSink`] keeps memberships where whoever knows this page can read them, and [`AerospikeReader`]
//! reads them; [`AerospikeProfiles`] keeps profiles of users, and [`AerospikeSizes`] sizes of segments over time.
//!
//! | logical store, set | key | bins |
//! |---|---|---|
//! | `user_profiles`, `segments` | user id | `segments`: a map, by segment id a list of since when (epoch milliseconds) and the segment's version |
//! | `segment_ownership`, `members` | segment id, `/`, chunk | `users`: an ordered list of the ids of users |
//! | `user_profiles`, `profile` | user id | `traits` and `computed`: ordered maps, by name the value of each trait and computed trait; `at`: the instant that they are as of (epoch milliseconds) |
//! | `user_profiles`, `progress` | `profiles/` and the writer | `reach`: how far the profiles reach (JSON) |
//! | `user_profiles`, `progress` | `writer/` and the writer | `reach`: how far it has come (JSON), `number`: of the write that this is of, `chunks`: how many chunks a segment has |
//! | `segment_ownership`, `progress` | `members/` and the writer | the same |
//! | `analytics`, `sizes` | segment id, `/`, day (days since 1970-01-01, UTC) | `sizes`: an ordered map, by instant (epoch milliseconds) how many members the segment had then |
//! | `analytics`, `progress` | `sizes/` and the writer | `reach`: the instant up to which all sizes are there |
//!
//! So one get gives a user's segments, and a batch read of the keys `{segment}/0` to `{segment}/{chunks - 1}` the users of
//! a segment. A logical store is a namespace of a cluster with a prefix for its sets ([`AerospikeSettings`]); by default it is the
//! namespace of its name, and `analytics` in that of `segment_ownership`.
//!
//! A segment's size has an instant at the end of each minute in which it changed, and one at the beginning of each
//! day, so that a record is of use by itself: the size at any instant is that of the greatest one at or before it. A record
//! holds 1,440 instants at most. What is older than two days when it is written is there by the hour, and than 90 days by
//! the day. Sizes are written as upserts, at least once, a minute or so behind; those of a segment that was deleted stay.
//!
//! Values of traits are integers, floats where they have a fraction, texts, booleans, lists, and maps in order; a number that
//! a float does not hold to its last digit is the nearest one. A profile is written whole. Where its traits take more than 400
//! kB it has no bin `traits`, and where computed ones do, none of these: a record has its limits. An id that was merged into
//! another has no record, nor has a user who was erased, or one with empty maps: a server of the Community Edition may find
//! deleted records again when it starts, and nothing is in them. Each writer writes what follows from the events, and none is
//! shut out.
//!
//! Changes are upserts, one record operation for all that changes of a record, in batches that are written side by side; the
//! reach is written behind all of them, so that a write that was broken off is repeated whole. Every opening of any writer
//! has a number greater than all before (`openings` in the set `progress`); each record bears the number of the opening that
//! wrote it last, and takes nothing from an earlier one. A record that is not there yet takes what an earlier writer was
//! just sending; since the later one begins at the reach, it writes that record too.
//!
//! A node that is killed may lose what it took within the last second. So the reach is in both namespaces, with the number
//! of its write; before each write it is looked whether both are what was written last, and where not, what is behind the
//! older one is written again. A node that has a namespace on several devices may lose records on one of them without that
//! showing, as may one of several nodes without replicas.
//!
//! A user who has left everything keeps an empty record, because the Community Edition may find deleted records again when
//! a node starts; that of a user who was erased is deleted. No record expires.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cluster;
mod error;
mod inspect;
mod layout;
mod profiles;
mod progress;
mod reader;
mod settings;
mod sink;
mod sizes;
mod tls;

pub use error::Error;
pub use inspect::{AerospikeInspection, inspect};
pub use profiles::AerospikeProfiles;
pub use reader::AerospikeReader;
pub use settings::{AerospikeSettings, StoreSettings};
pub use sink::AerospikeSink;
pub use sizes::AerospikeSizes;
pub use tls::AerospikeTls;
