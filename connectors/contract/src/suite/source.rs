//! Checks of [`Source`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{Batch, Header, Message, Share, Source, SourceError, SourcePosition};

/// How long something may take to arrive. No check waits for less when it fails, none for all of it when it holds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing is waited for.
const SHORT: Duration = Duration::from_millis(300);

/// The log that a source reads, as the check fills it. It begins with three empty partitions.
pub trait Feed {
    /// Appends a message, durable on return; without a value it is a tombstone.
    fn put(&mut self, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]);

    /// Adds partitions, until there are so many.
    fn grow(&mut self, partitions: u32);

    /// Removes the messages of a partition below an offset.
    fn remove(&mut self, partition: u32, below: u64);
}

/// Every sentence of [`Source`]. `make` gives sources that begin at the earliest message, stop where one is gone, and
/// give at most 100 messages and some 10,000 bytes a batch.
pub fn source(feed: &mut dyn Feed, make: &mut dyn FnMut() -> Box<dyn Source>) {
    let mut source = make();
    open(&mut *source, &[], Share::ALL);
    let first = source.poll(SHORT).expect("poll");
    assert_eq!(first.messages, [], "there is nothing at first");
    assert_eq!(first.positions.len(), 3, "of a source that was never read it is told where each partition begins");
    whole(feed, &mut *source);
    let mut taken = Taken::default();
    bounded(feed, make, &mut taken);
    resumes(feed, make, &taken);
    shares(make, &taken);
    grows(feed, make, &taken);
    gone(feed, make, &taken);
}

/// Opens, as often as it takes: a fault that passes is none.
fn open(source: &mut dyn Source, positions: &[SourcePosition], share: Share) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match source.open(positions, share) {
            Err(SourceError::Transient(fault)) => assert!(Instant::now() < deadline, "open: {fault}"),
            opened => return opened.expect("open"),
        }
    }
}

/// The messages of several batches: values by partition, and the newest positions.
#[derive(Clone, Default, Debug)]
struct Taken {
    values: BTreeMap<u32, Vec<(u64, Vec<u8>)>>,
    positions: BTreeMap<u32, u64>,
    tombstones: u64,
}

impl Taken {
    fn add(&mut self, batch: Batch, name: &str) {
        for message in batch.messages {
            let values = self.values.entry(message.partition).or_default();
            assert!(values.last().is_none_or(|last| last.0 < message.offset), "offsets of a partition come in order");
            let position = batch.positions.iter().find(|position| position.partition == message.partition);
            let next = position.expect("a message brings a position").next_offset;
            assert!(message.offset < next, "a position is behind its messages");
            values.push((message.offset, message.value));
        }
        for position in batch.positions {
            assert_eq!(position.source, name);
            let before = self.positions.insert(position.partition, position.next_offset);
            assert!(before.is_none_or(|before| before <= position.next_offset), "a position is never taken back");
        }
        self.tombstones += batch.tombstones;
    }

