//! A process with an engine that speaks TLS, asked by one that does too; and the headers of every answer.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use audience_api::{ApiOptions, SelfSigned, Tls, TlsSource};
use common::{NOW, Reply, options, start, start_with};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn own_certificate(directory: &Path) -> Arc<Tls> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let source = SelfSigned { directory: Some(directory.to_owned()), names };
    // The certificate is of the time of the test's machine, since a client looks at that.
    Tls::open(TlsSource::SelfSigned(source), ApiOptions::default().clock).unwrap()
}

fn trusting(directory: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("certificate.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_asked_by_tls_if_its_certificate_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start_with(ApiOptions { tls: Some(own_certificate(directory.path())), ..options() }).await;
    let asking = |engine_tls| ApiOptions { engine: Some(engine.address.to_string()), engine_tls, ..options() };
    let server = start_with(asking(Some(trusting(directory.path())))).await;
    server.platform.is_without_engine.store(true, Ordering::Relaxed);
    server.get("/api/users/none").await.is_problem(404, "not_found");
    let another = tempfile::tempdir().unwrap();
    own_certificate(another.path());
    for tls in [Some(trusting(another.path())), None] {
        let server = start_with(asking(tls.clone())).await;
        server.platform.is_without_engine.store(true, Ordering::Relaxed);
        let refused = server.get("/api/users/none").await;
        // An engine that speaks TLS answers 400 in the clear.
        assert_eq!(refused.status, if tls.is_some() { 503 } else { 400 }, "{}", refused.text());
    }
    let connector = TlsConnector::from(trusting(directory.path()));
    let stream = TcpStream::connect(engine.address).await.unwrap();
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /api/segments HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.contains("strict-transport-security: max-age=31536000"), "{text}");
}

fn is_guarded(reply: &Reply) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("strict-transport-security", ""),
    ] {
        assert_eq!(reply.header(name), value, "{name}: {reply:?}");
    }
    assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert!(!reply.header("content-security-policy").contains("unsafe"), "{reply:?}");
    assert!(!reply.header("cache-control").is_empty(), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_how_browsers_must_take_it() {
    let server = start().await;
    for path in ["/", "/docs", "/openapi.json", "/api/segments", "/api/segments/none", "/nothing", "/metrics"] {
        is_guarded(&server.get(path).await);
    }
    is_guarded(&server.raw("GET / HTTP/1.1\r\n\r\n").await);
    let docs = server.get("/docs").await;
    assert!(docs.header("content-security-policy").contains("script-src 'sha256-"), "{docs:?}");
    let data = server.get("/api/segments").await;
    assert_eq!(
        (data.header("cache-control"), data.header("cross-origin-resource-policy")),
        ("no-store", "same-origin")
    );
    let from_a_shop = [("origin", "https://shop.example"), ("content-type", "application/json")];
    let event = format!(r#"{{"userId":"u","eventType":"x","timestamp":{NOW}}}"#);
    let sent = server.ask("POST /api/events", &from_a_shop, event).await;
    assert_eq!((sent.status, sent.header("cross-origin-resource-policy")), (202, "cross-origin"));
}
