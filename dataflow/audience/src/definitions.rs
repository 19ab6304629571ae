//! `audience apply` and `audience export`: segments, computed traits, contents, campaigns and settings as files, so that a team
//! keeps them in git.
//!
//! The law: what is exported changes nothing where it came from, and makes an empty server equal.

mod checks;
mod documents;
mod files;
mod kind;
mod server;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::files::Definitions;
use self::kind::DefinitionKind;
use self::server::{DefinitionServer, ServerFlags};
use self::steps::{Action, Step};

/// The exit status of `--dry-run` where there is a difference.
const DIFFERENT: u8 = 2;

/// Files to apply, and where.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The directory: `segments/ID.json`, `traits/NAME.json`, `contents/ID.json`, `campaigns/ID.json` and `settings.json`, as
    /// `audience export` writes them.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    server: ServerFlags,
    /// Deletes segments and computed traits of the server that have no file, archives such contents, and cancels campaigns that
    /// are drafts. Shipped traits stay, and so do campaigns that were launched.
    #[arg(long)]
    prune: bool,
    /// Prints the difference and changes nothing. The exit status is 2 where there is one.
    #[arg(long)]
    dry_run: bool,
}

/// The directory to write, and where from.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The directory. Files of definitions that the server does not have are deleted; others stay.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    server: ServerFlags,
}

/// Exit status 0: the server is as the files say; 1: files are faulty and nothing was changed, or the server cannot be read or
/// refused a step; 2: `--dry-run` found a difference.
pub(crate) fn apply(args: &ApplyArgs) -> ExitCode {
    told(try_apply(args))
}

/// Exit status 0: the directory is as the server; 1: it is not.
pub(crate) fn export(args: &ExportArgs) -> ExitCode {
    told(try_export(args))
}

/// An error is 1, since 2 is a difference.
fn told(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn try_apply(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let wanted = match Definitions::read(&args.directory)? {
        Ok(wanted) => wanted,
        Err(faults) => return Ok(refused(&faults)),
    };
    let server = DefinitionServer::open(&args.server)?;
    let held = server.read()?;
    let steps = steps::between(&held, &wanted, args.prune)?;
    let faults = checks::faults(&held, &wanted, &steps);
    if !faults.is_empty() {
        return Ok(refused(&faults));
    }
    for step in &steps {
        println!("{}", described(step, &server));
    }
    if steps.is_empty() {
        println!("nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    if args.dry_run {
        return Ok(ExitCode::from(DIFFERENT));
    }
    for (index, step) in steps.iter().enumerate() {
        if let Err(why) = server.take(step)? {
            let file =
                wanted.place(step.kind, &step.id).map_or_else(String::new, |place| format!("{}: ", place.display()));
            eprintln!("{file}{} {} was refused: {why}", step.kind.word(), step.id);
            eprintln!("{index} of {} changes were made; mend the fault and apply again", steps.len());
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("done: {} changes", steps.len());
    Ok(ExitCode::SUCCESS)
}

fn refused(faults: &[String]) -> ExitCode {
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    eprintln!("{} faults; nothing was changed", faults.len());
    ExitCode::FAILURE
}

/// A step, with who would enter and leave where the server can tell.
fn described(step: &Step, server: &DefinitionServer) -> String {
    let (sign, word) = match (step.action, step.kind) {
        (Action::Create, _) => ('+', "create"),
        (Action::Change { .. }, _) => ('~', "change"),
        (Action::Approve { .. }, _) => ('~', "approve"),
        (Action::Delete { .. }, DefinitionKind::Content) => ('-', "archive"),
        (Action::Delete { .. }, DefinitionKind::Campaign) => ('-', "cancel"),
        (Action::Delete { .. }, _) => ('-', "delete"),
    };
    let effect = server.effect(step).map_or_else(String::new, |effect| format!(": {effect}"));
    format!("{sign} {word} {} {}{effect}", step.kind.word(), step.id)
}

fn try_export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let definitions = DefinitionServer::open(&args.server)?.read()?.definitions();
    let written = definitions.write(&args.directory)?;
    println!("{written} files in {}", args.directory.display());
    Ok(ExitCode::SUCCESS)
}
