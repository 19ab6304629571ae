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
        ("track", r#"{"userId":"u","event":"e","timestamp":"x"}"#, "/timestamp"),
        ("track", r#"{"userId":"u","event":{}}"#, "/event"),
        ("page", r#"{"userId":"u","properties":[]}"#, "/properties"),
        ("group", r#"{"userId":"u","traits":[]}"#, "/traits"),
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
