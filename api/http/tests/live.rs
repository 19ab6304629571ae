//! Subscriptions, on a platform that emits no changes.

mod common;

use common::start;

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_engine_gives_out_is_refused_without_one() {
    let server = start().await;
    for path in [
        "/api/stream",
        "/api/stream?segment=a&segment=b&user=c&after=7-1",
        "/api/stream/sizes",
        "/api/webhooks",
        "/api/webhooks/x",
    ] {
        server.get(path).await.is_problem(501, "needs_engine");
    }
    server.get("/api/segments/a/size").await.is_problem(501, "needs_engine");
    server.get("/api/segments/a/overlap?with=b").await.is_problem(501, "needs_engine");
    server.get("/api/segments/a/members?format=csv").await.is_problem(501, "needs_engine");
    server.json("POST /api/webhooks", r#"{"url":"https://example.org"}"#).await.is_problem(501, "needs_engine");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_found_before_anything_is_asked() {
    let server = start().await;
    for query in ["after=x", "after=1-", "after=1&after=2"] {
        server.get(&format!("/api/stream?{query}")).await.is_problem(400, "invalid_parameter");
    }
    let many: Vec<String> = (0..1001).map(|number| format!("user={number}")).collect();
    server.get(&format!("/api/stream?{}", many.join("&"))).await.is_problem(400, "invalid_parameter");
    for path in ["/api/stream", "/api/stream?after=1", "/api/stream/sizes", "/api/ws"] {
        for never_given in ["x", "1-", "é", "1;2"] {
            let answer = server.ask(&format!("GET {path}"), &[("last-event-id", never_given)], "").await;
            let problem = answer.is_problem(400, "invalid_header");
            assert!(
                problem["detail"].as_str().unwrap().starts_with("Last-Event-ID "),
                "{path} {never_given}: {problem}"
            );
        }
    }
    // Without an id there is nothing to go on behind, and with one there is, as far as this is looked at here.
    for fine in ["", "7", "7-1"] {
        server.ask("GET /api/stream", &[("last-event-id", fine)], "").await.is_problem(501, "needs_engine");
    }
    assert_eq!(server.get("/api/ws").await.is_problem(426, "upgrade_required")["status"], 426);
    let elsewhere = server.ask("GET /api/ws", &[("origin", "https://elsewhere.example")], "").await;
    elsewhere.is_problem(403, "cors_forbidden");
    let body = r#"{"url":"https://example.org","more":1}"#;
    assert_eq!(server.json("POST /api/webhooks", body).await.pointers(400), ["/more"]);
    assert_eq!(server.json("PATCH /api/webhooks/x", r#"{"changes":["moved"]}"#).await.pointers(400), ["/changes/0"]);
}
