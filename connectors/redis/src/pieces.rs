//! Changes as commands, in pieces.

use audience_contract::{ChangeKind, LastChanges, MembershipChange};

use crate::request::Request;
use crate::settings::RedisSettings;

/// Changes in one piece: Redis serves nobody else for about a millisecond.
const PIECE: usize = 1_000;

/// Gives the commands for the last change of each membership to `take`, piece by piece, as far as it gives true. They may be
/// carried out in any order.
pub(crate) fn each(settings: &RedisSettings, changes: &[MembershipChange], take: &mut dyn FnMut(Request) -> bool) {
    let mut last = LastChanges::of(changes);
    let mut pieces = Pieces { piece: Request::default(), changes: 0, is_taken: true, take };
    for changes in last.by_user() {
        let key = settings.user_key(&changes[0].user_id);
        pieces.put(&changes, |of_user, entered, piece| match entered {
            true => {
                piece.command(2 + 2 * of_user.len()).part("HSET").part(&key);
                for change in of_user {
                    piece.part(&*change.segment_id).part(change.at.to_string());
                }
            }
            false => {
                let segments = of_user.iter().map(|change| &*change.segment_id);
                piece.command(2 + of_user.len()).part("HDEL").part(&key).parts(segments.map(str::as_bytes));
            }
        });
    }
    for changes in last.by_segment() {
        let key = settings.segment_key(&changes[0].segment_id);
        pieces.put(&changes, |of_segment, entered, piece| {
            let users = of_segment.iter().map(|change| change.user_id.as_bytes());
            let name = if entered { "SADD" } else { "SREM" };
            piece.command(2 + of_segment.len()).part(name).part(&key).parts(users);
        });
    }
    pieces.end();
}

struct Pieces<'a> {
    piece: Request,
    /// In the piece.
    changes: usize,
    is_taken: bool,
    take: &'a mut dyn FnMut(Request) -> bool,
}

impl Pieces<'_> {
    /// Puts the changes of one key, those that entered and those that left by a command each, and one more where a piece ends.
    fn put(&mut self, changes: &[&MembershipChange], write: impl Fn(&[&MembershipChange], bool, &mut Request)) {
        let parted = changes.iter().partition(|change| change.change == ChangeKind::Entered);
        let (entered, left): (Vec<&MembershipChange>, Vec<&MembershipChange>) = parted;
        for (mut changes, entered) in [(&entered[..], true), (&left[..], false)] {
            while !changes.is_empty() && self.is_taken {
                let (now, later) = changes.split_at(changes.len().min(PIECE - self.changes));
                write(now, entered, &mut self.piece);
                self.changes += now.len();
                changes = later;
                if self.changes == PIECE {
                    self.end();
                }
            }
        }
    }

    fn end(&mut self) {
        if self.changes > 0 && self.is_taken {
            self.is_taken = (self.take)(std::mem::take(&mut self.piece));
            self.changes = 0;
        }
    }
}
