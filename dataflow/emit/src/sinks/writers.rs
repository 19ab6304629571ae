//! The writers of one sink: one, or several side by side, each for its users.

use std::sync::Arc;

use audience_background::{Backoff, Stop};
use audience_contract::{ServingStore, SharedSink, Sink, Writer, Writers};
use parking_lot::Mutex;

use super::error::FollowError;
use super::follow::Follower;
use super::round::Round;
use super::status::SinkStatus;
use super::upstream::Upstream;
use crate::occurrence::SinkFailed;

/// The target of membership changes.
pub(super) enum Medium {
    /// A medium with one writer.
    One(Writer),
    /// A medium with several writers, each for its users.
    Shared(Box<dyn SharedSink>),
}

impl Medium {
    /// A medium whose one writer writes everything.
    pub(super) fn one(sink: Box<dyn Sink>) -> Medium {
        Medium::One(Writer { sink, owns: Arc::new(|_| true) })
    }

    /// Its store, to be looked at.
    pub(super) fn store(&self) -> Option<Box<dyn ServingStore>> {
        match self {
            Medium::One(writer) => writer.sink.store(),
            Medium::Shared(_) => None,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Medium::One(writer) => writer.sink.name(),
            Medium::Shared(sink) => sink.name(),
        }
    }
}

/// The writers of one sink.
pub(super) struct SinkWriters<'a> {
    upstream: &'a Upstream,
    status: &'a SinkStatus,
    medium: Medium,
    backoff: Backoff,
}

impl<'a> SinkWriters<'a> {
    /// The writers of a sink that is not open yet.
    pub(super) fn new(upstream: &'a Upstream, status: &'a SinkStatus, medium: Medium) -> Self {
        SinkWriters { upstream, status, medium, backoff: Backoff::default() }
    }

    /// Writes until the stop is requested and the sink holds everything. A fault of the sink is retried, once more after the stop
    /// was requested. It ends if another process has taken the sink over.
    pub(super) fn run(mut self, stop: &Stop) {
        while let Err(error) = self.emit(stop) {
            self.status.set_fault(Some(error.to_string()));
            SinkFailed { sink: self.status.name(), error: &error }.emit(&self.upstream.metrics);
            if error.is_final() || stop.is_requested() {
                return;
            }
            stop.wait(self.backoff.next());
        }
    }

    fn emit(&mut self, stop: &Stop) -> Result<(), FollowError> {
        let SinkWriters { upstream, status, medium, backoff } = self;
        let mut follow = |writers: &mut [Writer], until| {
            let round = Round::up_to(until);
            let followed = SideBySide { upstream, status, stop, round: &round }.run(writers);
            // A store that opens and takes nothing is not well: what counts is what it took, or that it has everything.
            if round.is_well() {
                backoff.reset();
            }
            followed
        };
        let mut writers = match medium {
            Medium::One(writer) => return follow(std::slice::from_mut(writer), None),
            Medium::Shared(sink) => match sink.open()? {
                Writers::AsWanted(writers) => writers,
                Writers::AsBefore(mut before) => {
                    let until = upstream.emitted.newest();
                    follow(&mut before, Some(until))?;
                    drop(before);
                    sink.deal(&upstream.runs.reach(until, None))?
                }
            },
        };
        follow(&mut writers, None)
    }
}

/// Ends the other writers if one dies.
struct WriterGuard<'a> {
    status: &'a SinkStatus,
    round: &'a Round,
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.set_fault(Some("a writer of it has died: the log says where".to_owned()));
            self.round.break_off();
        }
    }
}

/// Writers that follow at the same time, each on a thread of its own.
#[derive(Clone, Copy)]
struct SideBySide<'a> {
    upstream: &'a Upstream,
    status: &'a SinkStatus,
    stop: &'a Stop,
    round: &'a Round,
}

impl SideBySide<'_> {
    /// Lets each writer follow until all have ended; the first to fail ends the others.
    fn run(self, writers: &mut [Writer]) -> Result<(), FollowError> {
        let SideBySide { upstream, status, stop, round } = self;
        status.begin(writers.len());
        let failures = Mutex::new(Vec::new());
        let follow = |index, writer: &mut Writer| {
            let _guard = WriterGuard { status, round };
            let Err(error) = (Follower { upstream, status, stop, round, index, writer, traced: 0 }).follow() else {
                return;
            };
            if !matches!(error, FollowError::Broken) {
                tracing::error!(sink = status.name(), writer = writer.sink.name(), %error, "A writer of the sink failed");
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
                    return Err(FollowError::Thread(error));
                }
            }
            first.into_iter().for_each(|(index, writer)| follow(index, writer));
            Ok(())
        });
        spawned?;
        let mut failures = failures.into_inner();
        // A final failure counts before one that is retried, and both before one that followed from it.
        failures.sort_by_key(|error| match error {
            error if error.is_final() => 0,
            FollowError::Broken => 2,
            _ => 1,
        });
        failures.into_iter().next().map_or(Ok(()), Err)
    }
}
