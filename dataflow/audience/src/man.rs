//! `audience man`: manual pages.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

#[derive(Debug, Args)]
#[command(after_help = "To read one: audience man serve | man -l -")]
pub(crate) struct ManArgs {
    /// The command whose page is printed. [default: the program as a whole]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints a page of the program's manual in roff.
pub(crate) fn run(args: &ManArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    command.build();
    if let Some(name) = &args.command {
        let found =
            command.find_subcommand(name).with_context(|| format!("there is no command `{name}`: see --help"))?;
        command = found.clone();
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(ExitCode::SUCCESS)
}
