//! Previews: the changes that putting an installed rule in force would make.

use audience_rules::ast::SegmentId;
use roaring::RoaringBitmap;

use crate::membership::UserIds;
use crate::message::{PreviewRequest, PreviewResult, SampledCount};

use super::WorkerState;

impl WorkerState {
    /// Counts the members that an installed and scanned rule would have. Cost: that of bitmaps; no user is looked at but for
    /// a breakdown.
    pub fn preview(&self, of: &PreviewRequest) -> PreviewResult {
        let membership = self.membership();
        let guard = membership.read();
        let users = self.rows.known_users;
        let fulfilling = |name: &SegmentId| {
            let rule = self.in_force.installed.get(name).and_then(|rule| self.rows.registry.rules.get(*rule));
            rule.map(|rule| guard.bitmap(rule.members))
        };
        let Some(members) = fulfilling(&of.rule) else {
            return PreviewResult { users, ..PreviewResult::default() };
        };
        let values = of.breakdown.as_ref().map(|of| self.rows.break_down(of, self.time.clock, &guard));
        let nobody = RoaringBitmap::new();
        let running = of.against.as_ref().and_then(|segment| guard.segments.get(segment));
        let running = running.map_or(&nobody, |bitmap| guard.bitmap(*bitmap));
        let certain = of.certain.as_ref().and_then(fulfilling).unwrap_or(members);
        let counted = |found: &RoaringBitmap| counted(found, &guard.users, of.samples);
        PreviewResult {
            users,
            members: members.len(),
            entered: counted(&(members - running)),
            left: counted(&(running - members)),
            by_missing: counted(&(members - certain)),
            values,
        }
    }
}

fn counted(found: &RoaringBitmap, users: &UserIds, samples: u32) -> SampledCount {
    let count = found.len();
    let taken = count.min(u64::from(samples));
    // Spread over all: the first would be the oldest users.
    let places = (0..taken).filter_map(|place| u32::try_from(place * count / taken).ok());
    let sample = places.filter_map(|place| found.select(place)).map(|slot| users.id(slot).to_owned()).collect();
    SampledCount { count, sample }
}
