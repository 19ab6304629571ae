//! An event in JSON → its checked, flat form ([`record`](crate::record)), in one pass over the text.
//!
//! A decoder that is kept allocates nothing once its buffers have grown. A refused event leaves the output as it was.

mod faults;
mod member;
mod near_miss;
mod read;
mod resolve;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::ast::Millis;
pub use crate::fault::Fault as EventFault;
use crate::json::{Buffers, JsonReader};
use crate::placeholders::Placeholders;
use crate::zone::ZoneId;

pub use faults::event_code;
use read::{EventMembers, EventScratch};
pub use read::{MAX_EVENT_DEPTH, MAX_TEXT_BYTES};
pub use write::event_to_json;

/// The longest event, in bytes of JSON.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// The values that an event takes if it does not give them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventDefaults {
    /// The clock at its arrival; also the timestamp of an event without one.
    pub accepted_at: Millis,
}

/// Decodes one event and appends its record to `out`. For many, keep an [`EventDecoder`].
pub fn decode_event(json: &[u8], defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
    EventDecoder::default().decode(json, defaults, out)
}

/// Decodes events; its buffers are used again for the next one.
#[derive(Default)]
pub struct EventDecoder {
    buffers: Buffers,
    scratch: EventScratch,
    zone: ZoneId,
    placeholders: Arc<Placeholders>,
}

impl EventDecoder {
    /// A decoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on these words are no ids.
    pub fn set_placeholders(&mut self, placeholders: &Arc<Placeholders>) {
        if !Arc::ptr_eq(&self.placeholders, placeholders) {
            self.placeholders = placeholders.clone();
        }
    }

    /// From now on a timestamp without an offset is read in this zone.
    pub fn set_zone(&mut self, zone: ZoneId) {
        self.zone = zone;
    }

    /// Decodes one event and appends its record to `out`.
    pub fn decode(&mut self, json: &[u8], defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
        check_length(json.len())?;
        let reader = JsonReader::new(json, std::mem::take(&mut self.buffers)).map_err(faults::whole)?;
        self.decode_by(reader, defaults, out)
    }

    /// [`decode`](Self::decode) for what is known to be valid UTF-8. A long text is sooner checked as a whole than event by event.
    pub fn decode_text(&mut self, json: &str, defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
        check_length(json.len())?;
        let reader = JsonReader::of_text(json, std::mem::take(&mut self.buffers));
        self.decode_by(reader, defaults, out)
    }

    fn decode_by(
        &mut self,
        reader: JsonReader<'_>,
        defaults: &EventDefaults,
        out: &mut Vec<u8>,
    ) -> Result<(), EventFault> {
        let mut reader = reader.keeping_digits();
        let mut members = EventMembers::new(&mut self.scratch, self.zone);
        let read = members.read(&mut reader);
        self.buffers = reader.into_buffers();
        read?;
        resolve::write(&members, &self.placeholders, defaults.accepted_at, out)
    }
}

fn check_length(bytes: usize) -> Result<(), EventFault> {
    if bytes <= MAX_EVENT_BYTES {
        return Ok(());
    }
    let message = format!("an event has at most {MAX_EVENT_BYTES} bytes");
    Err(EventFault::whole(event_code::TOO_LARGE, message))
}
