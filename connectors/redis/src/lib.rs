//! Redis: [`RedisSink`] keeps memberships where whoever knows this page can read them, and [`RedisReader`] reads them;
//! [`RedisProfiles`] keeps profiles of users.
//!
//! | key | holds |
//! |---|---|
//! | `audience:user:{id}:segments` | a hash: each segment of the user, and since when (epoch milliseconds) |
//! | `audience:segment:{id}:members` | a set: the users of a segment |
//! | `audience:user:{id}:profile` | a hash: `traits` and `computed`, each a JSON object, and `at`, the instant that they are as of (epoch milliseconds) |
//! | `audience:profiles` | a hash: each writer, and how far its profiles reach (JSON) |
//! | `audience:progress` | a hash: each writer, and how far it has come (JSON) |
//! | `audience:quota:{key}` | a hash: a part of a window, and what was granted in it ([`RedisQuota`]); it ends by itself |
//! | `audience:writer:{name}` | a number: how often a writer was opened, which shuts earlier ones out |
//!
//! Changes are upserts, written in pieces on several connections; each piece is one transaction, which is void where a later
//! writer has taken over. The reach is in the last one, so that a write that was broken off is repeated whole. Readers see
//! pieces. What Redis has acknowledged is as durable as its `appendfsync` makes it; where it comes back older, it says an
//! older reach, and is brought up from there.
//!
//! A profile is written whole, by one command, so that `HGETALL` is one state of it; each writer writes what follows from the
//! events, and none is shut out. An id that was merged into another, and that of a user who was erased, has none.
//!
//! One server, with replicas or without: the keys of a transaction do not lie in one slot of a Redis Cluster.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod inspect;
mod lane;
mod pieces;
mod profiles;
mod quota;
mod reader;
mod request;
mod settings;
mod sink;

pub use error::Error;
pub use inspect::{RedisInspection, inspect};
pub use profiles::RedisProfiles;
pub use quota::RedisQuota;
pub use reader::RedisReader;
pub use settings::RedisSettings;
pub use sink::RedisSink;
