//! The catalogue: all segments, computed traits and settings, with every version of each, their audit log, and the way to what is
//! in force.
//!
//! **Law.** What runs is a function of what is stored. Every process that reads a catalogue version runs the same
//! documents, whoever wrote them, and so does every start. A faulty document leaves its last good version running and
//! touches no other; of documents that do not fit together the newest is the faulty one.
//!
//! An edit takes five steps:
//!
//! 1. The request is checked against the newest documents, on a copy of them.
//! 2. The new documents and the entries of the audit log are stored as the next catalogue version, all or none. If
//!    another process was faster, the request is refused and the newest documents are read.
//! 3. The copy becomes the newest documents, which every reader sees.
//! 4. The thread in [`Editor::reconcile`] hands the newest documents to the engine, through [`Enforcement`].
//! 5. The request is answered once that version is in force, or after two seconds.
//!
//! Changes by other processes, or by hand in a database, enter at step 3 by [`Editor::follow`]. While the store is away,
//! the known documents stay in force and edits are refused.
//!
//! | File | Contents |
//! |---|---|
//! | `documents` | Segments, traits and settings as stored, and all of them as of one catalogue version |
//! | `loading` | How stored documents, faulty ones among them, become those that run |
//! | `checks` | Checks of ids, names and lists; refusals |
//! | `changeset` | What one edit stores |
//! | `segments`, `lists`, `traits`, `timezone`, `rollback` | One kind of edit each, without I/O |
//! | `audit` | Entries and rows of the audit log |
//! | `editor` | Storing an edit, following others |
//! | `editing`, `segment_requests` | The requests of the APIs, with or without an engine |
//! | `in_force` | The version in force, and waits for it |
//! | `documents_with`, `trait_preview` | The effect of a trait's definition before it is stored |
//! | `vocabulary` | Names for people, and the currency of amounts |
//! | `enforcement`, `reconcile`, `preview` | The boundary to the engine, and the thread that calls it |
//! | `going_back`, `went_back` | A store that comes back older than it was |
//! | `shipping` | The traits that an empty catalogue starts with |
//! | `updates` | Changes of segments, sent to other systems |
//! | `segment_api`, `guarded_store` | The platform of a process without an engine, and the store that it reads |
//!
//! This crate knows no dataflow, no HTTP and no particular store. Lock order: the engine's turn (see its `Enforcement`)
//! is never waited for with a lock of this crate held.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod audit;
mod changeset;
mod checks;
mod documents;
mod documents_with;
mod editing;
mod editor;
mod enforcement;
mod going_back;
mod guarded_store;
mod in_force;
mod lists;
mod loading;
mod preview;
mod reconcile;
mod rollback;
mod rule_alone;
mod segment_api;
mod segment_requests;
mod segments;
mod shipping;
#[cfg(test)]
mod testing;
mod timezone;
mod trait_preview;
mod traits;
mod updates;
mod vocabulary;
mod went_back;

pub use checks::{segment_not_found, unavailable};
pub use documents::{Documents, StoredSegment, StoredTrait, VersionedSegment, timestamp};
pub use editor::Editor;
pub use enforcement::{CountedUsers, Enforcement, PreviewCounts, PreviewedRule};
pub use lists::{ListChange, MemberCounts};
pub use segment_api::{CATALOGUE_ERRORS, CATALOGUE_WENT_BACK, SegmentApi, SegmentApiError};
pub use segment_requests::{SegmentEngine, SegmentRequests};
pub use shipping::ship_traits;
pub use timezone::{TIMEZONE, stored_zone};
pub use updates::{SegmentUpdate, SegmentUpdates, UpdateSender};
pub use vocabulary::StoredVocabulary;
