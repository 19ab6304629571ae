use super::*;

fn rewritten(kind: &str, message: &str) -> String {
    let (message, _) = TrackingMessage::read(message.as_bytes(), 0).unwrap().unwrap();
    let mut out = Vec::new();
    let around = Surroundings { context: Some(b"{\"b\":1}"), ..Surroundings::default() };
    rewrite(&message, kind, around, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn messages() {
    for (kind, message, event) in [
        (
            "track",
            r#"{"userId":"u","event":"buy","properties":{"amount":1.50},"sentAt":"x","context":{"ip":"1"}}"#,
            r#"{"userId":"u","context":{"ip":"1"},"type":"track","event":"buy","properties":{"amount":1.50}}"#,
        ),
        (
            "identify",
            r#"{"anonymousId":"a","userId":"","traits":{"age":3},"timestamp":"t","messageId":"m"}"#,
            r#"{"anonymousId":"a","messageId":"m","timestamp":"t","context":{"b":1},"eventType":"identify","traits":{"age":3}}"#,
        ),
        (
            "page",
            r#"{"userId":"u","name":"Home","properties":{"path":"/"}}"#,
            r#"{"userId":"u","context":{"b":1},"eventType":"page","properties":{"name":"Home","path":"/"}}"#,
        ),
        (
            "screen",
            r#"{"userId":"u","name":"Home","category":null,"properties":{"name":"Own","x":[1]}}"#,
            r#"{"userId":"u","context":{"b":1},"eventType":"screen","properties":{"name":"Own","x":[1]}}"#,
        ),
        (
            "group",
            r#"{"userId":"u","groupId":"g","traits":{"groupId":null,"plan":"x"}}"#,
            r#"{"userId":"u","context":{"b":1},"eventType":"group","properties":{"groupId":"g","plan":"x"}}"#,
        ),
        (
            "alias",
            r#"{"userId":"u","previousId":"p","userId":"v"}"#,
            r#"{"userId":"v","previousId":"p","context":{"b":1},"eventType":"alias"}"#,
        ),
        ("page", r#"{"userId":null,"properties":7}"#, r#"{"context":{"b":1},"eventType":"page","properties":7}"#),
    ] {
        assert_eq!(rewritten(kind, message), event, "{kind}");
    }
}

/// A message of the libraries as it is read leniently, at 2026-06-10T06:00:00Z.
fn lenient(kind: &str, message: &str) -> serde_json::Value {
    let (message, _) = TrackingMessage::read(message.as_bytes(), 0).unwrap().unwrap();
    let mut out = Vec::new();
    let around = Surroundings {
        context: Some(br#"{"ip":"1","traits":{"batch":1}}"#),
        sent_at: Some(br#""2026-06-10T06:00:10Z""#),
        now: Some(1_781_071_200_000),
        ..Surroundings::default()
    };
    rewrite(&message, kind, around, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn times_are_read_leniently_and_clocks_corrected() {
    for (message, timestamp, context) in [
        (r#"{"timestamp":"2026-06-10T06:00:05Z"}"#, "2026-06-10T05:59:55Z", r#"{"timestampCorrection":-10000}"#),
        (r#"{"originalTimestamp":1781071205}"#, "2026-06-10T05:59:55Z", r#"{"timestampCorrection":-10000}"#),
        (
            r#"{"timestamp":"2026-06-10 06:00:05","sentAt":"2026-06-10"}"#,
            "2026-06-10T12:00:05Z",
            r#"{"timestampCorrection":21600000}"#,
        ),
        (r#"{"timestamp":"2026-06-10T06:00:05Z","sentAt":"2026-06-10T06:00:00.000Z"}"#, "2026-06-10T06:00:05Z", "{}"),
        (r#"{"timestamp":"2026-06-10T06:00:05Z","originalTimestamp":"2020-01-01"}"#, "2026-06-10T06:00:05Z", "{}"),
        (r#"{"timestamp":"2026-06-10T06:00:05Z","receivedAt":"2026-06-10T06:00:06Z"}"#, "2026-06-10T06:00:05Z", "{}"),
    ] {
        let message = message.replace('}', r#","context":{}}"#);
        let event = lenient("track", &message);
        assert_eq!(event["timestamp"], timestamp, "{message}");
        assert_eq!(event["context"], serde_json::from_str::<serde_json::Value>(context).unwrap(), "{message}");
    }
    for (fault, kept) in [
        (r#""0001-01-01T00:00:00Z""#, "0001-01-01T00:00:00Z"),
        (r#""""#, ""),
        ("{}", "no text or number, or a long one"),
    ] {
        let event = lenient("track", &format!(r#"{{"timestamp":{fault}}}"#));
        assert!(event["timestamp"].is_null(), "{event}");
        assert_eq!(event["context"]["timestampFault"], kept);
        assert_eq!(event["context"]["ip"], "1");
    }
    assert!(lenient("track", r#"{"event":"x"}"#)["timestamp"].is_null());
}

#[test]
fn traits_stand_in_the_context_too() {
    for (message, traits) in [
        (r#"{"context":{"traits":{"plan":"pro"}}}"#, r#"{"plan":"pro"}"#),
        (r#"{"context":{"traits":{"plan":"pro","a":1}},"traits":{"plan":"free"}}"#, r#"{"plan":"free","a":1}"#),
        (r#"{"context":{"traits":[]},"traits":[ ]}"#, "{}"),
        (r#"{"context":{"tr\u0061its":{"a":2}},"traits":{}}"#, r#"{"a":2}"#),
        (r#"{}"#, r#"{"batch":1}"#),
    ] {
        assert_eq!(
            lenient("identify", message)["traits"],
            serde_json::from_str::<serde_json::Value>(traits).unwrap(),
            "{message}"
        );
    }
    assert!(lenient("track", r#"{"event":"x"}"#)["traits"].is_null());
}

#[test]
fn messages_among_events_are_told_by_their_members() {
    for (message, kind) in [
        (r#"{"type":"page","name":"Home","userId":"u"}"#, Some("page")),
        (r#"{"type":"group","groupId":"g","userId":"u"}"#, Some("group")),
        (r#"{"t\u0079pe":"identify","context":{"traits":{"a":1}}}"#, Some("identify")),
        (r#"{"type":"page","userId":"u","properties":{"name":"x"}}"#, None),
        (r#"{"type":"page","name":"Home","customerId":"u"}"#, None),
        (r#"{"type":"page","name":"Home","eventType":"x"}"#, None),
        (r#"{"type":"track","event":"x"}"#, Some("track")),
        (r#"{"type":"purchase","name":"x"}"#, None),
        (r#"{"type":7,"name":"x"}"#, None),
    ] {
        let (read, _) = TrackingMessage::read(message.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(read.kind_among_events(), kind, "{message}");
    }
}
