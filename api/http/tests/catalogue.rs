//! Versions, lists, templates, the audit log and repeated creations over the wire.

mod common;

use audience_protocol::{AUDIT_ACTIONS, AUDIT_KINDS, AuditQuery, PageLimit};
use common::start;
use serde_json::{Value, json};

fn rules(value: &str) -> String {
    format!(r#"{{"conditions":[{{"field":"totalSpent","operator":"gt","value":{value}}}],"logic":"AND"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_and_their_authors() {
    let server = start().await;
    let body = format!(r#"{{"id":"a","name":"A","rules":{},"note":"first"}}"#, rules("1"));
    assert_eq!(server.json("POST /api/segments", &body).await.value()["note"], "first");
    let read = server.get("/api/segments/a").await;
    let put = server.ask("PUT /api/segments/a", &[("x-author", "ann")], read.body).await;
    assert_eq!(put.status, 200, "what was read can be sent back: {}", put.text());
    let patched = server.json("PATCH /api/segments/a", r#"{"name":"B","note":"n"}"#).await.value();
    assert_eq!((&patched["note"], &patched["updatedBy"]), (&json!("n"), &json!("api")));
    let step = server.ask("POST /api/segments/a/deactivate", &[("x-author", "bob")], r#"{"note":"paused"}"#).await;
    assert_eq!((&step.value()["note"], &step.value()["updatedBy"]), (&json!("paused"), &json!("bob")));
    let step = server.ask("POST /api/segments/a/activate", &[], "").await;
    assert_eq!(step.value().get("note"), None, "a note is of one version, and not needed");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(server.ask("POST /api/segments/a/activate", &form, "").await.status, 200, "as curl -d '' sends it");
    server.ask("POST /api/segments/a/activate", &form, "note=x").await.is_problem(415, "unsupported_media_type");
    let long = format!(r#"{{"note":"{}"}}"#, "é".repeat(1_001));
    for head in ["PATCH /api/segments/a", "POST /api/segments/a/archive"] {
        assert_eq!(server.json(head, &long).await.pointers(400), ["/note"], "{head}");
        assert_eq!(server.json(head, r#"{"note":7}"#).await.pointers(400), ["/note"], "{head}");
    }
    assert_eq!(server.json("POST /api/segments/a/archive", r#"{"x":1}"#).await.pointers(400), ["/x"]);
    let versions = server.get("/api/segments/a/versions").await.value();
    let notes: Vec<_> = versions["items"].as_array().unwrap().iter().map(|one| one["note"].as_str()).collect();
    assert_eq!(notes, [Some("first"), Some("first"), Some("n"), Some("paused"), None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_has_every_word_of_the_audit_log() {
    let spec = start().await.get("/openapi.json").await.value();
    for (parameter, words) in [("auditKind", &AUDIT_KINDS[..]), ("auditAction", &AUDIT_ACTIONS[..])] {
        assert_eq!(spec["components"]["parameters"][parameter]["schema"]["enum"], json!(words), "{parameter}");
    }
    for (member, words) in [("kind", &AUDIT_KINDS[..]), ("action", &AUDIT_ACTIONS[..])] {
        let told = &spec["components"]["schemas"]["AuditItem"]["properties"][member]["enum"];
        let told = told.as_array().expect("a list");
        assert!(words.iter().all(|word| told.contains(&json!(word))), "{member}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_zone_has_versions_and_reads_times_of_events() {
    let server = start().await;
    let none = server.get("/api/timezone").await;
    assert_eq!((none.header("etag"), none.value()["version"].as_u64()), ("\"0\"", Some(0)));
    let set = async |tag: &str, body: &str| server.ask("PUT /api/timezone", &[("if-match", tag)], body).await;
    let made = set("\"0\"", r#"{"timezone":"Asia/Kolkata","note":"why"}"#).await;
    assert_eq!((made.status, made.header("etag")), (200, "\"1\""), "{}", made.text());
    set("\"0\"", r#"{"timezone":"UTC"}"#).await.is_problem(412, "version_mismatch");
    assert_eq!(set("*", r#"{"timezone":7}"#).await.pointers(400), ["/timezone"]);
    assert_eq!(set("*", r#"{"timezone":"UTC","zone":"UTC"}"#).await.pointers(400), ["/zone"]);
    let versions = server.get("/api/timezone/versions").await.value();
    assert_eq!(versions["items"][0]["note"], "why");
    server.json("POST /api/events", r#"{"userId":"u","eventType":"e","timestamp":"2026-06-10T05:30:00"}"#).await;
    assert_eq!(server.platform.events.lock().unwrap()[0].timestamp, 1_781_049_600_000, "2026-06-10T00:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_trait_held_against_each_other_and_gone_back_to() {
    let server = start().await;
    let made = server.json("POST /api/traits", r#"{"name":"spent","event":"buy","note":"first"}"#).await;
    assert_eq!((made.status, &made.value()["note"]), (201, &json!("first")));
    server.json("PUT /api/traits/spent", r#"{"event":"buy","within":"30d"}"#).await;
    let versions = server.get("/api/traits/spent/versions").await.value();
    let notes: Vec<_> = versions["items"].as_array().unwrap().iter().map(|one| one.get("note").cloned()).collect();
    assert_eq!(notes, [Some(json!("first")), None], "a note is of one version");
    let value = server.get("/api/traits/spent/versions/1/diff/2").await.value();
    assert_eq!((&value["name"], &value["from"], &value["to"]), (&json!("spent"), &json!(1), &json!(2)));
    let expected = json!([{"pointer": "/definition/within", "change": "added", "after": "30d"}]);
    assert_eq!(value["changes"], expected);
    for path in ["spent/versions/1/diff/3", "spent/versions/x/diff/1", "none/versions", "none/versions/1/diff/1"] {
        server.get(&format!("/api/traits/{path}")).await.is_problem(404, "not_found");
    }
    let stale = server.ask("POST /api/traits/spent/rollback", &[("if-match", "\"1\"")], r#"{"version":1}"#).await;
    stale.is_problem(412, "version_mismatch");
    let back =
        server.ask("POST /api/traits/spent/rollback", &[("if-match", "\"2\"")], r#"{"version":1,"note":"n"}"#).await;
    assert_eq!((back.status, back.header("etag")), (200, "\"3\""), "{}", back.text());
    let value = back.value();
    assert_eq!(
        (&value["note"], &value["definition"]["within"], &value["usedBy"]),
        (&json!("n"), &Value::Null, &json!([]))
    );
    for (body, pointer) in [("{}", ""), (r#"{"version":1,"x":2}"#, "/x"), (r#"{"version":1,"note":7}"#, "/note")] {
        assert_eq!(server.json("POST /api/traits/spent/rollback", body).await.pointers(400), [pointer], "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_held_against_each_other_and_gone_back_to() {
    let server = start().await;
    server.json("POST /api/segments", &format!(r#"{{"id":"a","name":"A","rules":{}}}"#, rules("1"))).await;
    let edit = format!(r#"{{"name":"B","rules":{}}}"#, rules("999999999999999999.123456789"));
    server.json("PATCH /api/segments/a", &edit).await;
    let diff = server.get("/api/segments/a/versions/1/diff/2").await;
    assert!(diff.text().contains(r#""after":999999999999999999.123456789"#), "{}", diff.text());
    let value = diff.value();
    assert_eq!((&value["segmentId"], &value["from"], &value["to"]), (&json!("a"), &json!(1), &json!(2)));
    let changes: Vec<_> = value["changes"].as_array().unwrap().iter().map(|one| one["pointer"].as_str()).collect();
    assert_eq!(changes, [Some("/name"), Some("/rules/conditions/0/value")]);
    assert_eq!(value["changes"][0], json!({"pointer": "/name", "change": "changed", "before": "A", "after": "B"}));
    assert_eq!(server.get("/api/segments/a/versions/2/diff/2").await.value()["changes"], json!([]));
    for path in ["a/versions/1/diff/3", "a/versions/x/diff/1", "a/versions/-1/diff/1", "none/versions/1/diff/1"] {
        server.get(&format!("/api/segments/{path}")).await.is_problem(404, "not_found");
    }
    let back =
        server.ask("POST /api/segments/a/rollback", &[("if-match", "\"2\"")], r#"{"version":1,"note":"n"}"#).await;
    let value = back.value();
    assert_eq!((back.status, back.header("etag")), (200, "\"3\""));
    assert_eq!((&value["name"], &value["version"], &value["note"]), (&json!("A"), &json!(3), &json!("n")));
    server.json("POST /api/segments/a/rollback", r#"{"version":9}"#).await.is_problem(404, "not_found");
    for (body, pointer) in [("{}", ""), (r#"{"version":"1"}"#, "/version"), (r#"{"version":1,"x":1}"#, "/x")] {
        assert_eq!(server.json("POST /api/segments/a/rollback", body).await.pointers(400), [pointer], "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_with_a_result_for_each_row() {
    let server = start().await;
    server.json("POST /api/segments", r#"{"id":"l","name":"L","type":"static","members":["u0"]}"#).await;
    let csv = [("content-type", "text/csv"), ("x-author", "ann")];
    let body = "\u{feff}since;userId\r\n1;u1\r\n2;\r\n3;u1\r\n4;u2\r\n";
    let put = server.ask("PUT /api/segments/l/members?note=spring%20list", &csv, body).await;
    let value = put.value();
    let counts =
        ["received", "accepted", "added", "duplicates", "rejectedCount"].map(|key| value[key].as_u64().unwrap());
    assert_eq!((put.status, put.header("etag"), counts), (200, "\"2\"", [4, 2, 2, 1, 1]));
    assert_eq!(value["rejected"][0]["row"], 3);
    let segment = &value["segment"];
    assert_eq!((&segment["updatedBy"], &segment["note"]), (&json!("ann"), &json!("spring list")));
    let members = async || server.get("/api/segments/l/members").await.value()["items"].clone();
    assert_eq!(members().await, json!(["u1", "u2"]));
    assert_eq!(server.json("POST /api/segments/l/members", r#"["u3",null]"#).await.status, 200);
    assert_eq!(server.json("POST /api/segments/l/members/remove", r#"{"members":["u1"]}"#).await.status, 200);
    assert_eq!(members().await, json!(["u2", "u3"]));
    let dry = server.json("PUT /api/segments/l/members?dryRun=true", "[]").await;
    assert_eq!((dry.status, dry.header("etag")), (200, "\"4\""));
    for (query, body, pointers) in [
        ("?strict=true", r#"["a","",7,{}]"#, vec!["/1", "/3"]),
        ("", r#"["",null]"#, vec!["/0", "/1"]),
        ("", r#"{"members":["a"],"x":1}"#, vec!["/x"]),
    ] {
        let refused = server.json(&format!("PUT /api/segments/l/members{query}"), body).await;
        assert_eq!(refused.pointers(400), pointers, "{query} {body}");
    }
    assert_eq!(members().await, json!(["u2", "u3"]), "and nothing is changed");
    for query in ["strict=1", "dryRun=yes", "strict=true&strict=false"] {
        let path = format!("PUT /api/segments/l/members?{query}");
        server.json(&path, "[]").await.is_problem(400, "invalid_parameter");
    }
    let ndjson = [("content-type", "application/x-ndjson")];
    server.ask("POST /api/segments/l/members", &ndjson, "[]").await.is_problem(415, "unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates() {
    let server = start().await;
    let listed = server.get("/api/templates").await.value();
    let items = listed["items"].as_array().unwrap();
    assert!(items.len() >= 10);
    for item in items {
        let path = format!("POST /api/templates/{}", item["id"].as_str().unwrap());
        let plain = server.ask(&path, &[], "").await;
        assert_eq!((plain.status, &plain.value()["rules"]), (200, &item["example"]), "{path}");
        let parameters = item["parameters"].as_array().unwrap();
        let defaults: serde_json::Map<String, Value> =
            parameters.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), one["default"].clone())).collect();
        let same = server.json(&path, &json!({ "parameters": defaults }).to_string()).await;
        assert_eq!(same.value(), plain.value(), "{path}");
    }
    let other = server.json("POST /api/templates/high-value", r#"{"parameters":{"amount":50.25}}"#).await;
    assert!(other.text().contains(r#""value":50.25"#), "{}", other.text());
    let faulty = server.json("POST /api/templates/high-value", r#"{"parameters":{"amount":"x"}}"#).await;
    assert_eq!(faulty.pointers(400), ["/parameters/amount"]);
    assert_eq!(server.json("POST /api/templates/lost", r#"{"x":1}"#).await.pointers(400), ["/x"]);
    server.json("POST /api/templates/none", "{}").await.is_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log() {
    let server = start().await;
    let page = server.get("/api/audit").await.value();
    let item = json!({"sequence": 7, "at": "2024-01-01T00:00:00Z", "author": "ann", "action": "created", "kind": "segment",
        "id": "a", "version": 1, "catalogueVersion": 3});
    let next = page["nextCursor"].as_str().unwrap();
    assert_eq!(page["items"], json!([item]));
    let query = "kind=SEGMENT&id=a%20b&author=ann&action=rolledback&from=2024-01-01T00:00:00Z\
                 &to=2024-01-01T02:00:00.5+01:00&limit=3";
    assert_eq!(server.get(&format!("/api/audit?{query}&cursor={next}")).await.status, 200);
    let asked = AuditQuery {
        kind: Some("segment"),
        id: Some("a b".to_owned()),
        author: Some("ann".to_owned()),
        action: Some("rolledBack"),
        from: Some(1_704_067_200_000),
        to: Some(1_704_070_800_500),
        before: Some(7),
        limit: PageLimit::new(3).unwrap(),
    };
    assert_eq!(server.platform.asked.lock().unwrap().last(), Some(&asked));
    for bad in ["kind=x", "action=x", "from=yesterday", "to=7", "cursor=7", "limit=0", "id=a&id=b"] {
        server.get(&format!("/api/audit?{bad}")).await.is_problem(400, "invalid_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_that_come_again() {
    let server = start().await;
    for (path, body, other) in [
        ("/api/segments", r#"{"name":"S","type":"static"}"#, r#"{"name":"T","type":"static"}"#),
        ("/api/traits", r#"{"name":"t","event":"e"}"#, r#"{"name":"u","event":"e"}"#),
    ] {
        let post = format!("POST {path}");
        let key = [("idempotency-key", "k1")];
        let first = server.ask(&post, &key, body).await;
        let again = server.ask(&post, &key, body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        for header in ["location", "etag", "content-type"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
        assert_eq!(again.text(), first.text());
        server.ask(&post, &key, other).await.is_problem(422, "idempotency_key_reused");
        server.ask(&post, &[("idempotency-key", "k2")], body).await.is_problem(409, "exists");
        server.ask(&post, &[("idempotency-key", "")], body).await.is_problem(400, "invalid_header");
        // What was refused may be mended under the same key.
        server.ask(&post, &[("idempotency-key", "k3")], "{}").await.pointers(400);
        assert_eq!(server.ask(&post, &[("idempotency-key", "k3")], other).await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effect_of_a_definition_is_asked_for_and_stores_nothing() {
    let server = start().await;
    let preview = "POST /api/traits/spent/preview";
    let answer = server.json(&format!("{preview}?sampleSize=2"), r#"{"event":"buy","note":"no part of it"}"#).await;
    let effect = &answer.value()["segments"][0];
    assert_eq!((answer.status, &effect["id"], &effect["sampleEntered"]), (200, &json!("vip"), &json!(["u0", "u1"])));
    assert_eq!(effect["name"], r#"{"name":"spent","event":"buy"}"#, "the definition bears the name of the path");
    server.json(preview, r#"{"name":"other","event":"buy"}"#).await.is_problem(400, "invalid");
    server.json(&format!("{preview}?sampleSize=101"), r#"{"event":"buy"}"#).await.is_problem(400, "invalid_parameter");
    server.get("/api/traits/spent").await.is_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_the_currency_are_set_and_taken_away() {
    let server = start().await;
    let body = r#"{"displayName":"Bought","description":"An order that was paid"}"#;
    let headers = [("content-type", "application/json"), ("x-author", "ann")];
    let put = server.ask("PUT /api/vocabulary/labels/event/a%2Fb", &headers, body).await;
    assert_eq!((put.status, &put.value()["name"], &put.value()["updatedBy"]), (200, &json!("a/b"), &json!("ann")));
    server.json("PUT /api/vocabulary/labels/segment/a", body).await.is_problem(400, "invalid_parameter");
    assert_eq!(server.json("PUT /api/vocabulary/labels/event/a", r#"{"name":"x"}"#).await.pointers(400), ["/name"]);
    let set = server.json("PUT /api/vocabulary/currency", r#"{"code":"EUR","amounts":["fee"]}"#).await;
    assert_eq!((set.status, &set.value()["currency"]["code"]), (200, &json!("EUR")));
    let words = server.get("/api/vocabulary").await.value();
    assert_eq!((&words["labels"][0]["kind"], &words["currency"]["amounts"][0]), (&json!("event"), &json!("fee")));
    assert_eq!(server.ask("DELETE /api/vocabulary/labels/event/a%2Fb", &[], "").await.status, 204);
    assert_eq!(server.ask("DELETE /api/vocabulary/currency", &[], "").await.status, 204);
    assert_eq!(server.get("/api/vocabulary").await.value(), json!({"labels": []}));
}
