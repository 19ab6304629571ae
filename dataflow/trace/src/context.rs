//! The header `traceparent` of W3C's Trace Context, version 00.

use std::fmt;

/// The name of the header, in HTTP and in records of Kafka.
pub const TRACEPARENT: &str = "traceparent";

/// A span of a trace, as another process is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Bit 0 says that the trace is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a header. Later versions may say more after what version 00 says; `None` for what is none.
    pub fn parse(header: &[u8]) -> Option<TraceContext> {
        let text = std::str::from_utf8(header).ok()?.trim_matches([' ', '\t']);
        let mut parts = text.split('-');
        let version = number(parts.next()?, 2)?;
        let (trace_id, span_id) = (number(parts.next()?, 32)?, number(parts.next()?, 16)?);
        let flags = number(parts.next()?, 2)?;
        let is_known = match version {
            0 => parts.next().is_none(),
            0xff => false,
            _ => true,
        };
        let context =
            TraceContext { trace_id, span_id: u64::try_from(span_id).ok()?, flags: u8::try_from(flags).ok()? };
        (is_known && trace_id != 0 && span_id != 0).then_some(context)
    }
}

/// Reads so many lower-case hexadecimal digits.
fn number(digits: &str, length: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = digits.len() == length && digits.bytes().all(is_digit);
    is_number.then(|| u128::from_str_radix(digits, 16).ok())?
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_as_it_is_written() {
        let context = TraceContext::parse(HEADER.as_bytes());
        let expected = TraceContext {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span_id: 0x00f0_67aa_0ba9_02b7,
            flags: 1,
        };
        assert_eq!(context, Some(expected));
        assert_eq!(expected.to_string(), HEADER);
        assert_eq!(TraceContext::parse(format!(" {HEADER}\t").as_bytes()), Some(expected));
        let later = HEADER.replacen("00-", "cc-", 1) + "-what-comes";
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(expected));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(TraceContext::parse(&[0xff; 55]), None);
    }
}
