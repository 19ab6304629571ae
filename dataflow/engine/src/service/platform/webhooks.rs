//! Webhooks, answered by their posters.

use audience_protocol::{Result, WebhookAction, WebhookDelivery, WebhookInput, WebhookResource, WebhookView};

use crate::service::Service;

impl WebhookResource for Service {
    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        self.add_webhook(input, author)
    }

    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.edit_webhook(id, input, expected, author)
    }

    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.act_on_webhook(id, action, expected, author)
    }

    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.remove_webhook(id, expected, author)
    }

    fn webhook(&self, id: &str) -> Result<WebhookView> {
        self.webhook_view(id)
    }

    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        Ok(self.webhook_views())
    }

    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        self.webhook_attempts(id)
    }

    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        self.try_webhook(id)
    }
}
