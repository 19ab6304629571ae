//! Objects under a URL, for callers that block.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audience_contract::{Result, StoreError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::ObjectsError;
use crate::target::Target;

/// How long a call may take, retries and all. Longer than what a store that answers slowly needs; a directory of another
/// machine may not answer at all.
const PATIENCE: Duration = Duration::from_secs(120);
/// Writes that are under way at once.
const WRITES: usize = 8;
/// The name of the object that names the owner.
const OWNER: &str = "owner";

/// Objects under a URL.
pub struct Objects {
    runtime: Option<Runtime>,
    store: Arc<dyn ObjectStore>,
    root: Path,
    directory: Option<PathBuf>,
    name: String,
    writes: Arc<Semaphore>,
    /// The owner for whom this process writes, once it is known.
    writer: OnceLock<String>,
}

/// A write that is under way.
pub(crate) struct Write(JoinHandle<Result<()>>);

impl Write {
    /// Returns whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

impl Objects {
    /// Opens what a URL names, `file:///directory` or `s3://bucket/prefix`; a directory is made where there is none, a
    /// bucket must be there. Does not ask the store anything yet. For S3, credentials and the like are those of the usual
    /// variables, which are handed in: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` and
    /// others; nothing of them is ever shown.
    pub fn open(url: &str, variables: &[(String, String)]) -> Result<Arc<Objects>, ObjectsError> {
        let Target { store, root, directory, name } = Target::of(url, variables)?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("objects").enable_all();
        let runtime = Some(runtime.build().map_err(ObjectsError::Start)?);
        let writes = Arc::new(Semaphore::new(WRITES));
        Ok(Arc::new(Objects { runtime, store, root, directory, name, writes, writer: OnceLock::new() }))
    }

    /// The URL, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The owner of the objects, if they have one.
    pub fn owner(&self) -> Result<Option<String>> {
        let found = self.get("reading the owner", OWNER)?;
        Ok(found.map(|owner| String::from_utf8_lossy(&owner).trim().to_owned()))
    }

    /// Makes somebody the owner. Who owned it before writes here no more.
    pub fn own(&self, owner: &str) -> Result<()> {
        self.put("noting the owner", OWNER, format!("{owner}\n").into())
    }

    /// A name for an owner that nobody else has.
    pub fn new_owner() -> String {
        format!("{:032x}", fastrand::u128(..))
    }

    /// Says for whom this process writes: from then on nothing that others rely on is written or deleted while somebody
    /// else is the owner.
    pub fn write_as(&self, owner: &str) {
        let _ = self.writer.set(owner.to_owned());
    }

    /// Fails where another one is the owner by now.
    pub(crate) fn refuse_others(&self, action: &'static str) -> Result<()> {
        let Some(writer) = self.writer.get() else { return Ok(()) };
        match self.owner()? {
            Some(owner) if owner != *writer => {
                let detail = format!("{} has been taken over by another data directory", self.name);
                Err(StoreError::Refused { action, detail })
            }
            _ => Ok(()),
        }
    }

