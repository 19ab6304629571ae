//! A file of lines in blocks that end at line ends, in bounded memory.

use std::io::{self, Read};

use audience_rules::event::MAX_EVENT_BYTES;

/// The bytes that are kept of a line longer than any event may be: enough for it to be refused as too long.
const LONGEST_LINE: usize = MAX_EVENT_BYTES + 1;

/// Whole lines.
#[derive(Debug, PartialEq, Eq)]
pub struct LineBlock {
    /// The number of the first, from 0.
    pub first_line: u64,
    /// The lines, each with its end, but for the last of the file.
    pub bytes: Vec<u8>,
}

/// Cuts what it reads into blocks.
pub struct Blocks<R> {
    reader: R,
    block_bytes: usize,
    /// The begin of the line that the last block ended before.
    rest: Vec<u8>,
    lines: u64,
}

impl<R: Read> Blocks<R> {
    /// Blocks of about so many bytes.
    pub fn new(reader: R, block_bytes: usize) -> Self {
        Blocks { reader, block_bytes: block_bytes.max(1), rest: Vec::new(), lines: 0 }
    }

    /// The next block; `None` at the end.
    pub fn next_block(&mut self) -> io::Result<Option<LineBlock>> {
        let mut bytes = Vec::with_capacity(self.block_bytes.max(self.rest.len()));
        bytes.append(&mut self.rest);
        let mut searched = 0;
        loop {
            let wanted = self.block_bytes.saturating_sub(bytes.len()).max(self.block_bytes.min(bytes.len())).max(1);
            let is_at_end = self.reader.by_ref().take(wanted as u64).read_to_end(&mut bytes)? < wanted;
            if is_at_end {
                break;
            }
            if let Some(end) = memchr::memrchr(b'\n', &bytes[searched..]) {
                self.rest.extend_from_slice(&bytes[searched + end + 1..]);
                bytes.truncate(searched + end + 1);
                break;
            }
            searched = bytes.len();
            if searched >= LONGEST_LINE {
                bytes.truncate(LONGEST_LINE);
                self.skip_line()?;
                bytes.push(b'\n');
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let first_line = self.lines;
        self.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        Ok(Some(LineBlock { first_line, bytes }))
    }

    /// Goes on to the next line.
    fn skip_line(&mut self) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(self.block_bytes);
        loop {
            buffer.clear();
            if self.reader.by_ref().take(self.block_bytes as u64).read_to_end(&mut buffer)? == 0 {
                return Ok(());
            }
            if let Some(end) = memchr::memchr(b'\n', &buffer) {
                self.rest.extend_from_slice(&buffer[end + 1..]);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &[u8], size: usize) -> Vec<LineBlock> {
        let mut blocks = Blocks::new(text, size);
        std::iter::from_fn(|| blocks.next_block().expect("memory can be read")).collect()
    }

    #[test]
    fn blocks_of_any_size_are_the_same_lines() {
        let text = b"one\n\ntwo two two two two\nthree\n\n\nfour";
        for size in 1..60 {
            let mut lines = 0;
            let mut whole = Vec::new();
            for block in blocks(text, size) {
                assert_eq!(block.first_line, lines, "at {size}");
                lines += block.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert!(block.bytes.ends_with(b"\n") || block.bytes.ends_with(b"four"), "at {size}");
                whole.extend(block.bytes);
            }
            assert_eq!(whole, text, "at {size}");
        }
        assert_eq!(blocks(b"", 10), []);
        assert_eq!(blocks(b"\n", 10), [LineBlock { first_line: 0, bytes: b"\n".to_vec() }]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_an_event() {
        for (size, length) in [(1000, 3_000_000), (1 << 20, 3_000_000), (4 << 20, 9_000_000), (1000, LONGEST_LINE)] {
            let mut text = b"a\n".to_vec();
            text.resize(length, b'x');
            text.extend_from_slice(b"\nb\nc");
            let blocks = blocks(&text, size);
            let lines: Vec<(u64, &[u8])> = blocks
                .iter()
                .flat_map(|block| (block.first_line..).zip(block.bytes.trim_ascii_end().split(|byte| *byte == b'\n')))
                .collect();
            assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [0, 1, 2, 3], "{size} {length}");
            assert_eq!((lines[0].1, lines[2].1, lines[3].1), (&b"a"[..], &b"b"[..], &b"c"[..]));
            let longest = blocks.iter().map(|block| block.bytes.len()).max();
            assert!(longest <= Some(size.max(LONGEST_LINE) + size + 1), "{longest:?}");
        }
    }
}
