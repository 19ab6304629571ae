//! Callers of a running process: members with sessions, and keys.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use audience_tests::client::{Answer, Client};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "four plain words here";
pub(crate) const JSON: &str = "application/json";

/// The bytes of a request with headers.
fn request(client: Client, head: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", client.0);
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    if !body.is_empty() {
        text.push_str("content-type: application/json\r\n");
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

/// Asks with headers.
pub(crate) fn ask(client: Client, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    client.raw(&request(client, head, headers, body)).unwrap()
}

/// The status of an answer that may have no end.
pub(crate) fn status(client: Client, head: &str, headers: &[(&str, &str)]) -> u16 {
    let mut stream = client.connect().unwrap();
    stream.write_all(&request(client, head, headers, "")).unwrap();
    let mut line = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line[9..]).parse().unwrap()
}

/// Follows all changes.
pub(crate) fn follow(client: Client, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = client.connect().unwrap();
    stream.write_all(&request(client, "GET /api/stream", headers, "")).unwrap();
    let mut line = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).unwrap();
    assert!(line.ends_with(b"200"));
    stream
}

/// Returns whether the server ends a stream in that time, in which it says nothing else.
pub(crate) fn ends_within(mut stream: TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok()
}

/// Runs `audience admin invite`; gives the secret of the link.
pub(crate) fn invite(program: &Path, data: &Path, email: &str, role: &str) -> String {
    let mut command = Command::new(program);
    let output = command.args(["admin", "invite", email, "--role", role, "--data"]).arg(data).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complained}");
    said.trim().split_once("/join#").unwrap_or_else(|| panic!("no link: {said}")).1.to_owned()
}

/// Takes an invitation; gives the cookie.
pub(crate) fn join(client: Client, secret: &str) -> String {
    let body = json!({"secret": secret, "password": PASSWORD}).to_string();
    cookie(&ask(client, "POST /api/join", &[], &body), 201)
}

/// Signs in; gives the cookie.
pub(crate) fn sign_in(client: Client, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    cookie(&ask(client, "POST /api/session", &[], &body), 200)
}

fn cookie(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// Makes a key; gives it.
pub(crate) fn key(client: Client, cookie: &str, key: &Value) -> String {
    let answer = ask(client, "POST /api/keys", &[("cookie", cookie)], &key.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["key"].as_str().unwrap().to_owned()
}

/// Posts a form, with a server key where one is given.
pub(crate) fn post_form(client: Client, path: &str, key: Option<&str>, form: &str) -> Answer {
    let key = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    let length = form.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{key}", client.0);
    let media = "content-type: application/x-www-form-urlencoded";
    client.raw(format!("{head}{media}\r\ncontent-length: {length}\r\n\r\n{form}").as_bytes()).unwrap()
}

/// The access token of an answer.
pub(crate) fn access_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}
