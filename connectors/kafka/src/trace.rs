//! The header `traceparent` of records: their readers' spans are below that of the write.

use audience_trace::TRACEPARENT;
use rdkafka::message::{Header, OwnedHeaders};

/// The headers of records that are written in the span that this thread is in; none where no spans are exported.
pub(crate) fn headers() -> Option<OwnedHeaders> {
    let context = audience_trace::current()?.to_string();
    let header = Header { key: TRACEPARENT, value: Some(&context) };
    Some(OwnedHeaders::new_with_capacity(1).insert(header))
}
