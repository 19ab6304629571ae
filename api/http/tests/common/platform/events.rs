//! Events, kept in order.

use std::sync::atomic::Ordering;

use audience_protocol::{EventResource, PlatformError, Result};
use audience_rules::record::EventRef;
use audience_rules::zone::ZoneId;

use super::{FakePlatform, SeenEvent};

impl EventResource for FakePlatform {
    fn zone(&self) -> ZoneId {
        let zones = self.zones.lock().unwrap();
        zones.last().and_then(|zone| ZoneId::named(&zone.timezone)).unwrap_or_default()
    }

    fn ingest(&self, records: Vec<u8>, count: usize) -> Result<()> {
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
        drop(shut);
        let busy = self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if busy.is_ok() {
            return Err(PlatformError::Busy { retry_after_seconds: 3 });
        }
        let mut rest = records.as_slice();
        let mut events = self.events.lock().unwrap();
        let before = events.len();
        while !rest.is_empty() {
            let (event, behind) = EventRef::read(rest).expect("whole records");
            rest = behind;
            events.push(SeenEvent {
                user: event.user().into(),
                event_type: event.event_type().into(),
                message: event.message().unwrap_or_default().into(),
                other: event.other().unwrap_or_default().into(),
                timestamp: event.timestamp(),
            });
        }
        assert_eq!(events.len() - before, count, "the count is that of the records");
        self.pieces.lock().unwrap().push(count);
        Ok(())
    }
}
