//! The message that is posted, and the targets to which it is not.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use audience_contract::{WebhookAnswer, WebhookClient, WebhookMessage};
use audience_webhooks::HttpWebhooks;

/// Answers one request so; gives what was asked.
fn target(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut part) = (String::new(), [0; 4096]);
        while !asked.ends_with("{}") {
            let read = stream.read(&mut part).unwrap();
            asked.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    });
    (url, serving)
}

fn post(client: &HttpWebhooks, url: &str) -> Result<WebhookAnswer, String> {
    let secret = client.new_secret().unwrap();
    client.post(&WebhookMessage { url, id: "msg_1", at: 7, secrets: &[&secret], body: b"{}" })
}

#[test]
fn a_message_is_posted_and_its_answer_given() {
    let client = HttpWebhooks::new(true, None).unwrap();
    let (url, serving) = target("HTTP/1.1 503 Away\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n");
    let answer = post(&client, &url).unwrap();
    assert_eq!(answer, WebhookAnswer { status: 503, retry_after: Some(Duration::from_secs(9)) });
    let asked = serving.join().unwrap();
    for part in ["POST /hook HTTP/1.1", "webhook-id: msg_1", "webhook-timestamp: 7", "webhook-signature: v1,"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert_ne!(client.new_secret(), client.new_secret());
}

#[test]
fn nothing_is_followed() {
    let (url, serving) = target("HTTP/1.1 302 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(post(&HttpWebhooks::new(true, None).unwrap(), &url).unwrap().status, 302);
    serving.join().unwrap();
}

#[test]
fn private_targets_are_refused_by_number_and_by_name() {
    let client = HttpWebhooks::new(false, None).unwrap();
    for url in
        ["http://127.0.0.1:1/", "http://2130706433/", "http://[::1]/", "https://169.254.169.254/", "http://0x7f.1/"]
    {
        assert!(client.check(url).unwrap_err().contains("public"), "{url}");
        assert!(post(&client, url).unwrap_err().contains("public"), "{url}");
    }
    assert!(client.check("http://localhost:1/").is_ok(), "no name is looked up");
    assert!(post(&client, "http://localhost:1/").unwrap_err().contains("public"));
    for url in ["ftp://example.org/", "example.org", "http://a:b@example.org/", "http://example.org/#x", "http://"] {
        assert!(client.check(url).is_err(), "{url}");
    }
}
