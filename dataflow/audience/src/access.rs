//! Access of a process: its door, opened on a store of members, with the first admin and the upkeep.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audience_auth::Auth;
use audience_contract::AccessStore;
use audience_engine::service::clock;

use crate::settings::{AccessSettings, named};

/// The time between two looks at what other processes have written: a withdrawn right ends everywhere so soon.
const TEND: Duration = Duration::from_secs(2);

/// Opens the door on a store of members; makes the first admin where the settings name one. Refuses to let a process start that
/// could ask nobody. Without a store nobody can sign in, and an open door is all that there can be.
pub(crate) fn open(
    store: Option<Arc<dyn AccessStore>>,
    settings: &AccessSettings,
    listeners: &[SocketAddr],
) -> anyhow::Result<Arc<Auth>> {
    let options = settings.options(listeners)?;
    let auth = match store {
        Some(store) => Auth::open(store, options).context("members and keys cannot be read")?,
        None => Auth::without_store(options),
    };
    if let Some(admin) = settings.first_admin()?
        && !auth.has_members()
    {
        let file = admin.password_file.display();
        let password = std::fs::read_to_string(&admin.password_file)
            .with_context(|| format!("{}: {file} cannot be read", named("admin_password_file")))?;
        auth.make_first_admin(&admin.email, password.trim_end_matches(['\r', '\n']), clock::now())
            .with_context(|| format!("{} and {}", named("admin_email"), named("admin_password_file")))?;
        tracing::info!("The first admin was made by the settings");
    }
    settings.oidc.attach(&auth)?;
    auth.check_listeners().with_context(|| named("auth"))?;
    Ok(Arc::new(auth))
}

/// Looks after a door for as long as the process runs. Other processes change members in the store, which tells nothing.
pub(crate) fn tend(auth: &Arc<Auth>) {
    let auth = Arc::clone(auth);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TEND).await;
            let tended = Arc::clone(&auth);
            let outcome = tokio::task::spawn_blocking(move || tended.tend(clock::now())).await;
            if let Ok(Err(error)) = outcome {
                tracing::error!(%error, "Members and keys cannot be followed; those that are known stay in force");
            }
        }
    });
}

/// Says on standard output how the first admin comes in, where callers must sign in and nobody can.
pub(crate) async fn tell_first_admin(auth: &Arc<Auth>, scheme: &str, address: SocketAddr) -> anyhow::Result<()> {
    if auth.is_open() || auth.has_members() {
        return Ok(());
    }
    let made = Arc::clone(auth);
    let secret = tokio::task::spawn_blocking(move || made.first_admin_link(clock::now())).await??;
    if let Some(secret) = secret {
        let link = auth.link(&secret);
        let base = match &auth.options().public_url {
            Some(_) => String::new(),
            // No browser goes to the address that stands for all of them.
            None if address.ip().is_unspecified() => format!("{scheme}://localhost:{}", address.port()),
            None => format!("{scheme}://{address}"),
        };
        writeln!(std::io::stdout(), "The first admin signs up, once and within an hour, at {base}{link}")?;
    }
    Ok(())
}