    /// Runs it on the runtime of the store, and waits.
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => {
                Err(StoreError::Unavailable { action: "using a store of objects", detail: "it is closed".to_owned() })
            }
        }
    }

    fn path(&self, name: &str) -> Path {
        match self.root.is_root() {
            true => Path::from(name),
            false => Path::from(format!("{}/{name}", self.root)),
        }
    }

    fn fault(&self, action: &'static str, name: &str, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Unavailable { action, detail: format!("{}/{name}: {error}", self.name) }
    }

    /// An object, where it is there.
    pub(crate) fn get(&self, action: &'static str, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        let read = async { self.store.get(&path).await?.bytes().await };
        match self.wait(async { Ok(in_time(read).await) })? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fault(action, name, &error)),
        }
    }

    /// Returns whether an object exists.
    pub(crate) fn exists(&self, action: &'static str, name: &str) -> Result<bool> {
        let path = self.path(name);
        match self.wait(async { Ok(in_time(self.store.head(&path)).await) })? {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.fault(action, name, &error)),
        }
    }

    /// Writes an object: whole or not at all, in the place of one of that name, durable on return.
    pub(crate) fn put(&self, action: &'static str, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(name);
        let written = self.wait(async { Ok(in_time(self.store.put(&path, bytes.into())).await) })?;
        written.map(drop).map_err(|error| self.fault(action, name, &error))
    }

    /// Begins to write an object. Waits while as many are under way as may be, so that memory is bounded.
    pub(crate) fn begin_put(&self, action: &'static str, name: &str, bytes: Bytes) -> Result<Write> {
        let (store, path, writes) = (self.store.clone(), self.path(name), self.writes.clone());
        let place = format!("{}/{name}", self.name);
        self.wait(async move {
            let permit = writes.acquire_owned().await;
            Ok(Write(tokio::spawn(async move {
                let _permit = permit;
                let written = in_time(store.put(&path, bytes.into())).await;
                let fault = |error| StoreError::Unavailable { action, detail: format!("{place}: {error}") };
                written.map(drop).map_err(fault)
            })))
        })
    }

    /// Waits for a write.
    pub(crate) fn finish_put(&self, action: &'static str, write: Write) -> Result<()> {
        let joined = self.wait(async { Ok(write.0.await) })?;
        joined.unwrap_or_else(|error| Err(self.fault(action, "", &error)))
    }

    /// The names of the objects under a folder, without it, in order.
    pub(crate) fn list(&self, action: &'static str, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder);
        let listed = async {
            let found = self.store.list(Some(&path)).map_ok(|found| found.location);
            found.try_collect::<Vec<Path>>().await
        };
        let listed = self.wait(async { Ok(in_time(listed).await) })?;
        let listed = listed.map_err(|error| self.fault(action, folder, &error))?;
        let name = |found: &Path| Some(found.as_ref().strip_prefix(path.as_ref())?.trim_start_matches('/').to_owned());
        let mut names: Vec<String> = listed.iter().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the folders in a folder, without it, in order.
    pub(crate) fn folders(&self, action: &'static str, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder);
        let listed = self.wait(async { Ok(in_time(self.store.list_with_delimiter(Some(&path))).await) })?;
        let listed = listed.map_err(|error| self.fault(action, folder, &error))?;
        let name = |found: &Path| found.filename().map(str::to_owned);
        let mut names: Vec<String> = listed.common_prefixes.iter().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes objects; those that are not there are deleted already.
    pub(crate) fn delete(&self, action: &'static str, names: &[String]) -> Result<()> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let store = &self.store;
        let deleted = async {
            let mut deleted = store.delete_stream(futures_util::stream::iter(paths).boxed());
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        let deleted = self.wait(async { Ok(in_time(deleted).await) })?;
        let first = names.first().map_or("", String::as_str);
        deleted.map_err(|error| self.fault(action, first, &error))?;
        self.sync_folders(names).map_err(|error| self.fault(action, first, &error))
    }

    /// Makes durable what is in the folders of these names, where they are folders of a directory.
    fn sync_folders(&self, names: &[String]) -> std::io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let folders: BTreeSet<PathBuf> =
            names.iter().filter_map(|name| Some(directory.join(name).parent()?.to_owned())).collect();
        for folder in folders {
            match std::fs::File::open(folder) {
                Ok(folder) => folder.sync_all()?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes everything below the URL.
    pub fn delete_all(&self) -> Result<()> {
        const DELETING: &str = "deleting all objects";
        let names = self.list(DELETING, "")?;
        self.delete(DELETING, &names)?;
        self.delete_remains(DELETING, "")
    }

    /// Deletes what a folder of a directory still has once its objects are deleted: what a process that was killed had begun
    /// to write there.
    pub(crate) fn delete_remains(&self, action: &'static str, folder: &str) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        match std::fs::remove_dir_all(directory.join(folder)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.fault(action, folder, &error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // It may be dropped where nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The outcome, or an error if it takes too long.
async fn in_time<T>(work: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let source = format!("no answer within {PATIENCE:?}").into();
        Err(object_store::Error::Generic { store: "objects", source })
    })
}
