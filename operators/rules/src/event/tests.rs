use super::*;
use crate::decimal::Decimal;
use crate::fault::code;
use crate::record::{EventRef, RecordKind, UserPlace};
use crate::value::ValueRef;

const DEFAULTS: EventDefaults = EventDefaults { accepted_at: 1_769_853_600_000 };

fn decode(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    decode_event(json.as_bytes(), &DEFAULTS, &mut out).unwrap_or_else(|fault| panic!("{json}: {fault}"));
    out
}

fn read(record: &[u8]) -> EventRef<'_> {
    let (event, rest) = EventRef::read(record).expect("a whole record");
    assert!(rest.is_empty());
    event
}

/// The pointer and the code of the fault; the output must be as it was, and the decoder as good as new.
fn refused(json: &[u8]) -> (String, &'static str) {
    let mut decoder = EventDecoder::new();
    let mut out = b"before".to_vec();
    let fault = match decoder.decode(json, &DEFAULTS, &mut out) {
        Ok(()) => panic!("accepted: {}", String::from_utf8_lossy(json)),
        Err(fault) => fault,
    };
    assert_eq!(out, b"before");
    out.clear();
    let good = r#"{"userId": "u", "eventType": "p"}"#;
    decoder.decode(good.as_bytes(), &DEFAULTS, &mut out).expect("the next event is not touched");
    assert_eq!(out, decode(good));
    (fault.pointer, fault.code)
}

fn number(text: &str) -> crate::value::Value {
    crate::value::Value::Number(Decimal::parse(text).expect("a number"))
}

#[test]
fn event_decodes_every_member() {
    let record = decode(
        r#" {"properties": {"amount": 10.50, "tags": ["a", null], "deep": {"x": true}, "huge": 1e400}, "userId": "u\u00e9",
             "context": {"ip": "::1"}, "messageId": "m1", "timestamp": "2026-01-01T00:00:00.5+00:00",
             "eventType": "purchase", "integrations": {"All": [true, {}]}, "traits": {"not": "kept"}} "#,
    );
    let event = read(&record);
    assert_eq!(
        (event.user(), event.event_type(), event.message(), event.other()),
        ("ué", "purchase", Some("m1"), None)
    );
    assert_eq!((event.timestamp(), event.accepted_at()), (1_767_225_600_500, DEFAULTS.accepted_at));
    assert_eq!(event.kind(), RecordKind::Event);
    let properties = event.properties().to_value();
    assert_eq!(properties.get("amount"), Some(&number("10.5")));
    assert_eq!(properties.get("huge"), Some(&crate::value::Value::Null));
    assert_eq!(event.context().to_value().get("ip"), Some(&crate::value::Value::Text("::1".into())));
    assert!(event.traits().is_empty());
}

