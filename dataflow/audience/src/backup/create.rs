//! `audience backup create`: by the process that serves the data directory, or here where none does.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use audience_background::Stop;
use audience_embedded::{Options, Stores};
use audience_engine::durability::backup::{self, BackupDocuments, BackupPlace, CopiedState, DocumentStores};
use audience_engine::service::{PlatformStores, clock};
use audience_objects::Objects;
use clap::Args;

use super::place::{
    self, BackupFacts, BackupsFlag, DOCUMENTS, DataFlag, FORMAT, FORMAT_OF_TENANTS, FileFacts, NOTES, POSTGRES,
};
use crate::catalogue_file::{self, EMBEDDED};
use crate::settings::named;
use crate::version::VERSION;
use crate::{control, last_backup, tenant_directories};

/// The data to copy, and the place to copy it to.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    data: DataFlag,
    #[command(flatten)]
    place: BackupsFlag,
    /// The libpq URL of the PostgreSQL that has segments and members instead of the data directory. `pg_dump` makes the copy.
    /// [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
}

pub(crate) fn run(args: &CreateArgs) -> anyhow::Result<ExitCode> {
    let data = &args.data.data;
    ensure!(data.is_dir(), "{}: {} is no directory", named("data"), data.display());
    let name = match control::ask_for_backup(data, &args.place.backups)? {
        Some(name) => name,
        None => from_directory(args)?,
    };
    println!("{name}");
    Ok(ExitCode::SUCCESS)
}

/// Makes a backup of a directory that no process serves.
fn from_directory(args: &CreateArgs) -> anyhow::Result<String> {
    let data = &args.data.data;
    // The lock of the directory of `default` is that of all, so that it is opened first.
    let own = open(data)?;
    let tenants = tenant_directories::all(data)?;
    let tenants =
        tenants.into_iter().map(|(id, data)| Ok((id, open(&data)?, data))).collect::<anyhow::Result<Vec<_>>>()?;
    let part = |own: &Stores, data: &Path, postgres: Option<String>| {
        let (stores, documents) = place::stores_of(own);
        let source = BackupSource { stores, documents, postgres };
        BackupPart::new(data, source, |source, place| Ok(backup::copy(&source.stores, place, &Stop::new())?))
    };
    let of_tenants = tenants.iter().map(|(id, own, data)| (id.clone(), part(own, data, None))).collect();
    write(&args.place.backups, &part(&own, data, args.postgres.clone()), of_tenants)
}

fn open(data: &Path) -> anyhow::Result<Stores> {
    Stores::open(data, &Options::default()).with_context(|| named("data"))
}

/// Makes a backup under a URL; gives its name. It is whole once all of its parts are: that of `default` is finished last.
pub(crate) fn write(url: &str, default: &BackupPart, tenants: Vec<(String, BackupPart)>) -> anyhow::Result<String> {
    let begun_at = clock::now();
    let backups = place::open(url)?;
    let name = jiff::Timestamp::from_millisecond(begun_at)?.strftime("%Y%m%dT%H%M%SZ").to_string();
    ensure!(!backups.names()?.contains(&name), "a backup {name} is there already: repeat it in a second");
    let mut ids = Vec::new();
    for (id, part) in tenants {
        let objects = place::of_tenant(&backups, &name, &id)?;
        part.write(&objects, begun_at, Vec::new()).with_context(|| format!("tenant {id}"))?;
        ids.push(id);
    }
    let tenants = ids.len();
    let events = default.write(&backups.place(&name)?, begun_at, ids)?;
    tracing::info!(name, events, tenants, "A backup was made");
    if let Err(error) = last_backup::note(&default.data, begun_at) {
        tracing::warn!(%error, "The time of the backup cannot be noted, and its age is not in the metrics");
    }
    Ok(name)
}

/// The part of a backup that is of one tenant.
pub(crate) struct BackupPart {
    data: PathBuf,
    source: BackupSource,
    copy: CopyState,
}

/// Copies events and a checkpoint.
type CopyState = Box<dyn Fn(&BackupSource, &BackupPlace) -> anyhow::Result<CopiedState> + Send + Sync>;

impl BackupPart {
    /// The part of that data directory.
    pub(crate) fn new(
        data: &Path,
        source: BackupSource,
        copy: impl Fn(&BackupSource, &BackupPlace) -> anyhow::Result<CopiedState> + Send + Sync + 'static,
    ) -> BackupPart {
        BackupPart { data: data.to_owned(), source, copy: Box::new(copy) }
    }

    /// Writes it, whole or not at all; gives the number of its events.
    fn write(&self, objects: &Arc<Objects>, begun_at: i64, tenants: Vec<String>) -> anyhow::Result<u64> {
        // A directory that is older than the file has its own.
        let catalogue = catalogue_file::read(&self.data)?.unwrap_or_else(|| EMBEDDED.to_owned());
        let to = BackupPlace { history: objects.history(), checkpoints: objects.checkpoints() };
        let state = (self.copy)(&self.source, &to)?;
        let files = self.source.write_documents(objects, &catalogue)?;
        let program = VERSION.to_owned();
        let format = if tenants.is_empty() { FORMAT } else { FORMAT_OF_TENANTS };
        let facts = BackupFacts { format, program, begun_at, catalogue, state, files, tenants };
        objects.finish_backup(serde_json::to_vec_pretty(&facts)?)?;
        Ok(facts.state.events)
    }
}

/// The stores that a part of a backup is made of.
#[derive(Clone)]
pub(crate) struct BackupSource {
    pub stores: PlatformStores,
    pub documents: DocumentStores,
    /// The PostgreSQL that has the documents instead.
    pub postgres: Option<String>,
}

impl BackupSource {
    fn write_documents(&self, objects: &Objects, catalogue: &str) -> anyhow::Result<Vec<FileFacts>> {
        let (name, bytes) = match &self.postgres {
            Some(url) => (POSTGRES, dump(url)?),
            None if catalogue.starts_with("postgres") => {
                bail!("PostgreSQL has the segments of this data directory: name it by {}", named("postgres"))
            }
            None => (DOCUMENTS, serde_json::to_vec(&BackupDocuments::of(&self.stores, &self.documents)?)?),
        };
        let mut files = vec![FileFacts::of(name, &bytes)];
        objects.put_file(name, bytes)?;
        backup::copy_notes(&*self.stores.notes, audience_sender::NOTES, &mut |bytes| {
            let name = format!("{NOTES}{:04}.bin", files.len());
            files.push(FileFacts::of(&name, &bytes));
            objects.put_file(&name, bytes)
        })?;
        Ok(files)
    }
}

/// The schema of the program in PostgreSQL, as `pg_dump` writes it. The URL has a password and is in no message.
fn dump(url: &str) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("pg_dump");
    command.args(["--format=custom", "--schema=audience", "--no-owner"]).env("PGCONNECT_TIMEOUT", "10");
    let output = command.arg("--dbname").arg(url).output();
    let output = output.context("pg_dump is needed for segments in PostgreSQL, and cannot be run")?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}
