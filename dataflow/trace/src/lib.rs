//! The context of a trace, as it passes between threads and processes: [`TraceContext`] is the W3C header `traceparent`.
//!
//! The program installs a [`Tracer`] where it exports spans; nothing here, and none of the crates that ask, knows the library
//! that does. Without one every function costs the read of one static, and does nothing.
//!
//! Work that is not done on the thread of its request carries the context: a batch of records to its tick, and [`TickTraces`]
//! from a tick to whoever gives its changes out.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod context;
mod ticks;

use std::sync::OnceLock;

use tracing::Span;

pub use context::{TRACEPARENT, TraceContext};
pub use ticks::TickTraces;

/// Contexts that a span is linked to, at most.
pub const MOST_LINKS: usize = 32;

/// The exporter of spans, as far as contexts go.
pub trait Tracer: Send + Sync {
    /// The context of the span that this thread is in.
    fn current(&self) -> Option<TraceContext>;

    /// Puts a span that was not entered yet into the trace of another one, and below it.
    fn set_parent(&self, span: &Span, parent: TraceContext);

    /// Links a span to another one.
    fn add_link(&self, span: &Span, to: TraceContext);
}

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// Installs the tracer of this process. The first one stays.
pub fn install(tracer: Box<dyn Tracer>) {
    let _ = TRACER.set(tracer);
}

/// Returns whether spans are exported.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Returns the context of the span that this thread is in; `None` where none is exported.
pub fn current() -> Option<TraceContext> {
    TRACER.get()?.current()
}

/// Puts a span that was not entered yet below the one that a `traceparent` names. A text that is none is passed over.
pub fn continue_from(span: &Span, traceparent: Option<&[u8]>) {
    if let Some(tracer) = TRACER.get()
        && let Some(parent) = traceparent.and_then(TraceContext::parse)
    {
        tracer.set_parent(span, parent);
    }
}

/// Puts a span that was not entered yet below the first of these, and links it to all of them.
pub fn carry_on(span: &Span, contexts: &[TraceContext]) {
    let (Some(tracer), Some(first)) = (TRACER.get(), contexts.first()) else { return };
    tracer.set_parent(span, *first);
    contexts.iter().take(MOST_LINKS).for_each(|context| tracer.add_link(span, *context));
}
