//! Brings a sink what is given out: by one writer, or by several side by side, each for its users.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{Progress, SharedSink, Sink, SinkError, Writer, Writers};
use parking_lot::Mutex;

use super::Service;
use super::feed::UNOPENED;
use super::follow::{FollowError, Follower};
use super::snapshot::Snapshot;
use super::status::Status;
use crate::engine::EngineError;

/// How long it takes at most to notice that a sink is closed.
const LOOK: Duration = Duration::from_millis(200);

/// What the writers of a sink tell of themselves.
#[derive(Debug)]
pub struct FollowerStatus {
    /// The sink, and why its writers cannot be set to work.
    status: Status,
    writers: Mutex<Vec<WriterStatus>>,
    is_closed: AtomicBool,
}

/// What one writer tells of itself.
#[derive(Clone, Debug, Default)]
pub struct WriterStatus {
    /// What keeps it from going on.
    pub fault: Option<String>,
    /// The tick up to which its users have everything; none before it was first opened.
    pub reached: Option<u64>,
}

impl FollowerStatus {
    /// Of a sink that was not opened yet.
    pub fn new(sink: &str) -> Self {
        let status = Status::new(sink);
        status.set_fault(Some(UNOPENED.to_owned()));
        FollowerStatus { status, writers: Mutex::default(), is_closed: AtomicBool::new(false) }
    }

    /// The sink.
    pub fn name(&self) -> &str {
        &self.status.name
    }

    /// What keeps it, or one of its writers, from going on.
    pub fn fault(&self) -> Option<String> {
        self.status.fault().or_else(|| self.writers.lock().iter().find_map(|writer| writer.fault.clone()))
    }

    /// The tick up to which it holds everything; none before it was first opened.
    pub fn reached(&self) -> Option<u64> {
        self.writers.lock().iter().map(|writer| writer.reached).min().flatten()
    }

    /// Notes something of a writer.
    pub fn set(&self, index: usize, change: impl FnOnce(&mut WriterStatus)) {
        self.writers.lock().get_mut(index).map(change);
    }

    /// So many writers are set to work: until each has answered, what was known counts.
    fn begin(&self, writers: usize) {
        let known = WriterStatus { fault: self.fault(), reached: self.reached() };
        *self.writers.lock() = vec![known; writers];
        self.status.set_fault(None);
    }

    /// Ends [`SinkWriters::run`] once everything is given out, or the sink fails.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Whether it is to end.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

/// What the writers of a sink share from its opening to a fault of any of them.
#[derive(Default)]
pub struct Round {
    /// Up to where they are to bring it, and no further.
    until: Option<Progress>,
    is_broken: AtomicBool,
    /// How many of them have answered.
    begun: AtomicUsize,
    snapshot: Mutex<Weak<Snapshot>>,
}

impl Round {
    /// Up to where writers are to bring the sink, and then to end.
    pub fn until(&self) -> Option<Progress> {
        self.until
    }

    /// Whether one of them has failed: the others are to end.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// One of them was opened.
    pub fn note_begun(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    fn break_off(&self) {
        self.is_broken.store(true, Ordering::Release);
    }

    /// All memberships as of `newest`, or as of a progress not before `least`: one copy for as many as need one at the same time.
    pub fn snapshot(&self, service: &Service, least: u64, newest: Progress) -> Result<Arc<Snapshot>, EngineError> {
        let mut held = self.snapshot.lock();
        if let Some(snapshot) = held.upgrade().filter(|snapshot| snapshot.progress().tick >= least) {
            return Ok(snapshot);
        }
        let snapshot = Arc::new(Snapshot::take(service, newest)?);
        *held = Arc::downgrade(&snapshot);
        Ok(snapshot)
    }
}

/// Where membership changes go.
pub enum Medium {
    /// One writes everything.
    One(Writer),
    /// Several do, each for its users.
    Shared(Box<dyn SharedSink>),
}

impl Medium {
    /// One that writes everything.
    pub fn one(sink: Box<dyn Sink>) -> Medium {
        Medium::One(Writer { sink, owns: Arc::new(|_| true) })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Medium::One(writer) => writer.sink.name(),
            Medium::Shared(sink) => sink.name(),
        }
    }
}

/// Brings one sink what is given out.
pub struct SinkWriters<'a> {
    service: &'a Service,
    status: Arc<FollowerStatus>,
    medium: Medium,
    backoff: Backoff,
}

