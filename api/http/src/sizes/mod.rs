//! `/api/segments/{id}/size`, `/api/sizes`, `…/overlap`, `…/breakdown` and `…/leaderboard`: how large segments were, what they have in common,
//! and who is in them; and how large new rules would have been.

mod breakdown;
mod curve;
mod leaderboard;

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{PlatformError, SizeQuery};
use audience_rules::ast::Millis;
use audience_rules::time::{parse_duration, parse_rfc3339};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Resource, Route, Side};

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[ROUTES, breakdown::ROUTES, curve::ROUTES, leaderboard::ROUTES],
    openapi: include_str!("openapi.json"),
};

const READ: Needs = Needs::Permission(Permission::SegmentRead);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/segments/{id}/size", Side::Segments, READ, |api, call| Box::pin(sizes(api, call))),
    Route::new(Method::GET, "/api/sizes", Side::Segments, READ, |api, call| Box::pin(sizes_of_several(api, call))),
    Route::new(Method::GET, "/api/segments/{id}/overlap", Side::Segments, READ, |api, call| {
        Box::pin(overlap(api, call))
    }),
];

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// Steps that are chosen from where none is said.
const STEPS: [Millis; 9] = [10 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY];
/// Points where no step is said.
const DEFAULT_POINTS: Millis = 200;
/// Points at most.
const MAX_POINTS: Millis = 5_000;
/// The latest time that is taken: 2200.
const MAX_TIME: Millis = 7_258_118_400_000;
/// Other segments at a time.
const MAX_OTHERS: usize = 10;
/// Segments whose sizes are read at a time.
const MAX_SEVERAL: usize = 100;

async fn sizes(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let query = asked(&Query::read(&call.query), (api.options.clock)())?;
    let history = api.blocking(move |api| api.platform.sizes.segment_sizes(&id, &query)).await?;
    Ok(reply::json(StatusCode::OK, &history))
}

/// The sizes of several segments, for lists of them; those that are not there are left out.
async fn sizes_of_several(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let ids: Vec<String> = query.all("segment").map(str::to_owned).collect();
    if !(1..=MAX_SEVERAL).contains(&ids.len()) {
        return Err(faulty(format!("segment names a segment, and is given once to {MAX_SEVERAL} times")));
    }
    let asked = asked(&query, (api.options.clock)())?;
    let read = move |api: &Api| {
        let mut items = Vec::with_capacity(ids.len());
        for id in &ids {
            match api.platform.sizes.segment_sizes(id, &asked) {
                Ok(history) => items.push(history),
                Err(PlatformError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(items)
    };
    let items = api.blocking(read).await?;
    Ok(reply::json(StatusCode::OK, &json!({"items": items})))
}

async fn overlap(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, query) = (call.take_id(), Query::read(&call.query));
    let others: Vec<String> = query.all("with").map(str::to_owned).collect();
    if !(1..=MAX_OTHERS).contains(&others.len()) {
        return Err(faulty(format!("with names a segment, and is given once to {MAX_OTHERS} times")));
    }
    let overlaps = api.blocking(move |api| api.platform.sizes.segment_overlap(&id, &others)).await?;
    Ok(reply::json(StatusCode::OK, &overlaps))
}

/// The last day, where nothing is said.
fn asked(query: &Query, now: Millis) -> Result<SizeQuery, Problem> {
    let to = time(query, "to")?.unwrap_or(now);
    let from = time(query, "from")?.unwrap_or(to.saturating_sub(DAY).max(0));
    if from >= to {
        return Err(faulty("from is before to".to_owned()));
    }
    let step = match query.one("step")? {
        Some(text) => {
            parse_duration(text).ok_or_else(|| faulty("step is a duration such as 5m, 1h or 1d".to_owned()))?
        }
        None => STEPS
            .into_iter()
            .find(|step| (to - from) / step < DEFAULT_POINTS)
            .unwrap_or((to - from) / DEFAULT_POINTS + 1),
    };
    if (to - from) / step >= MAX_POINTS {
        return Err(faulty(format!("that is more than {MAX_POINTS} points: take a longer step, or less time")));
    }
    Ok(SizeQuery { from, to, step })
}

/// RFC 3339, or milliseconds.
fn time(query: &Query, name: &str) -> Result<Option<Millis>, Problem> {
    let Some(text) = query.one(name)? else { return Ok(None) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let time = if is_number { text.parse().ok() } else { parse_rfc3339(text) };
    match time.filter(|time| (0..=MAX_TIME).contains(time)) {
        Some(time) => Ok(Some(time)),
        None => Err(faulty(format!("{name} is a time as RFC 3339 has it, or in milliseconds, from 1970 to 2200"))),
    }
}

fn faulty(detail: String) -> Problem {
    Problem::bad_request("invalid_parameter", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_chosen() {
        let now = 1_763_762_400_000;
        let asked =
            |text: &str| asked(&Query::read(text), now).map(|asked| (now - asked.from, now - asked.to, asked.step));
        assert_eq!(asked("").unwrap(), (DAY, 0, 15 * MINUTE));
        assert_eq!(asked("from=2025-11-21T21:00:00Z").unwrap(), (HOUR, 0, MINUTE));
        assert_eq!(asked("from=0").unwrap().2, now / 200 + 1);
        assert_eq!(asked("from=0&to=10000&step=1s").unwrap().2, SECOND);
        for bad in
            ["from=5&to=5", "step=0s", "step=x", "from=x", "to=2300-01-01T00:00:00Z", "from=0&step=1s", "from=-1"]
        {
            assert_eq!(asked(bad).unwrap_err().code, "invalid_parameter", "{bad}");
        }
    }
}
