//! Webhooks, answered by their posters.

use audience_protocol::{Result, WebhookAction, WebhookDelivery, WebhookInput, WebhookResource, WebhookView};

use crate::service::Service;

impl WebhookResource for Service {
    fn create_webhook(&self, input: WebhookInput, author: &str) -> Result<WebhookView> {
        self.followers.webhooks.create(input, author)
    }

    fn replace_webhook(
        &self,
        id: &str,
        input: WebhookInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.followers.webhooks.replace(id, input, expected, author)
    }

    fn change_webhook(
        &self,
        id: &str,
        action: WebhookAction,
        expected: Option<u64>,
        author: &str,
    ) -> Result<WebhookView> {
        self.followers.webhooks.act_on(id, action, expected, author)
    }

    fn delete_webhook(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.followers.webhooks.delete(id, expected, author)
    }

    fn webhook(&self, id: &str) -> Result<WebhookView> {
        self.followers.webhooks.get(id)
    }

    fn webhooks(&self) -> Result<Vec<WebhookView>> {
        Ok(self.followers.webhooks.all())
    }

    fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>> {
        self.followers.webhooks.attempts(id)
    }

    fn test_webhook(&self, id: &str) -> Result<WebhookDelivery> {
        self.followers.webhooks.test(id)
    }
}
