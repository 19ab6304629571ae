//! Sizes written to a store: the finished minutes that are noted, from the store's position on.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{Failure, Job, JobHandle, Outcome, Runner, Stop, clock};
use audience_contract::{SinkError, SizeSample, SizeStore};
use audience_rules::ast::Millis;

use super::series::{Bucket, end_of, start_of};
use super::{DAY, MINUTE, Sizes};
use crate::metrics::SinkMetrics;
use crate::store_write::WriteError;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(10);
/// The time after its end at which a minute is finished: changes are emitted to the second.
const SETTLED: Millis = 5_000;
/// Samples in one write.
const AT_ONCE: usize = 20_000;

impl Sizes {
    /// Starts to write sizes over time to a store too: what it does not hold, and then each minute that ends.
    pub fn write_to(
        self: &Arc<Self>,
        mut store: Box<dyn SizeStore>,
        metrics: SinkMetrics,
        runner: &Runner,
    ) -> io::Result<JobHandle> {
        let (sizes, name, failures) = (self.clone(), store.name().to_owned(), metrics.clone());
        let job = Job::new(format!("sink {name}"), ROUND)
            .complaint("The sink does not take sizes of segments")
            .on_failure(move |_| failures.failed(&name));
        runner.start(job, move |pass| {
            sizes.write_finished(&mut *store, &metrics, pass.stop)?;
            Ok::<Outcome, Failure<WriteError>>(Outcome::Idle)
        })
    }

    /// Writes the finished minutes that the store does not hold. The store says each time what it holds, since it may have lost
    /// everything.
    fn write_finished(&self, store: &mut dyn SizeStore, metrics: &SinkMetrics, stop: &Stop) -> Result<(), WriteError> {
        let up_to = start_of(self.context.emitted.newest().clock - SETTLED, MINUTE);
        let reached = store.reached()?;
        if up_to <= reached.unwrap_or(0) {
            return Ok(());
        }
        let mut samples = Vec::new();
        for id in self.context.segments.versions().into_keys() {
            if stop.is_requested() {
                return Ok(());
            }
            let now = clock::now();
            let (size, buckets) = self.buckets(&id, reached.unwrap_or(0), now)?;
            let id: Arc<str> = id.into();
            let new = samples_of(&buckets, size, now, reached, up_to);
            samples.extend(new.into_iter().map(|(at, size)| SizeSample { segment_id: id.clone(), at, size }));
            if samples.len() >= AT_ONCE {
                write(store, metrics, &mut samples)?;
            }
        }
        write(store, metrics, &mut samples)?;
        Ok(store.reach(up_to)?)
    }
}

fn write(store: &mut dyn SizeStore, metrics: &SinkMetrics, samples: &mut Vec<SizeSample>) -> Result<(), SinkError> {
    if !samples.is_empty() {
        let begun = Instant::now();
        store.write(samples)?;
        metrics.written(store.name(), samples.len(), begun.elapsed());
        samples.clear();
    }
    Ok(())
}

/// Returns sizes by instant, after `reached` and up to `up_to`: at the end of each minute in which the size changed, and at the
/// beginning of each day. `buckets` are those after `reached` as they are read now, `size` is the size after all of them.
fn samples_of(
    buckets: &[Bucket],
    size: u64,
    now: Millis,
    reached: Option<Millis>,
    up_to: Millis,
) -> BTreeMap<Millis, u64> {
    // A segment that the store does not know has its first day from the beginning on.
    let first = buckets.first().map_or(up_to, |bucket| bucket.start.min(up_to));
    let behind = reached.unwrap_or(start_of(first, DAY) - 1);
    let mut samples: BTreeMap<Millis, u64> = BTreeMap::new();
    let (mut day, mut before) = (start_of(behind, DAY) + DAY, buckets.first().map_or(size, Bucket::size_before));
    for bucket in buckets {
        while day <= bucket.start.min(up_to) {
            samples.insert(day, before);
            day += DAY;
        }
        before = bucket.size;
        let end = end_of(bucket, now);
        let end = start_of(end + MINUTE - 1, MINUTE);
        if behind < end && end <= up_to {
            samples.insert(end, bucket.size);
        }
    }
    while day <= up_to {
        samples.insert(day, before);
        day += DAY;
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = 20_000 * DAY + DAY / 2;

    fn bucket(start: Millis, size: u64, entered: u64, left: u64) -> Bucket {
        Bucket { start, size, entered, left, ..Bucket::default() }
    }

    fn seen(buckets: &[Bucket], size: u64, reached: Option<Millis>, up_to: Millis) -> Vec<(Millis, u64)> {
        samples_of(buckets, size, NOON + 3 * MINUTE, reached, up_to).into_iter().collect()
    }

    #[test]
    fn minutes_that_are_finished_and_beginnings_of_days() {
        let buckets = [
            bucket(NOON, 3, 3, 0),
            bucket(NOON + 10_000, 2, 0, 1),
            bucket(NOON + 60_000, 9, 7, 0),
            bucket(NOON + 120_000, 4, 0, 5),
        ];
        let day = 20_000 * DAY;
        let (first, second) = ((NOON + 60_000, 2), (NOON + 120_000, 9));
        assert_eq!(seen(&buckets, 4, None, NOON + 120_000), [(day, 0), first, second], "the open minute is not there");
        assert_eq!(seen(&buckets, 4, None, NOON + 60_000), [(day, 0), first]);
        assert_eq!(seen(&buckets[2..], 4, Some(NOON + 60_000), NOON + 120_000), [second], "only what is new");
        assert_eq!(seen(&buckets, 4, Some(NOON + 60_000), NOON + 120_000), [second]);
        assert_eq!(seen(&[], 4, Some(NOON), NOON + 60_000), [], "nothing has changed");
        assert_eq!(seen(&[], 4, None, NOON), [(day, 4)]);
    }

    #[test]
    fn every_day_has_its_beginning_whether_anything_changed_or_not() {
        // By the day where it is old, and of yesterday by the minute.
        let (old, yesterday) = (19_700 * DAY, NOON - DAY);
        let samples = seen(&[bucket(old, 5, 6, 1), bucket(yesterday, 8, 3, 0)], 8, None, NOON);
        assert_eq!(samples.len(), 302, "301 days and one minute");
        assert_eq!(samples[..2], [(old, 0), (old + DAY, 5)]);
        let last = [(yesterday + 60_000, 8), (20_000 * DAY, 8)];
        assert_eq!(samples[299..], [[(19_999 * DAY, 5)].as_slice(), &last].concat());
        assert_eq!(seen(&[], 8, Some(NOON - 2 * DAY), NOON), [(19_999 * DAY, 8), (20_000 * DAY, 8)]);
        // Broken off within a day that is read as a whole by now: its end is new.
        assert_eq!(seen(&[bucket(old, 5, 6, 1)], 5, Some(old + 3 * MINUTE), old + DAY), [(old + DAY, 5)]);
    }
}
