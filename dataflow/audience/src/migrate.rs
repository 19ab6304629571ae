//! `audience migrate`: the tables in PostgreSQL.

use std::process::ExitCode;

use anyhow::Context;
use audience_postgres::{Settings, migrate};
use clap::Args;

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where PostgreSQL is, as a libpq URL.
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: String,
}

/// Exit status 0: the tables are as they should be; 2: they could not be made so.
pub fn run(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let applied = migrate(&Settings::new(&args.postgres)).context("--postgres (AUDIENCE_POSTGRES)")?;
    for migration in &applied {
        println!("applied {} {}", migration.number, migration.name);
    }
    if applied.is_empty() {
        println!("nothing to do");
    }
    Ok(ExitCode::SUCCESS)
}
