//! The platform as the APIs see it: one trait and its plain data per resource. Neither an engine nor HTTP is in here.
//!
//! A resource is a file: its trait (`SegmentResource`, `UserResource`, …) and the data that goes in and out. A
//! [`Platform`] is one implementation of each. To add a resource, add its file, a field of [`Platform`] and its line in
//! [`Platform::without_engine`].
//!
//! Every method MAY block (on a commit to disk, on a worker); an asynchronous caller runs it on a thread of its own.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod caller;
mod campaigns;
mod catalogue;
mod changes;
mod contents;
mod demo;
mod error;
mod events;
mod explanation;
mod ids;
mod intake;
mod leaderboard;
mod members;
mod operations;
mod page;
mod pipeline;
mod platform;
mod preview;
mod refused;
mod schema;
mod segments;
mod sizes;
mod traits;
mod users;
mod vocabulary;
mod webhooks;
mod words;

pub use caller::{Caller, Tenant};
pub use campaigns::{
    Campaign, CampaignAction, CampaignCap, CampaignInput, CampaignPreview, CampaignQuietHours, CampaignResource,
    CampaignStatus, CampaignTrigger, CampaignView, CapPeriod, OnUnknown, SandboxMail, SendView, Suppression,
    SuppressionInput, TriggerChange,
};
pub use catalogue::{
    AUDIT_ACTIONS, AUDIT_KINDS, AuditItem, AuditNote, AuditQuery, CatalogueResource, FaultyDocument, TimezoneDocument,
    TimezoneInput,
};
pub use changes::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, GivenChange, VisitChange};
pub use contents::{ContentDocument, ContentInput, ContentPurpose, ContentResource, ContentStatus, RenderedMail};
pub use demo::{DemoResource, DemoState, DemoView};
pub use error::{ConflictKind, PlatformError, ResourceKind, Result};
pub use events::EventResource;
pub use explanation::{CountedEvents, ExplainedNode, Explanation, UndoneEvent};
pub use ids::{CheckedSegmentId, CheckedUserId, IdFault, MAX_ID_BYTES};
pub use intake::{IntakeOutcome, RECENT_EVENTS, RecentEvent, RecentEvents, RefusedEvent};
pub use leaderboard::{LeaderView, Leaderboard};
pub use members::{MembersChange, MembersEffect, MembersMode, MembersOutcome};
pub use operations::{
    ChangeFigures, CheckpointFigures, ComponentHealth, ComponentStatus, EventFigures, Health, OperationsResource,
    SinkView, SystemHealth, SystemPoint, SystemView, VerificationView,
};
pub use page::{Page, PageLimit};
pub use pipeline::{
    PipelineCost, PipelineEvents, PipelineField, PipelineMeasure, PipelinePlan, PipelinePredicate, PipelineSource,
    SegmentPipeline,
};
pub use platform::Platform;
pub use preview::{
    CurveInput, CurvePoint, MissingOnly, Preview, PreviewInput, PreviewPhase, PreviewProgress, SizeCurve, ValueCounts,
};
pub use refused::{KEPT_REFUSED, KEPT_REFUSED_BYTES, KeptFault, RefusedMessage, RefusedMessageView};
pub use schema::{EventShape, EventsOfHour, FieldShape, NamedSegment, Schema};
pub use segments::{
    SegmentDocument, SegmentInput, SegmentKind, SegmentQuery, SegmentResource, SegmentView, Transition,
};
pub use sizes::{
    Breakdown, Growth, GrowthSince, Overlap, Overlaps, SizeHistory, SizePoint, SizeQuery, SizeResource, SizesNow,
    ValueCount,
};
pub use traits::{SegmentEffect, TraitDocument, TraitInput, TraitPreview, TraitPreviewInput, TraitResource, TraitView};
pub use users::{
    FOUND_USERS, FoundUsers, ListedUser, UserEventQuery, UserQuery, UserResource, UserSearch, UserSegment, UserValues,
    UserView,
};
pub use vocabulary::{
    Currency, CurrencyInput, Label, LabelInput, LabelKind, LabelSubject, Vocabulary, VocabularyResource,
};
pub use webhooks::{
    Webhook, WebhookAction, WebhookChange, WebhookDelivery, WebhookFigures, WebhookInput, WebhookResource,
    WebhookStatus, WebhookView,
};
pub use words::Word;

/// The target of the spans that are exported. Nobody else looks at them, and without an exporter they cost nothing.
pub const SPANS: &str = "audience::span";
