//! `audience apply` and `audience export`: segments, computed traits and settings as files, so that a team keeps them in git.

mod files;
mod server;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::files::Definitions;
use self::server::{DefinitionServer, ServerFlags};
use self::steps::{Action, Step};

/// Files to apply, and where.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The directory: `segments/ID.json`, `traits/NAME.json` and `settings.json`, as `audience export` writes them.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    server: ServerFlags,
    /// Deletes segments and computed traits of the server that have no file. Shipped traits stay.
    #[arg(long)]
    prune: bool,
    /// Prints the difference and changes nothing. The exit status is 3 where there is one.
    #[arg(long)]
    dry_run: bool,
}

/// The directory to write, and where from.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The directory. Files of segments and traits that the server does not have are deleted; others stay.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    server: ServerFlags,
}

/// Exit status 0: the server is as the files say; 1: it refused a step, and later ones were not tried; 2: files or the server
/// cannot be read; 3: `--dry-run` found a difference.
pub(crate) fn apply(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let wanted = Definitions::read(&args.directory)?;
    let server = DefinitionServer::open(&args.server)?;
    let steps = steps::between(&server.read()?, &wanted, args.prune)?;
    for step in &steps {
        println!("{}", described(step, &server));
    }
    if steps.is_empty() {
        println!("nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    if args.dry_run {
        return Ok(ExitCode::from(3));
    }
    for step in &steps {
        if let Err(why) = server.take(step)? {
            eprintln!("{} {} was refused: {why}", step.kind.word(), step.id);
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("done: {} changes", steps.len());
    Ok(ExitCode::SUCCESS)
}

/// A step, with who would enter and leave where the server can tell.
fn described(step: &Step, server: &DefinitionServer) -> String {
    let (sign, word) = match step.action {
        Action::Create => ('+', "create"),
        Action::Change { .. } => ('~', "change"),
        Action::Delete { .. } => ('-', "delete"),
    };
    let effect = server.effect(step).map_or_else(String::new, |effect| format!(": {effect}"));
    format!("{sign} {word} {} {}{effect}", step.kind.word(), step.id)
}

/// Exit status 0: the directory is as the server.
pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let definitions = DefinitionServer::open(&args.server)?.read()?.definitions();
    let written = definitions.write(&args.directory)?;
    println!("{written} files in {}", args.directory.display());
    Ok(ExitCode::SUCCESS)
}
