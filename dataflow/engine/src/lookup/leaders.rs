//! The leaderboard of a segment: its first members in the order of its rule's rank, with their values.
//!
//! Law: the members whose value is a number, in the order of the rank: by value, and of equal ones by id. Members and values are
//! those at the end of one tick, so a leaderboard is exact as of its instant. Cost: one look at the row of each member.

use std::cmp::Ordering;
use std::time::Duration;

use audience_catalogue::segment_not_found;
use audience_kernel::message::{Control, Leader, LeadersRequest};
use audience_kernel::program::{Leaf, Program};
use audience_protocol::{ConflictKind, LeaderView, Leaderboard, PlatformError, Result};
use audience_rules::ast::{Measurable, Node, Rank};
use audience_rules::catalogue::{Catalogue, SegmentStatus};
use audience_rules::reads::measure_to_json;
use audience_rules::time::format_time;
use serde_json::json;
use serde_json::value::RawValue;

use super::Lookup;

/// An edit that takes longer to come into force is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Lookup {
    /// The first members of a segment in the order of its rank.
    pub(crate) fn leaderboard(&self, id: &str, most: usize) -> Result<Leaderboard> {
        let (catalogue, version) = self.editor.read(|documents| (documents.catalogue.clone(), documents.version));
        let segment = catalogue.segments.get(id).ok_or_else(|| segment_not_found(id))?;
        let refused = |message: &str| Err(conflict(message));
        if segment.status != SegmentStatus::Active {
            return refused("the segment is not active, so it has no members");
        }
        let Some(rank) = segment.rules().and_then(first_rank) else {
            return refused("the segment's rule has no rank; take one in, such as the first 100 by totalSpent");
        };
        let Some(request) = request(rank, id, &catalogue, most) else {
            return refused("the rule's rank cannot be compiled");
        };
        // The rule that is asked for, and not the one before it.
        self.editor.wait_until_in_force(version, PATIENCE);
        if self.editor.in_force() < version {
            return Err(PlatformError::Busy { retry_after_seconds: 1 });
        }
        let descending = request.descending;
        let (mut leaders, clock) = self.find_leaders(request)?;
        leaders.sort_unstable_by(|one, other| place(one, other, descending));
        leaders.truncate(most);
        let view = |leader: Leader| {
            Some(LeaderView { user_id: leader.user, value: Some(RawValue::from_string(leader.value).ok()?) })
        };
        Ok(Leaderboard {
            segment_id: id.to_owned(),
            version: segment.version,
            at: format_time(clock),
            by: by(rank),
            descending,
            size: self.engine.size(id),
            items: leaders.into_iter().filter_map(view).collect(),
        })
    }

    /// Asks the workers, one question at a time.
    fn find_leaders(&self, request: LeadersRequest) -> Result<(Vec<Leader>, i64)> {
        let away = |error: crate::engine::EngineError| PlatformError::Unavailable(error.to_string());
        let _alone = self.leaders.lock();
        let tick = self.engine.submit_steps(vec![Control::Leaders(request)]).map_err(away)?;
        let found = self.engine.wait_for(tick).map_err(away)?.leaders;
        Ok(found.map(|found| (*found).clone()).unwrap_or_default())
    }
}

/// The order of a rank.
fn place(one: &Leader, other: &Leader, descending: bool) -> Ordering {
    let by_key = one.key.cmp(&other.key);
    let by_key = if descending { by_key.reverse() } else { by_key };
    by_key.then_with(|| one.user.cmp(&other.user))
}

/// The first rank of a rule, in the order in which it is written.
fn first_rank(rules: &Node) -> Option<&Rank> {
    let mut found = None;
    rules.walk(&mut |node| {
        if let (None, Node::Rank(rank)) = (found, node) {
            found = Some(&**rank);
        }
    });
    found
}

fn request(rank: &Rank, id: &str, catalogue: &Catalogue, most: usize) -> Option<LeadersRequest> {
    let program = Program::compile(&Node::Rank(rank.clone().into()), catalogue);
    let Some(Leaf::Rank(compiled)) = program.leaves.into_iter().next() else { return None };
    Some(LeadersRequest {
        segment: id.into(),
        measure: compiled.by.clone(),
        descending: compiled.descending,
        most: u32::try_from(most).unwrap_or(u32::MAX),
    })
}

/// The measure that orders, as rules write it.
fn by(rank: &Rank) -> Box<RawValue> {
    let text = match &rank.by {
        Measurable::Field(field) => json!({ "field": field }).to_string(),
        Measurable::Behaviour(behaviour) => measure_to_json(behaviour),
    };
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn conflict(message: &str) -> PlatformError {
    PlatformError::Conflict { kind: ConflictKind::NoRank, message: message.to_owned() }
}
