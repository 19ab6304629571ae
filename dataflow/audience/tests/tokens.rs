//! Tokens against running processes: drawn, refreshed, introspected, checked by a stranger, and ended.

mod access;

use access::{ask, invite, join, key, post_form};
use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

fn get(client: Client, path: &str, token: &str) -> u16 {
    ask(client, &format!("GET {path}"), &[("authorization", &format!("Bearer {token}"))], "").status
}

fn start(directory: &tempfile::TempDir) -> (Setup, Served, String) {
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = ["--auth", "required", "--log", "debug"].map(String::from).to_vec();
    let served = setup.start();
    let secret = invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin");
    let cookie = join(served.client(), &secret);
    (setup, served, cookie)
}

#[test]
fn a_member_draws_tokens_that_are_refreshed_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let (setup, served, cookie) = start(&directory);
    let client = served.client();
    let drawn = ask(client, "POST /api/session/tokens", &[("cookie", &cookie)], "");
    assert_eq!((drawn.status, drawn.header("cache-control")), (200, Some("no-store")));
    let [access, refresh] = ["access_token", "refresh_token"].map(|name| text(&drawn.json(), name));
    assert_eq!(get(client, "/api/members", &access), 200);
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    let (one, again) = (post_form(client, "/oauth/token", None, &form), post_form(client, "/oauth/token", None, &form));
    assert_eq!(one.status, 200, "{}", one.text());
    assert_eq!(text(&one.json(), "refresh_token"), text(&again.json(), "refresh_token"), "the answer may be lost");
    served.stop();
    let served = setup.start();
    let client = served.client();
    let newest = text(&one.json(), "refresh_token");
    let newer = post_form(client, "/oauth/token", None, &format!("grant_type=refresh_token&refresh_token={newest}"));
    let access = text(&newer.json(), "access_token");
    assert_eq!(get(client, "/api/members", &access), 200, "after a restart");
    let listed = ask(client, "GET /api/sessions", &[("cookie", &cookie)], "").json();
    assert_eq!(listed["items"].as_array().unwrap().iter().filter(|one| one["program"] == true).count(), 1);
    let revoked = post_form(client, "/oauth/revoke", None, &format!("token={}", text(&newer.json(), "refresh_token")));
    assert_eq!((revoked.status, get(client, "/api/members", &access)), (200, 401));
    let refused = post_form(client, "/oauth/token", None, &form);
    assert_eq!((refused.status, text(&refused.json(), "error").as_str()), (400, "invalid_grant"));
    assert_eq!(post_form(client, "/oauth/revoke", None, "token=never-one").status, 200);
    for (form, error) in [
        ("grant_type=password&username=ann&password=x", "unsupported_grant_type"),
        ("refresh_token=x", "invalid_request"),
        ("grant_type=refresh_token&grant_type=refresh_token&refresh_token=x", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x", "invalid_grant"),
    ] {
        assert_eq!(text(&post_form(client, "/oauth/token", None, form).json(), "error"), error, "{form}");
    }
    for secret in [&refresh[12..], &newest[12..], access.as_str()] {
        assert!(!served.said().contains(secret), "a token is in the log");
    }
    served.stop();
}

#[test]
fn a_server_checks_tokens_by_introspection_or_by_the_public_key() {
    let directory = tempfile::tempdir().unwrap();
    let (_, served, cookie) = start(&directory);
    let client = served.client();
    let server = key(client, &cookie, &json!({"name": "s", "kind": "server", "permissions": ["segment:read"]}));
    let write = key(client, &cookie, &json!({"name": "w", "kind": "write"}));
    let form = format!("grant_type=client_credentials&client_id=s&client_secret={server}");
    let pair = post_form(client, "/oauth/token", None, &form).json();
    let access = text(&pair, "access_token");
    assert!(pair["refresh_token"].is_null() && pair["expires_in"] == 600, "{pair}");
    assert_eq!((get(client, "/api/segments", &access), get(client, "/api/members", &access)), (200, 403));
    let by_write_key = post_form(client, "/oauth/token", Some(&write), "grant_type=client_credentials");
    assert_eq!((by_write_key.status, text(&by_write_key.json(), "error").as_str()), (401, "invalid_client"));

    let state = post_form(client, "/oauth/introspect", Some(&server), &format!("token={access}")).json();
    assert_eq!((&state["active"], &state["permissions"]), (&json!(true), &json!(["segment:read"])), "{state}");
    assert_eq!(post_form(client, "/oauth/introspect", None, &format!("token={access}")).status, 401);
    let unknown = post_form(client, "/oauth/introspect", Some(&server), "token=x").json();
    assert_eq!(unknown, json!({"active": false}));

    let metadata = client.get("/.well-known/oauth-authorization-server").unwrap().json();
    assert!(text(&metadata, "jwks_uri").ends_with("/.well-known/jwks.json"), "{metadata}");
    let keys = client.get("/.well-known/jwks.json").unwrap().json();
    let public = URL_SAFE_NO_PAD.decode(text(&keys["keys"][0], "x")).unwrap();
    let (signed, signature) = access.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let check = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    assert!(check.verify(signed.as_bytes(), &signature).is_ok());
    served.stop();
}
