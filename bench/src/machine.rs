//! The share that the measuring machine has of its processors, and of its disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// Bytes that are written to probe the disk; their place in memory is a multiple of this.
const BLOCK: usize = 4096;
/// Blocks of the file that is written to.
const BLOCKS: u64 = 256;
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(20);
/// A disk that takes longer stands still: it takes a fraction of a millisecond otherwise.
const STANDSTILL: Duration = Duration::from_millis(50);

/// The processor time that all processors were given so far, and what was kept from them for others, in the system's own units.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorTime {
    all: u64,
    stolen: u64,
}

impl ProcessorTime {
    /// As of now; none where the system does not tell.
    pub fn now() -> Option<ProcessorTime> {
        ProcessorTime::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal; behind them what is part of the first two.
    fn parse(text: &str) -> Option<ProcessorTime> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = line.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
        Some(ProcessorTime { all: times.iter().sum(), stolen: *times.get(7)? })
    }

    /// The share, per cent, that a virtual machine's host has given to others since. Figures that were measured in such a while are
    /// those of a smaller machine.
    pub fn stolen_percent_since(self, before: ProcessorTime) -> f64 {
        let stolen = self.stolen.saturating_sub(before.stolen);
        100.0 * stolen as f64 / self.all.saturating_sub(before.all).max(1) as f64
    }
}

/// How a disk took single blocks, written around the memory of the system and of the file system's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskTimes {
    /// The longest that it took for one.
    pub greatest: Duration,
    /// How long it stood still in all.
    pub stood_still: Duration,
}

impl DiskTimes {
    fn note(&mut self, time: Duration) {
        self.greatest = self.greatest.max(time);
        if time >= STANDSTILL {
            self.stood_still += time;
        }
    }
}

/// Watches the disk of a directory, by writing one block every few milliseconds; where the processor is kept from it meanwhile, that
/// counts too.
pub struct DiskWatch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<DiskTimes>>,
}

impl DiskWatch {
    /// Begins to watch. Fails where there is no disk, or it cannot be written around the system's memory.
    pub fn start(directory: &Path) -> io::Result<DiskWatch> {
        let named = NamedTempFile::new_in(directory)?;
        let block = AlignedBlock::new();
        (0..BLOCKS).try_for_each(|number| named.as_file().write_all_at(block.bytes(), number * BLOCK as u64))?;
        named.as_file().sync_all()?;
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits() as i32;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(named.path())?;
        file.write_all_at(block.bytes(), 0)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let end = is_over.clone();
        let thread = std::thread::spawn(move || {
            // Deleted once this is over.
            let _named = named;
            watch(&file, &block, &end)
        });
        Ok(DiskWatch { is_over, thread })
    }

    /// Ends, and tells what was seen; nothing where the disk failed.
    pub fn end(self) -> Option<DiskTimes> {
        self.is_over.store(true, Ordering::Release);
        self.thread.join().ok()?.ok()
    }
}

fn watch(file: &File, block: &AlignedBlock, is_over: &AtomicBool) -> io::Result<DiskTimes> {
    let mut times = DiskTimes::default();
    for number in (0..BLOCKS).cycle() {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let begun = Instant::now();
        file.write_all_at(block.bytes(), number * BLOCK as u64)?;
        times.note(begun.elapsed());
        std::thread::park_timeout(PAUSE);
    }
    Ok(times)
}

/// A block that lies where such writes ask for it.
struct AlignedBlock(Vec<u8>);

impl AlignedBlock {
    fn new() -> AlignedBlock {
        AlignedBlock(vec![0xA5; 2 * BLOCK])
    }

    fn bytes(&self) -> &[u8] {
        let start = self.0.as_ptr().align_offset(BLOCK).min(BLOCK);
        &self.0[start..start + BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stolen_is_a_share_of_all() {
        let before = ProcessorTime::parse("cpu  10 0 10 70 0 0 0 10 5 5\ncpu0 1 2 3\n").unwrap();
        let after = ProcessorTime::parse("cpu  20 0 10 100 0 0 0 70 5 5\n").unwrap();
        assert_eq!(after.stolen_percent_since(before), 60.0);
        assert_eq!(before.stolen_percent_since(before), 0.0);
        assert!(ProcessorTime::parse("cpu  1 2 3\n").is_none());
    }

    #[test]
    fn a_disk_that_is_slow_for_a_moment_does_not_stand_still() {
        let mut times = DiskTimes::default();
        [1, 49, 380, 50].map(Duration::from_millis).into_iter().for_each(|time| times.note(time));
        let (greatest, stood_still) = (Duration::from_millis(380), Duration::from_millis(430));
        assert_eq!(times, DiskTimes { greatest, stood_still });
    }
}
