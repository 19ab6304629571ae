//! `audience migrate`: creates or upgrades the tables in PostgreSQL.

use std::process::ExitCode;

use anyhow::Context;
use audience_postgres::{PostgresSettings, migrate};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The libpq URL of PostgreSQL.
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: String,
}

/// Exit status 0: the tables are as they must be; 2: they are not.
pub(crate) fn run(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let applied = migrate(&PostgresSettings::new(&args.postgres)).context("--postgres (AUDIENCE_POSTGRES)")?;
    for migration in &applied {
        println!("applied {} {}", migration.number, migration.name);
    }
    if applied.is_empty() {
        println!("nothing to do");
    }
    Ok(ExitCode::SUCCESS)
}
