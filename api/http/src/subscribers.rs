//! The state that all subscribers share: their places, and their wake-ups.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audience_protocol::{ChangeResource, SizesNow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::options::ApiOptions;
use crate::problem::Problem;

/// Clients are woken in so many turns, of this length where there are many.
const SLOTS: usize = 32;
const TURN: Duration = Duration::from_millis(1);
/// Clients of a turn that are many.
const CROWD: usize = 4;
/// Seconds that a refused client is told to wait.
const RETRY_SECONDS: u64 = 5;
/// Clients that may read from the log at a time; others wait.
const READINGS: usize = 4;

/// The sizes that are shared, and when they were looked at.
pub(crate) type LastLook = tokio::sync::Mutex<Option<(Instant, Arc<SizesNow>)>>;

/// The state that all subscribers share.
pub(crate) struct Subscribers {
    /// Each wakes some of them.
    slots: Arc<[watch::Sender<()>]>,
    next_slot: AtomicUsize,
    /// Tells every client that this is the end.
    closing: watch::Sender<bool>,
    places: Arc<Semaphore>,
    max_places: u32,
    /// Turns to read from the log.
    pub(crate) readings: Semaphore,
    pub(crate) last_look: LastLook,
}

impl Subscribers {
    pub(crate) fn new(changes: &dyn ChangeResource, options: &ApiOptions) -> Self {
        let (wake, woken) = watch::channel(());
        let slots: Arc<[watch::Sender<()>]> = (0..SLOTS).map(|_| watch::Sender::new(())).collect();
        tokio::spawn(wake_in_turn(woken, Arc::clone(&slots)));
        // A process without an engine emits nothing, and says so to each client.
        if let Err(error) = changes.on_changes(Box::new(move || wake.send_replace(()))) {
            tracing::debug!(%error, "this process emits no changes");
        }
        Subscribers {
            slots,
            next_slot: AtomicUsize::new(0),
            closing: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(options.max_streams as usize)),
            max_places: options.max_streams,
            readings: Semaphore::new(READINGS),
            last_look: LastLook::default(),
        }
    }

    /// A place for one more client; refused where there are too many.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::busy(RETRY_SECONDS))
    }

    /// A receiver that wakes a client when there are changes.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.slots[self.next_slot.fetch_add(1, Ordering::Relaxed) % SLOTS].subscribe()
    }

    /// A receiver that tells a client of the end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells every client that this is the end, and waits until they are gone.
    pub(crate) async fn close(&self, patience: Duration) {
        self.closing.send_replace(true);
        let all_gone = self.places.acquire_many(self.max_places);
        if timeout(patience, all_gone).await.is_err() {
            tracing::warn!("subscribers were cut off at the end of the time to drain");
        }
    }
}

/// Ends so long after the server began to end.
pub(crate) async fn long_after_closing(mut closing: watch::Receiver<bool>, patience: Duration) {
    let is_closing = closing.wait_for(|is_closing| *is_closing).await.is_ok();
    match is_closing {
        true => sleep(patience).await,
        false => std::future::pending().await,
    }
}

/// Wakes clients slot by slot: all of them at once would keep every other request waiting.
async fn wake_in_turn(mut woken: watch::Receiver<()>, slots: Arc<[watch::Sender<()>]>) {
    while woken.changed().await.is_ok() {
        for slot in slots.iter() {
            slot.send_replace(());
            if slot.receiver_count() >= CROWD {
                sleep(TURN).await;
            }
        }
    }
}
