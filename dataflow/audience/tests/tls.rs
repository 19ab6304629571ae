//! TLS of the listeners of a running process: a certificate of its own, one of files that is replaced, and what browsers are told.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod access;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use access::{PASSWORD, invite};
use audience_tests::client::{Answer, read_answer};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::json;

type TlsConnection = StreamOwned<ClientConnection, TcpStream>;

/// A connection by one version of TLS that trusts a certificate.
fn connect(served: &Served, trusted: &Path, version: &'static SupportedProtocolVersion) -> TlsConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, served.client().connect().unwrap())
}

/// Asks on a connection that goes on.
fn ask(connection: &mut TlsConnection, head: &str, headers: &str, body: &str) -> std::io::Result<Answer> {
    let length = body.len();
    let kind = "content-type: application/json";
    let request = format!("{head} HTTP/1.1\r\n{headers}{kind}\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes())?;
    read_answer(connection)
}

const HERE: &str = "host: localhost\r\n";

#[test]
fn a_certificate_of_its_own_is_kept_and_nothing_else_than_tls_13_is_spoken() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = ["--tls", "auto"].map(String::from).to_vec();
    let served = setup.start();
    let certificate = setup.data.join("tls/certificate.pem");
    let mut connection = connect(&served, &certificate, &TLS13);
    let answer = ask(&mut connection, "GET /api/segments", HERE, "").unwrap();
    assert_eq!((answer.status, answer.header("strict-transport-security")), (200, None), "localhost has other ports");
    assert_eq!(connection.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let named = ask(&mut connection, "GET /health/live", "host: audience.example.org\r\n", "").unwrap();
    assert_eq!(named.header("strict-transport-security"), Some("max-age=31536000"));
    assert!(ask(&mut connect(&served, &certificate, &TLS12), "GET /health/live", HERE, "").is_err());

    let clear = served.client().get("/health/live").unwrap();
    assert!(clear.status == 400 && clear.text().contains("use https"), "{}", clear.text());
    let address = served.address.to_string();
    let run = |arguments: &[&str]| Command::new(&setup.program).args(arguments).output().unwrap();
    assert!(run(&["health", &address]).status.success());
    let url = format!("https://localhost:{}", served.address.port());
    assert!(!run(&["sink", "list", "--engine", &url]).status.success(), "nobody has signed the certificate");
    let listed = run(&["sink", "list", "--engine", &url, "--ca-file", certificate.to_str().unwrap()]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));

    let kept = fs::read(&certificate).unwrap();
    let key = fs::metadata(setup.data.join("tls/key.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
    served.stop();
    let served = setup.start();
    assert_eq!(fs::read(&certificate).unwrap(), kept);
    served.stop();
}

#[test]
fn the_cookie_of_a_session_goes_by_tls_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = ["--tls", "auto", "--auth", "required"].map(String::from).to_vec();
    let served = setup.start();
    let mut connection = connect(&served, &setup.data.join("tls/certificate.pem"), &TLS13);
    let secret = invite(&setup.program, &setup.data, "ann@example.org", "marketing_admin");
    let body = json!({"secret": secret, "password": PASSWORD}).to_string();
    let joined = ask(&mut connection, "POST /api/join", HERE, &body).unwrap();
    let cookie = joined.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-audience=") && cookie.ends_with("; Secure"), "{cookie}");
    let with = format!("{HERE}cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(ask(&mut connection, "GET /api/members", &with, "").unwrap().status, 200);
    served.stop();
}

/// The certificate that a new connection gets.
fn served_certificate(served: &Served, trusted: &Path) -> std::io::Result<Vec<u8>> {
    let mut connection = connect(served, trusted, &TLS13);
    ask(&mut connection, "GET /health/live", HERE, "")?;
    Ok(connection.conn.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn files_that_change_are_read_again_while_connections_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let made = ["one", "other"].map(|name| {
        let setup = Setup { data: directory.path().join(name), ..Setup::within(program!(), directory.path()) };
        Setup { flags: ["--tls", "auto"].map(String::from).to_vec(), ..setup }.start().stop();
        directory.path().join(name).join("tls")
    });
    let files = ["certificate.pem", "key.pem"];
    let paths = files.map(|name| directory.path().join(name));
    let put = |from: &Path, at: usize| fs::copy(from.join(files[at]), &paths[at]).unwrap();
    put(&made[0], 0);
    put(&made[0], 1);
    let mut setup = Setup::within(program!(), directory.path());
    let flag = |name: &str, path: &Path| [name.to_owned(), path.display().to_string()];
    setup.flags = [flag("--tls-certificate", &paths[0]), flag("--tls-key", &paths[1])].concat();
    let served = setup.start();
    let [old, new] = [0, 1].map(|at| made[at].join(files[0]));
    let mut connection = connect(&served, &old, &TLS13);
    assert_eq!(ask(&mut connection, "GET /health/live", HERE, "").unwrap().status, 200);

    put(&made[1], 0);
    let fault = |connection: &mut TlsConnection, value: &str| {
        let is_told = |text: &str| text.contains(&format!("audience_tls_certificate_fault {value}\n"));
        (0..200).any(|_| {
            pause(100);
            is_told(&ask(connection, "GET /metrics", HERE, "").unwrap().text())
        })
    };
    assert!(fault(&mut connection, "1"), "the key is still the other's");
    assert!(served_certificate(&served, &old).is_ok(), "the pair before is served");
    put(&made[1], 1);
    assert!(fault(&mut connection, "0"));
    assert!(served_certificate(&served, &new).is_ok());
    assert!(served_certificate(&served, &old).is_err());
    assert_eq!(ask(&mut connection, "GET /health/live", HERE, "").unwrap().status, 200, "it goes on");
    let mut silent = served.client().connect().unwrap();
    served.stop();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "who says nothing holds up no stop");
}
