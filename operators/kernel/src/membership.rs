//! The memberships of one worker's users, which the APIs read while the worker writes.

use std::hint::black_box;
use std::sync::Arc;

use audience_rules::ast::SegmentId;
use compact_str::CompactString;
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;

use crate::registry::BitmapId;

/// The number of shards that users are dealt into, by the hash of their id: more than any cluster has workers.
pub const SHARDS: u64 = 256;

/// The hash that decides where a user lives.
pub fn user_hash(id: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id)
}

/// The shard of a user.
pub fn shard_of(id: &[u8]) -> u64 {
    user_hash(id) % SHARDS
}

/// Users' ids, each with a dense number.
#[derive(Default)]
pub struct UserIds {
    /// In place where short, as most are.
    ids: Vec<CompactString>,
    /// The shard of each user, for checkpoints, which are written shard by shard.
    shards: Vec<u8>,
    slots: HashTable<u32>,
}

impl UserIds {
    /// The number of a user, if they have one.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.slots.find(user_hash(id.as_bytes()), |slot| self.ids[*slot as usize] == id).copied()
    }

    /// Prefetches the ids of these hashes, so that one load need not wait for another.
    pub fn fetch(&self, hashes: impl Iterator<Item = u64>) {
        let mut read = 0;
        for hash in hashes {
            self.slots.find(hash, |slot| {
                read += self.ids[*slot as usize].len();
                false
            });
        }
        black_box(read);
    }

    /// The number of a user, given where they have none; and whether it was. `hash` is that of the id.
    pub fn find_or_add(&mut self, hash: u64, id: &[u8]) -> (u32, bool) {
        if let Some(slot) = self.slots.find(hash, |slot| self.ids[*slot as usize].as_bytes() == id) {
            return (*slot, false);
        }
        let slot = self.ids.len() as u32;
        self.ids.push(std::str::from_utf8(id).map_or_else(|_| CompactString::from_utf8_lossy(id), CompactString::new));
        self.shards.push((hash % SHARDS) as u8);
        let ids = &self.ids;
        self.slots.insert_unique(hash, slot, |slot| user_hash(ids[*slot as usize].as_bytes()));
        (slot, true)
    }

    /// The id of a number.
    pub fn id(&self, slot: u32) -> &str {
        &self.ids[slot as usize]
    }

    /// The shard of a number.
    pub fn shard(&self, slot: u32) -> u8 {
        self.shards[slot as usize]
    }

    /// Returns the number of users.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether none has.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A member to be entered or removed.
#[derive(Clone, Copy, Default)]
pub struct MemberUpdate {
    /// The bitmap.
    pub bitmap: BitmapId,
    /// The user.
    pub slot: u32,
    /// True if they are in it from now on.
    pub inside: bool,
}

/// More updates than this are put in the order of their bitmaps first, so that each bitmap is fetched from memory once.
const FEW_UPDATES: usize = 1024;

/// The memberships of one worker's users.
#[derive(Default)]
pub struct Membership {
    /// The users.
    pub users: UserIds,
    bitmaps: Vec<RoaringBitmap>,
    free: Vec<BitmapId>,
    /// The bitmap of each active segment.
    pub segments: HashMap<SegmentId, BitmapId>,
}

impl Membership {
    /// An empty bitmap.
    pub fn add_bitmap(&mut self) -> BitmapId {
        self.free.pop().unwrap_or_else(|| {
            self.bitmaps.push(RoaringBitmap::new());
            self.bitmaps.len() as u32 - 1
        })
    }

    /// Gives a bitmap back; and what it held.
    pub fn free_bitmap(&mut self, id: BitmapId) -> RoaringBitmap {
        self.free.push(id);
        std::mem::take(&mut self.bitmaps[id as usize])
    }

    /// A bitmap.
    pub fn bitmap(&self, id: BitmapId) -> &RoaringBitmap {
        &self.bitmaps[id as usize]
    }

    /// A bitmap.
    pub fn bitmap_mut(&mut self, id: BitmapId) -> &mut RoaringBitmap {
        &mut self.bitmaps[id as usize]
    }

    /// Enters and removes members; the last update of a member counts. `sorted` is a buffer to be used again.
    pub fn update(&mut self, updates: &[MemberUpdate], sorted: &mut Vec<MemberUpdate>) {
        let updates = if updates.len() > FEW_UPDATES {
            sort_by_bitmap(updates, sorted);
            &sorted[..]
        } else {
            updates
        };
        for MemberUpdate { bitmap, slot, inside } in updates {
            let bitmap = self.bitmap_mut(*bitmap);
            if *inside {
                bitmap.insert(*slot);
            } else {
                bitmap.remove(*slot);
            }
        }
    }

    /// Returns whether a user is in a segment.
    pub fn is_member(&self, segment: &SegmentId, slot: u32) -> bool {
        self.segments.get(segment).is_some_and(|bitmap| self.bitmaps[*bitmap as usize].contains(slot))
    }

    /// The segments that a user is in, in no order.
    pub fn segments_of<'a>(&'a self, user: &str) -> impl Iterator<Item = &'a Arc<str>> {
        let slot = self.users.find(user);
        self.segments
            .iter()
            .filter(move |(_, bitmap)| slot.is_some_and(|slot| self.bitmaps[**bitmap as usize].contains(slot)))
            .map(|(segment, _)| segment)
    }

    /// Returns the number of these users that are in a segment.
    pub fn size(&self, segment: &str) -> u64 {
        self.segments.get(segment).map_or(0, |bitmap| self.bitmaps[*bitmap as usize].len())
    }

    /// The members of a segment among these users, in no order.
    pub fn members<'a>(&'a self, segment: &str) -> impl Iterator<Item = &'a str> {
        let bitmap = self.segments.get(segment).map(|bitmap| &self.bitmaps[*bitmap as usize]);
        bitmap.into_iter().flatten().map(|slot| self.users.id(slot))
    }
}

/// Puts updates in the order of their bitmaps; those of one bitmap stay in theirs.
fn sort_by_bitmap(updates: &[MemberUpdate], sorted: &mut Vec<MemberUpdate>) {
    let bound = updates.iter().map(|update| update.bitmap as usize + 1).max().unwrap_or(0);
    let mut places = vec![0usize; bound + 1];
    for update in updates {
        places[update.bitmap as usize + 1] += 1;
    }
    for bitmap in 1..places.len() {
        places[bitmap] += places[bitmap - 1];
    }
    sorted.clear();
    sorted.resize(updates.len(), MemberUpdate::default());
    for update in updates {
        let place = &mut places[update.bitmap as usize];
        sorted[*place] = *update;
        *place += 1;
    }
}

#[cfg(test)]
mod tests;
