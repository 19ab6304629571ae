//! The progress of a standby, and the shipments to it, as bytes.

use audience_contract::{AuditRecord, ChangedNotes, Document, NotesMark, Progress, SourcePosition};
use serde::{Deserialize, Serialize};

/// The version of the program: both sides run the same.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Ticks with their changes, in order.
pub(super) type ShippedTicks = Vec<(u64, Vec<u8>)>;

/// The durable progress of a standby: all of it counts as acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// The version of its program.
    pub version: String,
    /// The epoch of the primary whose log it has; none before the first shipment.
    pub epoch: Option<u64>,
    /// True if it has all of something that was; otherwise its progress says nothing.
    pub is_whole: bool,
    /// It has the events below this.
    pub events: u64,
    /// The last progress of the change log.
    pub progress: Progress,
    /// The version of the catalogue, where it keeps one itself.
    pub catalogue: Option<u64>,
    /// Up to where it has the notes.
    pub notes: Option<NotesMark>,
}

/// The next part of the log after that.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shipment {
    /// The epoch of the primary.
    pub epoch: u64,
    /// True if this is everything that there was. Otherwise more is to come before the standby can take over.
    pub is_whole: bool,
    /// Records after those that the standby has.
    #[serde(with = "serde_bytes")]
    pub records: Vec<u8>,
    /// The positions of sources after them, where everything is here.
    pub positions: Vec<SourcePosition>,
    /// The number of the primary's events.
    pub end: u64,
    /// Versions of the catalogue.
    pub catalogue: Option<ShippedCatalogue>,
    /// Notes.
    pub notes: Option<ChangedNotes>,
    /// Ticks below are forgotten.
    pub floor: u64,
    /// Ticks with their changes.
    pub ticks: ShippedTicks,
    /// The progress after them, where everything is here.
    pub progress: Option<Progress>,
}

/// The catalogue from one version to another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShippedCatalogue {
    /// The version that it comes to.
    pub version: u64,
    /// Documents after the version before.
    pub documents: Vec<Document>,
    /// Rows of the audit log after it, oldest first.
    pub audit: Vec<AuditRecord>,
    /// Rows of the audit log up to this are announced.
    pub announced: u64,
}

/// The answer to a standby.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Shipped {
    /// The next part.
    Log(Box<Shipment>),
    /// Why nothing ever will.
    Refused(String),
}
