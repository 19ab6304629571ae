//! What the machine that measures is given of its processors.

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
}
