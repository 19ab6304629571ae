//! Segments, members, traits and users over the wire.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use audience_api::ApiOptions;
use common::{options, start, start_with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const RULES: &str = r#"{"conditions":[{"field":"totalSpent","operator":"gt","value":999999999999999999.123456789}]}"#;

fn vip() -> String {
    format!(r#"{{"id":"vip","name":"VIP","rules":{RULES},"tags":["a"],"owner":"me"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_from_birth_to_end() {
    let server = start().await;
    let created = server.json("POST /api/segments", &vip()).await;
    assert_eq!(
        (created.status, created.header("location"), created.header("etag")),
        (201, "/api/segments/vip", "\"1\"")
    );
    assert_eq!(created.header("content-type"), "application/json");
    assert!(created.text().contains(RULES), "numbers stay exact: {}", created.text());
    server.json("POST /api/segments", &vip()).await.is_problem(409, "exists");

    let read = server.get("/api/segments/vip").await;
    assert_eq!((read.status, read.header("etag"), read.value()["type"].as_str()), (200, "\"1\"", Some("DYNAMIC")));
    for (tags, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("\"2\"", 200), ("*", 304)] {
        let read = server.ask("GET /api/segments/vip", &[("if-none-match", tags)], "").await;
        assert_eq!((read.status, read.body.is_empty()), (status, status == 304), "{tags}");
    }
    let head = server.ask("HEAD /api/segments/vip", &[], "").await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, "\"1\""));

    // What was read can be sent back.
    let put = server.ask("PUT /api/segments/vip", &[("if-match", "\"1\"")], read.body).await;
    assert_eq!((put.status, put.header("etag")), (200, "\"2\""), "{}", put.text());
    let patched = server.json("PATCH /api/segments/vip", r#"{"name":"V","owner":null,"tags":null}"#).await;
    let value = patched.value();
    assert_eq!(
        (patched.status, &value["name"], &value["owner"], &value["version"]),
        (200, &json!("V"), &json!(null), &json!(3))
    );
    assert!(patched.text().contains(RULES));

    for (step, status) in [("deactivate", "INACTIVE"), ("activate", "ACTIVE"), ("archive", "ARCHIVED")] {
        let done = server.ask(&format!("POST /api/segments/vip/{step}"), &[], "").await;
        assert_eq!((done.status, done.value()["status"].as_str()), (200, Some(status)));
    }
    server.ask("POST /api/segments/vip/activate", &[], "").await.is_problem(409, "wrong_status");
    let versions = server.get("/api/segments/vip/versions").await.value();
    assert_eq!(versions["items"].as_array().unwrap().len(), 6);

    assert_eq!(server.ask("DELETE /api/segments/vip", &[("if-match", "\"6\"")], "").await.status, 204);
    for head in ["GET /api/segments/vip", "DELETE /api/segments/vip", "POST /api/segments/vip/activate"] {
        server.ask(head, &[], "").await.is_problem(404, "not_found");
    }
    server.get("/api/segments/vip/versions").await.is_problem(404, "not_found");
    server.json("PATCH /api/segments/vip", "{}").await.is_problem(404, "not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions() {
    let server = start().await;
    let vip = vip();
    let missing = server.ask("PUT /api/segments/vip", &[("if-match", "*")], &vip).await;
    missing.is_problem(412, "precondition_failed");
    let created = server.ask("PUT /api/segments/vip", &[("if-none-match", "*")], &vip).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/segments/vip"));
    let again = server.ask("PUT /api/segments/vip", &[("if-none-match", "*")], &vip).await;
    again.is_problem(412, "precondition_failed");
    let calls = [
        ("PUT /api/segments/vip", vip.as_str()),
        ("PATCH /api/segments/vip", "{}"),
        ("DELETE /api/segments/vip", ""),
        ("POST /api/segments/vip/archive", ""),
        ("PUT /api/segments/vip/members", "[]"),
        ("POST /api/segments/vip/members", "[]"),
        ("POST /api/segments/vip/members/remove", "[]"),
        ("POST /api/segments/vip/rollback", r#"{"version":1}"#),
    ];
    for (head, body) in calls {
        let stale = server.ask(head, &[("if-match", "\"7\"")], body).await;
        stale.is_problem(412, "version_mismatch");
        assert_eq!(stale.header("etag"), "\"1\"", "{head}");
        server.ask(head, &[("if-match", "\"8\", \"9\"")], body).await.is_problem(412, "precondition_failed");
        server.ask(head, &[("if-match", "\"abc\"")], body).await.is_problem(412, "precondition_failed");
        server.ask(head, &[("if-match", "latest")], body).await.is_problem(400, "invalid_header");
    }
    let both = [("if-match", "*"), ("if-none-match", "*")];
    server.ask("PUT /api/segments/vip", &both, &vip).await.is_problem(400, "invalid_header");
    server.ask("PUT /api/segments/vip", &[("if-none-match", "\"1\"")], &vip).await.is_problem(400, "invalid_header");
    let one_of = server.ask("PUT /api/segments/vip", &[("if-match", "\"9\", \"1\"")], &vip).await;
    assert_eq!((one_of.status, one_of.header("etag")), (200, "\"2\""));
    assert_eq!(server.ask("PATCH /api/segments/vip", &[("if-match", "*")], "{}").await.status, 200);
    let unconditional = server.json("PUT /api/segments/new", r#"{"name":"n","type":"static"}"#).await;
    assert_eq!(unconditional.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_segments() {
    let server = start().await;
    for (body, pointers) in [
        (r#"{"name":"a","colour":"red"}"#, vec!["/colour"]),
        (r#"{"name":7}"#, vec!["/name"]),
        (r#"{"name":"a","tags":["x",null]}"#, vec!["/tags/1"]),
        (r#"{"name":"a","name":"b"}"#, vec!["/name"]),
        (r#"{"type":"static"}"#, vec![""]),
        (r#"["name"]"#, vec![""]),
        ("null", vec![""]),
        (r#"{"name":"a","members":["u",{}]}"#, vec!["/members/1"]),
        (r#"{"name":"a","members":["u","",7,""]}"#, vec!["/members/1", "/members/3"]),
        (r#"{"name":"a","rules":{"fault":1}}"#, vec!["/rules/conditions/0/operator", "/rules/logic"]),
    ] {
        let reply = server.json("POST /api/segments", body).await;
        assert_eq!(reply.pointers(400), pointers, "{body}");
    }
    for (body, place) in [("{\"name\":\n  oops}", "line 2 column 3"), ("", "empty"), ("{", "line 1"), ("{}x", "line 1")]
    {
        let problem = server.json("POST /api/segments", body).await.is_problem(400, "malformed_json");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{problem}");
    }
    let other = server.json("PUT /api/segments/a", r#"{"id":"b","name":"a","type":"static"}"#).await;
    assert_eq!(other.pointers(400), ["/id"]);
    server.json("POST /api/segments", r#"{"id":"a","name":"a","type":"static"}"#).await;
    for (at, body, pointer) in [
        ("POST /api/segments", r#"{"name":"a\u0000b","type":"static"}"#, "/name"),
        ("POST /api/segments", r#"{"id":"\u0000","name":"n","type":"static"}"#, "/id"),
        ("POST /api/segments", r#"{"name":"n","note":"\u0000","tags":["t\u0000"],"members":["u"]}"#, "/note /tags/0"),
        ("POST /api/segments", r#"{"name":"n","members":["u","v\u0000"]}"#, "/members/1"),
        (
            "POST /api/segments",
            r#"{"name":"n","rules":{"field":"a","operator":"eq","value":"\u0000"}}"#,
            "/rules/value",
        ),
        ("PATCH /api/segments/a", r#"{"name":"\u0000"}"#, "/name"),
        ("PUT /api/segments/x%00", r#"{"name":"n","type":"static"}"#, "/id"),
        ("POST /api/traits", r#"{"name":"t\u0000","event":"e"}"#, "/name"),
        ("PUT /api/traits/t", r#"{"event":"e\u0000"}"#, "/event"),
    ] {
        assert_eq!(server.json(at, body).await.pointers(400).join(" "), pointer, "{at} {body}");
    }
    let bad = [
        (r#"{"name":null}"#, "/name"),
        (r#"{"rules":null}"#, "/rules"),
        (r#"{"id":"x"}"#, "/id"),
        (r#"{"tags":"x"}"#, "/tags"),
    ];
    for (body, pointer) in bad {
        assert_eq!(server.json("PATCH /api/segments/a", body).await.pointers(400), [pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_rules() {
    let server = start().await;
    let body = r#"{"id":"s","name":"s","rules":{"field":"a","operator":"gt","value":1}}"#;
    server.json("POST /api/segments", body).await;
    let merge = [("content-type", "application/merge-patch+json")];
    let merged = server.ask("PATCH /api/segments/s", &merge, r#"{"rules":{"value":2.50}}"#).await;
    assert!(merged.text().contains(r#"{"field":"a","operator":"gt","value":2.50}"#), "{}", merged.text());
    let replaced = server.json("PATCH /api/segments/s", r#"{"rules":{"segment":"x"}}"#).await;
    assert!(replaced.text().contains(r#""rules":{"segment":"x"}"#), "{}", replaced.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_pages() {
    let server = start().await;
    for id in ["a", "b", "c"] {
        let kind = if id == "b" { "static" } else { "dynamic" };
        let body = format!(r#"{{"id":"{id}","name":"Name {id}","type":"{kind}","rules":{{}}}}"#);
        assert_eq!(server.json("POST /api/segments", &body).await.status, 201);
    }
    let page = server.get("/api/segments?limit=2").await.value();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["nextCursor"].as_str().unwrap();
    let page = server.get(&format!("/api/segments?limit=2&cursor={next}")).await.value();
    assert_eq!((page["items"][0]["id"].as_str(), page.get("nextCursor")), (Some("c"), None));
    // What was made up, or is of another list, is not taken for a place in this one.
    let of_another = server.get("/api/audit").await.value()["nextCursor"].as_str().unwrap().to_owned();
    for made_up in ["b", "zzzz", "%20", "%ff", &next[1..], &next[..next.len() - 1], &of_another] {
        for path in ["/api/segments", "/api/segments/b/members", "/api/users", "/api/users/u/events", "/api/audit"] {
            if (path, made_up) != ("/api/audit", &*of_another) {
                let problem =
                    server.get(&format!("{path}?cursor={made_up}")).await.is_problem(400, "invalid_parameter");
                assert!(problem["detail"].as_str().unwrap().starts_with("cursor "), "{path} {made_up}: {problem}");
            }
        }
    }
    let page = server.get("/api/segments?type=Static&status=active&q=Name%20b&cursor=").await.value();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "status=new", "type=7", "q=a&q=b"] {
        server.get(&format!("/api/segments?{bad}")).await.is_problem(400, "invalid_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_users() {
    let server = start().await;
    server.json("POST /api/segments", r#"{"id":"list","name":"List","type":"static","members":["u0"]}"#).await;
    server.json("POST /api/segments", &vip()).await;
    let put = server.json("PUT /api/segments/list/members", r#"{"members":["u2","u1",3]}"#).await;
    assert_eq!((put.status, put.header("etag"), put.value()["segment"]["size"].as_u64()), (200, "\"2\"", Some(3)));
    let csv = [("content-type", "text/csv; charset=utf-8")];
    let put = server.ask("PUT /api/segments/list/members", &csv, "userId,x\nu1,1\nu/2 é,2\n").await;
    assert_eq!((put.status, put.value()["segment"]["size"].as_u64()), (200, Some(2)));
    let page = server.get("/api/segments/list/members?limit=1").await.value();
    assert_eq!(page["items"], json!(["u/2 é"]));
    let next = page["nextCursor"].as_str().unwrap();
    let page = server.get(&format!("/api/segments/list/members?cursor={next}")).await.value();
    assert_eq!(page, json!({"items": ["u1"]}));
    server.json("PUT /api/segments/vip/members", "[]").await.is_problem(409, "not_static");
    server.json("PUT /api/segments/none/members", "[]").await.is_problem(404, "not_found");

    let segments = server.get("/api/users/u%2F2%20%C3%A9/segments").await;
    assert_eq!(segments.value(), json!([{"segmentId": "list", "name": "List"}]));
    let unknown = server.get("/api/users/nobody/segments").await;
    assert_eq!((unknown.status, unknown.text()), (200, "[]".into()));
    server.get("/api/users/nobody").await.is_problem(404, "not_found");
    server.json("POST /api/events", r#"{"userId":"u1","eventType":"x"}"#).await;
    let user = server.get("/api/users/u1").await;
    assert_eq!((user.status, user.value()["eventCount"].as_u64()), (200, Some(1)));
    assert!(user.text().contains(r#""age":3.50"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_is_listed() {
    let server = start().await;
    let listed = server.get("/api/catalogue/faulty").await;
    let faults = json!([{"pointer": "/rules", "code": "unknown_key", "message": "no"}]);
    let expected = json!({"items": [{"kind": "segment", "id": "by-hand", "catalogueVersion": 7, "faults": faults}]});
    assert_eq!((listed.status, listed.value()), (200, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn traits() {
    let server = start().await;
    let created = server.json("POST /api/traits", r#"{"name":"spent","event":"buy"}"#).await;
    assert_eq!(
        (created.status, created.header("location"), created.header("etag")),
        (201, "/api/traits/spent", "\"1\"")
    );
    server.json("POST /api/traits", r#"{"name":"spent","event":"buy"}"#).await.is_problem(409, "exists");
    assert_eq!(server.json("POST /api/traits", r#"{"name":"x"}"#).await.pointers(400), [""]);
    let put = server.json("PUT /api/traits/seen", r#"{"event":"see"}"#).await;
    assert_eq!((put.status, put.value()["definition"]["name"].as_str()), (201, Some("seen")));
    let put = server.ask("PUT /api/traits/seen", &[("if-match", "\"1\"")], r#"{"event":"look"}"#).await;
    assert_eq!((put.status, put.header("etag")), (200, "\"2\""));
    assert_eq!(server.json("PUT /api/traits/seen", r#"{"name":"other","event":"x"}"#).await.pointers(400), ["/name"]);
    let only = server.ask("PUT /api/traits/seen", &[("if-none-match", "*")], r#"{"event":"x"}"#).await;
    only.is_problem(412, "precondition_failed");
    let gone = server.ask("PUT /api/traits/none", &[("if-match", "*")], r#"{"event":"x"}"#).await;
    gone.is_problem(412, "precondition_failed");
    let patched = server.json("PATCH /api/traits/seen", r#"{"within":"30d"}"#).await;
    assert_eq!(patched.value()["definition"], json!({"name": "seen", "event": "look", "within": "30d"}));
    assert_eq!(server.json("PATCH /api/traits/seen", "[]").await.pointers(400), [""]);
    let stale = server.ask("DELETE /api/traits/seen", &[("if-match", "\"1\"")], "").await;
    stale.is_problem(412, "version_mismatch");
    assert_eq!(server.get("/api/traits").await.value()["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.ask("GET /api/traits/seen", &[("if-none-match", "\"3\"")], "").await.status, 304);
    assert_eq!(server.ask("DELETE /api/traits/seen", &[], "").await.status, 204);
    server.get("/api/traits/seen").await.is_problem(404, "not_found");
    server.ask("DELETE /api/traits/referenced", &[], "").await.is_problem(409, "referenced");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_cannot_do() {
    let server = start().await;
    let busy = server.get("/api/segments/busy").await;
    busy.is_problem(429, "busy");
    assert_eq!(busy.header("retry-after"), "7");
    server.get("/api/segments/unavailable").await.is_problem(503, "unavailable");
    server.get("/api/users/unavailable/segments").await.is_problem(503, "unavailable");
    server.ask("DELETE /api/segments/referenced", &[], "").await.is_problem(409, "referenced");
    server.get("/api/segments/panic").await.is_problem(500, "internal");
    assert_eq!(server.get("/health/live").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn authors() {
    let server = start().await;
    for author in [None, Some("ann"), Some("Žofie")] {
        let header: Vec<_> = author.iter().map(|author| ("x-author", *author)).collect();
        let body = format!(r#"{{"name":"{}","type":"static"}}"#, author.unwrap_or("none"));
        assert_eq!(server.ask("POST /api/segments", &header, body).await.status, 201);
    }
    assert_eq!(*server.platform.authors.lock().unwrap(), ["api", "ann", "Žofie"]);
    let long = "x".repeat(300);
    let reply = server.ask("POST /api/segments", &[("x-author", &long)], "{}").await;
    reply.is_problem(400, "invalid_header");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasures() {
    let server = start().await;
    let body = r#"{"userId":"u 1","eventType":"x"}"#;
    assert_eq!(server.ask("POST /api/events", &[("content-type", "application/json")], body).await.status, 202);
    assert_eq!(server.get("/api/users/u%201").await.status, 200);
    for _ in 0..2 {
        let erased = server.ask("DELETE /api/users/u%201", &[("x-author", "ann")], "").await;
        assert_eq!((erased.status, erased.text().as_str()), (204, ""));
    }
    server.get("/api/users/u%201").await.is_problem(404, "not_found");
    assert_eq!(*server.platform.authors.lock().unwrap(), ["ann", "ann"]);
    server.ask("DELETE /api/users/unavailable", &[], "").await.is_problem(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports() {
    let server = start_with(ApiOptions { request_timeout: Duration::from_secs(1), ..options() }).await;
    server.get("/api/users/nobody/export").await.is_problem(404, "not_found");
    server.get("/api/users/unavailable/export").await.is_problem(503, "unavailable");
    server.get("/api/users/panic/export").await.is_problem(500, "internal");
    for user in ["u1", "large", "broken"] {
        let events = vec![format!(r#"{{"userId":"{user}","eventType":"x"}}"#); 50].join("\n");
        let sent = server.ask("POST /api/events", &[("content-type", "application/x-ndjson")], events).await;
        assert_eq!(sent.status, 202, "{}", sent.text());
    }
    let export = server.get("/api/users/u1/export").await;
    assert_eq!((export.status, export.header("content-type")), (200, "application/json"));
    let document: Value = serde_json::from_slice(&export.chunked().expect("whole")).unwrap();
    assert_eq!((&document["userId"], document["events"].as_array().map(Vec::len)), (&json!("u1"), Some(50)));
    assert_eq!(document["events"][49]["n"], 49);
    let broken = server.get("/api/users/broken/export").await;
    assert_eq!((broken.status, broken.chunked()), (200, None), "half a document is not taken for a whole one");
    // Clients that take nothing hold their places for a while.
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"GET /api/users/large/export HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut part = [0; 16];
        client.read_exact(&mut part).await.unwrap();
        clients.push(client);
    }
    server.get("/api/users/u1/export").await.is_problem(429, "busy");
    for _ in 0..500 {
        if server.platform.given_up.load(Ordering::SeqCst) == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.platform.given_up.load(Ordering::SeqCst), 4, "and no longer");
    assert!(server.get("/api/users/u1/export").await.chunked().is_some());
}
