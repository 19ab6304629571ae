//! The platform in a few figures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::clock;
use audience_catalogue::Editor;
use audience_contract::EventLog;
use audience_protocol::{ChangeFigures, EventFigures, Health, SystemHealth, SystemPoint, SystemView};
use audience_rules::ast::Millis;
use audience_rules::time::format_time;
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::intake::shapes::EventShapes;
use crate::metrics::{FigureSnapshot, Metrics};

/// Looks that a rate is taken over; they come about once a second.
const LOOKS: usize = 10;

/// The rates at which events and changes come.
#[derive(Debug, Default)]
struct Rates(VecDeque<(Instant, u64, u64)>);

impl Rates {
    fn take(&mut self, at: Instant, events: u64, changes: u64) {
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        self.0.push_back((at, events, changes));
    }

    /// Events and changes a second, between the oldest look and the newest.
    fn per_second(&self) -> (f64, f64) {
        let (Some((begun, events, changes)), Some((ended, more, others))) = (self.0.front(), self.0.back()) else {
            return (0.0, 0.0);
        };
        let seconds = ended.duration_since(*begun).as_secs_f64();
        let rate =
            |before: u64, now: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
        (rate(*events, *more), rate(*changes, *others))
    }
}

/// Between two points of the last hour.
const POINT: Duration = Duration::from_secs(10);
/// Points of an hour.
const POINTS: usize = 360;

/// The figures of the last hour.
#[derive(Debug, Default)]
struct Hour {
    taken: Option<Instant>,
    points: VecDeque<SystemPoint>,
}

impl Hour {
    /// Takes a point, where one is due.
    fn take(&mut self, now: Instant, point: impl FnOnce() -> SystemPoint) {
        if self.taken.is_some_and(|taken| now.duration_since(taken) < POINT) {
            return;
        }
        self.taken = Some(now);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point());
    }
}

/// The parts of the platform that figures are of.
pub(crate) struct FigureContext {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The catalogue.
    pub editor: Arc<Editor>,
    /// The log of accepted events.
    pub events: Arc<dyn EventLog>,
    /// Figures that are counted.
    pub metrics: Arc<Metrics>,
}

/// The figures of a run.
pub(crate) struct Figures {
    context: FigureContext,
    rates: Mutex<Rates>,
    hour: Mutex<Hour>,
    started: Instant,
    started_at: Millis,
}

impl Figures {
    /// The figures of a run that starts now.
    pub(crate) fn new(context: FigureContext) -> Figures {
        Figures {
            context,
            rates: Mutex::default(),
            hour: Mutex::default(),
            started: Instant::now(),
            started_at: clock::now(),
        }
    }

    /// The figures that are counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.context.metrics
    }

    /// Notes how many `identify` traits a computed one hides.
    pub(crate) fn note_hidden_traits(&self, shapes: &EventShapes) {
        let hidden = shapes.hidden_traits(&self.context.editor.documents()).len();
        self.context.metrics.note_hidden_traits(hidden);
    }

    /// Notes how many events and changes there were until now.
    pub(crate) fn take_rates(&self) {
        let (events, changes) = (self.context.events.end(), self.context.metrics.changes_given());
        let now = Instant::now();
        let mut rates = self.rates.lock();
        rates.take(now, events, changes);
        let (events_per_second, changes_per_second) = rates.per_second();
        drop(rates);
        self.hour.lock().take(now, || SystemPoint {
            at: format_time(clock::now()),
            events_per_second,
            changes_per_second,
            frontier_lag_seconds: lag_seconds(self.context.engine.done().clock),
            memory_bytes: memory_bytes(),
        });
    }

    /// The figures of the last hour, in order of time.
    pub(crate) fn hour(&self) -> Vec<SystemPoint> {
        self.hour.lock().points.iter().cloned().collect()
    }

    /// The figures that metrics look up.
    pub(crate) fn snapshot(&self) -> FigureSnapshot {
        let FigureContext { engine, editor, events, .. } = &self.context;
        let (documents, done) = (editor.documents(), engine.done());
        let known = engine.sizes();
        let size = |id: &String| (id.clone(), known.get(id.as_str()).copied().unwrap_or_default());
        FigureSnapshot {
            sizes: documents.segments.keys().map(size).collect(),
            users: done.users,
            waiting_events: events.end().saturating_sub(engine.head().sequence),
            faulty_documents: documents.faulty.len() as u64,
            catalogue_errors: editor.store_errors(),
            catalogue_went_back: editor.went_back().0,
            frontier_lag_seconds: lag_seconds(done.clock),
        }
    }

    /// The system in figures, with its health.
    pub(crate) fn view(&self, health: Health) -> SystemView {
        let FigureContext { engine, editor, events, metrics } = &self.context;
        let done = engine.done();
        let (events_per_second, changes_per_second) = self.rates.lock().per_second();
        SystemView {
            version: env!("CARGO_PKG_VERSION"),
            started_at: format_time(self.started_at),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            workers: engine.workers(),
            users: done.users,
            segments: editor.read(|documents| documents.segments.len()) as u64,
            events: EventFigures { accepted: events.end(), rejected: 0, per_second: events_per_second },
            changes: ChangeFigures { total: metrics.changes_given(), per_second: changes_per_second },
            frontier_lag_seconds: lag_seconds(done.clock),
            checkpoint: metrics.checkpoint_figures(),
            memory_bytes: memory_bytes(),
            health: SystemHealth { ready: health.ready, components: health.components },
        }
    }
}

/// The seconds by which a clock lags.
fn lag_seconds(clock: Millis) -> f64 {
    (clock::now() - clock).max(0) as f64 / 1000.0
}

/// The bytes of this process in memory; 0 where the system does not tell.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|number| number.trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_looks() {
        let mut rates = Rates::default();
        assert_eq!(rates.per_second(), (0.0, 0.0));
        let begun = Instant::now();
        rates.take(begun, 1_000_000, 0);
        assert_eq!(rates.per_second(), (0.0, 0.0));
        for second in 1..=20u32 {
            rates.take(
                begun + Duration::from_secs(second.into()),
                1_000_000 + u64::from(second) * 50,
                u64::from(second) * 2,
            );
        }
        assert_eq!(rates.per_second(), (50.0, 2.0));
    }

    #[test]
    fn an_hour_has_a_point_every_ten_seconds() {
        let (begun, mut hour) = (Instant::now(), Hour::default());
        for second in 0..5_000u32 {
            hour.take(begun + Duration::from_secs(second.into()), || SystemPoint {
                at: String::new(),
                events_per_second: f64::from(second),
                changes_per_second: 0.0,
                frontier_lag_seconds: 0.0,
                memory_bytes: 0,
            });
        }
        let seconds: Vec<f64> = hour.points.iter().map(|point| point.events_per_second).collect();
        assert_eq!(seconds, (0..POINTS).map(|nth| 1_400.0 + 10.0 * nth as f64).collect::<Vec<_>>());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_told() {
        assert!(memory_bytes() > 100_000);
    }
}
