//! The counts of members: followed from the change log, in buckets of several lengths at once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_background::clock;
use audience_contract::changes::ChangeRef;
use audience_contract::{Cause, ChangeKind, Notes, StoreError};
use audience_rules::ast::Millis;
use hashbrown::HashMap;

use super::series::{Bucket, TIERS, start_of};
use crate::emitted::Emitted;

/// The key of the note that holds the tick up to which sizes are counted.
pub(super) const REACHED: &[u8] = b"sizes";
/// The key of the note that holds the instant since which sizes are counted.
pub(super) const BEGUN: &[u8] = b"sizes begun";
/// The keys of buckets begin with this.
pub(super) const PREFIX: &[u8] = b"size/";
/// The first key after those of buckets.
pub(super) const PREFIX_END: &[u8] = b"size0";

/// The sizes of segments as of a tick.
pub struct SizeCounts {
    /// The tick.
    pub reached: u64,
    /// The instant since which sizes are counted: nothing is known of the time before.
    pub begun: Millis,
    /// The last instant counted: no later change is before it.
    pub at: Millis,
    /// By id.
    pub segments: HashMap<Arc<str>, SegmentSize>,
    /// Buckets that are not noted yet, by key.
    pub unnoted: BTreeMap<Vec<u8>, Bucket>,
}

/// The size of one segment.
#[derive(Clone, Default)]
pub struct SegmentSize {
    pub size: u64,
    /// Per tier, the open bucket if it is known.
    open: [Option<Bucket>; TIERS.len()],
    is_changed: bool,
}

impl SizeCounts {
    /// Sizes that go on from what is noted; `sizes` are those of now, as of the newest tick that is emitted. What was not
    /// counted before is counted here.
    pub fn go_on(
        emitted: &Emitted,
        notes: &dyn Notes,
        sizes: HashMap<Arc<str>, u64>,
    ) -> Result<SizeCounts, StoreError> {
        let newest = emitted.newest().tick;
        let counted = |(id, size)| (id, SegmentSize { size, ..SegmentSize::default() });
        let segments = sizes.into_iter().map(counted).collect();
        let noted = notes.get(REACHED)?;
        let noted = noted.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let counted = noted.unwrap_or_default();
        let can_go_on = counted <= newest && emitted.floor()? <= counted + 1;
        let reached = if can_go_on { counted } else { newest };
        let begun = begun(notes, noted.is_some(), can_go_on)?;
        let mut counts = SizeCounts { reached, begun, at: Millis::MIN, segments, unnoted: BTreeMap::new() };
        let mut since: HashMap<Arc<str>, i64> = HashMap::new();
        emitted.each_change(reached.saturating_add(1)..=newest, &mut |_, change| {
            *since.entry_ref(change.segment_id).or_default() += net(change.change);
        })?;
        for (segment, net) in since {
            let known = counts.segments.entry(segment).or_default();
            known.size = known.size.saturating_add_signed(-net);
        }
        counts.count(emitted, notes, newest)?;
        Ok(counts)
    }
}

/// Returns the instant since which sizes are counted. At the first start, and after a gap, that is now, and is noted.
fn begun(notes: &dyn Notes, is_noted: bool, can_go_on: bool) -> Result<Millis, StoreError> {
    let known = notes.get(BEGUN)?.and_then(|bytes| bytes.try_into().ok()).map(Millis::from_be_bytes);
    match known {
        Some(known) if can_go_on => Ok(known),
        // Early builds did not note it.
        None if can_go_on && is_noted => Ok(Millis::MIN),
        _ => {
            let now = clock::now();
            notes.write(&[(BEGUN.to_vec(), Some(now.to_be_bytes().to_vec()))])?;
            Ok(now)
        }
    }
}

fn net(change: ChangeKind) -> i64 {
    if change == ChangeKind::Entered { 1 } else { -1 }
}

impl SizeCounts {
    /// Counts what is committed up to that tick.
    pub fn count(&mut self, emitted: &Emitted, notes: &dyn Notes, up_to: u64) -> Result<(), StoreError> {
        if up_to <= self.reached {
            return Ok(());
        }
        let (first, mut failed) = (self.reached + 1, None);
        emitted.each_change(first..=up_to, &mut |tick, change| {
            self.reached = tick;
            failed = failed.take().or(self.count_one(change, notes).err());
        })?;
        self.reached = up_to;
        self.touch();
        failed.map_or(Ok(()), Err)
    }

