//! Sizes of segments over time: counted from the change log, and noted in buckets that grow with age.
//!
//! Sizes are those of what is committed, to the change. The open buckets of each segment that changes are in memory. They are
//! noted every few seconds together with the tick up to which they count, so that a start goes on with exactly what is not
//! counted yet. A segment that does not change costs nothing.

mod counts;
mod past;
mod series;
mod store;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Stop, clock};
use audience_contract::{Note, Notes, StoreError};
use audience_protocol::{Growth, PlatformError, SizeHistory, SizeQuery};
use audience_rules::ast::Millis;
use audience_rules::time::{format_time, parse_rfc3339};
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;

pub use self::counts::SizeCounts;
use self::counts::{PREFIX, PREFIX_END, REACHED, key, parts};
use self::series::{Bucket, TIERS, forgotten_before, growth, points, ranges, start_of};
use crate::catalogue::Segments;
use crate::emitted::Emitted;
use crate::occurrence::SizesNotNoted;
use audience_catalogue::unavailable;

/// Between two times that sizes are noted.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two passes that forget what is too old.
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// Between two counts.
const COUNT_INTERVAL: Duration = Duration::from_millis(200);
const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 3_600_000;

/// The sources of sizes, and the store of their buckets.
pub struct SizesContext {
    /// The change log.
    pub emitted: Arc<Emitted>,
    /// The notes that hold buckets.
    pub notes: Arc<dyn Notes>,
    /// The segments whose sizes are kept.
    pub segments: Arc<dyn Segments>,
    /// Counts writes that failed.
    pub store_errors: Counter,
}

/// The sizes of segments over time.
pub struct Sizes {
    context: SizesContext,
    /// Held while changes are counted, which may be millions.
    counts: Mutex<SizeCounts>,
    /// Segments that were deleted and whose sizes are to be forgotten, with the newest tick that was committed then.
    gone: Mutex<HashMap<String, u64>>,
}

impl Sizes {
    /// Sizes that go on from these counts.
    pub fn new(context: SizesContext, counts: SizeCounts) -> Sizes {
        Sizes { context, counts: Mutex::new(counts), gone: Mutex::default() }
    }

    /// Counts changes, and notes sizes every few seconds, until the stop is requested.
    pub fn run(&self, stop: &Stop) {
        let (mut noted, mut forgotten) = (Instant::now(), None::<Instant>);
        while !stop.is_requested() {
            stop.wait(COUNT_INTERVAL);
            // Often, so that no question about sizes waits for many changes to be counted. A fault shows when they are noted.
            drop(self.counted());
            if noted.elapsed() >= NOTE_INTERVAL {
                self.note();
                noted = Instant::now();
            }
            if forgotten.is_none_or(|forgotten| forgotten.elapsed() >= FORGET_INTERVAL) {
                if let Err(error) = self.forget_old() {
                    tracing::error!(%error, "Old sizes of segments could not be forgotten; the next pass retries");
                }
                forgotten = Some(Instant::now());
            }
        }
    }

    /// Notes what is counted. A fault is retried the next time.
    pub fn note(&self) {
        if let Err(error) = self.try_note() {
            SizesNotNoted { error: &error }.emit(&self.context.store_errors);
        }
    }

    fn try_note(&self) -> Result<(), StoreError> {
        let mut counts = self.counted()?;
        let known = self.context.segments.versions();
        counts.unnoted.retain(|key, _| parts(key).is_some_and(|(segment, ..)| known.contains_key(segment)));
        counts.segments.retain(|id, segment| segment.size > 0 || known.contains_key(&**id));
        let mut notes: Vec<Note> =
            counts.unnoted.iter().map(|(key, bucket)| (key.clone(), Some(bucket.encode()))).collect();
        if notes.is_empty() {
            return Ok(());
        }
        notes.push((REACHED.to_vec(), Some(counts.reached.to_be_bytes().to_vec())));
        self.context.notes.write(&notes)?;
        counts.unnoted.clear();
        Ok(())
    }

