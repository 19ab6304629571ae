//! Log lines that name the trace and span in which they were written.

use std::fmt;

use audience_trace::TraceContext;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A form of log lines, with `trace_id` and `span_id` where the line is written in an exported span.
pub(super) struct TracedLines<F> {
    lines: F,
    mark: fn(&str, TraceContext, &mut Writer<'_>) -> fmt::Result,
}

impl<F> TracedLines<F> {
    /// Lines of text: the ids stand at the end.
    pub(super) fn text(lines: F) -> TracedLines<F> {
        TracedLines { lines, mark: mark_text }
    }

    /// JSON objects: the ids are their first members.
    pub(super) fn json(lines: F) -> TracedLines<F> {
        TracedLines { lines, mark: mark_json }
    }
}

fn mark_text(line: &str, TraceContext { trace_id, span_id, .. }: TraceContext, writer: &mut Writer<'_>) -> fmt::Result {
    writeln!(writer, "{} trace_id={trace_id:032x} span_id={span_id:016x}", line.trim_end_matches('\n'))
}

fn mark_json(line: &str, TraceContext { trace_id, span_id, .. }: TraceContext, writer: &mut Writer<'_>) -> fmt::Result {
    let members = line.strip_prefix('{').unwrap_or(line);
    write!(writer, r#"{{"trace_id":"{trace_id:032x}","span_id":"{span_id:016x}",{members}"#)
}

impl<S, N, F> FormatEvent<S, N> for TracedLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = audience_trace::current() else { return self.lines.format_event(context, writer, event) };
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        (self.mark)(&line, trace, &mut writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: TraceContext = TraceContext { trace_id: 0xab, span_id: 0xcd, flags: 1 };

    #[test]
    fn a_line_names_its_trace() {
        let marked = |mark: fn(&str, TraceContext, &mut Writer<'_>) -> fmt::Result, line: &str| {
            let mut text = String::new();
            mark(line, CONTEXT, &mut Writer::new(&mut text)).expect("a string takes all");
            text
        };
        let (trace, span) = ("000000000000000000000000000000ab", "00000000000000cd");
        assert_eq!(marked(mark_text, "INFO it runs\n"), format!("INFO it runs trace_id={trace} span_id={span}\n"));
        let json: serde_json::Value = serde_json::from_str(&marked(mark_json, "{\"level\":\"INFO\"}\n")).expect("JSON");
        assert_eq!(json, serde_json::json!({"trace_id": trace, "span_id": span, "level": "INFO"}));
    }
}
