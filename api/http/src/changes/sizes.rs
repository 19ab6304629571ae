//! `/api/stream/sizes`: sizes of segments as server-sent events.
//!
//! All who follow share one look at the sizes, taken at most twice a second; of each no more is kept than the look that was
//! given last, and a look is taken for a client only once it has read what came before.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use audience_auth::{Needs, Permission, Principal};
use audience_protocol::SizesNow;
use bytes::Bytes;
use futures_util::stream;
use hyper::Method;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::changes::follower::{HEARTBEAT, filter, last_event};
use crate::changes::sse::endless;
use crate::metrics::InFlight;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::SegmentRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/stream/sizes", Side::Segments, READ, |api, call| Box::pin(follow(api, call)))];

/// Between two looks.
const PACE: Duration = Duration::from_millis(500);

/// A message: at first all sizes of the filter, then those that changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    catalogue_version: u64,
    in_force_version: u64,
    sizes: BTreeMap<&'a str, u64>,
}

struct Watcher {
    api: Arc<Api>,
    principal: Principal,
    /// Those asked for; all where there are none.
    segments: BTreeSet<String>,
    given: Option<Arc<SizesNow>>,
    given_at: Instant,
    closing: watch::Receiver<bool>,
    _counted: InFlight,
    _place: OwnedSemaphorePermit,
}

async fn follow(api: Arc<Api>, call: Call) -> HandlerResult {
    // It begins with all sizes, so that nobody goes on from anywhere; but who gives what is none errs.
    last_event(&call.headers)?;
    let segments = filter(&Query::read(&call.query))?.segments.into_iter().collect();
    look(&api).await?;
    let place = api.subscribers.place()?;
    let (closing, counted) = (api.subscribers.closing(), api.metrics.follow());
    let given_at = Instant::now();
    let principal = call.principal;
    let watcher =
        Watcher { api, principal, segments, given: None, given_at, closing, _counted: counted, _place: place };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let text = watcher.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), watcher))
    });
    Ok(endless(events))
}

/// The sizes, as they were a moment ago at most.
async fn look(api: &Arc<Api>) -> Result<Arc<SizesNow>, Problem> {
    let mut last = api.subscribers.last_look.lock().await;
    if let Some((_, known)) = last.as_ref().filter(|(at, _)| at.elapsed() < PACE / 2) {
        return Ok(known.clone());
    }
    let new = Arc::new(api.blocking(|api| Ok::<_, Problem>(api.platform.sizes.sizes_now()?)).await?);
    *last = Some((Instant::now(), new.clone()));
    Ok(new)
}

impl Watcher {
    /// Waits for what is to be told; nothing where this is the end, or the client's right has ended.
    async fn next(&mut self) -> Option<String> {
        loop {
            let now = (self.api.options.clock)();
            if *self.closing.borrow_and_update() || !self.api.auth.still_admits(&self.principal, READ, now) {
                return None;
            }
            if self.given.is_some() {
                tokio::select! {
                    () = sleep(PACE) => {}
                    changed = self.closing.changed() => changed.ok()?,
                }
            }
            let now = match look(&self.api).await {
                Ok(now) => now,
                Err(problem) => {
                    tracing::warn!(detail = problem.detail, "a subscriber to sizes was cut off");
                    return None;
                }
            };
            let told = told(&self.segments, self.given.as_deref(), &now);
            self.given = Some(now);
            let text = match told {
                Some(data) => format!("event: sizes\ndata: {data}\n\n"),
                None if self.given_at.elapsed() >= HEARTBEAT => ": heartbeat\n\n".to_owned(),
                None => continue,
            };
            self.given_at = Instant::now();
            return Some(text);
        }
    }
}

/// The new sizes, as JSON in one line.
fn told(segments: &BTreeSet<String>, before: Option<&SizesNow>, now: &SizesNow) -> Option<String> {
    let is_new = |(id, size): &(&String, &u64)| before.is_none_or(|before| before.sizes.get(*id) != Some(size));
    let is_asked = |(id, _): &(&String, &u64)| segments.is_empty() || segments.contains(*id);
    let sizes: BTreeMap<&str, u64> =
        now.sizes.iter().filter(is_asked).filter(is_new).map(|(id, size)| (id.as_str(), *size)).collect();
    let versions = |of: &SizesNow| (of.catalogue_version, of.in_force_version);
    if sizes.is_empty() && before.is_some_and(|before| versions(before) == versions(now)) {
        return None;
    }
    let (catalogue_version, in_force_version) = versions(now);
    serde_json::to_string(&Told { catalogue_version, in_force_version, sizes }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(version: u64, sizes: &[(&str, u64)]) -> SizesNow {
        let sizes = sizes.iter().map(|(id, size)| ((*id).to_owned(), *size)).collect();
        SizesNow { catalogue_version: version, in_force_version: version, sizes }
    }

    #[test]
    fn only_what_is_new_is_told() {
        let (all, some) = (BTreeSet::new(), BTreeSet::from(["b".to_owned()]));
        let first = sizes(1, &[("a", 1), ("b", 2)]);
        let begin = r#"{"catalogueVersion":1,"inForceVersion":1,"sizes":{"a":1,"b":2}}"#;
        assert_eq!(told(&all, None, &first).as_deref(), Some(begin));
        assert_eq!(told(&all, Some(&first), &first), None);
        let second = sizes(1, &[("a", 5), ("b", 2)]);
        let change = r#"{"catalogueVersion":1,"inForceVersion":1,"sizes":{"a":5}}"#;
        assert_eq!(told(&all, Some(&first), &second).as_deref(), Some(change));
        assert_eq!(told(&some, Some(&first), &second), None);
        let edited = sizes(2, &[("b", 2)]);
        let edit = r#"{"catalogueVersion":2,"inForceVersion":2,"sizes":{}}"#;
        assert_eq!(told(&all, Some(&second), &edited).as_deref(), Some(edit), "one is deleted");
        assert_eq!(told(&some, None, &sizes(1, &[])).as_deref(), Some(&*begin.replace(r#""a":1,"b":2"#, "")));
    }
}
