//! The sources that feed the platform beside the APIs, each on threads of its own.

use std::convert::Infallible;
use std::sync::Arc;

use audience_contract::Share;
use parking_lot::Mutex;

use super::feed::{FeedContext, Feeder, FeederStatus, ShareReader};
use crate::engine::EngineError;
use crate::health::{ReportedParts, Reports};
use crate::metrics::Metrics;
use crate::run::Run;

/// All sources.
pub(crate) struct Sources {
    context: FeedContext,
    feeders: Mutex<Vec<Arc<FeederStatus>>>,
}

impl Sources {
    /// No sources yet.
    pub(crate) fn new(context: FeedContext) -> Sources {
        Sources { context, feeders: Mutex::default() }
    }

    /// The names of all.
    pub(crate) fn names(&self) -> Vec<String> {
        self.feeders.lock().iter().map(|feeder| feeder.source.clone()).collect()
    }

    /// Starts to take events from a source. Each of the readers reads its share of the partitions, on a thread of its own.
    pub(crate) fn add(&self, readers: Vec<ShareReader>, run: &Run) -> Result<(), EngineError> {
        let Some(first) = readers.first() else { return Ok(()) };
        let status = Arc::new(FeederStatus::new(first.source.name(), readers.len(), run.stop().child()));
        self.feeders.lock().push(status.clone());
        self.context.metrics.show(&status.source);
        let of = readers.len() as u32;
        for (index, reader) in (0..).zip(readers) {
            let name = format!("source {index} {}", status.source);
            let feeder = Feeder::new(self.context.clone(), status.clone(), Share { index, of }, reader);
            run.start_task(name, move |_| {
                feeder.run();
                Ok::<(), Infallible>(())
            })?;
        }
        Ok(())
    }
}

impl Reports for Sources {
    fn report(&self, report: &mut ReportedParts) {
        for feeder in self.feeders.lock().iter() {
            report.has(format!("source:{}", feeder.source), feeder.fault());
        }
    }

    fn observe(&self, metrics: &Metrics) {
        self.feeders.lock().iter().for_each(|feeder| metrics.sources.lag(&feeder.source, &feeder.lag()));
    }
}
