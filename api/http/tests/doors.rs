//! The door: every route states its needs, and asks for them before it reads.

mod common;

use audience_api::templates;
use audience_auth::{KeyKind, Needs, Permission, ROLES};
use common::access::{PASSWORD, asking, cookie_of, key_of, start_asking};
use common::{ask, options, start_behind};
use serde_json::{Value, json};

/// A request of a route, with ids that nothing has.
fn request(method: &str, template: &str) -> String {
    let parts = template.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_says_of_each_route_what_the_door_asks() {
    let (server, _) = start_asking().await;
    let spec = server.get("/openapi.json").await.value();
    for (method, template, needs) in templates() {
        let operation = &spec["paths"][template][method.to_lowercase()];
        let schemes = |operation: &Value| -> Vec<String> {
            let ways = operation["security"].as_array().expect("each operation says it").iter();
            ways.flat_map(|way| way.as_object().unwrap().keys().cloned()).collect()
        };
        let expected: &[&str] = match needs {
            Needs::Public => &[],
            Needs::Ingest => &["writeKey", "serverKey", "session"],
            _ => &["session", "serverKey", "accessToken"],
        };
        assert_eq!(schemes(operation), expected, "{method} {template}");
        assert_eq!(operation["x-permission"], json!(needs.permission().map(Permission::name)), "{method} {template}");
        // Who signs in may be refused, too.
        assert!(operation["responses"]["401"].is_object() || needs == Needs::Public, "{method} {template}");
        assert!(operation["responses"]["403"].is_object(), "{method} {template}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_and_no_body_is_read() {
    let (server, _) = start_asking().await;
    for (method, template, needs) in templates() {
        // Libraries that have no header for it send their key in the body.
        if needs == Needs::Public || template.starts_with("/v1/") || matches!(template, "/batch" | "/capture") {
            continue;
        }
        // The body never comes: whoever reads it first would wait.
        let head = request(&method, template);
        let answer =
            server.raw(format!("{head} HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n"));
        let answer = answer.await;
        assert_eq!(answer.status, 401, "{head}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"audience\"");
        if method != "HEAD" {
            answer.is_problem(401, "sign_in");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_what_its_permissions_say() {
    let (server, auth) = start_asking().await;
    for role in ROLES {
        let cookie = cookie_of(&auth, &format!("{}@example.org", role.name()), role);
        for (method, template, needs) in templates() {
            // These hold the connection, and the last ends the session.
            let is_sign_out = (&*method, template) == ("DELETE", "/api/session");
            if is_sign_out || matches!(template, "/api/stream" | "/api/stream/sizes" | "/api/ws") {
                continue;
            }
            let may = needs.permission().is_none_or(|permission| role.permissions().has(permission));
            let answer = server.ask(&request(&method, template), &[("cookie", &cookie)], "").await;
            if may {
                assert!(!matches!(answer.status, 401 | 403), "{role:?} {method} {template}: {}", answer.text());
            } else {
                let problem = answer.is_problem(403, "missing_permission");
                let name = needs.permission().unwrap().name();
                assert!(problem["detail"].as_str().unwrap().contains(name), "{role:?} {method} {template}: {problem}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_key_sends_events_and_does_nothing_else() {
    let (server, auth) = start_asking().await;
    let key = key_of(&auth, KeyKind::Write, &[]);
    let bearer = format!("Bearer {key}");
    for (method, template, needs) in templates() {
        let answer = server.ask(&request(&method, template), &[("authorization", &bearer)], "").await;
        match needs {
            Needs::Public | Needs::Ingest => assert!(!matches!(answer.status, 401 | 403), "{method} {template}"),
            _ => drop(answer.is_problem(403, "write_key")),
        }
    }
    let event = r#"{"userId":"a","eventType":"x"}"#;
    let in_query = format!("POST /api/events?writeKey={key}");
    assert_eq!(server.json(&in_query, event).await.status, 202);
    server.get(&format!("/api/segments?writeKey={key}")).await.is_problem(401, "sign_in");
    server.json("POST /api/events?writeKey=amw_none", event).await.is_problem(401, "not_known");
    let batch = |key: &str| format!(r#"{{"api_key":"{key}","batch":[{{"event":"x","distinct_id":"a"}}]}}"#);
    assert_eq!(server.json("POST /batch/", &batch(&key)).await.status, 200);
    let beacon = format!(r#"{{"writeKey":"{key}","type":"track","event":"x","userId":"a"}}"#);
    assert_eq!(server.ask("POST /v1/t", &[("content-type", "text/plain")], &beacon).await.status, 200);
    server.json("POST /batch/", &batch("amw_none")).await.is_problem(401, "not_known");
    server.json("POST /batch/", "{}").await.is_problem(401, "sign_in");
    let in_body = format!(r#"{{"writeKey":"{key}","userId":"a","eventType":"x"}}"#);
    server.json("POST /api/events", &in_body).await.is_problem(401, "sign_in");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_sign_in_and_out_and_a_key_is_shown_once() {
    let (server, auth) = start_asking().await;
    let cookie = cookie_of(&auth, "ann@example.org", ROLES[0]);
    let with = [("cookie", cookie.as_str()), ("content-type", "application/json")];
    let caller = server.ask("GET /api/session", &with, "").await.value();
    assert_eq!((&caller["open"], &caller["member"]["role"]), (&json!(false), &json!("marketing_admin")));
    let made = server.ask("POST /api/keys", &with, r#"{"name":"shop","kind":"write"}"#).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"));
    assert!(made.value()["key"].as_str().unwrap().starts_with("amw_"));
    assert!(server.ask("GET /api/keys", &with, "").await.value()["items"][0]["key"].is_null());
    let made =
        server.ask("POST /api/invitations", &with, r#"{"email":"bob@example.org","role":"viewer"}"#).await.value();
    let secret = made["link"].as_str().unwrap().strip_prefix("/join#").unwrap();
    let joining = json!({"secret": secret, "password": PASSWORD}).to_string();
    let joined = server.json("POST /api/join", &joining).await;
    assert_eq!(joined.status, 201, "{}", joined.text());
    let bob = joined.header("set-cookie").split(';').next().unwrap().to_owned();
    server.json("POST /api/join", &joining).await.is_problem(401, "not_signed_in");
    let masked = server.ask("GET /api/members", &[("cookie", &bob)], "").await;
    masked.is_problem(403, "missing_permission");
    assert_eq!(server.ask("DELETE /api/session", &with, "").await.status, 204);
    server.ask("GET /api/session", &with, "").await.is_problem(401, "sign_in");
    let sign_in = json!({"email": "Ann@example.org", "password": PASSWORD}).to_string();
    let cookie = server.json("POST /api/session", &sign_in).await;
    assert!(cookie.status == 200 && cookie.header("set-cookie").contains("HttpOnly"), "{}", cookie.text());
    let other = [("origin", "https://evil.example"), ("content-type", "application/json")];
    server.ask("POST /api/session", &other, &sign_in).await.is_problem(403, "cors_forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_those_of_the_caller() {
    let (server, auth) = start_asking().await;
    let cookie = cookie_of(&auth, "ann@example.org", ROLES[0]);
    let key = format!("Bearer {}", key_of(&auth, KeyKind::Server, PERMISSIONS_OF_A_KEY));
    for (who, value, name) in [("cookie", cookie.as_str(), "One"), ("authorization", &key, "Two")] {
        let headers = [(who, value), ("content-type", "application/json"), ("x-author", "eve")];
        let segment = format!(r#"{{"name":"{name}","rules":{{"event":"x"}}}}"#);
        let made = server.ask("POST /api/segments", &headers, segment).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let authors = server.platform.authors.lock().unwrap().clone();
    assert_eq!(authors, ["ann@example.org", "key:Server [\"segment:write\"] on behalf of eve"]);
}

const PERMISSIONS_OF_A_KEY: &[Permission] = &[Permission::SegmentWrite];

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_and_other_names_are_kept_out() {
    let open = start_behind(asking(audience_auth::Mode::Auto, None), options()).await;
    let ask = |host: &'static str, headers: Vec<(&'static str, &'static str)>, method: &'static str| {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        open.raw(format!("{method} /api/segments HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}\r\n"))
    };
    assert_eq!(ask("localhost:8081", vec![], "GET").await.status, 200);
    ask("audience.example.org", vec![], "GET").await.is_problem(403, "other_host");
    ask("localhost:8081", vec![("sec-fetch-site", "cross-site")], "POST").await.is_problem(403, "other_site");
    ask("localhost:8081", vec![("origin", "http://localhost:9")], "POST").await.is_problem(403, "cors_forbidden");
    ask("localhost:8081", vec![("origin", "http://localhost:8081")], "POST").await.is_problem(400, "malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_elsewhere_is_asked_only_for_those_who_were_let_in() {
    let auth = asking(audience_auth::Mode::Required, None);
    let engine = start_behind(auth.clone(), options()).await;
    let with_engine = audience_api::ApiOptions { engine: Some(engine.address.to_string()), ..options() };
    let server = start_behind(auth.clone(), with_engine).await;
    server.platform.is_without_engine.store(true, std::sync::atomic::Ordering::Relaxed);
    let cookie = cookie_of(&auth, "ann@example.org", ROLES[0]);
    ask(server.address, "GET /api/users/none", &[], b"").await.is_problem(401, "sign_in");
    let asked = ask(server.address, "GET /api/users/none", &[("cookie", &cookie)], b"").await;
    asked.is_problem(404, "not_found");
}
