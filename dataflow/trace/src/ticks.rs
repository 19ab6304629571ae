//! The spans of ticks: each from when it is made until its changes are committed, and its context for a while after that.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tracing::Span;

use crate::{MOST_LINKS, TraceContext, current, is_on};

/// Ticks whose context is kept, at most. A follower that lags more gives changes out in a trace of its own.
const KEPT: usize = 1_024;

/// The newest ticks that carry a traced request and may have changes, in their order.
#[derive(Debug, Default)]
pub struct TickTraces(Mutex<VecDeque<TracedTick>>);

#[derive(Debug)]
struct TracedTick {
    tick: u64,
    context: TraceContext,
    /// Ends when it is dropped.
    span: Option<Span>,
}

impl TickTraces {
    /// Notes the span of a tick that is about to be done.
    pub fn begin(&self, tick: u64, span: Span) {
        let Some(context) = span.in_scope(current) else { return };
        let mut ticks = self.0.lock();
        if ticks.len() == KEPT {
            ticks.pop_front();
        }
        ticks.push_back(TracedTick { tick, context, span: Some(span) });
    }

    /// Ends the spans of ticks up to that one.
    pub fn end(&self, up_to: u64) {
        if is_on() {
            self.0.lock().iter_mut().rev().filter(|traced| traced.tick <= up_to).for_each(|traced| traced.span = None);
        }
    }

    /// Ends the span of a tick without changes, and forgets it: nobody gives it out.
    pub fn forget(&self, tick: u64) {
        if is_on() {
            self.0.lock().retain(|traced| traced.tick != tick);
        }
    }

    /// Returns the contexts of ticks after `after` and up to `up_to`, newest first.
    pub fn between(&self, after: u64, up_to: u64) -> Vec<TraceContext> {
        if !is_on() {
            return Vec::new();
        }
        let ticks = self.0.lock();
        let within = ticks.iter().rev().filter(|traced| traced.tick > after && traced.tick <= up_to);
        within.take(MOST_LINKS).map(|traced| traced.context).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{Tracer, install};

    /// Gives each call a span of its own.
    #[derive(Default)]
    struct CountingTracer(AtomicU64);

    impl Tracer for CountingTracer {
        fn current(&self) -> Option<TraceContext> {
            let span_id = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            Some(TraceContext { trace_id: 7, span_id, flags: 1 })
        }

        fn set_parent(&self, _: &Span, _: TraceContext) {}

        fn add_link(&self, _: &Span, _: TraceContext) {}
    }

    #[test]
    fn ticks_are_known_until_there_are_too_many() {
        let traces = TickTraces::default();
        traces.begin(1, Span::none());
        assert!(traces.between(0, 9).is_empty(), "nothing is kept while nobody exports");
        install(Box::<CountingTracer>::default());
        (1..=4).for_each(|tick| traces.begin(tick, Span::none()));
        traces.forget(3);
        traces.end(2);
        let spans = |after, up_to| traces.between(after, up_to).iter().map(|it| it.span_id).collect::<Vec<_>>();
        assert_eq!(spans(0, 9), [4, 2, 1]);
        assert_eq!(spans(1, 3), [2]);
        let open = traces.0.lock().iter().map(|traced| traced.span.is_some()).collect::<Vec<_>>();
        assert_eq!(open, [false, false, true]);
        (5..2_000).for_each(|tick| traces.begin(tick, Span::none()));
        assert_eq!(traces.0.lock().len(), KEPT);
        assert_eq!(spans(0, 5_000).len(), MOST_LINKS);
        assert!(spans(0, 900).is_empty());
    }
}
