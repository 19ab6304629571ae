//! Bytes read in every way in which a body is: for the fuzzer, which knows no other way in.

use std::sync::Arc;

use audience_rules::event::EventDefaults;
use audience_rules::zone::ZoneId;

use super::message::KINDS;
use super::{decode, posthog, push_event};
use crate::events::decoded::DecodedEvents;
use crate::problem::Problem;

/// The most messages of a batch.
const LIMIT: usize = 1_000;

/// Bytes as a body of every kind under `/v1`, as one of PostHog's, and as an event among those of our form: the records of each,
/// and the code of each fault.
pub fn decode_as_everything(body: &[u8]) -> Vec<Result<Vec<u8>, &'static str>> {
    let defaults = EventDefaults { accepted_at: 1_767_225_600_000 };
    let mut found = Vec::new();
    let mut read = |decode: &dyn Fn(&mut DecodedEvents) -> Result<(), Problem>| {
        let mut decoded = DecodedEvents::in_zone(ZoneId::UTC, Arc::default(), body.len());
        let outcome = decode(&mut decoded);
        found.extend(decoded.rejected.iter().map(|rejected| Err(rejected.code)));
        found.push(outcome.map(|()| decoded.records).map_err(|problem| problem.code));
    };
    for kind in [None].into_iter().chain(KINDS.map(Some)) {
        read(&|decoded| decode(body, kind, LIMIT, decoded, &defaults));
    }
    read(&|decoded| posthog::decode(body, LIMIT, decoded, &defaults).map(drop));
    read(&|decoded| {
        push_event(decoded, body, 0, &defaults);
        Ok(())
    });
    found
}
