//! Membership changes as they are emitted, for clients that stay connected.
//!
//! A client is a place in the order of all changes and a filter; between two writes nothing else is kept of it. It gets
//! changes in pieces of bounded size, each read only once the one before is taken: a client that is slow holds back
//! itself alone, and is given what it missed as long as the change log goes back.

use std::sync::Arc;
use std::time::Duration;

use audience_auth::{Needs, Permission, Principal};
use audience_protocol::{ChangeFilter, ChangePlace, ChangeResource, ChangesRead, GivenChange, PlatformError};
use hyper::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::Api;
use crate::metrics::InFlight;
use crate::problem::Problem;
use crate::query::Query;

/// Between two signs of life.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// The needs of whoever follows changes.
pub(super) const READ: Needs = Needs::Permission(Permission::UserRead);
/// Between two looks at whether a client's right lasts.
const LOOK_AT_RIGHT: Duration = Duration::from_secs(2);
/// Changes that are written for a client at a time.
const PIECE_CHANGES: usize = 128;
/// Segments or users in a filter at most.
const MAX_FILTER: usize = 1_000;

/// A filter as the query gives it.
pub(super) fn filter(query: &Query) -> Result<ChangeFilter, Problem> {
    let list = |name: &str| query.all(name).map(str::to_owned).collect();
    let filter = ChangeFilter { segments: list("segment"), users: list("user"), only_entered: None };
    check(&filter)?;
    Ok(filter)
}

pub(super) fn check(filter: &ChangeFilter) -> Result<(), Problem> {
    if filter.segments.len() > MAX_FILTER || filter.users.len() > MAX_FILTER {
        let detail = format!("a filter names at most {MAX_FILTER} segments and as many users");
        return Err(Problem::bad_request("invalid_parameter", detail));
    }
    Ok(())
}

/// The place from which a client goes on: its library's last event, else its own parameter.
pub(super) fn place(query: &Query, headers: &HeaderMap) -> Result<Option<ChangePlace>, Problem> {
    let after = query.one("after")?;
    match (last_event(headers)?, after) {
        (None, Some(after)) => {
            ChangePlace::parse(after).map(Some).ok_or_else(|| not_given("invalid_parameter", "after"))
        }
        (place, _) => Ok(place),
    }
}

/// The last event of a client's library; an empty id says that there was none.
pub(super) fn last_event(headers: &HeaderMap) -> Result<Option<ChangePlace>, Problem> {
    let Some(header) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    // A browser gives back what it was given: whatever else is there is of another server, or was cut off.
    let place = header.to_str().ok().and_then(ChangePlace::parse);
    place.map(Some).ok_or_else(|| not_given("invalid_header", "Last-Event-ID"))
}

fn not_given(code: &'static str, name: &str) -> Problem {
    let detail = format!("{name} is no id that was given here; leave it out to begin with what comes from now on");
    Problem::bad_request(code, detail)
}

/// The next thing for a client.
pub(super) enum Next {
    /// Changes, written.
    Changes(String),
    /// The changes that it missed are forgotten; it goes on from now.
    Reset,
    /// Nothing, for a while.
    Quiet,
}

/// A writer of changes in a client's form.
pub(super) type ChangeWriter = fn(&mut String, GivenChange<'_>);

/// A client.
pub(super) struct Subscriber {
    api: Arc<Api>,
    /// Everything before it was given to the client, or is not wanted.
    pub(super) place: ChangePlace,
    pub(super) filter: Arc<ChangeFilter>,
    write: ChangeWriter,
    principal: Principal,
    news: watch::Receiver<()>,
    closing: watch::Receiver<bool>,
    _counted: InFlight,
    _place: OwnedSemaphorePermit,
}

impl Subscriber {
    /// From there on, or from now on; refused where too many follow.
    pub(super) fn new(
        api: Arc<Api>,
        from: Option<ChangePlace>,
        filter: ChangeFilter,
        write: ChangeWriter,
        principal: Principal,
    ) -> Result<Subscriber, Problem> {
        let newest = api.platform.changes.newest_change()?;
        let permit = api.subscribers.place()?;
        let (news, closing) = (api.subscribers.news(), api.subscribers.closing());
        let (place, filter) = (from.unwrap_or(newest), Arc::new(filter));
        let counted = api.metrics.follow();
        Ok(Subscriber { api, place, filter, write, principal, news, closing, _counted: counted, _place: permit })
    }

    /// Waits for what comes next; nothing where this is the end, or the client's right has ended. It may be given up at any time and called again.
    pub(super) async fn next(&mut self) -> Option<Next> {
        let quiet_at = Instant::now() + HEARTBEAT;
        loop {
            let now = (self.api.options.clock)();
            if *self.closing.borrow_and_update() || !self.api.auth.still_admits(&self.principal, READ, now) {
                return None;
            }
            self.news.borrow_and_update();
            let (read, text) = match self.read().await {
                Ok(read) => read,
                Err(problem) => {
                    tracing::warn!(detail = problem.detail, "a subscriber was cut off");
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
                () = sleep(LOOK_AT_RIGHT) => {}
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
        let _turn = self.api.subscribers.readings.acquire().await.map_err(|_| Problem::internal())?;
        let (place, filter, write) = (self.place, Arc::clone(&self.filter), self.write);
        self.api.blocking(move |api| piece(&*api.platform.changes, place, &filter, write, true)).await
    }
}

/// The next changes that are wanted, written, at most so many.
fn piece(
    changes: &dyn ChangeResource,
    from: ChangePlace,
    filter: &ChangeFilter,
    write: ChangeWriter,
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
