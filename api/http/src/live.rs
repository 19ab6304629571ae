//! Membership changes as they are given out, to clients that stay connected.
//!
//! A client is a place in the order of all changes and a filter; between two writes nothing else is kept of it. It gets
//! changes in pieces of bounded size, each read only once the one before is taken: a client that is slow holds back
//! itself alone, and is given what it missed as long as the change log goes back.

mod events;
mod sizes;
mod socket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audience_protocol::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, GivenChange, PlatformError};
use hyper::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::api::Api;
use crate::metrics::InFlight;
use crate::options::ApiOptions;
use crate::problem::Problem;
use crate::query::Query;

pub(crate) use events::ROUTES as EVENT_ROUTES;
pub(crate) use sizes::ROUTES as SIZE_ROUTES;
pub(crate) use socket::ROUTES as SOCKET_ROUTES;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Changes that are written for a client at a time.
const PIECE_CHANGES: usize = 128;
/// Clients are woken in so many turns, of this length where there are many.
const SLOTS: usize = 32;
const TURN: Duration = Duration::from_millis(1);
/// Clients of a turn that are many.
const CROWD: usize = 4;
/// Clients that are behind and wait for a reading of the log, at a time.
const READINGS: usize = 4;
/// Segments or users in a filter at most.
const MAX_FILTER: usize = 1_000;
/// What a client that is refused is told to wait.
const RETRY_SECONDS: u64 = 5;

/// What all clients share.
pub(crate) struct Live {
    /// Each wakes some of them.
    slots: Arc<[watch::Sender<()>]>,
    next_slot: AtomicUsize,
    closing: watch::Sender<bool>,
    places: Arc<Semaphore>,
    max_places: u32,
    readings: Semaphore,
    last_look: sizes::LastLook,
}

