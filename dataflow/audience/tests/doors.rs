//! The doors of a running process: the first admin, signing in, guessing, other sites, the end of rights, and secrets.

mod access;

use std::process::Command;
use std::time::Duration;

use access::{PASSWORD, ask, ends_within, follow, invite, join, key, sign_in, status};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use serde_json::json;

fn required(directory: &tempfile::TempDir) -> Setup {
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = ["--auth", "required"].map(String::from).to_vec();
    setup
}

fn admin(setup: &Setup, served: &Served) -> String {
    join(served.client(), &invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin"))
}

#[test]
fn open_on_this_machine_until_the_first_member_and_never_again() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    let client = served.client();
    assert_eq!(client.get("/api/session").unwrap().json()["open"], true);
    assert_eq!(client.get("/actuator/health").unwrap().json()["access"], "open");
    let secret = invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin");
    assert_eq!(client.get("/api/segments").unwrap().status, 200, "an invitation is no member");
    let cookie = join(client, &secret);
    assert_eq!(client.get("/api/segments").unwrap().code(), "sign_in");
    assert!(client.get("/actuator/health").unwrap().json()["access"].is_null());
    assert_eq!(status(client, "GET /api/segments", &[("cookie", &cookie)]), 200);
    let again = json!({"secret": secret, "password": PASSWORD}).to_string();
    assert_eq!(ask(client, "POST /api/join", &[], &again).code(), "not_signed_in", "a link is taken once");
    served.stop();
    // A start later it is shut, and the session lasts. Whoever has the host makes a link while nothing runs.
    let secret = invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin");
    let served = setup.start();
    assert_eq!(served.client().get("/api/segments").unwrap().status, 401);
    assert_eq!(status(served.client(), "GET /api/segments", &[("cookie", &cookie)]), 200);
    join(served.client(), &secret);
    assert_eq!(status(served.client(), "GET /api/segments", &[("cookie", &cookie)]), 401, "a new password ends it");
    served.stop();
}

#[test]
fn a_listener_that_others_reach_starts_only_where_somebody_can_be_asked() {
    let directory = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(program!());
        command.args(["serve", "--listen", "0.0.0.0:0", "--listen-ingest", "127.0.0.1:0", "--data"]);
        command.arg(directory.path().join("data")).args(more).output().unwrap()
    };
    let refused = run(&[]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for way in ["127.0.0.1", "audience admin invite", "admin_password_file", "auth = \"required\"", "auth = \"off\""] {
        assert!(why.contains(way), "{way}: {why}");
    }
    let short = directory.path().join("short");
    std::fs::write(&short, "short\n").unwrap();
    let faulty = run(&["--admin-email", "ann@example.org", "--admin-password-file", short.to_str().unwrap()]);
    let why = String::from_utf8_lossy(&faulty.stderr).into_owned();
    assert!(!faulty.status.success() && why.contains("10 to 256") && !why.contains("short\n"), "{why}");
}

#[test]
fn the_first_admin_comes_from_a_password_file_or_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = required(&directory);
    let file = directory.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let flags = ["--admin-email", "Ann@Example.org", "--admin-password-file", file.to_str().unwrap()];
    setup.flags.extend(flags.map(String::from));
    let served = setup.start();
    let cookie = sign_in(served.client(), "ann@example.org");
    assert_eq!(status(served.client(), "GET /api/members", &[("cookie", &cookie)]), 200);
    served.stop();
}

#[test]
fn guesses_are_slowed_and_refused_and_other_sites_sign_nobody_in() {
    let directory = tempfile::tempdir().unwrap();
    let setup = required(&directory);
    let served = setup.start();
    let client = served.client();
    admin(&setup, &served);
    let body = |password: &str| json!({"email": "ann@example.org", "password": password}).to_string();
    let other = [("origin", "https://evil.example")];
    assert_eq!(ask(client, "POST /api/session", &other, &body(PASSWORD)).code(), "cors_forbidden");
    for _ in 0..5 {
        assert_eq!(ask(client, "POST /api/session", &[], &body("a wrong password")).code(), "not_signed_in");
    }
    let refused = ask(client, "POST /api/session", &[], &body(PASSWORD));
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_attempts"));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    let nobody = json!({"email": "nobody@example.org", "password": PASSWORD}).to_string();
    let unknown = ask(client, "POST /api/session", &[], &nobody);
    assert_eq!(unknown.code(), "not_signed_in", "as a wrong password is");
    served.stop();
}

