//! Contexts of exported spans: what the rest of the program asks of the library that exports them.

use audience_trace::{TraceContext, Tracer};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The spans of the layer that exports them.
pub(super) struct ExportedSpans;

impl Tracer for ExportedSpans {
    fn current(&self) -> Option<TraceContext> {
        let context = Context::current();
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        })
    }

    fn set_parent(&self, span: &Span, parent: TraceContext) {
        // Fails for a span that is not exported, whose parent is of no use.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote(parent)));
    }

    fn add_link(&self, span: &Span, to: TraceContext) {
        span.add_link(remote(to));
    }
}

fn remote(context: TraceContext) -> SpanContext {
    let trace_id = TraceId::from_bytes(context.trace_id.to_be_bytes());
    let span_id = SpanId::from_bytes(context.span_id.to_be_bytes());
    SpanContext::new(trace_id, span_id, TraceFlags::new(context.flags), true, TraceState::default())
}