#[test]
fn event_takes_other_spellings_and_defaults() {
    let one = decode(r#"{"customerId": "c", "type": "p", "id": "m", "metadata": {"a": 1}}"#);
    let other = decode(r#"{"userId": "c", "eventType": "p", "messageId": "m", "context": {"a": 1.0}}"#);
    assert_eq!(one, other);
    let both = r#"{"userId": "c", "customerId": "c", "eventType": "p", "type": "p", "messageId": 5, "id": "5",
                   "context": {"a": 1, "b": 2}, "metadata": {"b": 2, "a": 1.0}}"#;
    let record = decode(both);
    assert_eq!((read(&record).user(), read(&record).message()), ("c", Some("5")));
    let nulls = r#"{"userId": null, "customerId": "c", "anonymousId": null, "eventType": "p", "timestamp": null,
                    "messageId": null, "properties": null, "context": null, "traits": null, "previousId": null}"#;
    assert_eq!(decode(nulls), decode(r#"{"userId": "c", "eventType": "p"}"#));
    let record = decode(nulls);
    assert_eq!((read(&record).timestamp(), read(&record).message()), (DEFAULTS.accepted_at, None));
}

#[test]
fn event_takes_the_last_of_equal_keys() {
    let twice = r#"{"userId": "a", "userId": "b", "eventType": "p", "timestamp": 5e11, "timestamp": null,
                    "properties": {"v": 1, "v": 2}, "context": {"x": 1}, "context": null}"#;
    let record = decode(twice);
    let event = read(&record);
    assert_eq!((event.user(), event.timestamp()), ("b", DEFAULTS.accepted_at));
    assert_eq!(event.properties().to_value().get("v"), Some(&number("2")));
    assert!(event.context().to_value().get("x").is_none());
}

#[test]
fn event_tells_its_user_and_the_id_merged_into_it() {
    let cases = [
        (r#"{"anonymousId": "x", "eventType": "p"}"#, RecordKind::Event, "x", None),
        (r#"{"anonymousId": "x", "userId": "u", "eventType": "p"}"#, RecordKind::Event, "u", None),
        (r#"{"anonymousId": "x", "userId": "u", "eventType": "identify"}"#, RecordKind::Identify, "u", Some("x")),
        (r#"{"anonymousId": "u", "userId": "u", "eventType": "identify"}"#, RecordKind::Identify, "u", None),
        (r#"{"anonymousId": "x", "eventType": "identify"}"#, RecordKind::Identify, "x", None),
        (r#"{"previousId": "x", "userId": "u", "type": "alias"}"#, RecordKind::Alias, "u", Some("x")),
        (r#"{"previousId": "x", "userId": "u", "type": "Alias"}"#, RecordKind::Event, "u", None),
        (r#"{"userId": "u", "type": "IDENTIFY", "traits": {"a": 1}}"#, RecordKind::Event, "u", None),
    ];
    for (json, kind, user, other) in cases {
        let record = decode(json);
        let event = read(&record);
        assert_eq!((event.kind(), event.user(), event.other()), (kind, user, other), "{json}");
        assert!(event.traits().is_empty());
    }
    let record = decode(r#"{"userId": "u", "eventType": "identify", "traits": {"plan": "pro"}, "properties": {}}"#);
    assert_eq!(
        read(&record).traits().get("plan").map(ValueRef::to_value),
        Some(crate::value::Value::Text("pro".into()))
    );
}

#[test]
fn event_takes_numbers_as_ids() {
    for (number, id) in [
        ("42", "42"),
        ("42.0", "42"),
        ("-7.50", "-7.5"),
        ("4.2e1", "42"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        let record = decode(&format!(r#"{{"userId": {number}, "eventType": "p"}}"#));
        assert_eq!(read(&record).user(), id);
    }
    let long = "9".repeat(257);
    for (number, code) in [("1e19", code::OUT_OF_RANGE), ("1e400", code::OUT_OF_RANGE), (&*long, event_code::TOO_LONG)]
    {
        let json = format!(r#"{{"userId": {number}, "eventType": "p"}}"#);
        assert_eq!(refused(json.as_bytes()), ("/userId".into(), code), "{number}");
    }
}

#[test]
fn event_with_a_bad_member_is_refused_with_its_pointer() {
    let long = format!(r#"{{"userId": "{}", "eventType": "p"}}"#, "é".repeat(129));
    let gigantic = format!(r#"{{"userId": "u", "eventType": "p", "messageId": "{}"}}"#, "m".repeat(200_000));
    let cases = [
        (r#"{"eventType": "p"}"#, "", code::MISSING_MEMBER),
        (r#"{"userId": "u"}"#, "", code::MISSING_MEMBER),
        (r#"{"userId": null, "anonymousId": null, "eventType": "p"}"#, "", code::MISSING_MEMBER),
        (r#"{"userId": "u", "eventType": "alias"}"#, "", code::MISSING_MEMBER),
        (r#"{"previousId": "u", "eventType": "alias"}"#, "", code::MISSING_MEMBER),
        (r#"{"userId": "", "eventType": "p"}"#, "/userId", event_code::PLACEHOLDER_ID),
        (r#"{"userId": "u", "eventType": ""}"#, "/eventType", code::EMPTY),
        (r#"{"userId": "u", "eventType": "p", "messageId": ""}"#, "/messageId", code::EMPTY),
        (r#"{"userId": true, "eventType": "p"}"#, "/userId", code::WRONG_TYPE),
        (r#"{"userId": ["u"], "eventType": "p"}"#, "/userId", code::WRONG_TYPE),
        (r#"{"userId": "u", "anonymousId": {}, "eventType": "p"}"#, "/anonymousId", code::WRONG_TYPE),
        (r#"{"userId": "u", "eventType": 5}"#, "/eventType", code::WRONG_TYPE),
        (r#"{"userId": "u", "eventType": "p", "properties": []}"#, "/properties", code::WRONG_TYPE),
        (r#"{"userId": "u", "eventType": "p", "context": "x"}"#, "/context", code::WRONG_TYPE),
        (r#"{"userId": "u", "eventType": "p", "metadata": 1}"#, "/metadata", code::WRONG_TYPE),
        (r#"{"userId": "u", "eventType": "identify", "traits": false}"#, "/traits", code::WRONG_TYPE),
        (r#"{"userId": "u", "customerId": "v", "eventType": "p"}"#, "/customerId", event_code::CONFLICT),
        (r#"{"userId": "u", "type": "q", "eventType": "p"}"#, "/type", event_code::CONFLICT),
        (r#"{"userId": "u", "eventType": "p", "id": 1, "messageId": 2}"#, "/id", event_code::CONFLICT),
        (
            r#"{"userId": "u", "eventType": "p", "context": {"a": 1}, "metadata": {}}"#,
            "/metadata",
            event_code::CONFLICT,
        ),
        (&*long, "/userId", event_code::TOO_LONG),
        (&*gigantic, "/messageId", event_code::TOO_LONG),
    ];
    for (json, pointer, code) in cases {
        assert_eq!(refused(json.as_bytes()), (pointer.into(), code), "{:.80}", json);
    }
    let longest = format!(r#"{{"userId": "{}", "eventType": "p"}}"#, "é".repeat(128));
    decode(&longest);
}

#[test]
fn event_takes_timestamps_in_every_form() {
    for (timestamp, millis) in [
        ("100000000000", 100_000_000_000),
        ("7258118399999", 7_258_118_399_999),
        ("1.7e12", 1_700_000_000_000),
        ("1700000000000.0000000001", 1_700_000_000_000),
        (r#""2199-12-31T23:59:59.999Z""#, 7_258_118_399_999),
        (r#""1900-01-01""#, -2_208_988_800_000),
        (r#""2026-01-31 10:00:00""#, 1_769_853_600_000),
        (r#""2026-01-31T11:00:00+0100""#, 1_769_853_600_000),
        (r#""1970-01-01T01:00:00+01:00""#, 0),
    ] {
        let record = decode(&format!(r#"{{"userId": "u", "eventType": "p", "timestamp": {timestamp}}}"#));
        assert_eq!(read(&record).timestamp(), millis, "{timestamp}");
    }
    let digits = "9".repeat(400);
    for timestamp in [
        "7258118400000",
        "1700000000000.5",
        "1e400",
        &digits,
        "true",
        "[]",
        "{}",
        r#""""#,
        r#""yesterday""#,
        r#""1700000000000""#,
        r#""0000-01-01T00:00:00Z""#,
        r#""9999-12-31T23:59:59Z""#,
        r#""2026-01-01T00:00""#,
        r#""1899-12-31T23:59:59Z""#,
        r#""2026-01-01T00:00:00Z\u0000""#,
    ] {
        let json = format!(r#"{{"userId": "u", "eventType": "p", "timestamp": {timestamp}}}"#);
        assert_eq!(refused(json.as_bytes()), ("/timestamp".into(), code::BAD_TIME), "{timestamp}");
    }
    for timestamp in ["0", "-1", "1700000000", "99999999999"] {
        let json = format!(r#"{{"userId": "u", "eventType": "p", "timestamp": {timestamp}}}"#);
        assert_eq!(refused(json.as_bytes()), ("/timestamp".into(), event_code::LOOKS_LIKE_SECONDS), "{timestamp}");
    }
    let (mut decoder, mut record) = (EventDecoder::new(), Vec::new());
    decoder.set_zone(ZoneId::named("Europe/Berlin").expect("a zone"));
    let json = br#"{"userId": "u", "eventType": "p", "timestamp": "2026-06-10"}"#;
    decoder.decode(json, &DEFAULTS, &mut record).expect("an event");
    assert_eq!(read(&record).timestamp(), 1_781_042_400_000, "read in the zone");
}

#[test]
fn event_of_malformed_bytes_is_refused() {
    let cases: [&[u8]; 14] = [
        b"",
        b"{",
        b"{\"userId\": \"u\", \"eventType\": \"p\"} {}",
        b"{\"userId\": \"u\", \"eventType\": \"p\",}",
        b"{\"userId\": \"u\" \"eventType\": \"p\"}",
        b"{\"userId\": \"u\xff\", \"eventType\": \"p\"}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"ignored\": \"\xff\"}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"\xc3\": 1}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"ignored\": \"\\ud800\"}",
        b"{\"userId\": \"u\0\", \"eventType\": \"p\"}",
        b"{\"userId\": NaN, \"eventType\": \"p\"}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"properties\": {\"v\": Infinity}}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"properties\": {\"v\": 01}}",
        b"{\"userId\": \"u\", \"eventType\": \"p\", \"timestamp\": -}",
    ];
    for json in cases {
        assert_eq!(refused(json), (String::new(), event_code::MALFORMED_JSON), "{}", String::from_utf8_lossy(json));
    }
    for json in ["null", "[]", "5", "\"x\"", "[{\"userId\": \"u\"}]"] {
        assert_eq!(refused(json.as_bytes()), (String::new(), code::WRONG_TYPE), "{json}");
    }
}

#[test]
fn event_is_bounded_in_bytes_and_depth() {
    let nested = |member: &str, depth: usize| {
        let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        format!(r#"{{"userId": "u", "eventType": "p", "{member}": {open}1{close}}}"#)
    };
    decode(&nested("properties", MAX_EVENT_DEPTH - 1));
    decode(&nested("ignored", MAX_EVENT_DEPTH - 1));
    assert_eq!(refused(nested("properties", MAX_EVENT_DEPTH).as_bytes()), ("/properties".into(), code::TOO_DEEP));
    assert_eq!(refused(nested("context", 10_000).as_bytes()), ("/context".into(), code::TOO_DEEP));
    assert_eq!(refused(nested("ignored", 10_000).as_bytes()), (String::new(), code::TOO_DEEP));
    let large = |bytes: usize| {
        let json = r#"{"userId": "u", "eventType": "p"}"#;
        format!("{json}{}", " ".repeat(bytes - json.len()))
    };
    decode(&large(MAX_EVENT_BYTES));
    assert_eq!(refused(large(MAX_EVENT_BYTES + 1).as_bytes()), (String::new(), event_code::TOO_LARGE));
}

#[test]
fn event_takes_nul_and_digits_as_data() {
    let record = decode(&format!(
        r#"{{"userId": "a\u0000b", "eventType": "\u0000", "properties": {{"\u0000": "\u0000", "n": {}.5, "small": 0.{}1}}}}"#,
        "9".repeat(400),
        "0".repeat(5000),
    ));
    let event = read(&record);
    assert_eq!((event.user(), event.event_type()), ("a\0b", "\0"));
    let properties = event.properties().to_value();
    assert_eq!(properties.get("\0"), Some(&crate::value::Value::Text("\0".into())));
    assert_eq!(properties.get("n"), Some(&crate::value::Value::Null));
    assert_eq!(properties.get("small"), Some(&number("0")));
}

#[test]
fn event_decoder_survives_every_prefix_and_every_torn_byte() {
    let json = r#"{"userId": "u", "eventType": "identify", "anonymousId": "é\n", "timestamp": 1.5e12, "traits": {"a": [1, {}]}}"#;
    let mut decoder = EventDecoder::new();
    let mut out = Vec::new();
    for end in 0..json.len() {
        assert!(decoder.decode(&json.as_bytes()[..end], &DEFAULTS, &mut out).is_err());
        for byte in [0, b'"', b'\\', b'}', b'9', 0xff] {
            let mut torn = json.as_bytes().to_vec();
            torn[end] = byte;
            out.clear();
            if decoder.decode(&torn, &DEFAULTS, &mut out).is_ok() {
                read(&out);
            }
            out.clear();
        }
    }
}

#[test]
fn event_export_decodes_to_the_same_record() {
    for json in [
        r#"{"userId": "u\"\\\u0001", "eventType": "p", "timestamp": 1700000000001, "messageId": "m",
            "properties": {"z": 1.000000001, "a": [null, "x\n", {"k": -5}], "e": {}}, "context": {"c": true}}"#,
        r#"{"userId": "u", "anonymousId": "x", "eventType": "identify", "traits": {"plan": null, "n": 1e18}}"#,
        r#"{"userId": "u", "previousId": "x", "eventType": "alias"}"#,
        r#"{"anonymousId": "x", "eventType": "p"}"#,
        r#"{"userId": "u", "type": "track", "event": "alias"}"#,
    ] {
        let record = decode(json);
        let exported = event_to_json(&read(&record));
        assert!(exported.contains(r#""receivedAt":"2026-01-31T10:00:00Z""#), "{exported}");
        let again = decode(&exported);
        assert_eq!(event_to_json(&read(&again)), exported);
        let (first, second) = (read(&record), read(&again));
        assert_eq!((first.kind(), first.user(), first.other()), (second.kind(), second.user(), second.other()));
        assert_eq!(first.properties().to_value(), second.properties().to_value());
        assert_eq!(first.traits().get("n").map(ValueRef::to_value), second.traits().get("n").map(ValueRef::to_value));
    }
}

#[test]
fn placeholders_are_no_ids() {
    let cases = [
        (r#"{"anonymousId": "null", "userId": "u", "eventType": "identify"}"#, "u", None),
        (r#"{"anonymousId": "dev", "userId": "None", "eventType": "identify"}"#, "dev", None),
        (r#"{"anonymousId": "dev", "userId": "", "eventType": "p"}"#, "dev", None),
        (r#"{"anonymousId": -1.0, "userId": "u", "eventType": "p"}"#, "u", None),
        (r#"{"anonymousId": "dev", "userId": "u", "eventType": "identify"}"#, "u", Some("dev")),
    ];
    for (json, user, other) in cases {
        let record = decode(json);
        assert_eq!((read(&record).user(), read(&record).other()), (user, other), "{json}");
        let place = if user == "u" { UserPlace::UserId } else { UserPlace::AnonymousId };
        assert_eq!((read(&record).place(), read(&record).is_naming()), (place, user == "u"), "{json}");
    }
    let cases = [
        (r#"{"userId": 0.0, "eventType": "p"}"#, "/userId"),
        (r#"{"customerId": "NaN", "eventType": "p"}"#, "/customerId"),
        (r#"{"anonymousId": "nil", "eventType": "p"}"#, "/anonymousId"),
        (r#"{"anonymousId": "", "eventType": "p"}"#, "/anonymousId"),
        (r#"{"anonymousId": "nil", "userId": "guest", "eventType": "p"}"#, "/userId"),
        (r#"{"previousId": "u", "userId": "guest", "eventType": "alias"}"#, "/userId"),
        (r#"{"previousId": "u", "userId": "guest", "anonymousId": "a", "eventType": "alias"}"#, "/userId"),
        (r#"{"previousId": "anonymous", "userId": "u", "eventType": "alias"}"#, "/previousId"),
        (r#"{"previousId": "", "userId": "u", "eventType": "alias"}"#, "/previousId"),
    ];
    for (json, pointer) in cases {
        assert_eq!(refused(json.as_bytes()), (pointer.into(), event_code::PLACEHOLDER_ID), "{json}");
    }
    let mut decoder = EventDecoder::new();
    decoder.set_placeholders(&Arc::new(Placeholders::new(["kiosk"])));
    let mut out = Vec::new();
    assert!(decoder.decode(br#"{"userId": "guest", "eventType": "p"}"#, &DEFAULTS, &mut out).is_ok());
    assert!(decoder.decode(br#"{"userId": "Kiosk", "eventType": "p"}"#, &DEFAULTS, &mut out).is_err());
}

#[test]
fn a_track_is_a_track_whatever_it_is_called() {
    for name in ["identify", "alias", "track", "buy"] {
        let json = format!(
            r#"{{"event": "{name}", "userId": "u", "anonymousId": "a", "type": "track", "traits": {{"x": 1}}}}"#
        );
        let record = decode(&json);
        let event = read(&record);
        assert_eq!((event.kind(), event.event_type(), event.other()), (RecordKind::Event, name, None), "{json}");
        assert!(event.traits().is_empty());
    }
    for (json, event_type) in [
        (r#"{"userId": "u", "type": "track"}"#, "track"),
        (r#"{"userId": "u", "type": "view", "event": {"x": 1}}"#, "view"),
        (r#"{"userId": "u", "type": "view", "event": ""}"#, "view"),
        (r#"{"userId": "u", "eventType": "track", "type": "track", "event": "buy"}"#, "track"),
        (r#"{"userId": "u", "eventType": "view", "event": "buy"}"#, "view"),
    ] {
        let record = decode(json);
        assert_eq!(read(&record).event_type(), event_type, "{json}");
    }
    for (name, code) in [("\"\"", code::EMPTY), ("5", code::WRONG_TYPE), (r#"{"a": [1]}"#, code::WRONG_TYPE)] {
        let json = format!(r#"{{"userId": "u", "type": "track", "event": {name}}}"#);
        assert_eq!(refused(json.as_bytes()), ("/event".into(), code), "{json}");
    }
}

#[test]
fn members_that_are_meant_are_told() {
    for (json, pointer, meant) in [
        (r#"{"userId": "u", "eventType": "p", "timeStamp": 5}"#, "/timeStamp", "timestamp"),
        (r#"{"userId": "u", "eventType": "p", "time": "2026-01-01T00:00:00Z"}"#, "/time", "timestamp"),
        (r#"{"userId": "u", "eventType": "p", "time_stamp": null}"#, "/time_stamp", "timestamp"),
        (r#"{"user_id": "u", "eventType": "p"}"#, "/user_id", "userId"),
        (r#"{"UserID": "u", "anonymousId": "a", "eventType": "p"}"#, "/UserID", "userId"),
        (r#"{"userId": "u", "event_type": "p"}"#, "/event_type", "eventType"),
        (r#"{"userId": "u", "event": "p"}"#, "/event", "eventType"),
        (r#"{"userId": "u", "eventType": "p", "Properties": {}}"#, "/Properties", "properties"),
        (r#"{"userId": "u", "user_id": 1, "eventType": "p", "message id": "m"}"#, "/message id", "messageId"),
    ] {
        assert_eq!(refused(json.as_bytes()), (pointer.into(), code::UNKNOWN_KEY), "{json}");
        let fault = decode_event(json.as_bytes(), &DEFAULTS, &mut Vec::new()).expect_err("it is refused");
        assert!(fault.message.ends_with(&format!("did you mean `{meant}`?")), "{fault}");
    }
    for json in [
        r#"{"userId": "u", "eventType": "p", "timestamp": 1700000000000, "time": 5}"#,
        r#"{"customerId": "u", "user_id": "v", "type": "p", "event_type": "q"}"#,
        r#"{"userId": "u", "eventType": "p", "timezone": "UTC", "receivedAt": "x", "tim": 1}"#,
    ] {
        decode(json);
    }
}

#[test]
fn event_takes_the_last_of_equal_texts_however_it_is_written() {
    for (ids, user) in [
        (r#""userId": "\u0061b", "userId": "c""#, "c"),
        (r#""userId": "c", "userId": "\u0061b""#, "ab"),
        (r#""userId": 12, "userId": "c""#, "c"),
        (r#""userId": "c", "userId": 1200"#, "1200"),
        (r#""userId": "c", "userId": -7.50"#, "-7.5"),
        (r#""userId": "a", "userId": null, "anonymousId": "d""#, "d"),
        (r#""userId": "\u0061", "userId": null, "anonymousId": "d""#, "d"),
        (r#""userId": 100000000000000000, "customerId": "100000000000000000""#, "100000000000000000"),
        (r#""userId": 1000000000000000000"#, "1000000000000000000"),
    ] {
        let json = format!(r#"{{"eventType": "p", {ids}}}"#);
        assert_eq!(read(&decode(&json)).user(), user, "{json}");
    }
    assert_eq!(refused(br#"{"userId": 01, "eventType": "p"}"#), (String::new(), event_code::MALFORMED_JSON));
    let empty = br#"{"userId": "u", "userId": "", "eventType": "p"}"#;
    assert_eq!(refused(empty), ("/userId".into(), event_code::PLACEHOLDER_ID));
}

#[test]
fn event_decoder_reads_text_as_it_reads_bytes() {
    let mut decoder = EventDecoder::new();
    for json in [
        r#"{"userId": "\u0061\n", "eventType": "p", "properties": {"\u0062": "\t", "n": 12}, "time": 1}"#,
        r#"{"userId": "u", "eventType": "p", "timestamp": 1700000000000, "context": {"ä": "ö"}}"#,
        r#"{"userId": "u", "eventType": "p", "timestamp": 17}"#,
        r#"{"userId": "u", "eventType": "p""#,
    ] {
        let (mut of_bytes, mut of_text) = (Vec::new(), Vec::new());
        let bytes = decoder.decode(json.as_bytes(), &DEFAULTS, &mut of_bytes);
        let text = decoder.decode_text(json, &DEFAULTS, &mut of_text);
        assert_eq!((bytes, of_bytes), (text, of_text), "{json}");
    }
}

#[test]
fn records_of_some_kinds_are_found_among_all() {
    let mut run = Vec::new();
    for json in [
        r#"{"userId": "u", "eventType": "p", "timestamp": 1700000000000, "properties": {"a": 1}}"#,
        r#"{"userId": "u", "anonymousId": "x", "eventType": "identify", "traits": {"plan": "pro"}}"#,
        r#"{"userId": "u", "previousId": "y", "eventType": "alias"}"#,
    ] {
        run.extend(decode(json));
    }
    crate::record::erasure("u", 7, &mut run);
    crate::record::blank(9, &mut run);
    run.extend(decode(r#"{"userId": "v", "eventType": "p"}"#));
    let kinds = [RecordKind::Event, RecordKind::Identify, RecordKind::Alias, RecordKind::Erasure, RecordKind::Blank];
    let found = |wanted: RecordKind| crate::record::records_of(&run, move |kind| kind == wanted).count();
    assert_eq!(kinds.map(found), [2, 1, 1, 1, 1]);
    assert_eq!(crate::record::records(&run).map(|record| record.kind()).filter(|kind| kinds.contains(kind)).count(), 5);
    for record in crate::record::records(&run) {
        let head = crate::record::time_and_kind(record.bytes());
        assert_eq!(head, Some((record.timestamp(), record.kind())), "{}", record.event_type());
    }
    assert_eq!(crate::record::records_of(&run[..run.len() - 1], |kind| kind == RecordKind::Event).count(), 1);
    assert_eq!(crate::record::time_and_kind(&run[..20]), None);
}
