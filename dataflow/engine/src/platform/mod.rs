//! The running platform as the APIs see it, a resource a file.

mod changes;
mod events;
pub(crate) mod figures;
pub(crate) mod operations;
mod segments;
mod sizes;
mod traits;
mod users;
mod webhooks;

use std::sync::Arc;

use audience_background::Stop;
use audience_catalogue::{Editor, SegmentRequests};
use audience_protocol::Platform;

use self::changes::ChangeRequests;
use self::events::EventRequests;
use self::operations::Operations;
use self::segments::EngineSegments;
use self::sizes::SizeRequests;
use self::traits::TraitRequests;
use self::users::UserRequests;
use self::webhooks::WebhookRequests;
use crate::durability::erase::Eraser;
use crate::emission::followers::Followers;
use crate::engine::Engine;
use crate::intake::acceptance::Intake;
use crate::intake::shapes::EventShapes;
use crate::intake::sources::Sources;
use crate::lookup::Lookup;

/// The rooms that answer the APIs.
pub(crate) struct Answering {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The catalogue.
    pub editor: Arc<Editor>,
    /// The way of events into the engine.
    pub intake: Arc<Intake>,
    /// The followers of the change log.
    pub followers: Arc<Followers>,
    /// Lookups.
    pub lookup: Arc<Lookup>,
    /// The shapes of accepted events.
    pub shapes: Arc<EventShapes>,
    /// The sources beside the APIs.
    pub sources: Arc<Sources>,
    /// The signal that the run stops.
    pub stop: Stop,
}

impl Answering {
    /// The platform as the APIs see it: every resource is answered by this process.
    pub(crate) fn platform(self, operations: Operations) -> Platform {
        let Answering { engine, editor, intake, followers, lookup, shapes, sources, stop } = self;
        let sizes = &followers.sizes;
        let segments = EngineSegments {
            engine: engine.clone(),
            editor: editor.clone(),
            lookup: lookup.clone(),
            sizes: sizes.clone(),
            shapes: shapes.clone(),
            sources,
        };
        let eraser = Eraser::new(engine.clone(), intake.clone(), editor.clone(), lookup.clone());
        Platform {
            segments: Arc::new(SegmentRequests::with_engine(editor.clone(), Arc::new(segments))),
            traits: Arc::new(TraitRequests { editor: editor.clone(), shapes: shapes.clone() }),
            users: Arc::new(UserRequests { lookup: lookup.clone(), eraser }),
            events: Arc::new(EventRequests { intake, shapes, editor: editor.clone(), lookup: lookup.clone() }),
            changes: Arc::new(ChangeRequests { live: followers.live.clone(), lookup: lookup.clone() }),
            sizes: Arc::new(SizeRequests { engine, editor: editor.clone(), lookup, sizes: sizes.clone(), stop }),
            webhooks: Arc::new(WebhookRequests(followers.webhooks.clone())),
            catalogue: editor,
            ..Platform::without_engine(Arc::new(operations))
        }
    }
}
