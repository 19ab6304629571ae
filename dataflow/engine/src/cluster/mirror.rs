//! A copy of the memberships of a worker in another process, kept up by what that worker gives out.

use audience_operators::membership::{Membership, user_hash};
use audience_operators::operator::{Held, TickOutput};
use audience_rules::ast::SegmentId;

use crate::service::changes::decode;

/// What is no block of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecoded;

/// Takes in a piece of what there is when a worker begins, or users who are new. They come before all else that speaks of them,
/// so that they have the numbers here that they have there.
pub fn take_held(membership: &mut Membership, held: &Held) {
    match held {
        Held::Users(users) => users.iter().for_each(|user| {
            membership.users.find_or_add(user_hash(user.as_bytes()), user.as_bytes());
        }),
        Held::Members(_, members) if members.is_empty() => {}
        Held::Members(segment, members) => {
            let bitmap = membership.add_bitmap();
            membership.bitmap_mut(bitmap).clone_from(members);
            membership.segments.insert(segment.clone(), bitmap);
        }
    }
}

/// Takes in the changes of a tick.
pub fn take_tick(membership: &mut Membership, output: &TickOutput) -> Result<(), Undecoded> {
    for change in decode(&output.changes).ok_or(Undecoded)? {
        let is_member = change.change == audience_contract::ChangeKind::Entered;
        set(membership, &change.segment_id, &change.user_id, is_member);
    }
    Ok(())
}

fn set(membership: &mut Membership, segment: &SegmentId, user: &str, is_member: bool) {
    let (slot, _) = membership.users.find_or_add(user_hash(user.as_bytes()), user.as_bytes());
    let bitmap = match membership.segments.get(segment) {
        Some(bitmap) => *bitmap,
        None => {
            let bitmap = membership.add_bitmap();
            membership.segments.insert(segment.clone(), bitmap);
            bitmap
        }
    };
    let members = membership.bitmap_mut(bitmap);
    if is_member {
        members.insert(slot);
        return;
    }
    members.remove(slot);
    if members.is_empty() {
        membership.free_bitmap(bitmap);
        membership.segments.remove(segment);
    }
}