impl Live {
    pub(crate) fn new(changes: &dyn ChangeResource, options: &ApiOptions) -> Self {
        let (wake, woken) = watch::channel(());
        let slots: Arc<[watch::Sender<()>]> = (0..SLOTS).map(|_| watch::Sender::new(())).collect();
        tokio::spawn(wake_in_turn(woken, Arc::clone(&slots)));
        // One without an engine gives out nothing, and says so to each client.
        if let Err(error) = changes.on_changes(Box::new(move || wake.send_replace(()))) {
            tracing::debug!(%error, "no changes are given out here");
        }
        Live {
            slots,
            next_slot: AtomicUsize::new(0),
            closing: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(options.max_streams as usize)),
            max_places: options.max_streams,
            readings: Semaphore::new(READINGS),
            last_look: sizes::LastLook::default(),
        }
    }

    /// Tells every client that this is the end, and waits until they are gone.
    pub(crate) async fn close(&self, patience: Duration) {
        self.closing.send_replace(true);
        let all_gone = self.places.acquire_many(self.max_places);
        if timeout(patience, all_gone).await.is_err() {
            tracing::warn!("clients that follow changes were cut off at the end of the time to drain");
        }
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

/// A filter as the query gives it.
fn filter(query: &Query) -> Result<ChangeFilter, Problem> {
    let list = |name: &str| query.all(name).map(str::to_owned).collect();
    let filter = ChangeFilter { segments: list("segment"), users: list("user"), only_entered: None };
    check(&filter)?;
    Ok(filter)
}

fn check(filter: &ChangeFilter) -> Result<(), Problem> {
    if filter.segments.len() > MAX_FILTER || filter.users.len() > MAX_FILTER {
        let detail = format!("a filter names at most {MAX_FILTER} segments and as many users");
        return Err(Problem::bad_request("invalid_parameter", detail));
    }
    Ok(())
}

/// Where a client wants to go on: what its library says of the last event, else what it says itself.
fn place(query: &Query, headers: &HeaderMap) -> Result<Option<ChangePlace>, Problem> {
    let after = query.one("after")?;
    match (last_event(headers)?, after) {
        (None, Some(after)) => {
            ChangePlace::parse(after).map(Some).ok_or_else(|| not_given("invalid_parameter", "after"))
        }
        (place, _) => Ok(place),
    }
}

/// What a library says of the last event; an empty id says that there was none.
fn last_event(headers: &HeaderMap) -> Result<Option<ChangePlace>, Problem> {
    let Some(header) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    // A browser gives back what it was given: whatever else is there is of another server, or was cut off.
    let place = header.to_str().ok().and_then(ChangePlace::parse);
    place.map(Some).ok_or_else(|| not_given("invalid_header", "Last-Event-ID"))
}

fn not_given(code: &'static str, name: &str) -> Problem {
    let detail = format!("{name} is no id that was given here; leave it out to begin with what comes from now on");
    Problem::bad_request(code, detail)
}

/// What comes next for a client.
enum Next {
    /// Changes, written.
    Changes(String),
    /// What it has missed is not known any more; it goes on from now.
    Reset,
    /// Nothing, for a while.
    Quiet,
}

/// How a change is written for a client.
type Write = fn(&mut String, GivenChange<'_>);

/// A client.
struct Follower {
    api: Arc<Api>,
    /// Everything before it was given to the client, or is not wanted.
    place: ChangePlace,
    filter: Arc<ChangeFilter>,
    write: Write,
    news: watch::Receiver<()>,
    closing: watch::Receiver<bool>,
    _counted: InFlight,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// From there on, or from now on; refused where too many follow.
    fn new(api: Arc<Api>, from: Option<ChangePlace>, filter: ChangeFilter, write: Write) -> Result<Follower, Problem> {
        let newest = api.platform.changes.newest_change()?;
        let busy = |_| Problem::busy(RETRY_SECONDS);
        let permit = Arc::clone(&api.live.places).try_acquire_owned().map_err(busy)?;
        let slot = api.live.next_slot.fetch_add(1, Ordering::Relaxed) % SLOTS;
        let (news, closing) = (api.live.slots[slot].subscribe(), api.live.closing.subscribe());
        let (place, filter) = (from.unwrap_or(newest), Arc::new(filter));
        let counted = api.metrics.follow();
        Ok(Follower { api, place, filter, write, news, closing, _counted: counted, _place: permit })
    }

    /// Waits for what comes next; nothing where this is the end. It may be given up at any time and called again.
    async fn next(&mut self) -> Option<Next> {
        let quiet_at = Instant::now() + HEARTBEAT;
        loop {
            if *self.closing.borrow_and_update() {
                return None;
            }
            self.news.borrow_and_update();
            let (read, text) = match self.read().await {
                Ok(read) => read,
                Err(problem) => {
                    tracing::warn!(detail = problem.detail, "a client that follows changes was cut off");
                    return None;
                }
            };
            let is_at_end = read == ChangesRead::UpTo(self.place);
            if let ChangesRead::UpTo(place) | ChangesRead::Gone(place) = read {
                self.place = place;
            }
            if matches!(read, ChangesRead::Gone(_)) {
                return Some(Next::Reset);
            }
            if !text.is_empty() {
                return Some(Next::Changes(text));
            }
            if !is_at_end {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                changed = self.closing.changed() => changed.ok()?,
                () = sleep_until(quiet_at) => return Some(Next::Quiet),
            }
        }
    }

    /// Reads on from memory where it is there, else from the log.
    async fn read(&self) -> Result<(ChangesRead, String), Problem> {
        let recent = piece(&*self.api.platform.changes, self.place, &self.filter, self.write, false)?;
        if recent.0 != ChangesRead::NotInMemory {
            return Ok(recent);
        }
        let _turn = self.api.live.readings.acquire().await.map_err(|_| Problem::internal())?;
        let (place, filter, write) = (self.place, Arc::clone(&self.filter), self.write);
        self.api.blocking(move |api| piece(&*api.platform.changes, place, &filter, write, true)).await
    }
}

/// The next changes that are wanted, written, at most so many.
fn piece(
    changes: &dyn ChangeResource,
    from: ChangePlace,
    filter: &ChangeFilter,
    write: Write,
    may_wait: bool,
) -> Result<(ChangesRead, String), PlatformError> {
    let (mut text, mut count) = (String::new(), 0);
    let read = changes.changes(from, filter, may_wait, &mut |change| {
        write(&mut text, change);
        count += 1;
        if count < PIECE_CHANGES { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
    })?;
    Ok((read, text))
}
