//! `audience backup`: everything of a platform to another place, and back.

pub(crate) mod create;
mod place;
mod restore;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use self::place::{BackupFacts, BackupsFlag, facts};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Makes a backup of a data directory, whether a process serves it or not. Events stream on meanwhile.
    Create(create::CreateArgs),
    /// Prints the backups, oldest first.
    List(ListArgs),
    /// Reads every byte of a backup and names each fault. The exit status is 1 where there is one.
    Verify(verify::VerifyArgs),
    /// Makes a new data directory from a backup, as of its end or of an earlier instant.
    Restore(restore::RestoreArgs),
}

/// The place of backups, and how they are printed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    place: BackupsFlag,
    /// Prints one JSON list instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs a command.
pub(crate) fn run(command: &BackupCommand) -> anyhow::Result<ExitCode> {
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

fn list(listed: &ListArgs) -> anyhow::Result<ExitCode> {
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