    /// Counts one change.
    pub fn count_one(&mut self, change: ChangeRef<'_>, notes: &dyn Notes) -> Result<(), StoreError> {
        self.at = change.at.max(self.at);
        let segment = self.segments.entry_ref(change.segment_id).or_default();
        segment.count(change, self.at, notes, &mut self.unnoted)
    }

    /// Moves copies of the open buckets of changed segments to those that are to be noted.
    pub fn touch(&mut self) {
        let SizeCounts { segments, unnoted, .. } = self;
        for (id, segment) in segments.iter_mut().filter(|(_, segment)| segment.is_changed) {
            segment.is_changed = false;
            let open = segment.open.iter().enumerate().filter_map(|(tier, bucket)| Some((tier, (*bucket)?)));
            unnoted.extend(open.map(|(tier, bucket)| (key(id, tier, bucket.start), bucket)));
        }
    }

    /// Forgets the sizes of a segment as far as they are counted.
    pub fn forget(&mut self, id: &str, notes: &dyn Notes) -> Result<(), StoreError> {
        let (prefix, mut noted) = (prefix(id, None), Vec::new());
        self.unnoted.retain(|key, _| !key.starts_with(&prefix));
        if let Some(segment) = self.segments.get_mut(id) {
            segment.open = Default::default();
        }
        let end = [prefix.as_slice(), &[TIERS.len() as u8]].concat();
        notes.visit(&prefix, &end, &mut |key, _| {
            noted.push((key.to_vec(), None));
            ControlFlow::Continue(())
        })?;
        notes.write(&noted)
    }
}

impl SegmentSize {
    fn count(
        &mut self,
        change: ChangeRef<'_>,
        at: Millis,
        notes: &dyn Notes,
        unnoted: &mut BTreeMap<Vec<u8>, Bucket>,
    ) -> Result<(), StoreError> {
        let is_entered = change.change == ChangeKind::Entered;
        self.size = self.size.saturating_add_signed(net(change.change));
        self.is_changed = true;
        for (tier, open) in self.open.iter_mut().enumerate() {
            let start = start_of(at, TIERS[tier].length);
            let bucket = match open {
                Some(bucket) if bucket.start == start => bucket,
                _ => {
                    let key = key(change.segment_id, tier, start);
                    if let Some(full) = open.take() {
                        unnoted.insert(self::key(change.segment_id, tier, full.start), full);
                    }
                    let noted = match unnoted.get(&key) {
                        Some(bucket) => Some(*bucket),
                        None => notes.get(&key)?.and_then(|bytes| Bucket::decode(start, &bytes)),
                    };
                    open.insert(noted.unwrap_or(Bucket { start, ..Bucket::default() }))
                }
            };
            bucket.count(is_entered, change.cause == Cause::Rule, at, self.size);
        }
        Ok(())
    }
}

/// The prefix of the keys of a segment's buckets, of all tiers or of one.
fn prefix(segment: &str, tier: Option<usize>) -> Vec<u8> {
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut key = [PREFIX, &length, segment.as_bytes()].concat();
    key.extend(tier.map(|tier| tier as u8));
    key
}

/// The key of a bucket.
pub(super) fn key(segment: &str, tier: usize, start: Millis) -> Vec<u8> {
    let mut key = prefix(segment, Some(tier));
    // No bucket is older than 1970.
    key.extend_from_slice(&start.max(0).to_be_bytes());
    key
}

/// Returns the segment, tier and start in a key.
pub(super) fn parts(key: &[u8]) -> Option<(&str, usize, Millis)> {
    let (length, rest) = key.strip_prefix(PREFIX)?.split_first_chunk::<2>()?;
    let (segment, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (tier, start) = rest.split_first()?;
    let start = Millis::from_be_bytes(start.try_into().ok()?);
    Some((std::str::from_utf8(segment).ok()?, usize::from(*tier), start))
}
