//! Targets of https: a real server, vouched for by an authority that is made for the test.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use audience_contract::{WebhookClient, WebhookMessage};
use audience_webhooks::HttpWebhooks;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// A server whose certificate says `localhost`, and the file of who vouches for it.
struct TlsTarget {
    port: u16,
    ca_file: PathBuf,
    _directory: TempDir,
}

impl TlsTarget {
    fn start() -> TlsTarget {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        fs::write(&ca_file, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = named.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(config.clone()).unwrap();
                serve(StreamOwned::new(connection, stream));
            }
        });
        TlsTarget { port, ca_file, _directory: directory }
    }

    fn post(&self, client: &HttpWebhooks, host: &str) -> Result<u16, String> {
        let url = format!("https://{host}:{}/hook", self.port);
        let secret = client.new_secret().unwrap();
        let message = WebhookMessage { url: &url, id: "msg_1", at: 7, secrets: &[&secret], body: b"{}" };
        client.post(&message).map(|answer| answer.status)
    }
}

/// Whoever does not trust the certificate is gone before there is anything to read.
fn serve(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> Option<()> {
    let (mut asked, mut part) = (Vec::new(), [0; 4096]);
    while !asked.ends_with(b"{}") {
        match stream.read(&mut part).ok()? {
            0 => return None,
            read => asked.extend_from_slice(&part[..read]),
        }
    }
    let status = if asked.starts_with(b"POST /hook HTTP/1.1\r\n") { 204 } else { 400 };
    write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    stream.flush().ok()
}

#[test]
fn who_is_vouched_for_gets_messages_and_nobody_else() {
    let target = TlsTarget::start();
    let trusting = HttpWebhooks::new(true, Some(&target.ca_file)).unwrap();
    assert_eq!(target.post(&trusting, "localhost"), Ok(204));
    let stranger = HttpWebhooks::new(true, None).unwrap();
    assert!(target.post(&stranger, "localhost").unwrap_err().contains("certificate"), "nobody vouches for it");
    let other = target.post(&trusting, "127.0.0.1").unwrap_err();
    assert!(other.contains("certificate"), "it is another's certificate: {other}");
    assert_eq!(target.post(&trusting, "localhost"), Ok(204), "it goes on");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    assert!(HttpWebhooks::new(true, Some(&path)).is_err_and(|error| error.to_string().contains("ca.pem")));
    let key = KeyPair::generate().unwrap().serialize_pem();
    let cut_off = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n";
    let odd = format!("{cut_off}-----END CERTIFICATE-----\n");
    let good = fs::read_to_string(TlsTarget::start().ca_file).unwrap();
    for (text, why) in [
        ("nothing", "there is none"),
        (&*key, "there is none"),
        (cut_off, "ca.pem"),
        (&*odd, "number 1 is none"),
        (&*format!("{good}{odd}"), "number 2 is none"),
    ] {
        fs::write(&path, text).unwrap();
        let error = HttpWebhooks::new(true, Some(&path)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(why) && error.contains("ca.pem"), "{text}: {error}");
    }
    fs::write(&path, good).unwrap();
    assert!(HttpWebhooks::new(true, Some(&path)).is_ok());
}
