//! `audience backup`: everything of a platform to another place, and back.

pub mod create;
mod restore;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use audience_engine::durability::backup::CopiedState;
use audience_objects::{Backups, Objects};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

/// The format of backups that this program writes and reads.
const FORMAT: u32 = 1;
/// The file of segments, traits, members, keys and webhooks.
const DOCUMENTS: &str = "documents.json";
/// The file that `pg_dump` made, where PostgreSQL has them.
const POSTGRES: &str = "postgres.dump";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Makes a backup of a data directory, whether a process serves it or not. Events stream on meanwhile.
    Create(create::CreateArgs),
    /// Prints the backups, oldest first.
    List(Listed),
    /// Reads every byte of a backup and names each fault. The exit status is 1 where there is one.
    Verify(verify::VerifyArgs),
    /// Makes a new data directory from a backup, as of its end or of an earlier instant.
    Restore(restore::RestoreArgs),
}

/// The place of backups.
#[derive(Debug, Args)]
pub struct Place {
    /// The URL under which each backup is a folder: `file:///directory`, or `s3://bucket/prefix` with the usual `AWS_*`
    /// variables.
    #[arg(long, env = "AUDIENCE_BACKUPS", value_name = "URL")]
    backups: String,
}

/// The place of backups, and how they are printed.
#[derive(Debug, Args)]
pub struct Listed {
    #[command(flatten)]
    place: Place,
    /// Prints one JSON list instead of a table.
    #[arg(long)]
    json: bool,
}

impl Place {
    fn open(&self) -> anyhow::Result<Backups> {
        open(&self.backups)
    }
}

fn open(url: &str) -> anyhow::Result<Backups> {
    let variables: Vec<_> = std::env::vars().collect();
    Backups::open(url, &variables).context("--backups (AUDIENCE_BACKUPS)")
}

/// The facts of a backup, which are written last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackupFacts {
    format: u32,
    /// The program that made it.
    program: String,
    /// When it was begun, in milliseconds since 1970.
    begun_at: i64,
    /// The catalogue to which the memberships belong, as the data directory names it.
    catalogue: String,
    #[serde(flatten)]
    state: CopiedState,
    /// The files beside events and checkpoint.
    files: Vec<FileFacts>,
}

/// A file, so that damage is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileFacts {
    name: String,
    bytes: u64,
    /// xxh3-64, in hexadecimal digits.
    checksum: String,
}

impl FileFacts {
    fn of(name: &str, bytes: &[u8]) -> FileFacts {
        let checksum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes));
        FileFacts { name: name.to_owned(), bytes: bytes.len() as u64, checksum }
    }

    /// Reads the file, and checks that it is what was written.
    fn read(&self, place: &Objects) -> anyhow::Result<Vec<u8>> {
        let bytes = place.file(&self.name)?.with_context(|| format!("{} is missing", self.name))?;
        anyhow::ensure!(FileFacts::of(&self.name, &bytes) == *self, "{} is damaged", self.name);
        Ok(bytes)
    }
}

/// The facts of the backup at a place; an error where it is not whole, or of a newer program.
fn facts(place: &Objects) -> anyhow::Result<BackupFacts> {
    let bytes = place.backup_facts()?.context("it is not whole: making it was cut off, or is going on")?;
    let facts: serde_json::Value = serde_json::from_slice(&bytes).context("its facts cannot be read")?;
    let format = facts["format"].as_u64().unwrap_or_default();
    anyhow::ensure!(
        format == u64::from(FORMAT),
        "it has format {format}, and this program knows {FORMAT}: use the program that made it"
    );
    serde_json::from_value(facts).context("its facts cannot be read")
}

/// The backup of that name. Opening another would make a folder.
fn find(backups: &Backups, name: &str) -> anyhow::Result<std::sync::Arc<Objects>> {
    let names = backups.names()?;
    anyhow::ensure!(
        names.iter().any(|known| known == name),
        "there is no backup {name} at {}: `audience backup list` names them",
        backups.name()
    );
    Ok(backups.place(name)?)
}

/// Runs a command.
pub fn run(command: &BackupCommand) -> anyhow::Result<ExitCode> {
    match command {
        BackupCommand::Create(args) => create::run(args),
        BackupCommand::List(listed) => list(listed),
        BackupCommand::Verify(args) => verify::run(args),
        BackupCommand::Restore(args) => restore::run(args),
    }
}

/// A backup as it is printed.
#[derive(Serialize)]
struct BackupRow {
    name: String,
    #[serde(flatten)]
    facts: Option<BackupFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

fn list(listed: &Listed) -> anyhow::Result<ExitCode> {
    let backups = listed.place.open()?;
    let mut rows = Vec::new();
    for name in backups.names()? {
        let (facts, fault) = match facts(&*backups.place(&name)?) {
            Ok(facts) => (Some(facts), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        rows.push(BackupRow { name, facts, fault });
    }
    if listed.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<20}  {:>15}  {:<24}  STATE", "BACKUP", "EVENTS", "LAST EVENT");
    for BackupRow { name, facts, fault } in rows {
        match (facts, fault) {
            (Some(facts), _) => {
                let last = facts.state.last_accepted_at.map_or_else(String::new, instant);
                println!("{name:<20}  {:>15}  {last:<24}  whole", facts.state.events);
            }
            (None, fault) => println!("{name:<20}  {:>15}  {:<24}  {}", "", "", fault.unwrap_or_default()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An instant in UTC, for people.
fn instant(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| milliseconds.to_string(), |at| at.to_string())
}

/// The data directory that a command is about.
#[derive(Debug, Args)]
pub struct DataFlag {
    /// The data directory.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
}
