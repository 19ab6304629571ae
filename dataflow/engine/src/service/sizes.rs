//! How large segments were: followed from the change log, and noted in buckets that grow with age.
//!
//! Sizes are those of what is committed, to the change. Of each segment that changes, the bucket of every length that is
//! open is in memory; it is noted every few seconds together with the tick up to which it counts, so that a start goes on
//! with exactly what is not counted yet. A segment that does not change costs nothing.

mod outside;
mod past;
mod series;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_catalogue::unavailable;
use audience_contract::{Cause, ChangeKind, ChangeLog, Note, Notes, Progress, StoreError};
use audience_protocol::{Growth, PlatformError, SizeHistory, SizeQuery, SizesNow};
use audience_rules::ast::Millis;
use audience_rules::time::{format_time, parse_rfc3339};
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};

use self::series::{Bucket, TIERS, forgotten_before, growth, points, ranges, start_of};
use super::changes::{ChangeRef, visit};
use super::follow::undecoded;
use super::{PlatformStores, Service, clock};
use crate::engine::{Engine, EngineError};

/// Between two times that sizes are noted.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two looks for what is too old.
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// Between looks at whether all is over.
const LOOK: Duration = Duration::from_millis(200);
const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 3_600_000;

/// Under which the tick is noted up to which sizes count.
const REACHED: &[u8] = b"sizes";
/// Under which it is noted since when sizes are counted.
const BEGUN: &[u8] = b"sizes begun";
const PREFIX: &[u8] = b"size/";
const PREFIX_END: &[u8] = b"size0";

/// Sizes of segments, as far as they are counted.
pub struct Sizes {
    /// Held while changes are counted, which may be millions.
    state: Mutex<State>,
    /// Segments that were deleted and whose sizes are to be forgotten, with the newest tick committed then.
    gone: Mutex<HashMap<String, u64>>,
}

struct State {
    reached: u64,
    /// Since when sizes are counted: of before that nothing is known.
    begun: Millis,
    /// The last instant counted: what comes behind it is not before it.
    at: Millis,
    segments: HashMap<Arc<str>, Segment>,
    /// What is not noted yet.
    unnoted: BTreeMap<Vec<u8>, Bucket>,
}

#[derive(Clone, Default)]
struct Segment {
    size: u64,
    /// Of each tier the bucket that is open, where it is known.
    open: [Option<Bucket>; TIERS.len()],
    is_changed: bool,
}

impl Sizes {
    /// The state is exactly that of `given`: what was not counted before that is counted now.
    pub fn as_of(engine: &Engine, stores: &PlatformStores, given: Progress) -> Result<Sizes, EngineError> {
        let sizes = engine.sizes();
        let segments: HashMap<Arc<str>, Segment> =
            sizes.iter().map(|(id, size)| (id.clone(), Segment { size: *size, ..Segment::default() })).collect();
        drop(sizes);
        let noted = stores.notes.get(REACHED)?;
        let noted = noted.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let counted = noted.unwrap_or_default();
        let can_go_on = counted <= given.tick && stores.changes.floor()? <= counted + 1;
        let reached = if can_go_on { counted } else { given.tick };
        let begun = begun(&*stores.notes, noted.is_some(), can_go_on)?;
        let mut state = State { reached, begun, at: Millis::MIN, segments, unnoted: BTreeMap::new() };
        let mut since: HashMap<Arc<str>, i64> = HashMap::new();
        each_change(&*stores.changes, reached, given.tick, &mut |_, change| {
            *since.entry_ref(change.segment_id).or_default() += net(change.change);
        })?;
        for (segment, net) in since {
            let known = state.segments.entry(segment).or_default();
            known.size = known.size.saturating_add_signed(-net);
        }
        state.count(stores, given.tick)?;
        Ok(Sizes { state: Mutex::new(state), gone: Mutex::default() })
    }
}

