//! The targets that take any bytes: from the fuzzer, and from a test over its corpus and mutations of it.

use audience_kernel::program::Program;
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults, MAX_EVENT_BYTES, event_to_json};
use audience_rules::json::parse_json;
use audience_rules::record::{EventRef, RecordKind};
use audience_rules::unparse::node_to_json_with;

/// Bytes as rules: refused with a fault, or read; what is read is written so that it reads the same, and can be compiled.
///
/// # Panics
///
/// If that is not so.
pub fn rules(bytes: &[u8]) {
    let Ok(json) = parse_json(bytes) else { return };
    let catalogue = Catalogue::with_shipped_traits();
    match catalogue.check_rules("fuzzed", &json) {
        Ok(node) => {
            let text = node_to_json_with(&node, &catalogue);
            let written = parse_json(text.as_bytes()).expect("what is written is JSON");
            let again = catalogue.check_rules("fuzzed", &written);
            assert_eq!(again.as_ref(), Ok(&node), "{text}");
            assert_eq!(node_to_json_with(&node, &catalogue), text);
            let program = Program::compile(&node, &catalogue);
            assert!(program == Program::compile(&node, &catalogue), "{text} compiles to two things");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            for fault in faults {
                assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'), "{fault:?}");
                assert!(!fault.message.is_empty(), "{fault:?}");
            }
        }
    }
}

/// Bytes as a body of the tracking API of Segment and of PostHog, in every way in which one is read: each is refused with a code,
/// or whole records; an event that was made of valid JSON is valid JSON.
///
/// # Panics
///
/// If that is not so.
pub fn tracking(bytes: &[u8]) {
    let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    for outcome in audience_api::decode_as_everything(bytes) {
        let records = match outcome {
            Err(code) => {
                assert!(!is_json || code != "malformed_json", "what was made of a message is no JSON");
                continue;
            }
            Ok(records) => records,
        };
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (event, behind) = EventRef::read(rest).expect("whole records");
            assert!(!event.user().is_empty() && !event.event_type().is_empty());
            rest = behind;
        }
    }
}

/// Bytes as an event: refused, with nothing left behind, or a whole record; which as JSON is the same event.
///
/// # Panics
///
/// If that is not so.
pub fn event(bytes: &[u8]) {
    let defaults = EventDefaults { accepted_at: 1_767_225_600_000 };
    let mut decoder = EventDecoder::new();
    let mut records = b"before".to_vec();
    if let Err(fault) = decoder.decode(bytes, &defaults, &mut records) {
        assert_eq!(records, b"before", "{fault:?} left something behind");
        assert!(!fault.message.is_empty(), "{fault:?}");
        return;
    }
    let record = records.split_off(6);
    let (event, rest) = EventRef::read(&record).expect("a whole record");
    assert!(rest.is_empty() && !event.user().is_empty() && !event.event_type().is_empty());
    assert!(event.kind() != RecordKind::Alias || event.other().is_some());
    let json = event_to_json(&event);
    if json.len() > MAX_EVENT_BYTES {
        return;
    }
    let mut again = Vec::new();
    let decoded = decoder.decode(json.as_bytes(), &defaults, &mut again);
    assert!(decoded.is_ok(), "{decoded:?}: {json}");
    // Members may stand in another order; all that an event says is in its JSON.
    let (again, rest) = EventRef::read(&again).expect("a whole record");
    assert!(rest.is_empty());
    let who = |event: &EventRef<'_>| (event.kind(), event.place(), event.user().to_owned());
    assert_eq!((who(&again), again.other()), (who(&event), event.other()), "{json}");
    assert_eq!(event_to_json(&again), json);
}
