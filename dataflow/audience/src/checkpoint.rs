//! `audience checkpoint`: lists checkpoints, and verifies that they are whole.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use audience_contract::CheckpointStore;
use audience_embedded::Stores;
use audience_engine::durability::{Manifest, verify};
use audience_engine::service::clock;
use audience_objects::Objects;
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Prints the checkpoints, newest first: age, events, size and shards. A process may be writing them meanwhile.
    List(Place),
    /// Reads every shard of every checkpoint and names the damaged ones. The exit status is 1 where there is one.
    Verify(Place),
}

/// The place of checkpoints.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The data directory.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// The URL of a shared directory, `file:///directory`, or an S3-compatible store, `s3://bucket/prefix`. [default: the data
    /// directory]
    #[arg(long, env = "AUDIENCE_CHECKPOINTS", value_name = "URL")]
    checkpoints: Option<String>,
    /// Prints one JSON list instead of a table.
    #[arg(long)]
    json: bool,
}

/// A checkpoint as it is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointRow {
    number: u64,
    /// None where the manifest cannot be read.
    #[serde(flatten)]
    facts: Option<Facts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    age_seconds: f64,
    /// Every shard has the events below this.
    from_sequence: u64,
    /// No shard has events from this on.
    to_sequence: u64,
    shards: usize,
    bytes: Option<u64>,
}

/// Exit status 0: all that is asked is in order; 1: something is damaged; 2: the checkpoints cannot be read.
pub(crate) fn run(command: &CheckpointCommand) -> anyhow::Result<ExitCode> {
    let (CheckpointCommand::List(place) | CheckpointCommand::Verify(place)) = command;
    let store = open(place)?;
    let is_read = matches!(command, CheckpointCommand::Verify(_));
    let rows: Vec<CheckpointRow> = store.found()?.into_iter().map(|number| row(&*store, number, is_read)).collect();
    if place.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows, is_read);
    }
    let is_good = !is_read || rows.iter().all(|row| row.faults.is_empty());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(place: &Place) -> anyhow::Result<Arc<dyn CheckpointStore>> {
    Ok(match &place.checkpoints {
        Some(url) => Objects::open(url, &std::env::vars().collect::<Vec<_>>())
            .context("--checkpoints (AUDIENCE_CHECKPOINTS)")?
            .checkpoints(),
        None => Stores::look_at_checkpoints(&place.data)?,
    })
}

fn row(store: &dyn CheckpointStore, number: u64, is_read: bool) -> CheckpointRow {
    let (manifest, faults) = if is_read {
        verify(store, number)
    } else {
        let manifest = store.manifest(number).map_err(|error| error.to_string());
        match manifest.and_then(|bytes| Manifest::decode(&bytes)) {
            Ok(manifest) => (Some(manifest), Vec::new()),
            Err(why) => (None, vec![why]),
        }
    };
    let facts = manifest.map(|manifest| Facts {
        age_seconds: (clock::now() - manifest.begun_at) as f64 / 1000.0,
        from_sequence: manifest.least.sequence,
        to_sequence: manifest.greatest.sequence,
        shards: manifest.shards.len(),
        bytes: store.size(number).ok().flatten(),
    });
    CheckpointRow { number, facts, faults }
}

fn print(rows: &[CheckpointRow], is_read: bool) {
    println!("{:>10}  {:>10}  {:>28}  {:>6}  {:>15}  STATE", "CHECKPOINT", "AGE", "EVENTS BELOW", "SHARDS", "BYTES");
    for row in rows {
        let state = match (row.faults.is_empty(), is_read) {
            (false, _) => "damaged",
            (true, true) => "good",
            (true, false) => "not read",
        };
        match &row.facts {
            Some(facts) => println!(
                "{:>10}  {:>8.0} s  {:>28}  {:>6}  {:>15}  {state}",
                row.number,
                facts.age_seconds,
                format!("{} to {}", facts.from_sequence, facts.to_sequence),
                facts.shards,
                facts.bytes.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string()),
            ),
            None => println!("{:>10}  {state}", row.number),
        }
        row.faults.iter().for_each(|fault| println!("            {fault}"));
    }
}
