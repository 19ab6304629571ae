//! Checks made from the sentences of this crate, for the tests of every implementation.
//!
//! Each takes a function that opens a store, at first an empty one. The check drops the store before it calls the
//! function again, which then opens what is stored. A sentence that does not hold is a panic that says which.

mod access;
mod audit;
mod catalogue;
mod events;
mod history;
mod lease;
mod ledger;
mod mail;
mod notes;
mod profiles;
mod quota;
mod serving;
mod sink;
mod sizes;
mod small_disk;
mod source;
mod states;
mod webhooks;

pub use access::{MemoryAccessStore, access_store};
pub use audit::{audit_log, telling};
pub use catalogue::{catalogue_store, copied_catalogue};
pub use events::{event_log, event_log_of_many_blocks, event_log_positions, record};
pub use history::history;
pub use lease::lease_store;
pub use ledger::{change_log, copied_change_log};
pub use mail::{TakenMail, mail, mail_provider};
pub use notes::{copied_notes, notes};
pub use profiles::{StoredProfiles, profile_store};
pub use quota::quota_store;
pub use serving::serving_store;
pub use sink::{SuiteMembers, sink};
pub use sizes::size_store;
pub use small_disk::SmallDisk;
pub use source::{Feed, source};
pub use states::{checkpoint_store, message_index};
pub use webhooks::webhook_store;
