//! The figures that were measured, each held against its target.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The target of a figure.
#[derive(Clone, Copy, Debug)]
pub enum FigureTarget {
    /// Not asked for.
    None,
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

/// Figures, printed as they come and again at the end, as a table.
#[derive(Debug, Default)]
pub struct FigureReport {
    rows: Vec<String>,
}

impl FigureReport {
    /// Notes a figure.
    pub fn add(&mut self, what: &str, value: f64, unit: &str, target: FigureTarget) {
        let value_text = if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let (aim, met) = match target {
            FigureTarget::None => (String::new(), ""),
            FigureTarget::AtMost(most) => (format!("≤ {most}"), if value <= most { "yes" } else { "**no**" }),
            FigureTarget::AtLeast(least) => (format!("≥ {least}"), if value >= least { "yes" } else { "**no**" }),
        };
        let row = format!("| {what} | {value_text} {unit} | {aim} | {met} |");
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("| figure | measured | target | met |\n|---|---|---|---|");
        self.rows.iter().for_each(|row| println!("{row}"));
    }
}

/// Times, in microseconds up to two minutes, to three digits.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // These bounds are valid.
        let histogram = Histogram::new_with_bounds(1, 120_000_000, 3);
        Times(histogram.unwrap_or_else(|error| unreachable!("{error}")))
    }
}

impl Times {
    /// Notes a time.
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(time.as_micros() as u64);
    }

    /// Takes in the times of another.
    pub fn merge(&mut self, other: &Times) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// The number.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// A percentile, milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1000.0
    }

    /// p50, p99 and the greatest, each with its target.
    pub fn report(&self, report: &mut FigureReport, what: &str, p50: FigureTarget, p99: FigureTarget) {
        let count = self.count();
        report.add(&format!("{what}, p50 of {count}"), self.percentile(50.0), "ms", p50);
        report.add(&format!("{what}, p99"), self.percentile(99.0), "ms", p99);
        report.add(&format!("{what}, greatest"), self.percentile(100.0), "ms", FigureTarget::None);
    }
}
