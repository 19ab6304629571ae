//! The running platform as the APIs see it, a resource a file.

mod catalogue;
mod changes;
mod events;
mod operations;
mod segments;
mod sizes;
mod traits;
mod users;
mod webhooks;

use std::sync::Arc;

use audience_protocol::Platform;

use super::Service;

impl Service {
    /// The platform as the APIs see it: every resource is answered by this process.
    pub fn platform(self: &Arc<Self>) -> Platform {
        Platform {
            segments: self.clone(),
            traits: self.clone(),
            users: self.clone(),
            events: self.clone(),
            changes: self.clone(),
            sizes: self.clone(),
            webhooks: self.clone(),
            catalogue: self.clone(),
            operations: self.clone(),
        }
    }
}