#[test]
fn a_page_of_another_site_changes_nothing_with_the_cookie() {
    let directory = tempfile::tempdir().unwrap();
    let setup = required(&directory);
    let served = setup.start();
    let client = served.client();
    let cookie = admin(&setup, &served);
    let segment = r#"{"name":"A","rules":{"event":"x"}}"#;
    for (header, value, code) in [
        ("origin", "https://evil.example", "cors_forbidden"),
        ("sec-fetch-site", "cross-site", "other_site"),
        ("sec-fetch-site", "same-site", "other_site"),
    ] {
        let answer = ask(client, "POST /api/segments", &[("cookie", &cookie), (header, value)], segment);
        assert_eq!((answer.status, answer.code().as_str()), (403, code), "{header}: {value}");
    }
    let own = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    let made = ask(client, "POST /api/segments", &own, segment);
    assert_eq!((made.status, made.json()["updatedBy"].as_str()), (201, Some("ann@example.org")));
    served.stop();
}

#[test]
fn what_is_withdrawn_ends_at_once_and_streams_within_five_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let setup = required(&directory);
    let served = setup.start();
    let client = served.client();
    let cookie = admin(&setup, &served);
    let with = [("cookie", cookie.as_str())];
    let made =
        ask(client, "POST /api/keys", &with, r#"{"name":"k","kind":"server","permissions":["user:read"]}"#).json();
    let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
    let header = [("authorization", bearer.as_str())];
    assert_eq!(status(client, "GET /api/users", &header), 200);
    let stream = follow(client, &header);
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(client, &format!("DELETE {path}"), &with, "").status, 204);
    assert_eq!(ask(client, "GET /api/users", &header, "").code(), "not_known");
    assert!(ends_within(stream, Duration::from_secs(5)), "the stream of a revoked key goes on");
    // A new role ends the sessions of its member.
    let bob = join(client, &invite(&setup.program, &setup.data, "bob@example.org", "viewer"));
    let members = ask(client, "GET /api/members", &with, "").json();
    let id = members["items"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(client, &format!("PATCH /api/members/{id}"), &with, r#"{"role":"analyst"}"#).status, 200);
    assert_eq!(status(client, "GET /api/session", &[("cookie", &bob)]), 401);
    let ann = members["items"][0]["id"].as_str().unwrap();
    let last = ask(client, &format!("PATCH /api/members/{ann}"), &with, r#"{"disabled":true}"#);
    assert_eq!((last.status, last.code().as_str()), (409, "last_admin"));
    assert_eq!(ask(client, "DELETE /api/session", &with, "").status, 204);
    assert_eq!(status(client, "GET /api/session", &with), 401);
    served.stop();
}

#[test]
fn no_secret_is_in_logs_figures_or_the_audit_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = required(&directory);
    setup.flags.extend(["--log", "debug"].map(String::from));
    let served = setup.start();
    let client = served.client();
    let invitation = invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin");
    let cookie = join(client, &invitation);
    let with = [("cookie", cookie.as_str())];
    let write = key(client, &cookie, &json!({"name": "pages", "kind": "write"}));
    let event = r#"{"userId":"a","eventType":"x"}"#;
    assert_eq!(ask(client, &format!("POST /api/events?writeKey={write}"), &[], event).status, 202);
    let wrong = json!({"email": "ann@example.org", "password": "planted-wrong-password"}).to_string();
    assert_eq!(ask(client, "POST /api/session", &[], &wrong).status, 401);
    assert_eq!(ask(client, "GET /api/members", &[("authorization", &format!("Bearer {write}"))], "").status, 403);
    pause(300);
    let audit = ask(client, "GET /api/audit?limit=100", &with, "").text();
    for row in ["\"joined\"", "\"invited\"", "\"created\"", "\"refused\"", "key:pages"] {
        assert!(audit.contains(row), "{row}: {audit}");
    }
    let texts = [
        ("the log", served.said()),
        ("the audit log", audit),
        ("figures", ask(client, "GET /metrics", &with, "").text()),
        ("the system", ask(client, "GET /api/system", &with, "").text()),
        ("keys", ask(client, "GET /api/keys", &with, "").text()),
        ("members", ask(client, "GET /api/members", &with, "").text()),
        ("invitations", ask(client, "GET /api/invitations", &with, "").text()),
        ("sessions", ask(client, "GET /api/sessions", &with, "").text()),
    ];
    let cookie = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, "planted-wrong-password", &write[12..], &invitation[12..], &cookie[12..]] {
        for (place, text) in &texts {
            assert!(!text.contains(secret), "a secret is in {place}");
        }
    }
    served.stop();
}
