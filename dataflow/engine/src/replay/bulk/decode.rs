//! Blocks of lines decoded to records, on threads of their own, in the order of the file.
//!
//! Decoding needs nothing but the line; what depends on the lines before (the clock) is put right by
//! [`Decoded::raise`] when the block's turn has come.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use audience_rules::ast::Millis;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use audience_rules::record::{EventRef, RecordKind, set_accepted_at, set_sequence, set_timestamp, time_and_kind};
use parking_lot::Mutex;

use super::blocks::{Blocks, LineBlock};

/// Refused lines that are told in full.
pub const REFUSALS_TOLD: usize = 10;
/// Blocks that wait, decoded or not, for each decoder.
const BLOCKS_WAITING: usize = 2;
/// Stands for the clock before the block.
const UNKNOWN_CLOCK: Millis = Millis::MIN;
const DEFAULTS: EventDefaults = EventDefaults { accepted_at: UNKNOWN_CLOCK };

/// A line that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Counted from 1.
    pub line: u64,
    /// Why.
    pub fault: Fault,
}

/// A decoded block.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Records; their sequence numbers are those of their lines.
    pub records: Vec<u8>,
    /// The number.
    pub count: u64,
    /// True if any of them is an alias.
    pub has_alias: bool,
    /// The number of refused lines.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<RefusedLine>,
    greatest: Millis,
    /// The places at which records without a timestamp of their own begin.
    untimed: Vec<usize>,
}

impl Decoded {
    /// Decodes a block.
    pub fn of(decoder: &mut EventDecoder, block: &LineBlock) -> Decoded {
        let mut decoded = Decoded { greatest: UNKNOWN_CLOCK, ..Decoded::default() };
        decoded.records.reserve(block.bytes.len() + block.bytes.len() / 2);
        // The whole block at once; a line is looked at by itself only if one of them is no text.
        let text = std::str::from_utf8(&block.bytes).ok();
        let mut at = 0;
        for number in block.first_line.. {
            let rest = block.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let end = at + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            match (text.and_then(|text| text.get(at..end)), &block.bytes[at..end]) {
                (_, line) if line.iter().all(u8::is_ascii_whitespace) => {}
                (Some(line), _) => decoded.line(number, |out| decoder.decode_text(line, &DEFAULTS, out)),
                (None, line) => decoded.line(number, |out| decoder.decode(line, &DEFAULTS, out)),
            }
            at = end + 1;
        }
        decoded
    }

    fn line(&mut self, number: u64, decode: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>) {
        let start = self.records.len();
        if let Err(fault) = decode(&mut self.records) {
            self.refused += 1;
            if self.refusals.len() < REFUSALS_TOLD {
                self.refusals.push(RefusedLine { line: number + 1, fault });
            }
            return;
        }
        self.count += 1;
        let record = &mut self.records[start..];
        set_sequence(record, number);
        let Some((timestamp, kind)) = time_and_kind(record) else { return };
        let has_other = || EventRef::read(record).is_some_and(|(event, _)| event.other().is_some());
        self.has_alias |= kind != RecordKind::Event && has_other();
        self.greatest = self.greatest.max(timestamp);
        set_accepted_at(record, self.greatest);
        if timestamp == UNKNOWN_CLOCK {
            // It takes the clock.
            set_timestamp(record, self.greatest);
            self.untimed.push(start);
        }
    }

    /// Puts the records' clocks right, given the clock before the block; gives the clock behind it.
    pub fn raise(&mut self, clock: Millis) -> Millis {
        let mut at = 0;
        // Clocks only rise: behind the first that is not below, none is.
        while let Some((event, _)) = EventRef::read(&self.records[at..]) {
            if event.accepted_at() >= clock {
                break;
            }
            let length = event.bytes().len();
            set_accepted_at(&mut self.records[at..], clock);
            if self.untimed.binary_search(&at).is_ok() {
                set_timestamp(&mut self.records[at..], clock);
            }
            at += length;
        }
        clock.max(self.greatest)
    }
}

