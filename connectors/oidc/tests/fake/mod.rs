//! A provider that answers as it is told, on a thread of its own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_704_067_200;

/// The behaviour of a provider.
pub(crate) struct FakeBehaviour {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) is_unsigned: bool,
    /// The key that signs; the one that is published has its id in the header.
    pub(crate) signer: &'static str,
    published: &'static str,
    pub(crate) description: Option<Value>,
    pub(crate) issuer: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) refusal: Option<&'static str>,
    pub(crate) is_endless: bool,
    pub(crate) person: Option<Value>,
    keys: HashMap<&'static str, Ed25519KeyPair>,
    asked: Vec<(String, String)>,
}

impl FakeBehaviour {
    pub(crate) fn jwk(&self, name: &str) -> Value {
        let public = URL_SAFE_NO_PAD.encode(self.keys[name].public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": name, "alg": "EdDSA", "use": "sig", "x": public})
    }

    /// Signs by another key, which replaces the one that was published.
    pub(crate) fn rotate(&mut self, name: &'static str) {
        self.signer = name;
        self.published = name;
        self.header["kid"] = json!(name);
    }

    fn token(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = self.keys[self.signer].sign(signed.as_bytes());
        let signature = if self.is_unsigned { String::new() } else { URL_SAFE_NO_PAD.encode(signature.as_ref()) };
        format!("{signed}.{signature}")
    }

    fn answer(&self, path: &str, base: &str) -> (u16, String) {
        match path {
            "/.well-known/openid-configuration" => {
                let described = json!({
                    "issuer": self.issuer.as_deref().unwrap_or(base),
                    "authorization_endpoint": format!("{base}/authorize"),
                    "token_endpoint": self.token_endpoint.clone().unwrap_or_else(|| format!("{base}/token")),
                    "jwks_uri": format!("{base}/jwks"),
                    "userinfo_endpoint": format!("{base}/userinfo"),
                    "end_session_endpoint": format!("{base}/end"),
                });
                (200, self.description.clone().unwrap_or(described).to_string())
            }
            "/jwks" => (200, json!({"keys": [{"kty": "of the future"}, self.jwk(self.published)]}).to_string()),
            "/token" if self.is_endless => (200, "a".repeat(300 << 10)),
            "/token" => match (self.refusal, self.status) {
                (Some(word), _) => (400, json!({"error": word}).to_string()),
                (None, Some(status)) => (status, String::new()),
                _ => (200, json!({"id_token": self.token(), "access_token": "acc3ss"}).to_string()),
            },
            "/userinfo" => (200, self.person.clone().unwrap_or_default().to_string()),
            _ => (404, String::new()),
        }
    }
}

/// A provider that is running until the test ends.
pub(crate) struct Fake {
    address: SocketAddr,
    behaviour: Arc<Mutex<FakeBehaviour>>,
}

impl Fake {
    pub(crate) fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = |name: &'static str| (name, Ed25519KeyPair::from_seed_unchecked(&[name.as_bytes()[0]; 32]).unwrap());
        let claims = json!({
            "iss": format!("http://{address}"), "aud": "audience", "sub": "u1", "nonce": "n", "iat": NOW, "exp": NOW + 300,
            "email": "ann@example.org", "email_verified": true, "groups": ["staff"],
        });
        let behaviour = Arc::new(Mutex::new(FakeBehaviour {
            header: json!({"alg": "EdDSA", "typ": "JWT", "kid": "first"}),
            claims,
            is_unsigned: false,
            signer: "first",
            published: "first",
            description: None,
            issuer: None,
            token_endpoint: None,
            status: None,
            refusal: None,
            is_endless: false,
            person: None,
            keys: HashMap::from([key("first"), key("another")]),
            asked: Vec::new(),
        }));
        let told = Arc::clone(&behaviour);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &told, &format!("http://{address}"));
            }
        });
        Fake { address, behaviour }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut FakeBehaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// The requests of a path, each with its headers and its body.
    pub(crate) fn asked(&self, path: &str) -> Vec<String> {
        let asked = &self.behaviour.lock().unwrap().asked;
        asked.iter().filter(|(asked, _)| asked == path).map(|(_, text)| text.clone()).collect()
    }
}

fn answer(mut stream: &TcpStream, told: &Mutex<FakeBehaviour>, base: &str) {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let lower = line.to_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |rest| rest.trim().parse().unwrap());
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text.push_str(std::str::from_utf8(&body).unwrap());
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let mut behaviour = told.lock().unwrap();
    let (status, said) = behaviour.answer(&path, base);
    behaviour.asked.push((path, text));
    let head = format!(
        "HTTP/1.1 {status} X\r\nlocation: {base}/jwks\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        said.len()
    );
    // Whoever asks may not want all of it.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(said.as_bytes()));
}
