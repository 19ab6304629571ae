//! Spans of the real program at a collector that is made of a port and the published messages of OTLP.

mod collector;

use std::collections::BTreeSet;
use std::net::TcpListener;

use audience_tests::program;
use audience_tests::serve::{Setup, pause};

use collector::{collector, texts};

#[test]
fn what_is_done_is_seen_at_the_collector() {
    let directory = tempfile::tempdir().unwrap();
    let (url, requests) = collector();
    // The last of them come with the end alone.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let served = Setup { variables, ..Setup::within(program!(), directory.path()) }.start();
    let client = served.client();
    assert_eq!(client.put("/api/segments/s", r#"{"name":"s","rules":{"event":"buy"}}"#).unwrap().status, 201);
    let event = r#"{"userId":"ann-secret","eventType":"buy"}"#;
    assert_eq!(client.post("/api/events", event).unwrap().status, 202);
    assert_eq!(client.get("/api/users/ann-secret/segments").unwrap().status, 200);
    assert_eq!(client.get("/api/users/nobody-secret/nothing").unwrap().status, 404);
    served.stop();

    let taken = requests.taken();
    let resources: BTreeSet<&str> = taken.iter().map(|(resource, _)| resource["service.name"].as_str()).collect();
    let spans: Vec<_> = taken.iter().map(|(_, span)| span).collect();
    assert_eq!(resources, ["audience"].into());
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in
        ["PUT /api/segments/{id}", "edit", "edit.apply", "events.append", "GET /api/users/{id}/segments", "checkpoint"]
    {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    assert!(!format!("{spans:?}").contains("secret"), "a user is named: {spans:?}");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (request, appended) = (named("POST /api/events"), named("events.append"));
    assert_eq!(appended.parent_span_id, request.span_id, "what a request does is below it");
    let said = texts(&request.attributes);
    assert_eq!((said["http.response.status_code"].as_str(), said["http.route"].as_str()), ("202", "/api/events"));
    // A PUT first tries to replace, which changes nothing where there is nothing.
    let mut edits = spans.iter().filter(|span| span.name == "edit");
    assert!(edits.any(|edit| texts(&edit.attributes).contains_key("version")));
}

/// Spans are lost and counted; everything else goes on, and the end is an end in order.
#[test]
fn a_collector_that_is_away_keeps_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let variables = vec![("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "20".to_owned())];
    let flags = vec!["--otlp".to_owned(), format!("http://{nobody}/")];
    let served = Setup { variables, flags, ..Setup::within(program!(), directory.path()) }.start();
    let client = served.client();
    let mut lost = String::new();
    for _ in 0..500 {
        assert_eq!(client.post("/api/events", r#"{"userId":"ann","eventType":"buy"}"#).unwrap().status, 202);
        let metrics = client.get("/metrics").unwrap().text();
        lost = metrics.lines().find(|line| line.starts_with("audience_spans_lost_total")).unwrap().to_owned();
        if !lost.ends_with(" 0") {
            break;
        }
        pause(20);
    }
    assert!(!lost.ends_with(" 0"), "{lost}");
    served.stop();
}
