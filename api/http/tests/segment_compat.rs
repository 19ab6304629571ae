//! Messages of Segment's tracking API.

mod common;

use common::{NOW, start};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_path() {
    let server = start().await;
    let basic = ("authorization", "Basic d3JpdGVrZXk6");
    for (path, body) in [
        ("identify", r#"{"userId":"u","anonymousId":"a","traits":{"x":1},"sentAt":"2024","integrations":{}}"#),
        (
            "track",
            r#"{"userId":null,"anonymousId":"a","event":"Order Completed","timestamp":"2023-01-01T00:00:00.000Z"}"#,
        ),
        ("page", r#"{"userId":"u","name":"Home","properties":{"name":"Home","path":"/"},"messageId":"m1"}"#),
        ("screen", r#"{"userId":"u","name":"Home"}"#),
        ("group", r#"{"userId":"u","groupId":"g","traits":{"plan":"x"}}"#),
        ("alias", r#"{"userId":"u","previousId":"old"}"#),
        (
            "batch",
            r#"{"batch":[{"type":"track","userId":"u","event":"e"}],"context":{"ip":"1"},"sentAt":"x","writeKey":"w"}"#,
        ),
    ] {
        let reply = server.ask(&format!("POST /v1/{path}"), &[basic, ("content-type", "text/plain")], body).await;
        assert_eq!((reply.status, reply.value()), (200, json!({"success": true})), "{path}: {}", reply.text());
    }
    let events = server.platform.events.lock().unwrap();
    let seen: Vec<_> =
        events.iter().map(|seen| (seen.user.as_str(), seen.event_type.as_str(), seen.other.as_str())).collect();
    let wanted = [
        ("u", "identify", "a"),
        ("a", "Order Completed", ""),
        ("u", "page", ""),
        ("u", "screen", ""),
        ("u", "group", ""),
        ("u", "alias", "old"),
        ("u", "e", ""),
    ];
    assert_eq!(seen, wanted);
    assert_eq!((events[1].timestamp, events[2].timestamp, events[2].message.as_str()), (1_672_531_200_000, NOW, "m1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults() {
    let server = start().await;
    let mixed = r#"{"batch":[{"type":"track","userId":"u","event":"e"},{"type":"nope"},7,{"type":"track","userId":"u","event":7}]}"#;
    let reply = server.json("POST /v1/batch", mixed).await;
    let value = reply.value();
    assert_eq!((reply.status, &value["success"]), (200, &json!(true)));
    let places: Vec<_> = value["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].clone(), one["pointer"].clone()))
        .collect();
    assert_eq!(places[..2], [(json!(1), json!("/type")), (json!(2), json!(""))]);
    for (path, body, pointer) in [
        ("batch", r#"{"batch":[{"type":"x"}]}"#, "/batch/0/type"),
        ("batch", r#"{"batch":7}"#, "/batch"),
        ("batch", "{}", "/batch"),
        ("track", "[]", ""),
        ("track", r#"{"event":"e"}"#, ""),
        ("track", r#"{"userId":"u"}"#, ""),
        ("track", r#"{"userId":"u","event":{}}"#, "/event"),
        ("page", r#"{"userId":"u","properties":[1]}"#, "/properties"),
        ("group", r#"{"userId":"u","traits":"x"}"#, "/traits"),
    ] {
        assert_eq!(server.json(&format!("POST /v1/{path}"), body).await.pointers(400), [pointer], "{path} {body}");
    }
    server.json("POST /v1/batch", r#"{"batch":[]}"#).await.is_problem(400, "no_events");
    for body in ["", "{", r#"{"userId":"u","event":"e",}"#, r#"{"userId":"u","event":"e","x":nul}"#] {
        server.json("POST /v1/track", body).await.is_problem(400, "malformed_json");
    }
    server.json("POST /v1/track", &"{\"properties\":".repeat(10_000)).await.is_problem(400, "too_deep");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    server.ask("POST /v1/track", &form, "data=x").await.is_problem(415, "unsupported_media_type");
    server.get("/v1/track").await.is_problem(405, "method_not_allowed");
}

/// Libraries for browsers, phones and servers put their paths together in many ways.
#[tokio::test(flavor = "multi_thread")]
async fn paths_of_all_libraries() {
    let server = start().await;
    let one = r#"{"userId":"u","event":"x","previousId":"o","groupId":"g","name":"n","writeKey":"w"}"#;
    for kind in ["p", "i", "t", "g", "a", "s", "t/"] {
        let reply = server.ask(&format!("POST /v1/{kind}"), &[("content-type", "text/plain")], one).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
    }
    let batch = r#"{"batch":[{"type":"track","userId":"u","event":"x"}],"writeKey":"w"}"#;
    for path in ["/v1/b", "/v1/import", "/v1/import/", "/v1/batch/", "//v1/batch"] {
        assert_eq!(server.json(&format!("POST {path}"), batch).await.status, 200, "{path}");
    }
    assert_eq!(server.platform.events.lock().unwrap().len(), 12);
}

/// A slip of a sender costs no event, and an event that is refused all the same is kept.
#[tokio::test(flavor = "multi_thread")]
async fn slips_of_senders() {
    let server = start().await;
    let slips = [
        "\u{feff}{\"userId\":\"u\",\"event\":\"x\"}",
        r#"{"userId":"u","event":"x","properties":{"t":"hi \ud83d"}}"#,
        r#"{"userId":"u","event":"x","messageId":""}"#,
        r#"{"userId":"","anonymousId":"a","event":"x","properties":[],"context":[]}"#,
        r#"{"\u0075serId":"u","event":"x"}"#,
        r#"{"userId":"u","event":"x","timestamp":"0001-01-01T00:00:00Z"}"#,
        r#"{"userId":"u","event":"x","timestamp":1781071200}"#,
    ];
    for body in slips {
        let reply = server.json("POST /v1/track", body).await;
        assert_eq!((reply.status, reply.value()), (200, json!({"success": true})), "{body}: {}", reply.text());
    }
    {
        let events = server.platform.events.lock().unwrap();
        assert!(events.iter().all(|event| event.other.is_empty()));
        assert_eq!((events[5].timestamp, events[6].timestamp), (NOW, 1_781_071_200_000));
    }
    let form = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")];
    let body = common::gzip(br#"{"batch":[{"type":"track","userId":"u","event":"x"}]}"#);
    assert_eq!(server.ask("POST /v1/batch", &form, body).await.status, 200);
    let skewed =
        r#"{"batch":[{"type":"track","userId":"u","event":"x","timestamp":"2024-01-15"}],"sentAt":"2024-01-15"}"#;
    assert_eq!(server.json("POST /v1/batch", skewed).await.status, 200);
    assert_eq!(server.platform.events.lock().unwrap().last().unwrap().timestamp, NOW);
}

/// A message that came to the path of events is read as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn messages_at_the_path_of_events() {
    let server = start().await;
    let body = r#"[{"type":"track","event":"Order Completed","userId":"u"},{"type":"page","name":"Home","userId":"u"},
        {"type":"identify","userId":"u","context":{"traits":{"a":1}}},{"type":"group","userId":"u","groupId":7}]"#;
    assert_eq!(server.json("POST /api/events", body).await.status, 202);
    {
        let events = server.platform.events.lock().unwrap();
        let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["Order Completed", "page", "identify", "group"]);
    }
    for (body, pointer) in [(r#"{"type":"group","userId":"u","traits":7}"#, "/traits")] {
        assert_eq!(server.json("POST /api/events", body).await.pointers(400), [pointer], "{body}");
    }
}
