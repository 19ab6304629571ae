//! Webhooks, answered by their posters.

use std::sync::Arc;

use audience_emit::Webhooks;
use audience_protocol::{Result, WebhookAction, WebhookDelivery, WebhookInput, WebhookResource, WebhookView};

/// Answers the resource of webhooks.
pub(super) struct WebhookRequests(pub(super) Arc<Webhooks>);

impl WebhookResource for WebhookRequests {
    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        self.0.create(input, author)
    }

    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.0.replace(id, input, expected, author)
    }

    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.0.act_on(id, action, expected, author)
    }

    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.0.delete(id, expected, author)
    }

    fn webhook(&self, id: &str) -> Result<WebhookView> {
        self.0.get(id)
    }

    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        Ok(self.0.all())
    }

    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        self.0.attempts(id)
    }

    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        self.0.test(id)
    }
}
