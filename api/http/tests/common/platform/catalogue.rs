//! One row of the audit log and one faulty document.

use audience_protocol::{
    AuditItem, AuditQuery, CatalogueResource, FaultyDocument, Page, Result, TimezoneDocument, TimezoneInput,
};
use audience_rules::fault::{Fault, code};

use super::{FakePlatform, check};

impl CatalogueResource for FakePlatform {
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.asked.lock().unwrap().push(query.clone());
        let item = AuditItem {
            sequence: 7,
            at: "2024-01-01T00:00:00Z".into(),
            author: "ann".into(),
            action: "created".into(),
            kind: "segment".into(),
            id: "a".into(),
            version: Some(1),
            catalogue_version: 3,
            note: None,
            before: None,
            after: None,
        };
        Ok(Page { items: vec![item], next_cursor: Some("7".into()) })
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        let faults = vec![Fault { pointer: "/rules".into(), code: code::UNKNOWN_KEY, message: "no".into() }];
        let (kind, id) = ("segment", "by-hand".to_owned());
        Ok(vec![FaultyDocument { kind, id, catalogue_version: 7, running_version: None, faults }])
    }

    fn timezone(&self) -> Result<TimezoneDocument> {
        Ok(self.zones.lock().unwrap().last().cloned().unwrap_or_default())
    }

    fn timezone_versions(&self) -> Result<Vec<TimezoneDocument>> {
        Ok(self.zones.lock().unwrap().clone())
    }

    fn set_timezone(&self, input: TimezoneInput, expected: Option<u64>, author: &str) -> Result<TimezoneDocument> {
        let TimezoneInput { timezone, note } = input;
        let version = self.timezone()?.version;
        check(expected, version)?;
        let (updated_at, updated_by) = (Some("2024-01-01T00:00:00Z".to_owned()), Some(author.to_owned()));
        let zone = TimezoneDocument { timezone, version: version + 1, updated_at, updated_by, note };
        self.zones.lock().unwrap().push(zone.clone());
        Ok(zone)
    }
}
