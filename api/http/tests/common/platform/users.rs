//! Users, as far as events name them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audience_protocol::{PlatformError, ResourceKind, Result, SegmentView, UserResource, UserSegment, UserView};
use serde_json::value::RawValue;

use super::{FakePlatform, special};

impl UserResource for FakePlatform {
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        special(id)?;
        let segments = self.lock();
        let of = segments.values().filter(|(_, members, _)| members.iter().any(|member| member == id));
        let segment = |(view, ..): &(SegmentView, _, _)| UserSegment {
            segment_id: view.document.id.clone(),
            name: view.document.name.clone(),
        };
        Ok(of.map(segment).collect())
    }

    fn user(&self, id: &str) -> Result<UserView> {
        special(id)?;
        if self.is_without_engine.load(Ordering::Relaxed) {
            return Err(PlatformError::NeedsEngine("a user's history"));
        }
        let event_count = self.events.lock().unwrap().iter().filter(|event| event.user == id).count() as u64;
        if event_count == 0 {
            return Err(PlatformError::NotFound { kind: ResourceKind::User, id: id.into() });
        }
        let age = RawValue::from_string("3.50".into()).unwrap();
        Ok(UserView {
            user_id: id.into(),
            aliases: Vec::new(),
            traits: BTreeMap::from([("age".into(), age)]),
            computed_traits: BTreeMap::new(),
            event_count,
            segments: self.user_segments(id)?,
        })
    }

    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        let view = self.user(id)?;
        take(format!("{{\"userId\":{:?},\"events\":[", view.user_id).into_bytes());
        for event in 0..view.event_count {
            if id == "broken" {
                // Once the head has gone out; before, the client would see nothing at all.
                let _ = self.opened.wait_timeout(self.shut.lock().unwrap(), Duration::from_millis(200));
                return Err(PlatformError::Unavailable("the store does not answer".into()));
            }
            let comma = if event > 0 { "," } else { "" };
            let space = " ".repeat(if id == "large" { 1 << 20 } else { 1 });
            if !take(format!("{comma}{space}{{\"eventType\":\"x\",\"n\":{event}}}").into_bytes()) {
                self.given_up.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
        }
        take(b"]}".to_vec());
        Ok(())
    }

    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        special(id)?;
        self.authors.lock().unwrap().push(author.into());
        self.events.lock().unwrap().retain(|event| event.user != id);
        Ok(())
    }
}
