//! The control socket in the data directory, by which commands on the host reach the process that serves.
//!
//! A request is a line of JSON, its answer another. Only the user who runs the process, and root, are answered: whoever they
//! are, the data directory is theirs anyway.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use audience_auth::{Auth, Principal, Role};
use audience_engine::service::clock;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// The name of the socket in the data directory.
const NAME: &str = "control";
/// The bytes of a request or an answer, at most.
const MAX_LINE: u64 = 4_096;
/// The time for a request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An invitation of somebody, by the owner of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostInvitation {
    pub email: String,
    pub role: Role,
}

/// The answer: a link, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ControlAnswer {
    Link(String),
    Fault(String),
}

/// Takes requests until the runtime ends. A socket that cannot be made is told in the log, and keeps nothing from running.
pub fn listen(data: &Path, auth: &Arc<Auth>) {
    let path = path(data);
    match bind(&path) {
        Ok(listener) => drop(tokio::spawn(accept(listener, Arc::clone(auth)))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "Commands on this host do not reach this process while it runs");
        }
    }
}

fn path(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// The directory is this process' alone, so that a socket that is there is a dead one.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, auth: Arc<Auth>) {
    loop {
        // One at a time: these are people.
        match listener.accept().await {
            Ok((stream, _)) => {
                let answered = tokio::time::timeout(PATIENCE, answer(stream, &auth)).await;
                if let Ok(Err(error)) = answered {
                    tracing::debug!(%error, "A command on this host was not answered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "A command on this host could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, auth: &Arc<Auth>) -> anyhow::Result<()> {
    let asks = stream.peer_cred()?.uid();
    if asks != 0 && asks != rustix::process::geteuid().as_raw() {
        bail!("another user asks");
    }
    let mut line = String::new();
    tokio::io::BufReader::new((&mut stream).take(MAX_LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<HostInvitation>(&line) {
        Err(error) => ControlAnswer::Fault(error.to_string()),
        Ok(invite) => {
            let auth = Arc::clone(auth);
            tokio::task::spawn_blocking(move || self::invite(&auth, &invite))
                .await?
                .map_or_else(ControlAnswer::Fault, ControlAnswer::Link)
        }
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    Ok(())
}

/// Invites somebody on behalf of the host; gives the link.
pub fn invite(auth: &Auth, HostInvitation { email, role }: &HostInvitation) -> Result<String, String> {
    let invited = auth.invite(&Principal::of_host(), email, *role, clock::now());
    invited.map(|(_, secret)| auth.link(&secret)).map_err(|error| error.to_string())
}

/// Has the process that serves a data directory invite somebody; `None` where no process serves it.
pub fn ask(data: &Path, invite: &HostInvitation) -> anyhow::Result<Option<String>> {
    let mut stream = match std::os::unix::net::UnixStream::connect(path(data)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be reached", path(data).display())),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(invite)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line)?;
    match serde_json::from_str(&line).context("the process that serves the data directory did not answer")? {
        ControlAnswer::Link(link) => Ok(Some(link)),
        ControlAnswer::Fault(why) => bail!("{why}"),
    }
}
