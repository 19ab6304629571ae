//! Places among the requests that are worked on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::Problem;

/// The time for which a request whose body is there waits for a place.
const BACK: Duration = Duration::from_secs(1);

/// A request's place among those that are worked on. A request whose body is still coming has none, so that slow senders do not
/// keep others out.
pub(crate) struct WorkPlace {
    places: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl WorkPlace {
    /// A place; 429 where none is free.
    pub(crate) fn take(places: &Arc<Semaphore>) -> Result<Arc<Self>, Problem> {
        let permit = Arc::clone(places).try_acquire_owned().map_err(|_| Problem::busy(1))?;
        Ok(Arc::new(WorkPlace { places: Arc::clone(places), permit: Mutex::new(Some(permit)) }))
    }

    /// No place: the request is worked on however many others are.
    pub(crate) fn none(places: &Arc<Semaphore>) -> Arc<Self> {
        Arc::new(WorkPlace { places: Arc::clone(places), permit: Mutex::new(None) })
    }

    /// Gives the place up.
    pub(crate) fn leave(&self) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes a place again; 429 where none gets free.
    pub(crate) async fn come_back(&self) -> Result<(), Problem> {
        let permit = timeout(BACK, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Problem::busy(1)) };
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        Ok(())
    }
}
