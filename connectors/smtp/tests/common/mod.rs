//! `smtp-sink` of Postfix, and dkimpy.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use audience_contract::suite::TakenMail;
use tempfile::TempDir;

/// A running `smtp-sink` that keeps what it takes.
pub(crate) struct MailSink {
    child: Child,
    pub port: u16,
    directory: TempDir,
}

impl MailSink {
    /// Starts one with options.
    pub(crate) fn start(options: &[&str]) -> MailSink {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("smtp-sink");
        command.env("PATH", "/usr/sbin:/usr/bin:/bin").args(options).arg("-d").arg("%M.");
        if is_root() {
            command.args(["-u", "root"]);
        }
        command.arg("-R").arg(directory.path()).arg(format!("127.0.0.1:{port}")).arg("100");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("smtp-sink of Postfix is there; scripts/test installs it");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "smtp-sink does not start");
            std::thread::yield_now();
        }
        MailSink { child, port, directory }
    }

    /// The mails that it took, as they came, without the lines of the envelope.
    pub(crate) fn raw(&self) -> Vec<String> {
        files(self.directory.path()).iter().map(|file| lines(file).1).filter(|mail| !mail.is_empty()).collect()
    }

    /// The mails that it took.
    pub(crate) fn taken(&self) -> Vec<TakenMail> {
        let taken = |file: &PathBuf| {
            let (envelope, mail) = lines(file);
            let to = envelope.lines().find_map(|line| line.strip_prefix("X-Rcpt-Args: <"))?;
            let head = mail.split("\r\n\r\n").next()?;
            let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: <"))?;
            let names = head.lines().filter(|line| !line.starts_with([' ', '\t']));
            let headers: BTreeSet<String> =
                names.filter_map(|line| Some(line.split_once(':')?.0.to_lowercase())).collect();
            let (id, to) = (id.split('@').next()?.to_owned(), to.split('>').next()?.to_owned());
            Some(TakenMail { id, to, headers })
        };
        files(self.directory.path()).iter().filter_map(taken).collect()
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// The envelope and the mail of a file, with the line breaks of a conversation.
fn lines(file: &Path) -> (String, String) {
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    let is_envelope = |line: &&str| {
        ["X-Client-Addr:", "X-Client-Proto:", "X-Helo-Args:", "X-Mail-Args:", "X-Rcpt-Args:", "Received:", "\t"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
            || line.is_empty()
    };
    let envelope: Vec<&str> = text.lines().take_while(|line| is_envelope(line)).collect();
    let mail: Vec<&str> = text.lines().skip(envelope.len()).collect();
    // The sink ends a file with an empty line.
    let mail = mail.join("\r\n");
    let mail = if mail.is_empty() { mail } else { format!("{}\r\n", mail.trim_end_matches("\r\n")) };
    (envelope.join("\n"), mail)
}

/// The output of openssl.
pub(crate) fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns whether each signature of a mail holds, by dkimpy, with the public parts of keys in the place of DNS.
pub(crate) fn verify(mail: &str, keys: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut records = String::new();
    for (selector, pem) in keys {
        let file = directory.path().join(selector);
        std::fs::write(&file, pem).unwrap();
        let file = file.to_str().unwrap();
        let is_ed25519 = *selector == "ed";
        let der = Command::new("openssl").args(["pkey", "-in", file, "-pubout", "-outform", "DER"]).output().unwrap();
        // The key itself is the last 32 bytes of its structure.
        let key = if is_ed25519 { &der.stdout[der.stdout.len() - 32..] } else { &der.stdout[..] };
        let kind = if is_ed25519 { "ed25519" } else { "rsa" };
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        records.push_str(&format!("{selector} {kind} {key}\n"));
    }
    let (message, list) = (directory.path().join("mail"), directory.path().join("records"));
    std::fs::write(&message, mail).unwrap();
    std::fs::write(&list, records).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/verify.py");
    let python = std::env::var("AUDIENCE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).arg(script).arg(&message).arg(&list).output().unwrap();
    assert!(output.status.success(), "dkimpy is there: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
