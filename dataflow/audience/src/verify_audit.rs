//! `audience admin verify-audit`: holds the audit log against what each checkpoint has of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use audience_contract::{CatalogueStore, CheckpointStore};
use audience_embedded::{Options, Stores};
use audience_engine::durability::{AuditFault, AuditTrail};
use audience_objects::Objects;
use audience_postgres::{PostgresCatalogue, PostgresSettings};
use audience_rules::time::format_time;
use clap::Args;

use crate::settings::{named, named_in};

/// The log, and the checkpoints that it is held against.
#[derive(Debug, Args)]
pub(crate) struct VerifyAuditArgs {
    /// The data directory of the server, which is stopped, or has its audit log in PostgreSQL.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// The libpq URL of the PostgreSQL that has the audit log instead. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// The URL of checkpoints, as the server has it. [default: none, those in the data directory]
    #[arg(long, env = "AUDIENCE_CHECKPOINTS", value_name = "URL")]
    checkpoints: Option<String>,
}

type Verified = (Arc<dyn CatalogueStore>, Arc<dyn CheckpointStore>);

fn open(args: &VerifyAuditArgs) -> anyhow::Result<Verified> {
    ensure!(args.data.is_dir(), "{}: {} is no directory", named("data"), args.data.display());
    let outside = args.checkpoints.as_ref().map(|url| {
        let objects = Objects::open(url, &std::env::vars().collect::<Vec<_>>());
        Ok::<_, anyhow::Error>(objects.with_context(|| named_in("checkpoints", "url"))?.checkpoints())
    });
    let outside = outside.transpose()?;
    match &args.postgres {
        Some(url) => {
            let catalogue = PostgresCatalogue::open(&PostgresSettings::new(url)).with_context(|| named("postgres"))?;
            let own = || Stores::look_at_checkpoints(&args.data).with_context(|| named("data"));
            Ok((Arc::new(catalogue), outside.map_or_else(own, Ok)?))
        }
        None => {
            let stores = Stores::open(&args.data, &Options::default()).with_context(|| named("data"))?;
            let (catalogue, own) = (stores.catalogue(), stores.checkpoints());
            Ok((catalogue, outside.unwrap_or(own)))
        }
    }
}

/// The place of a fault in words.
fn told(fault: &AuditFault) -> String {
    let AuditFault { after, row, is_missing, is_between } = fault;
    let begin = after.map_or_else(|| "from the first row".to_owned(), |after| format!("after row {after}"));
    match (is_between, is_missing) {
        (true, _) => format!("{begin} and up to row {row}, a row was changed, taken out or put in"),
        (false, true) => format!("row {row} was taken out"),
        (false, false) => format!("row {row} was changed, or another was put in before it"),
    }
}

/// Prints what each checkpoint says. Fails where the log is not what it was.
pub(crate) fn run(args: &VerifyAuditArgs) -> anyhow::Result<ExitCode> {
    let (catalogue, checkpoints) = open(args)?;
    let mut out = std::io::stdout().lock();
    let (mut is_whole, mut looked_at, mut said) = (true, 0, Vec::new());
    for number in checkpoints.found()? {
        let Some(trail) = AuditTrail::of_checkpoint(&*checkpoints, number)? else { continue };
        looked_at += 1;
        let (rows, head) = (trail.rows(), trail.head());
        match trail.fault_in(&*catalogue)? {
            None => writeln!(out, "checkpoint {number}: its {rows} rows are as they were, with the head {head}")?,
            Some(fault) => {
                is_whole = false;
                writeln!(out, "checkpoint {number}: {}, of {rows} rows with the head {head}", told(&fault))?;
            }
        }
        for finding in trail.findings().iter().filter(|finding| !said.contains(*finding)).cloned().collect::<Vec<_>>() {
            is_whole = false;
            writeln!(out, "found at the start of {}: {}", format_time(finding.0), told(&finding.1))?;
            said.push(finding);
        }
    }
    ensure!(looked_at > 0, "no checkpoint has the chain of the audit log yet: the server writes it with its next one");
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
