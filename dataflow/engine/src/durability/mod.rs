//! Durability: the state outlives the process, and erased users do not.
//!
//! **Law.** A start rebuilds the state of exactly the last committed progress. Nothing is deleted that a start can need.
//!
//! | File | What passes through |
//! |---|---|
//! | `checkpoints`, `checkpoint` | The workers' state into shards, a few a tick, and the forgetting that follows. |
//! | `manifest`, `catalogue_copy` | The formats of a checkpoint. |
//! | `audit_trail` | The audit log as a chain, whose head stands in each checkpoint. |
//! | `catalogue_in_force` | The note of the catalogue in force, by which one that came back older is known. |
//! | `silent` | Checkpoints of a standby. |
//! | `seed`, `recovery` | A checkpoint and the event log back into workers. |
//! | `archive`, `restore` | The event log into files outside, and back into an empty data directory. |
//! | `tiers`, `retention` | Old events out of the data directory, and from the history to whoever reads them. |
//! | `backup` | Everything that the data directory alone has, to another place and back. |
//! | `time_back` | A clock that was ahead back to an instant before, and the memberships with it. |
//! | `erase`, `erasures` | A user out of the state, the lists, the checkpoints and the logs. |

pub(crate) mod archive;
mod audit_trail;
pub mod backup;
mod catalogue_copy;
pub(crate) mod catalogue_in_force;
mod checkpoint;
pub(crate) mod checkpoints;
pub(crate) mod erase;
mod erasures;
pub(crate) mod manifest;
pub(crate) mod recovery;
mod restore;
mod retention;
pub(crate) mod seed;
pub(crate) mod silent;
pub(crate) mod tiers;
mod time_back;

pub use self::archive::Offsite;
pub use self::audit_trail::{AuditFault, AuditTrail};
pub(crate) use self::catalogue_copy::CatalogueCopy;
pub use self::manifest::{Manifest, verify};
pub(crate) use self::restore::restore_catalogue;
pub use self::restore::{note_messages, restore, restore_patiently};
pub use self::retention::LogLimits;
pub use self::time_back::{TimeBack, TimeBackEffect, finish as finish_time_back, foresee as foresee_time_back};