    /// Forgets buckets that are too old, and those of segments that are gone.
    fn forget_old(&self) -> Result<(), StoreError> {
        let (now, mut old) = (clock::now(), Vec::new());
        let known = self.context.segments.versions();
        self.context.notes.visit(PREFIX, PREFIX_END, &mut |key, _| {
            let is_kept = parts(key).is_some_and(|(segment, tier, start)| {
                known.contains_key(segment) && tier < TIERS.len() && start >= forgotten_before(now, tier)
            });
            if !is_kept {
                old.push((key.to_vec(), None));
            }
            ControlFlow::Continue(())
        })?;
        old.chunks(4096).try_for_each(|notes| self.context.notes.write(notes))
    }

    /// Forgets all sizes of a segment that was deleted, before anyone reads sizes again: the deletion does not wait for changes
    /// to be counted.
    pub fn forget(&self, id: &str) {
        self.gone.lock().insert(id.to_owned(), self.context.emitted.newest().tick);
    }

    /// Returns the sizes as of what is committed, without those of segments that were deleted.
    fn counted(&self) -> Result<MutexGuard<'_, SizeCounts>, StoreError> {
        let SizesContext { emitted, notes, .. } = &self.context;
        let mut counts = self.counts.lock();
        let mut gone: Vec<(String, u64)> = self.gone.lock().drain().collect();
        gone.sort_unstable_by_key(|(_, tick)| *tick);
        for (id, tick) in gone {
            // Changes before the deletion are forgotten with it, those of a later segment of that name are not.
            let forgotten = counts.count(emitted, &**notes, tick).and_then(|()| counts.forget(&id, &**notes));
            if let Err(error) = forgotten {
                // The next pass forgets them with what is too old.
                tracing::error!(%error, segment = id, "The sizes of a deleted segment could not be forgotten yet");
            }
        }
        counts.count(emitted, &**notes, emitted.newest().tick)?;
        Ok(counts)
    }

    /// Returns the size of a segment over time.
    pub fn history(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory, PlatformError> {
        let created_at = parse_rfc3339(&self.context.segments.created_at(id)?).unwrap_or(Millis::MIN);
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

    /// Returns the instant since which the sizes of a segment are known: it was created then, or some are older.
    fn known_from(&self, id: &str, created_at: Millis) -> Result<Millis, StoreError> {
        let coarsest = TIERS.len() - 1;
        let days = key(id, coarsest, 0)..key(id, coarsest, Millis::MAX);
        let start = |key: &[u8]| parts(key).map(|(.., start)| start);
        let (begun, unnoted) = {
            let counts = self.counted()?;
            (counts.begun, counts.unnoted.range(days.clone()).next().and_then(|(key, _)| start(key)))
        };
        let mut noted = None;
        self.context.notes.visit(&days.start, &days.end, &mut |key, _| {
            noted = start(key);
            ControlFlow::Break(())
        })?;
        // The day of its creation begins before its creation.
        let before =
            unnoted.into_iter().chain(noted).min().filter(|start| start + TIERS[coarsest].length <= created_at);
        Ok(match before {
            // If some older ones are known, it is known that there were none before those.
            Some(start) if begun == Millis::MIN => start,
            Some(_) => begun,
            None => created_at.max(begun),
        })
    }

    /// Returns the size as of what is committed, and the buckets from the one on that contains `from`, each as fine as is kept
    /// at its age.
    fn buckets(&self, id: &str, from: Millis, now: Millis) -> Result<(u64, Vec<Bucket>), StoreError> {
        let counts = self.counted()?;
        let mut found: BTreeMap<Millis, Bucket> = BTreeMap::new();
        for (tier, (begin, end)) in ranges(now).into_iter().enumerate() {
            let (first, last) = (key(id, tier, begin.max(start_of(from, TIERS[tier].length))), key(id, tier, end));
            if first >= last {
                continue;
            }
            self.context.notes.visit(&first, &last, &mut |key, bytes| {
                let bucket = parts(key).and_then(|(.., start)| Bucket::decode(start, bytes));
                found.extend(bucket.map(|bucket| (bucket.start, bucket)));
                ControlFlow::Continue(())
            })?;
            found.extend(counts.unnoted.range(first..last).map(|(_, bucket)| (bucket.start, *bucket)));
        }
        let size = counts.segments.get(id).map_or(0, |segment| segment.size);
        Ok((size, found.into_values().collect()))
    }
}