impl<'a> SinkWriters<'a> {
    /// For a sink that is not open yet.
    pub fn new(service: &'a Service, status: Arc<FollowerStatus>, medium: Medium) -> Self {
        SinkWriters { service, status, medium, backoff: Backoff::default() }
    }

    /// Follows until closed. Faults of the sink are tried again; where another process has taken it over, it ends.
    pub fn run(mut self) {
        while let Err(error) = self.give_out() {
            self.status.status.set_fault(Some(error.to_string()));
            self.service.metrics.connectors.sink_failed(self.status.name());
            tracing::error!(sink = self.status.name(), %error, "membership changes are not given out");
            let is_final = matches!(error, FollowError::Sink(SinkError::Fenced(_)) | FollowError::Engine(_));
            if is_final || self.status.is_closed() {
                return;
            }
            let until = Instant::now() + self.backoff.next();
            while let Some(rest) = until.checked_duration_since(Instant::now())
                && !self.status.is_closed()
            {
                super::pause(LOOK.min(rest));
            }
        }
    }

    fn give_out(&mut self) -> Result<(), FollowError> {
        let SinkWriters { service, status, medium, backoff } = self;
        let mut follow = |writers: &mut [Writer], until| {
            let round = Round { until, ..Round::default() };
            let followed = side_by_side(service, status, &round, writers);
            if round.begun.into_inner() == writers.len() {
                backoff.reset();
            }
            followed
        };
        let mut writers = match medium {
            Medium::One(writer) => return follow(std::slice::from_mut(writer), None),
            Medium::Shared(sink) => match sink.open()? {
                Writers::AsWanted(writers) => writers,
                Writers::AsBefore(mut before) => {
                    let until = service.stores.changes.progress()?.unwrap_or_default();
                    follow(&mut before, Some(until))?;
                    drop(before);
                    sink.deal(&service.connectors.runs.reach(until, None))?
                }
            },
        };
        follow(&mut writers, None)
    }
}

/// Sees to it that the others end where a writer dies.
struct Guard<'a> {
    status: &'a FollowerStatus,
    round: &'a Round,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.status.set_fault(Some("a writer of it has died: the log says where".to_owned()));
            self.round.break_off();
        }
    }
}

/// Lets each writer follow on a thread of its own, until all have ended; the first to fail ends the others.
fn side_by_side(
    service: &Service,
    status: &FollowerStatus,
    round: &Round,
    writers: &mut [Writer],
) -> Result<(), FollowError> {
    status.begin(writers.len());
    let failures = Mutex::new(Vec::new());
    let follow = |index, writer: &mut Writer| {
        let _guard = Guard { status, round };
        let Err(error) = (Follower { service, status, round, index, writer }).follow() else { return };
        if !matches!(error, FollowError::Broken) {
            tracing::error!(sink = status.name(), writer = writer.sink.name(), %error, "a writer fails");
            status.set(index, |writer| writer.fault = Some(error.to_string()));
        }
        failures.lock().push(error);
        round.break_off();
    };
    let spawned = std::thread::scope(|scope| {
        let mut writers = writers.iter_mut().enumerate();
        let first = writers.next();
        for (index, writer) in writers {
            let thread = std::thread::Builder::new().name(format!("writer {index}"));
            let follow = &follow;
            if let Err(error) = thread.spawn_scoped(scope, move || follow(index, writer)) {
                round.break_off();
                return Err(EngineError::Start(error.to_string()));
            }
        }
        first.into_iter().for_each(|(index, writer)| follow(index, writer));
        Ok(())
    });
    spawned?;
    let mut failures = failures.into_inner();
    // What is final counts before what is tried again, and both before what followed from it.
    failures.sort_by_key(|error| match error {
        FollowError::Sink(SinkError::Fenced(_)) | FollowError::Engine(_) => 0,
        FollowError::Sink(_) | FollowError::Store(_) => 1,
        FollowError::Broken => 2,
    });
    failures.into_iter().next().map_or(Ok(()), Err)
}
