//! Quotas: who is counted, the headers that say how much is left, and the answer where nothing is.
//!
//! Health, figures and descriptions are not counted, and neither are requests of a standby. A request that sends events counts
//! by these.

use std::net::IpAddr;
use std::sync::Arc;

use audience_auth::{Counted, Needs, Principal};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use warp::reply::Response;

use crate::api::Api;
use crate::problem::Problem;
use crate::route::Side;

/// The rest of the quotas (draft-ietf-httpapi-ratelimit-headers).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The quotas.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The quotas that a request was counted by.
#[derive(Default)]
pub(crate) struct RequestLimits(Vec<Counted>);

impl RequestLimits {
    /// Returns whether requests to a route are counted.
    pub(crate) fn apply_to(side: Side, needs: Needs) -> bool {
        side != Side::Every && needs != Needs::Ingest
    }

    /// Counts a request by its address, before anybody is known.
    pub(crate) fn of_address(api: &Api, address: Option<IpAddr>) -> Result<RequestLimits, Problem> {
        let counted = api.options.quotas.count_address(address, api.auth.is_open());
        RequestLimits::default().with(counted.into_iter().collect())
    }

    /// Counts it by its caller.
    pub(crate) async fn of_caller(self, api: &Arc<Api>, principal: &Principal) -> Result<RequestLimits, Problem> {
        let (quotas, is_open) = (Arc::clone(&api.options.quotas), api.auth.is_open());
        let own = api.auth.own_quota(principal.tenant());
        let counted = match quotas.may_wait() {
            false => quotas.count(principal, own, is_open),
            true => {
                let principal = principal.clone();
                api.blocking(move |_| Ok::<_, Problem>(quotas.count(&principal, own, is_open))).await?
            }
        };
        self.with(counted)
    }

    /// Counts events of a request, all or none. May wait for a server.
    pub(crate) fn of_events(api: &Api, count: usize) -> Result<(), Problem> {
        let own = api.tenant.as_ref().and_then(|tenant| api.auth.own_events_quota(tenant));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let Some(counted) = api.options.quotas.count_events(api.tenant.as_ref(), own, count) else { return Ok(()) };
        let most = counted.policy.most;
        if count > most {
            let detail = format!("the quota is {most} events a minute, and the body has {count}: send smaller ones");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
        }
        RequestLimits::default().with(vec![counted]).map(drop)
    }

    fn with(mut self, counted: Vec<Counted>) -> Result<RequestLimits, Problem> {
        self.0.extend(counted);
        match self.0.iter().find(|one| !one.answer.is_granted) {
            None => Ok(self),
            Some(over) => Err(self.exceeded(over)),
        }
    }

    fn exceeded(&self, over: &Counted) -> Problem {
        let (quota, most, unit) = (over.kind.name(), over.policy.most, over.kind.unit());
        let seconds = over.answer.reset_ms.div_ceil(1_000);
        let detail = format!("the quota of the {quota}, {most} {unit} a minute, is used up; try again in {seconds} s");
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail).retry_after(seconds);
        problem.violated_policies = vec![quota];
        let [policies, left] = self.texts();
        problem.with_text(RATE_LIMIT_POLICY, &policies).with_text(RATE_LIMIT, &left)
    }

    /// The values of both headers.
    fn texts(&self) -> [String; 2] {
        let policy =
            |one: &Counted| format!("\"{}\";q={};w={}", one.kind.name(), one.policy.most, one.policy.window_ms / 1_000);
        let left = |one: &Counted| {
            format!("\"{}\";r={};t={}", one.kind.name(), one.answer.left, one.answer.reset_ms.div_ceil(1_000))
        };
        [
            self.0.iter().map(policy).collect::<Vec<_>>().join(", "),
            self.0.iter().map(left).collect::<Vec<_>>().join(", "),
        ]
    }

    /// The answer, which says how much is left.
    pub(crate) fn marked(&self, mut response: Response) -> Response {
        if !self.0.is_empty() {
            let names = [RATE_LIMIT_POLICY, RATE_LIMIT];
            for (name, text) in names.into_iter().zip(self.texts()) {
                if let Ok(value) = HeaderValue::from_str(&text) {
                    response.headers_mut().insert(name, value);
                }
            }
        }
        response
    }
}
