//! The pair that a process is one of: its lease, and its primary where it is a standby.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use audience_api::Door;
use audience_background::Stop;
use audience_embedded::{FileLease, Stores};
use audience_engine::standby::{
    Fence, FenceError, Pairing, PromotionOrders, ShippingOptions, StandbyOptions, holder_name, is_standby, note_primary,
};
use parking_lot::Mutex;

use crate::control::ControlSocket;
use crate::primary::RemotePrimary;
use crate::settings::{PromotionMode, ServeSettings, StandbySettings, named};

/// Between attempts to reach the lease.
const RETRY: Duration = Duration::from_millis(500);
/// Between looks whether a standby has taken over.
const LOOK: Duration = Duration::from_millis(50);

/// A process with a lease, which it renews until this is dropped.
pub(crate) struct Paired {
    /// The pair, for the platform.
    pub pairing: Pairing,
    lost: Arc<Mutex<Option<String>>>,
    stop: Stop,
}

impl Paired {
    /// Why the process may not go on, once the lease is lost.
    pub(crate) fn lost(&self) -> Option<String> {
        self.lost.lock().clone()
    }

    /// True if it is a standby, until it takes over.
    pub(crate) fn is_standby(&self) -> bool {
        self.pairing.standby.is_some()
    }
}

impl Drop for Paired {
    fn drop(&mut self) {
        self.stop.request();
    }
}

/// The parts of the process that a pair needs.
pub(crate) struct PairContext<'a> {
    pub stores: &'a Stores,
    pub door: &'a Door,
    pub control: &'a ControlSocket,
}

/// Acquires the lease, or makes ready to follow whoever holds it; `None` where the settings name no lease.
pub(crate) fn pair(
    settings: &ServeSettings,
    computes_alone: bool,
    context: &PairContext<'_>,
) -> anyhow::Result<Option<Paired>> {
    let StandbySettings { lease, standby_of, .. } = &settings.flags.standby;
    let notes = context.stores.notes();
    let notes = &*notes;
    let was_standby = is_standby(notes)?;
    let Some(lease) = lease else {
        ensure!(standby_of.is_none(), "{} needs {}, by which it takes over", named("standby_of"), named("lease"));
        ensure!(!was_standby, "the data directory is that of a standby; start it with {}", named("lease"));
        return Ok(None);
    };
    ensure!(computes_alone, "a process with {} computes alone, without others", named("lease"));
    let holder = holder_name(notes)?;
    let store = FileLease::open(&directory(lease)?, &holder).with_context(|| named("lease"))?;
    let lasts = Duration::from_secs(settings.flags.standby.lease_seconds.into());
    let fence = Arc::new(Fence::new(Arc::new(store), holder, lasts));
    let is_holder = retried(context.door, || Ok(fence.read()?.is_some_and(|lease| fence.is_own(&lease))))?;
    let standby = match standby_of {
        Some(url) if !is_holder => Some(standby(url, settings, context, &fence, was_standby)?),
        _ => {
            ensure!(is_holder || !was_standby, "the data directory is that of a standby, which has not taken over");
            retried(context.door, || fence.acquire())?;
            if was_standby {
                note_primary(notes)?;
            }
            None
        }
    };
    let shipping = ShippingOptions {
        fence: fence.clone(),
        answers_wait: settings.flags.standby.standby_answers,
        patience: Duration::from_secs(settings.flags.standby.standby_patience_seconds.into()),
        ships_catalogue: settings.connections.postgres.is_none(),
    };
    let (lost, stop) = (Arc::default(), Stop::new());
    keep(fence, Arc::clone(&lost), stop.clone())?;
    Ok(Some(Paired { pairing: Pairing { shipping: Some(shipping), standby }, lost, stop }))
}

fn standby(
    url: &str,
    settings: &ServeSettings,
    context: &PairContext<'_>,
    fence: &Arc<Fence>,
    was_standby: bool,
) -> anyhow::Result<StandbyOptions> {
    ensure!(
        was_standby || context.stores.changes().progress()?.is_none(),
        "the data directory has served by itself, and may have what its primary lacks: start a standby on an empty one"
    );
    ensure!(
        settings.checkpoints.is_none(),
        "a standby keeps its checkpoints in the data directory: leave out {}, and name a place of its own after it has \
         taken over",
        named("checkpoints")
    );
    let orders = Arc::new(PromotionOrders::default());
    context.control.take_orders(&orders);
    Ok(StandbyOptions {
        primary: Arc::new(RemotePrimary::new(url, &settings.flags.standby, context.door)?),
        fence: fence.clone(),
        is_automatic: settings.flags.standby.standby_promotion == PromotionMode::Automatic,
        keeps_catalogue: settings.connections.postgres.is_none(),
        orders,
    })
}

/// The directory that a URL of a lease names.
pub(crate) fn directory(url: &str) -> anyhow::Result<PathBuf> {
    let path = url.strip_prefix("file://").map(Path::new).filter(|path| path.is_absolute());
    path.map(Path::to_owned).with_context(|| format!("{} is {url}: write file:///directory", named("lease")))
}

/// Retries while the place of the lease does not answer.
fn retried<T>(door: &Door, attempt: impl Fn() -> Result<T, FenceError>) -> anyhow::Result<T> {
    loop {
        match attempt() {
            Err(FenceError::Store(error)) => {
                tracing::error!(%error, "The lease cannot be reached, and the start retries");
                door.wait_for(format!("the lease cannot be reached: {error}"));
                std::thread::park_timeout(RETRY);
            }
            done => return Ok(done?),
        }
    }
}

/// Renews the lease on a thread of its own, from the moment that it is held.
fn keep(fence: Arc<Fence>, lost: Arc<Mutex<Option<String>>>, stop: Stop) -> anyhow::Result<()> {
    let renew = move || {
        while !fence.is_held() {
            if stop.wait(LOOK) {
                return;
            }
        }
        *lost.lock() = fence.keep(&stop).map(|error| error.to_string());
    };
    std::thread::Builder::new().name("lease".to_owned()).spawn(renew).context("the lease cannot be renewed")?;
    Ok(())
}
