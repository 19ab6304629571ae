//! `POST /api/demo`: the demo in a platform that runs, for somebody who has no data yet.

use std::path::PathBuf;
use std::sync::Arc;

use audience_engine::service::Service;
use audience_protocol::{ConflictKind, DemoResource, DemoState, DemoView, PlatformError, Result, SegmentQuery};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::demo::Demo;

/// With so many events an instance has data of its own: the demo could not be told from them any more.
const OWN_EVENTS: u64 = 1_000;

/// Fills a running platform with the demo when it is asked to.
pub(crate) struct DemoLoader {
    service: Arc<Service>,
    data: PathBuf,
    runtime: Handle,
    asked: Arc<Mutex<LoadProgress>>,
}

/// The progress of this run.
#[derive(Clone, Debug)]
enum LoadProgress {
    Nothing,
    Loading,
    Loaded,
    Failed(String),
}

impl DemoLoader {
    /// A loader for the platform of a data directory; the demo goes on in the runtime.
    pub(crate) fn new(service: Arc<Service>, data: PathBuf, runtime: Handle) -> DemoLoader {
        DemoLoader { service, data, runtime, asked: Arc::new(Mutex::new(LoadProgress::Nothing)) }
    }

    fn view(&self, asked: &LoadProgress) -> Result<DemoView> {
        let (state, fault) = match asked {
            LoadProgress::Nothing => (self.state_before()?, None),
            LoadProgress::Loading => (DemoState::Loading, None),
            LoadProgress::Loaded => (DemoState::Loaded, None),
            LoadProgress::Failed(fault) => (DemoState::Failed, Some(fault.clone())),
        };
        Ok(DemoView { state, fault })
    }

    /// The state before this run was asked for anything.
    fn state_before(&self) -> Result<DemoState> {
        let demo = Demo::read(&self.data).map_err(|error| PlatformError::Unavailable(format!("{error:#}")))?;
        if let Some(demo) = demo {
            // One that was interrupted may be asked for again: its events count once.
            return Ok(if demo.is_filled() { DemoState::Loaded } else { DemoState::Possible });
        }
        let has_events = self.service.platform().events.recent_events()?.accepted >= OWN_EVENTS;
        let query = SegmentQuery::default();
        let has_segments = !self.service.platform().segments.segments(&query)?.items.is_empty();
        Ok(if has_events || has_segments { DemoState::Impossible } else { DemoState::Possible })
    }
}

impl DemoResource for DemoLoader {
    fn demo(&self) -> Result<DemoView> {
        self.view(&self.asked.lock())
    }

    fn load_demo(&self) -> Result<DemoView> {
        let mut asked = self.asked.lock();
        match self.view(&asked)?.state {
            DemoState::Possible | DemoState::Failed => {}
            DemoState::Loading | DemoState::Loaded => return self.view(&asked),
            DemoState::Impossible => {
                let message = "there are segments or events here already, and nothing could tell the demo from them: \
                    start another instance with audience serve --demo";
                return Err(PlatformError::Conflict { kind: ConflictKind::NotEmpty, message: message.to_owned() });
            }
        }
        *asked = LoadProgress::Loading;
        let (service, data, outcome) = (self.service.clone(), self.data.clone(), self.asked.clone());
        let runtime = self.runtime.clone();
        self.runtime.spawn_blocking(move || {
            let filled = Demo::begin(&data).and_then(|mut demo| demo.fill(&service).map(|()| demo));
            *outcome.lock() = match filled {
                Ok(demo) => {
                    drop(runtime.spawn(demo.live(service)));
                    LoadProgress::Loaded
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "The demo is not filled");
                    LoadProgress::Failed(format!("{error:#}"))
                }
            };
        });
        self.view(&asked)
    }
}
