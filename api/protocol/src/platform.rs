//! A platform, put together of its resources.

use std::sync::Arc;

use crate::{
    CampaignResource, CatalogueResource, ChangeResource, ContentResource, DemoResource, EventResource,
    OperationsResource, SegmentResource, SizeResource, TraitResource, UserResource, VocabularyResource,
    WebhookResource,
};

/// A platform as the APIs see it: one implementation per resource.
///
/// A process that is a part of the whole names what it can answer and takes the rest from
/// [`without_engine`](Platform::without_engine):
///
/// ```
/// # use std::sync::Arc;
/// # use audience_protocol::{EventResource, Health, OperationsResource, Platform};
/// # struct Ingest;
/// # impl EventResource for Ingest {}
/// # impl OperationsResource for Ingest {
/// #     fn health(&self) -> Health { unimplemented!() }
/// #     fn metrics(&self) -> String { String::new() }
/// # }
/// # let ingest = Arc::new(Ingest);
/// let platform = Platform { events: ingest.clone(), ..Platform::without_engine(ingest) };
/// ```
#[derive(Clone)]
#[expect(missing_docs, reason = "each trait documents its resource")]
pub struct Platform {
    pub segments: Arc<dyn SegmentResource>,
    pub traits: Arc<dyn TraitResource>,
    pub vocabulary: Arc<dyn VocabularyResource>,
    pub users: Arc<dyn UserResource>,
    pub events: Arc<dyn EventResource>,
    pub changes: Arc<dyn ChangeResource>,
    pub sizes: Arc<dyn SizeResource>,
    pub webhooks: Arc<dyn WebhookResource>,
    pub contents: Arc<dyn ContentResource>,
    pub campaigns: Arc<dyn CampaignResource>,
    pub catalogue: Arc<dyn CatalogueResource>,
    pub demo: Arc<dyn DemoResource>,
    pub operations: Arc<dyn OperationsResource>,
}

impl Platform {
    /// A platform that says how it is, and refuses the rest with
    /// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
    pub fn without_engine(operations: Arc<dyn OperationsResource>) -> Platform {
        let refusing = Arc::new(Refusing);
        Platform {
            segments: refusing.clone(),
            traits: refusing.clone(),
            vocabulary: refusing.clone(),
            users: refusing.clone(),
            events: refusing.clone(),
            changes: refusing.clone(),
            sizes: refusing.clone(),
            webhooks: refusing.clone(),
            contents: refusing.clone(),
            campaigns: refusing.clone(),
            catalogue: refusing.clone(),
            demo: refusing,
            operations,
        }
    }
}

/// A part that a process does not have.
struct Refusing;

impl SegmentResource for Refusing {}
impl TraitResource for Refusing {}
impl VocabularyResource for Refusing {}
impl UserResource for Refusing {}
impl EventResource for Refusing {}
impl ChangeResource for Refusing {}
impl SizeResource for Refusing {}
impl WebhookResource for Refusing {}
impl ContentResource for Refusing {}
impl CampaignResource for Refusing {}
impl CatalogueResource for Refusing {}
impl DemoResource for Refusing {}