/// Since when sizes are counted, noted where that is now: at the first start, and where there is a gap.
fn begun(notes: &dyn Notes, is_noted: bool, can_go_on: bool) -> Result<Millis, StoreError> {
    let known = notes.get(BEGUN)?.and_then(|bytes| bytes.try_into().ok()).map(Millis::from_be_bytes);
    match known {
        Some(known) if can_go_on => Ok(known),
        // It was not noted always.
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

/// The changes behind a tick, up to another.
fn each_change(
    log: &dyn ChangeLog,
    behind: u64,
    up_to: u64,
    take: &mut dyn FnMut(u64, ChangeRef<'_>),
) -> Result<(), StoreError> {
    let mut failed = None;
    log.read(behind.saturating_add(1), &mut |tick, bytes| {
        if tick > up_to {
            return ControlFlow::Break(());
        }
        let visited = visit(bytes, &mut |change| {
            take(tick, change);
            ControlFlow::Continue(())
        });
        if visited.is_none() {
            failed = Some(undecoded(tick));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(()), Err)
}

impl State {
    /// Counts what is committed up to that tick.
    fn count(&mut self, stores: &PlatformStores, up_to: u64) -> Result<(), StoreError> {
        if up_to <= self.reached {
            return Ok(());
        }
        let (behind, mut failed) = (self.reached, None);
        each_change(&*stores.changes, behind, up_to, &mut |tick, change| {
            self.reached = tick;
            failed = failed.take().or(self.count_one(change, &*stores.notes).err());
        })?;
        self.reached = up_to;
        self.touch();
        failed.map_or(Ok(()), Err)
    }

    fn count_one(&mut self, change: ChangeRef<'_>, notes: &dyn Notes) -> Result<(), StoreError> {
        self.at = change.at.max(self.at);
        let segment = self.segments.entry_ref(change.segment_id).or_default();
        segment.count(change, self.at, notes, &mut self.unnoted)
    }

    /// Makes the open buckets of what has changed ones that are to be noted.
    fn touch(&mut self) {
        let State { segments, unnoted, .. } = self;
        for (id, segment) in segments.iter_mut().filter(|(_, segment)| segment.is_changed) {
            segment.is_changed = false;
            let open = segment.open.iter().enumerate().filter_map(|(tier, bucket)| Some((tier, (*bucket)?)));
            unnoted.extend(open.map(|(tier, bucket)| (key(id, tier, bucket.start), bucket)));
        }
    }

    /// Forgets the sizes of a segment as far as they are counted.
    fn forget(&mut self, id: &str, notes: &dyn Notes) -> Result<(), StoreError> {
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

impl Segment {
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

/// Of a segment, all or those of a tier.
fn prefix(segment: &str, tier: Option<usize>) -> Vec<u8> {
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut key = [PREFIX, &length, segment.as_bytes()].concat();
    key.extend(tier.map(|tier| tier as u8));
    key
}

fn key(segment: &str, tier: usize, start: Millis) -> Vec<u8> {
    let mut key = prefix(segment, Some(tier));
    // Before 1970 nothing is kept.
    key.extend_from_slice(&start.max(0).to_be_bytes());
    key
}

/// The segment, tier and start in a key.
fn parts(key: &[u8]) -> Option<(&str, usize, Millis)> {
    let (length, rest) = key.strip_prefix(PREFIX)?.split_first_chunk::<2>()?;
    let (segment, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (tier, start) = rest.split_first()?;
    let start = Millis::from_be_bytes(start.try_into().ok()?);
    Some((std::str::from_utf8(segment).ok()?, usize::from(*tier), start))
}

impl Service {
    /// Notes sizes every few seconds until the platform ends.
    pub(super) fn keep_sizes(&self) -> Result<(), EngineError> {
        let (mut noted, mut forgotten) = (Instant::now(), None::<Instant>);
        while !self.is_ending() {
            super::pause(LOOK);
            // Often, so that nobody who asks for sizes waits for many changes to be counted. What fails is told when they are noted.
            drop(self.counted());
            if noted.elapsed() >= NOTE_INTERVAL {
                self.note_sizes();
                noted = Instant::now();
            }
            if forgotten.is_none_or(|forgotten| forgotten.elapsed() >= FORGET_INTERVAL) {
                if let Err(error) = self.forget_old_sizes() {
                    tracing::error!(%error, "old sizes of segments are not forgotten yet");
                }
                forgotten = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// Notes what is counted. What fails is tried again the next time.
    pub(super) fn note_sizes(&self) {
        if let Err(error) = self.try_note_sizes() {
            self.metrics.store_failed();
            tracing::error!(%error, "sizes of segments are not noted; trying again");
        }
    }

    fn try_note_sizes(&self) -> Result<(), StoreError> {
        let mut state = self.counted()?;
        let known = self.editor.read(|documents| documents.segments.keys().cloned().collect::<hashbrown::HashSet<_>>());
        state.unnoted.retain(|key, _| parts(key).is_some_and(|(segment, ..)| known.contains(segment)));
        state.segments.retain(|id, segment| segment.size > 0 || known.contains(&**id));
        let mut notes: Vec<Note> =
            state.unnoted.iter().map(|(key, bucket)| (key.clone(), Some(bucket.encode()))).collect();
        if notes.is_empty() {
            return Ok(());
        }
        notes.push((REACHED.to_vec(), Some(state.reached.to_be_bytes().to_vec())));
        self.stores.notes.write(&notes)?;
        state.unnoted.clear();
        Ok(())
    }

    /// Forgets what is too old, and what is of segments that are gone.
    fn forget_old_sizes(&self) -> Result<(), StoreError> {
        let (now, mut old) = (clock::now(), Vec::new());
        let known = self.editor.read(|documents| documents.segments.keys().cloned().collect::<hashbrown::HashSet<_>>());
        self.stores.notes.visit(PREFIX, PREFIX_END, &mut |key, _| {
            let is_kept = parts(key).is_some_and(|(segment, tier, start)| {
                known.contains(segment) && tier < TIERS.len() && start >= forgotten_before(now, tier)
            });
            if !is_kept {
                old.push((key.to_vec(), None));
            }
            ControlFlow::Continue(())
        })?;
        old.chunks(4096).try_for_each(|notes| self.stores.notes.write(notes))
    }

    /// Forgets all sizes of a segment that is deleted, before anybody looks at them again: the deletion does not wait for
    /// changes to be counted.
    pub(super) fn forget_sizes(&self, id: &str) {
        self.sizes.gone.lock().insert(id.to_owned(), self.committed.newest());
    }

    /// Sizes as of what is committed, without those of segments that were deleted.
    fn counted(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.sizes.state.lock();
        let mut gone: Vec<(String, u64)> = self.sizes.gone.lock().drain().collect();
        gone.sort_unstable_by_key(|(_, tick)| *tick);
        for (id, tick) in gone {
            // What came about before the deletion is forgotten with it, and what comes of a segment of that name later is not.
            let forgotten = state.count(&self.stores, tick).and_then(|()| state.forget(&id, &*self.stores.notes));
            if let Err(error) = forgotten {
                // Done within the hour, with what is too old.
                tracing::error!(%error, segment = id, "its sizes are not forgotten yet");
            }
        }
        state.count(&self.stores, self.committed.newest())?;
        Ok(state)
    }

    /// How large all segments are now.
    pub(super) fn all_sizes(&self) -> SizesNow {
        let in_force_version = self.editor.in_force();
        let (catalogue_version, ids) = self
            .editor
            .read(|documents| (documents.version, documents.segments.keys().cloned().collect::<Vec<String>>()));
        let known = self.engine.sizes();
        let sizes = ids.into_iter().map(|id| (known.get(id.as_str()).copied().unwrap_or_default(), id));
        SizesNow { catalogue_version, in_force_version, sizes: sizes.map(|(size, id)| (id, size)).collect() }
    }

    /// How large a segment was.
    pub(super) fn size_history(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory, PlatformError> {
        let created_at = parse_rfc3339(&self.editor.segment(id)?.created_at).unwrap_or(Millis::MIN);
        let now = clock::now();
        let first = query.from.div_euclid(query.step) * query.step;
        let (size, buckets) = self.buckets(id, first.min(now - 7 * DAY), now).map_err(unavailable)?;
        let known_from = self.known_from(id, created_at).map_err(unavailable)?;
        let growth = |since: Millis| growth(&buckets, size, since, known_from);
        let asked = &buckets[buckets.partition_point(|bucket| bucket.start < first)..];
        Ok(SizeHistory {
            segment_id: id.to_owned(),
            size,
            known_since: format_time(known_from),
            points: points(asked, size, query, now),
            growth: Growth { day: growth(now - DAY), week: growth(now - 7 * DAY) },
        })
    }

    /// Since when the sizes of a segment are known: it was created then, or there are some of before.
    fn known_from(&self, id: &str, created_at: Millis) -> Result<Millis, StoreError> {
        let coarsest = TIERS.len() - 1;
        let days = key(id, coarsest, 0)..key(id, coarsest, Millis::MAX);
        let start = |key: &[u8]| parts(key).map(|(.., start)| start);
        let (begun, unnoted) = {
            let state = self.counted()?;
            (state.begun, state.unnoted.range(days.clone()).next().and_then(|(key, _)| start(key)))
        };
        let mut noted = None;
        self.stores.notes.visit(&days.start, &days.end, &mut |key, _| {
            noted = start(key);
            ControlFlow::Break(())
        })?;
        // A day that it was created in begins before that.
        let before =
            unnoted.into_iter().chain(noted).min().filter(|start| start + TIERS[coarsest].length <= created_at);
        Ok(match before {
            // Where some of before are known, it is known that there were none before those.
            Some(start) if begun == Millis::MIN => start,
            Some(_) => begun,
            None => created_at.max(begun),
        })
    }

    /// The size as of what is committed, and the buckets from the one on that has `from` in it, each as fine as is kept of
    /// its age.
    fn buckets(&self, id: &str, from: Millis, now: Millis) -> Result<(u64, Vec<Bucket>), StoreError> {
        let state = self.counted()?;
        let mut found: BTreeMap<Millis, Bucket> = BTreeMap::new();
        for (tier, (begin, end)) in ranges(now).into_iter().enumerate() {
            let (first, last) = (key(id, tier, begin.max(start_of(from, TIERS[tier].length))), key(id, tier, end));
            if first >= last {
                continue;
            }
            self.stores.notes.visit(&first, &last, &mut |key, bytes| {
                let bucket = parts(key).and_then(|(.., start)| Bucket::decode(start, bytes));
                found.extend(bucket.map(|bucket| (bucket.start, bucket)));
                ControlFlow::Continue(())
            })?;
            found.extend(state.unnoted.range(first..last).map(|(_, bucket)| (bucket.start, *bucket)));
        }
        let size = state.segments.get(id).map_or(0, |segment| segment.size);
        Ok((size, found.into_values().collect()))
    }
}
