//! The control socket in the data directory, by which commands on the host reach the process that serves.
//!
//! A request is a line of JSON, its answer another. Only the user who runs the process, and root, are answered: whoever they
//! are, the data directory is theirs anyway.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use audience_auth::{Auth, Role};
use audience_engine::service::clock;
use audience_engine::standby::PromotionOrders;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// The name of the socket in the data directory.
const NAME: &str = "control";
/// The bytes of a request or an answer, at most.
const MAX_LINE: u64 = 4_096;
/// Commands that are answered at once.
const MOST_COMMANDS: usize = 4;
/// The answer before the start is over.
const STARTING: &str = "the server is starting; repeat this once it is ready";
/// The time for a request to arrive, and for an answer that needs no work.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time for a standby to take over or to say why not.
const PROMOTION_PATIENCE: Duration = Duration::from_secs(60);

/// An invitation of somebody, by the owner of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HostInvitation {
    pub email: String,
    pub role: Role,
    /// The id of the tenant.
    pub tenant: String,
}

/// A request of the owner of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum HostRequest {
    /// Invite somebody; the answer is the link.
    Invite(HostInvitation),
    /// Make a backup under a URL; the answer is its name.
    Backup {
        /// The URL of the place of backups.
        url: String,
    },
    /// Take over, where this is a standby.
    #[serde(rename_all = "camelCase")]
    Promote {
        /// True if something may be lost.
        accepts_loss: bool,
    },
}

/// The answer: a text that the request asks for, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ControlAnswer {
    Done(String),
    Fault(String),
}

/// Makes a backup under a URL; gives its name.
pub(crate) type MakeBackup = Box<dyn Fn(&str) -> anyhow::Result<String> + Send + Sync>;

/// The parts of the process that requests act on.
struct HostDoor {
    auth: Arc<Auth>,
    make_backup: MakeBackup,
}

/// The socket, which says that the process is starting until it is opened.
#[derive(Default)]
pub(crate) struct ControlSocket(Arc<ControlState>);

#[derive(Default)]
struct ControlState {
    door: OnceLock<Arc<HostDoor>>,
    /// Takes orders, where this process began as a standby.
    orders: OnceLock<Arc<PromotionOrders>>,
}

impl ControlSocket {
    /// Takes requests until the runtime ends, for whoever holds the data directory. A socket that cannot be made is told in the
    /// log, and keeps nothing from running.
    pub(crate) fn listen(data: &Path, runtime: &Handle) -> ControlSocket {
        let (path, socket) = (path(data), ControlSocket::default());
        let _entered = runtime.enter();
        match bind(&path) {
            Ok(listener) => drop(runtime.spawn(accept(listener, Arc::clone(&socket.0)))),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "Commands on this host do not reach this process while it runs");
            }
        }
        socket
    }

    /// Takes orders to take over from here on.
    pub(crate) fn take_orders(&self, orders: &Arc<PromotionOrders>) {
        let _ = self.0.orders.set(Arc::clone(orders));
    }

    /// Answers requests from here on.
    pub(crate) fn open(&self, auth: &Arc<Auth>, make_backup: MakeBackup) {
        let _ = self.0.door.set(Arc::new(HostDoor { auth: Arc::clone(auth), make_backup }));
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

async fn accept(listener: UnixListener, state: Arc<ControlState>) {
    let commands = Arc::new(Semaphore::new(MOST_COMMANDS));
    loop {
        let Ok(permit) = commands.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, state).await {
                        tracing::debug!(%error, "A command on this host was not answered");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "A command on this host could not be taken");
                // Mostly too many open files, of which nothing tells the end.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, state: Arc<ControlState>) -> anyhow::Result<()> {
    let asks = stream.peer_cred()?.uid();
    if asks != 0 && asks != rustix::process::geteuid().as_raw() {
        bail!("another user asks");
    }
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new((&mut stream).take(MAX_LINE));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<HostRequest>(&line) {
        Err(error) => ControlAnswer::Fault(error.to_string()),
        Ok(request) => tokio::task::spawn_blocking(move || state.answer(&request))
            .await?
            .map_or_else(|error| ControlAnswer::Fault(format!("{error:#}")), ControlAnswer::Done),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    tokio::time::timeout(PATIENCE, stream.write_all(&text)).await??;
    Ok(())
}

impl ControlState {
    fn answer(&self, request: &HostRequest) -> anyhow::Result<String> {
        let door = || self.door.get().context(STARTING);
        match request {
            HostRequest::Invite(invitation) => invite(&door()?.auth, invitation).map_err(|why| anyhow!("{why}")),
            HostRequest::Backup { url } => (door()?.make_backup)(url),
            HostRequest::Promote { accepts_loss } => self.promote(*accepts_loss),
        }
    }

    fn promote(&self, accepts_loss: bool) -> anyhow::Result<String> {
        let orders = self.orders.get().context("this process is no standby")?;
        orders.order(accepts_loss, PROMOTION_PATIENCE).map_err(|why| anyhow!("{why}"))?;
        Ok("the standby has the lease, and takes over".to_owned())
    }
}

/// Invites somebody on behalf of the host; gives the link.
pub(crate) fn invite(auth: &Auth, HostInvitation { email, role, tenant }: &HostInvitation) -> Result<String, String> {
    let invited = auth.invite_to(tenant, email, *role, clock::now());
    invited.map(|(_, secret)| auth.link(&secret)).map_err(|error| error.to_string())
}

/// Has the process that serves a data directory invite somebody, and gives the link; `None` where no process serves it.
pub(crate) fn ask_for_invitation(data: &Path, invitation: &HostInvitation) -> anyhow::Result<Option<String>> {
    ask(data, &HostRequest::Invite(invitation.clone()), Some(PATIENCE))
}

/// Has the standby of a data directory take over, and gives what it says; `None` where no process serves it.
pub(crate) fn ask_for_promotion(data: &Path, accepts_loss: bool) -> anyhow::Result<Option<String>> {
    ask(data, &HostRequest::Promote { accepts_loss }, None)
}

/// Has the process that serves a data directory make a backup, and gives its name; `None` where no process serves it. Waits as
/// long as that takes.
pub(crate) fn ask_for_backup(data: &Path, url: &str) -> anyhow::Result<Option<String>> {
    ask(data, &HostRequest::Backup { url: url.to_owned() }, None)
}

fn ask(data: &Path, request: &HostRequest, patience: Option<Duration>) -> anyhow::Result<Option<String>> {
    let mut stream = match std::os::unix::net::UnixStream::connect(path(data)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be reached", path(data).display())),
    };
    stream.set_read_timeout(patience)?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line)?;
    match serde_json::from_str(&line).context("the process that serves the data directory did not answer")? {
        ControlAnswer::Done(text) => Ok(Some(text)),
        ControlAnswer::Fault(why) => bail!("{why}"),
    }
}
