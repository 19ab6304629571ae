//! The catalogue as a whole.

use audience_protocol::{AuditItem, AuditQuery, CatalogueResource, FaultyDocument, Page, Result};

use crate::service::Service;

impl CatalogueResource for Service {
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.editor.audit(query)
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.editor.read(|documents| documents.faulty.clone()))
    }
}
