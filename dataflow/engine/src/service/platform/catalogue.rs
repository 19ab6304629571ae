//! The catalogue as a whole.

use audience_protocol::{AuditItem, AuditNote, AuditQuery, CatalogueResource, FaultyDocument, Page, Result};

use crate::service::Service;

impl CatalogueResource for Service {
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.editor.audit(query)
    }

    fn record(&self, author: &str, note: AuditNote) -> Result<()> {
        self.editor.record(author, &note)
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.editor.read(|documents| documents.faulty.clone()))
    }
}
