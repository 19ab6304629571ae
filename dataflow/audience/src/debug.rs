//! `audience debug bundle`: what a report of a fault needs, in one file without secrets.

mod args;
mod hide;
mod parts;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use audience_background::clock;
use clap::{ArgMatches, Subcommand};
use flate2::Compression;
use flate2::write::GzEncoder;

use self::args::BundleArgs;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// Writes a file with version, settings without secrets, the findings of `audience doctor`, and health, metrics and state of
    /// the process that runs with these settings, if one does. Events and users are not in it.
    Bundle(Box<BundleArgs>),
}

/// Prints the name of the file. `given` is what the command line says of the settings.
pub(crate) fn run(command: &DebugCommand, given: &ArgMatches) -> anyhow::Result<ExitCode> {
    let DebugCommand::Bundle(args) = command;
    let default = || PathBuf::from(format!("audience-debug-{}.tar.gz", clock::now()));
    let path = args.output.clone().unwrap_or_else(default);
    let file = File::create_new(&path).with_context(|| format!("writing {}", path.display()))?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, bytes) in parts::gather(args, given) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(clock::now() / 1_000).unwrap_or_default());
        archive.append_data(&mut header, format!("audience-debug/{name}"), bytes.as_slice())?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
