//! The members of a segment, and the sizes of intersections.

use audience_catalogue::ListChange;
use audience_protocol::{MembersEffect, Overlap, Overlaps, PlatformError};
use audience_rules::catalogue::SegmentStatus;
use hashbrown::HashSet;
use roaring::RoaringBitmap;

use super::Lookup;

/// Members that are handed over at a time.
const PIECE: usize = 4_096;
/// Unknown ids that are named.
const UNKNOWN_NAMED: usize = 100;

impl Lookup {
    /// The first `limit` members of a segment after `after`, in order of their ids.
    pub(crate) fn members_after(&self, id: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let mut members: Vec<String> = Vec::new();
        for membership in self.engine.memberships() {
            let membership = membership.read();
            let behind = membership.members(id).filter(|user| after.is_none_or(|after| *user > after));
            members.extend(behind.map(str::to_owned));
            if members.len() > 4 * limit {
                keep_least(&mut members, limit);
            }
        }
        keep_least(&mut members, limit);
        members
    }

    /// Counts who is in a segment and in each of the others. Each worker is counted as of one instant of its own.
    pub(crate) fn overlap(&self, id: &str, others: &[String]) -> Result<Overlaps, PlatformError> {
        self.editor.segment(id)?;
        others.iter().try_for_each(|other| self.editor.segment(other).map(drop))?;
        let mut size = 0;
        let mut counts = vec![(0_u64, 0_u64); others.len()];
        for membership in self.engine.memberships() {
            let membership = membership.read();
            let bitmap = |id: &str| membership.segments.get(id).map(|bitmap| membership.bitmap(*bitmap));
            let this = bitmap(id);
            size += this.map_or(0, RoaringBitmap::len);
            for (other, (of_other, both)) in others.iter().zip(&mut counts) {
                let Some(other) = bitmap(other) else { continue };
                *of_other += other.len();
                *both += this.map_or(0, |this| this.intersection_len(other));
            }
        }
        let with = others.iter().zip(counts).map(|(other, (of_other, both))| {
            let either = size + of_other - both;
            Overlap {
                segment_id: other.clone(),
                size: of_other,
                both,
                either,
                only_this: size - both,
                only_other: of_other - both,
                jaccard: if either == 0 { 0.0 } else { both as f64 / either as f64 },
            }
        });
        Ok(Overlaps { segment_id: id.to_owned(), size, with: with.collect() })
    }

    /// The effect on a static segment of a list that would be its new one; `given` are the ids that came with the change.
    /// A segment that is not active has no members, before and after. Asks the log for each id that it may name.
    pub(crate) fn list_effect(&self, change: &ListChange) -> Result<MembersEffect, PlatformError> {
        let mut effect = MembersEffect::default();
        for piece in change.given.chunks(PIECE) {
            for (id, is_known) in piece.iter().zip(self.are_known(piece)?) {
                if is_known {
                    effect.known += 1;
                    continue;
                }
                effect.unknown += 1;
                if effect.sample_unknown.len() < UNKNOWN_NAMED {
                    effect.sample_unknown.push(id.clone());
                }
            }
        }
        if change.document.status != SegmentStatus::Active {
            return Ok(effect);
        }
        let segment = change.document.id.as_str();
        let users: HashSet<String> = change.list.iter().map(|id| self.root(id)).collect();
        let stay = users.iter().filter(|user| self.is_member(user, segment)).count() as u64;
        let size: u64 = self.engine.memberships().iter().map(|held| held.read().size(segment)).sum();
        effect.entered = users.len() as u64 - stay;
        effect.left = size.saturating_sub(stay);
        Ok(effect)
    }

    /// Gives every member to `take`, piece by piece, until it returns false. The bitmaps are copied at once, which is
    /// cheap; ids never change, and are looked up piece by piece.
    pub(crate) fn each_member(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<(), PlatformError> {
        self.editor.segment(id)?;
        let copied: Vec<_> = self
            .engine
            .memberships()
            .iter()
            .map(|membership| {
                let held = membership.read();
                let bitmap = held.segments.get(id).map(|bitmap| held.bitmap(*bitmap).clone());
                (membership, bitmap.unwrap_or_default())
            })
            .collect();
        for (membership, bitmap) in copied {
            let mut slots = bitmap.into_iter();
            loop {
                let piece: Vec<String> = {
                    let held = membership.read();
                    slots.by_ref().take(PIECE).map(|slot| held.users.id(slot).to_owned()).collect()
                };
                if piece.is_empty() {
                    break;
                }
                if !take(piece) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Keeps the least `limit`, in order.
fn keep_least(members: &mut Vec<String>, limit: usize) {
    if members.len() > limit {
        members.select_nth_unstable(limit);
        members.truncate(limit);
    }
    members.sort_unstable();
}