    fn count(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    fn positions(&self, name: &str) -> Vec<SourcePosition> {
        let position = |(partition, next_offset): (&u32, &u64)| SourcePosition {
            source: name.to_owned(),
            partition: *partition,
            next_offset: *next_offset,
        };
        self.positions.iter().map(position).collect()
    }
}

/// Polls until so many messages came, and then once more: there is nothing behind them.
fn take(source: &mut dyn Source, count: usize, taken: &mut Taken) {
    let name = source.name().to_owned();
    let (deadline, goal) = (Instant::now() + PATIENCE, taken.count() + count);
    while taken.count() < goal {
        assert!(Instant::now() < deadline, "{} of {goal} messages came", taken.count());
        match source.poll(SHORT) {
            Ok(batch) => taken.add(batch, &name),
            Err(SourceError::Transient(_)) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
    taken.add(source.poll(SHORT).expect("poll"), &name);
    assert_eq!(taken.count(), goal, "each message comes once");
}

/// A message is given byte for byte.
fn whole(feed: &mut dyn Feed, source: &mut dyn Source) {
    let headers = [header("a", Some(b"\xff\x00")), header("a", Some(b"")), header("b", None)];
    let large = vec![b'x'; 300_000];
    feed.put(1, Some(b"ann"), Some(b"{\"a\": 1}\xfe"), &headers);
    feed.put(1, None, Some(b""), &[]);
    feed.put(1, Some(b""), Some(&large), &[]);
    let mut got: Vec<Message> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while got.len() < 3 && Instant::now() < deadline {
        got.extend(source.poll(SHORT).expect("poll").messages);
    }
    assert!(got.iter().all(|message| message.timestamp.is_none_or(|timestamp| timestamp > 1_500_000_000_000)));
    got.iter_mut().for_each(|message| message.timestamp = None);
    let message = |offset, key: Option<&[u8]>, value: &[u8], headers: &[Header]| Message {
        partition: 1,
        offset,
        key: key.map(<[u8]>::to_vec),
        value: value.to_vec(),
        headers: headers.to_vec(),
        timestamp: None,
    };
    let expected = [
        message(0, Some(b"ann"), b"{\"a\": 1}\xfe", &headers),
        message(1, None, b"", &[]),
        message(2, Some(b""), &large, &[]),
    ];
    assert_eq!(got.len(), 3, "one message always fits");
    assert!(got == expected, "a message is given byte for byte");
}

/// Batches are bounded, tombstones are passed over, everything comes once.
fn bounded(feed: &mut dyn Feed, make: &mut dyn FnMut() -> Box<dyn Source>, taken: &mut Taken) {
    for at in 0..350 {
        feed.put(0, Some(b"k"), Some(format!("small {at}").as_bytes()), &[]);
    }
    for _ in 0..30 {
        feed.put(2, None, Some(&[b'y'; 1_000]), &[]);
    }
    feed.put(2, Some(b"k"), None, &[]);
    let mut source = make();
    open(&mut *source, &[], Share::ALL);
    let deadline = Instant::now() + PATIENCE;
    while taken.tombstones < 1 || taken.count() < 383 {
        assert!(Instant::now() < deadline, "{} messages came", taken.count());
        let batch = source.poll(SHORT).expect("poll");
        assert!(batch.messages.len() <= 100, "a batch is bounded in messages");
        let bytes = batch.messages.iter().map(|message| message.value.len());
        assert!(
            batch.messages.len() <= 1 || bytes.rev().skip(1).sum::<usize>() < 12_000,
            "a batch is bounded in bytes"
        );
        taken.add(batch, source.name());
    }
    assert_eq!((taken.count(), taken.tombstones), (383, 1));
    assert_eq!(taken.positions, BTreeMap::from([(0, 350), (1, 3), (2, 31)]), "a tombstone moves the position");
    source.acknowledge(&taken.positions(source.name()));
}

/// Opened at positions, a source gives what is behind them.
fn resumes(feed: &mut dyn Feed, make: &mut dyn FnMut() -> Box<dyn Source>, taken: &Taken) {
    let mut source = make();
    let mut positions = taken.positions(source.name());
    set(&mut positions, 0);
    positions.push(SourcePosition { source: "another".to_owned(), partition: 0, next_offset: 1_000_000 });
    open(&mut *source, &positions, Share::ALL);
    let mut again = Taken::default();
    take(&mut *source, 350, &mut again);
    assert_eq!(again.values.keys().collect::<Vec<_>>(), [&0], "what is below the positions does not come");
    assert_eq!(again.values[&0], taken.values[&0]);
    let positions = taken.positions(source.name());
    open(&mut *source, &positions, Share::ALL);
    feed.put(2, None, Some(b"new"), &[]);
    let mut again = Taken::default();
    take(&mut *source, 1, &mut again);
    assert_eq!(again.values[&2], [(31, b"new".to_vec())]);
    feed.put(2, None, None, &[]);
    let deadline = Instant::now() + PATIENCE;
    while again.positions.get(&2) != Some(&33) && Instant::now() < deadline {
        again.add(source.poll(SHORT).expect("poll"), source.name());
    }
    assert_eq!(again.positions.get(&2), Some(&33), "a position without a message");
}

/// Readers with shares get each partition once.
fn shares(make: &mut dyn FnMut() -> Box<dyn Source>, taken: &Taken) {
    for (index, expected) in [(0, 383 - 3), (1, 3)] {
        let mut source = make();
        open(&mut *source, &[], Share { index, of: 2 });
        let mut part = Taken::default();
        take(&mut *source, expected + usize::from(index == 0), &mut part);
        let own = part.values.keys().all(|partition| partition % 2 == index);
        assert!(own && part.values.get(&1) == taken.values.get(&1).filter(|_| index == 1));
    }
}

/// A partition that is added is found, and read from its first message on.
fn grows(feed: &mut dyn Feed, make: &mut dyn FnMut() -> Box<dyn Source>, taken: &Taken) {
    let mut source = make();
    let positions = taken.positions(source.name());
    open(&mut *source, &positions, Share::ALL);
    let mut more = Taken::default();
    take(&mut *source, 1, &mut more);
    // One of more readers than there are partitions.
    let mut idle = make();
    open(&mut *idle, &positions, Share { index: 4, of: 5 });
    feed.grow(5);
    feed.put(4, None, Some(b"first of four"), &[]);
    feed.put(3, None, Some(b"first of three"), &[]);
    take(&mut *source, 2, &mut more);
    assert_eq!(more.values[&4], [(0, b"first of four".to_vec())]);
    let deadline = Instant::now() + PATIENCE;
    while source.lag().len() < 5 && Instant::now() < deadline {
        more.add(source.poll(SHORT).expect("poll"), source.name());
    }
    assert!(source.lag().len() == 5 && source.lag().iter().all(|lag| lag.messages == 0), "{:?}", source.lag());
    take(&mut *idle, 1, &mut Taken::default());
    // While nobody reads: the partitions are new to one who comes with the old positions, and are read whole.
    let mut later = make();
    open(&mut *later, &positions, Share::ALL);
    take(&mut *later, 3, &mut Taken::default());
}

/// Messages that retention has removed are reported, and reported again.
fn gone(feed: &mut dyn Feed, make: &mut dyn FnMut() -> Box<dyn Source>, taken: &Taken) {
    feed.remove(0, 300);
    let mut source = make();
    let mut positions = taken.positions(source.name());
    set(&mut positions, 299);
    for _ in 0..2 {
        let opened = source.open(&positions, Share::ALL);
        let Err(SourceError::OffsetGone { partition: 0, wanted: 299, earliest: 300, .. }) = opened else {
            panic!("an offset that is gone is said: {opened:?}");
        };
    }
    set(&mut positions, 300);
    open(&mut *source, &positions, Share::ALL);
    let mut rest = Taken::default();
    take(&mut *source, 50 + 3, &mut rest);
    assert_eq!(rest.values[&0][0].0, 300);
    set(&mut positions, 999);
    let opened = source.open(&positions, Share::ALL);
    assert!(matches!(opened, Err(SourceError::OffsetGone { wanted: 999, .. })), "made anew: {opened:?}");
}

/// Sets the position of partition 0.
fn set(positions: &mut [SourcePosition], next_offset: u64) {
    let of_first = positions.iter_mut().filter(|position| position.partition == 0);
    of_first.for_each(|position| position.next_offset = next_offset);
}

fn header(name: &str, value: Option<&[u8]>) -> Header {
    Header { name: name.to_owned(), value: value.map(<[u8]>::to_vec) }
}