type Promise = io::Result<Receiver<Decoded>>;

/// Decodes on so many threads; what is received stands in the order of the file. The threads end with the blocks, or
/// soon after nobody receives any more.
pub fn decode<'scope, 'env, R: Read + Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    reader: R,
    block_bytes: usize,
    threads: usize,
) -> Receiver<Promise> {
    let threads = threads.max(1);
    let (promises, promised) = sync_channel(threads * BLOCKS_WAITING);
    let source = std::sync::Arc::new(Mutex::new((Blocks::new(reader, block_bytes), promises)));
    for _ in 0..threads {
        let source = source.clone();
        scope.spawn(move || {
            let mut decoder = EventDecoder::new();
            while let Some((block, promise)) = take(&mut source.lock()) {
                if promise.send(Decoded::of(&mut decoder, &block)).is_err() {
                    return;
                }
            }
        });
    }
    promised
}

/// Takes the next block, and promises it in the order of the file.
fn take<R: Read>(
    (blocks, promises): &mut (Blocks<R>, SyncSender<Promise>),
) -> Option<(LineBlock, SyncSender<Decoded>)> {
    match blocks.next_block() {
        Ok(Some(block)) => {
            let (sender, receiver) = sync_channel(1);
            promises.send(Ok(receiver)).ok()?;
            Some((block, sender))
        }
        Ok(None) => None,
        Err(error) => {
            let _ = promises.send(Err(error));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::record::records;
    use audience_rules::time::format_time;

    use super::*;

    fn decoded(text: &str, block_bytes: usize, threads: usize) -> Vec<(u64, Millis, Millis, String)> {
        let mut clock = 0;
        let mut found = Vec::new();
        std::thread::scope(|scope| {
            for promise in decode(scope, text.as_bytes(), block_bytes, threads) {
                let mut block = promise.expect("memory can be read").recv().expect("decoded");
                clock = block.raise(clock);
                found.extend(
                    records(&block.records).map(|event| {
                        (event.sequence(), event.timestamp(), event.accepted_at(), event.user().to_owned())
                    }),
                );
            }
        });
        found
    }

    #[test]
    fn clocks_follow_the_greatest_timestamp_whatever_the_blocks() {
        let mut text = String::new();
        for (user, timestamp) in [(0, None), (1, Some(50)), (2, Some(40)), (3, None), (4, Some(60)), (5, Some(50))] {
            let timestamp = timestamp.map_or(String::new(), |at| format!(r#","timestamp":"{}""#, format_time(at)));
            text.push_str(&format!("{{\"userId\":\"u{user}\",\"eventType\":\"e\"{timestamp}}}\n\n"));
        }
        let expected = [(0, 0, 0), (2, 50, 50), (4, 40, 50), (6, 50, 50), (8, 60, 60), (10, 50, 60)];
        for size in [1, 10, 50, 100, 1000] {
            for threads in 1..4 {
                let found = decoded(&text, size, threads);
                let found: Vec<(u64, Millis, Millis)> = found.iter().map(|(n, t, at, _)| (*n, *t, *at)).collect();
                assert_eq!(found, expected, "{size} {threads}");
            }
        }
    }

    #[test]
    fn refused_lines_are_counted_and_told() {
        let text = "{\"userId\":\"a\",\"eventType\":\"e\"}\nnone\n\n{\"eventType\":\"e\"}\r\n{}";
        let block = LineBlock { first_line: 7, bytes: text.as_bytes().to_vec() };
        let decoded = Decoded::of(&mut EventDecoder::new(), &block);
        let lines: Vec<u64> = decoded.refusals.iter().map(|refusal| refusal.line).collect();
        assert_eq!((decoded.count, decoded.refused, &lines[..]), (1, 3, &[9, 11, 12][..]));
    }
}
