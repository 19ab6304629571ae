//! `audience backup restore`: a backup becomes a new data directory.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use audience_embedded::{Options, Stores};
use audience_engine::durability::backup::{self, BackupDocuments, BackupPlace, RestorePoint};
use audience_objects::Objects;
use clap::Args;

use super::place::{self, BackupFacts, BackupsFlag, DOCUMENTS, DataFlag, NOTES, POSTGRES};
use crate::settings::named;
use crate::{catalogue_file, tenant_directories};

/// The backup, and the directory that it becomes.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    data: DataFlag,
    #[command(flatten)]
    place: BackupsFlag,
    /// The name of the backup, as `audience backup list` prints it.
    #[arg(value_name = "NAME")]
    name: String,
    /// Leaves out events that were accepted after this instant, such as `2026-06-10T08:00:00Z`. Sources go on after the backup
    /// all the same. Segments and members are those of the backup. [default: none]
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// The libpq URL of an empty database for what PostgreSQL had. `pg_restore` fills it. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let backups = args.place.open()?;
    let objects = place::find(&backups, &args.name)?;
    let facts = place::facts(&objects)?;
    let data = &args.data.data;
    let is_empty = fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
    ensure!(is_empty, "{} is not empty: name a directory that is, or none yet, by {}", data.display(), named("data"));
    restore_postgres(args, &facts, &objects)?;
    // Under its own name only once it is whole: a start would take what is there.
    let making = PathBuf::from(format!("{}.restoring", data.display()));
    if making.exists() {
        fs::remove_dir_all(&making).with_context(|| format!("deleting {}, which was cut off", making.display()))?;
    }
    let events = restore(&making, &facts, &objects, args.until)?;
    for id in &facts.tenants {
        let objects = place::of_tenant(&backups, &args.name, id)?;
        let of_tenant =
            || restore(&tenant_directories::of(&making, id), &place::facts(&objects)?, &objects, args.until);
        of_tenant().with_context(|| format!("tenant {id}"))?;
    }
    fs::rename(&making, data).with_context(|| format!("naming the directory {}", data.display()))?;
    let others = match &facts.tenants[..] {
        [] => String::new(),
        tenants => format!(", and those of the tenants {}", tenants.join(", ")),
    };
    println!("{} has {events} events{others}; `audience serve --data {0}` goes on from there", data.display());
    Ok(ExitCode::SUCCESS)
}

/// Makes the data directory of one tenant; gives the number of its events.
fn restore(
    making: &Path,
    facts: &BackupFacts,
    objects: &Arc<Objects>,
    until: Option<jiff::Timestamp>,
) -> anyhow::Result<u64> {
    let documents: Option<BackupDocuments> = match facts.files.iter().find(|file| file.name == DOCUMENTS) {
        Some(file) => Some(serde_json::from_slice(&file.read(objects)?).context("the documents cannot be read")?),
        None => None,
    };
    let own = Stores::open(making, &Options::default()).with_context(|| named("data"))?;
    let (stores, to) = place::stores_of(&own);
    let from = BackupPlace { history: objects.history(), checkpoints: objects.checkpoints() };
    catalogue_file::write(making, &facts.catalogue)?;
    for file in facts.files.iter().filter(|file| file.name.starts_with(NOTES)) {
        backup::put_notes(&*stores.notes, &file.read(objects)?)?;
    }
    let point = RestorePoint { events: facts.state.events, until: until.map(jiff::Timestamp::as_millisecond) };
    Ok(backup::restore(&stores, &from, documents.map(|documents| (documents, &to)), point)?)
}

/// Fills PostgreSQL before the directory is made: where that fails, nothing is there that a start would take.
fn restore_postgres(args: &RestoreArgs, facts: &BackupFacts, objects: &Objects) -> anyhow::Result<()> {
    let Some(file) = facts.files.iter().find(|file| file.name == POSTGRES) else { return Ok(()) };
    let url = args.postgres.as_deref().with_context(|| {
        format!("PostgreSQL had the segments: name an empty database for them by {}", named("postgres"))
    })?;
    let bytes = file.read(objects)?;
    let mut command = Command::new("pg_restore");
    command.args(["--no-owner", "--exit-on-error", "--single-transaction", "--dbname"]).arg(url);
    let child = command.env("PGCONNECT_TIMEOUT", "10").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.context("pg_restore is needed for segments in PostgreSQL, and cannot be run")?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&bytes));
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "pg_restore: {}", String::from_utf8_lossy(&output.stderr).trim());
    written.context("pg_restore did not take the whole copy")
}
