//! A copy of the memberships of a worker in another process, kept up by what that worker gives out.

use std::ops::ControlFlow;

use audience_contract::ChangeKind;
use audience_contract::changes::visit;
use audience_kernel::membership::{MemberUpdate, Membership, user_hash};
use audience_kernel::operator::{MembershipPiece, TickOutput};
use audience_kernel::registry::BitmapId;
use audience_rules::ast::SegmentId;
use hashbrown::HashMap;

/// Bytes that are no block of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecoded;

/// Takes in a piece of what there is when a worker begins, or users who are new. They come before all else that speaks of them,
/// so that they have the numbers here that they have there.
pub(super) fn take_held(membership: &mut Membership, held: &MembershipPiece) {
    match held {
        MembershipPiece::Users(users) => users.iter().for_each(|user| {
            membership.users.find_or_add(user_hash(user.as_bytes()), user.as_bytes());
        }),
        MembershipPiece::Members(_, members) if members.is_empty() => {}
        MembershipPiece::Members(segment, members) => {
            let bitmap = membership.add_bitmap();
            membership.bitmap_mut(bitmap).clone_from(members);
            membership.segments.insert(segment.clone(), bitmap);
        }
    }
}

/// Takes in the changes of a tick.
pub(super) fn take_tick(membership: &mut Membership, output: &TickOutput) -> Result<(), Undecoded> {
    let mut updates: Vec<MemberUpdate> = Vec::with_capacity(usize::try_from(output.change_count).unwrap_or(0));
    // The same place in the bytes is the same user.
    let mut user: Option<(*const u8, u32)> = None;
    let mut left: HashMap<SegmentId, BitmapId> = HashMap::new();
    let visited = visit(&output.changes, &mut |change| {
        let slot = match user {
            Some((place, slot)) if place == change.user_id.as_ptr() => slot,
            _ => membership.users.find_or_add(user_hash(change.user_id.as_bytes()), change.user_id.as_bytes()).0,
        };
        user = Some((change.user_id.as_ptr(), slot));
        let bitmap = bitmap_of(membership, change.segment_id);
        let inside = change.change == ChangeKind::Entered;
        if !inside && !left.contains_key(change.segment_id) {
            left.insert(change.segment_id.clone(), bitmap);
        }
        updates.push(MemberUpdate { bitmap, slot, inside });
        ControlFlow::Continue(())
    });
    membership.update(&updates, &mut Vec::new());
    for (segment, bitmap) in left {
        if membership.bitmap(bitmap).is_empty() {
            membership.free_bitmap(bitmap);
            membership.segments.remove(&segment);
        }
    }
    visited.map_err(|_| Undecoded)
}

fn bitmap_of(membership: &mut Membership, segment: &SegmentId) -> BitmapId {
    if let Some(bitmap) = membership.segments.get(segment) {
        return *bitmap;
    }
    let bitmap = membership.add_bitmap();
    membership.segments.insert(segment.clone(), bitmap);
    bitmap
}
