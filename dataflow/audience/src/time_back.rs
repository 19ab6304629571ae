//! `audience admin take-time-back`: time back to the clock of this machine, after a clock that was ahead was followed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use audience_contract::CatalogueStore;
use audience_embedded::{Options, Stores};
use audience_engine::durability::{TimeBack, foresee_time_back};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, clock};
use audience_postgres::{PostgresCatalogue, PostgresSettings};
use audience_rules::time::format_time;
use clap::Args;
use serde_json::json;

use crate::settings::named;

/// The author of what the owner of the host does.
const HOST: &str = "host";
/// Ids of a segment that the table names.
const NAMED: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct TimeBackArgs {
    /// The data directory of the server, which is stopped.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// The libpq URL of the PostgreSQL that has the segments instead. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// Takes time back; without it nothing is changed.
    #[arg(long)]
    yes: bool,
    /// Prints the effect as JSON, with every id.
    #[arg(long)]
    json: bool,
}

/// Exit status 0: it is told, or done; 2: the directory is in use, or cannot be read or written.
pub(crate) fn run(args: &TimeBackArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.data.join("FORMAT").is_file(),
        "{}: {} is no data directory",
        named("data"),
        args.data.display()
    );
    let stores = open(args)?;
    let engine = EngineOptions {
        workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        ..EngineOptions::default()
    };
    let Some(effect) = foresee_time_back(&stores, engine, clock::now())? else {
        writeln!(std::io::stdout(), "Time is not ahead of the clock of this machine: there is nothing to take back.")?;
        return Ok(ExitCode::SUCCESS);
    };
    print(&effect, args.json)?;
    if !args.yes {
        eprintln!("Nothing is changed. With --yes time is taken back.");
        return Ok(ExitCode::SUCCESS);
    }
    effect.take(&stores, HOST)?;
    eprintln!("Time is taken back. Start the server again.");
    Ok(ExitCode::SUCCESS)
}

fn open(args: &TimeBackArgs) -> anyhow::Result<PlatformStores> {
    let stores = Stores::open(&args.data, &Options::default()).with_context(|| named("data"))?;
    let catalogue: Arc<dyn CatalogueStore> = match &args.postgres {
        Some(url) => Arc::new(PostgresCatalogue::open(&PostgresSettings::new(url)).with_context(|| named("postgres"))?),
        None => stores.catalogue(),
    };
    Ok(PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        changes: stores.changes(),
        catalogue,
        checkpoints: stores.checkpoints(),
        notes: stores.notes(),
    })
}

fn print(effect: &TimeBack, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let (from, to) = (format_time(effect.from), format_time(effect.to));
    if as_json {
        let segments = effect
            .segments
            .iter()
            .map(|segment| json!({"id": &*segment.id, "entering": segment.entering, "leaving": segment.leaving}));
        let told = json!({"from": from, "to": to, "events": effect.events, "segments": segments.collect::<Vec<_>>()});
        writeln!(out, "{}", serde_json::to_string_pretty(&told)?)?;
        return Ok(());
    }
    writeln!(out, "Time goes back from {from} to {to}.")?;
    writeln!(out, "{} events were accepted after that, and count as accepted at that instant.", effect.events)?;
    if effect.segments.is_empty() {
        writeln!(out, "No membership changes.")?;
    }
    for segment in &effect.segments {
        let (enter, leave) = (segment.entering.len(), segment.leaving.len());
        writeln!(
            out,
            "{}: {enter} enter{}, {leave} leave{}",
            segment.id,
            ids(&segment.entering),
            ids(&segment.leaving)
        )?;
    }
    Ok(())
}

fn ids(ids: &[String]) -> String {
    match ids {
        [] => String::new(),
        ids if ids.len() <= NAMED => format!(" ({})", ids.join(", ")),
        ids => format!(" ({}, …)", ids[..NAMED].join(", ")),
    }
}
