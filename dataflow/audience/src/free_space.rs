//! `audience admin free-space`: what a data directory can do without, for a disk that is full.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use audience_contract::CheckpointStore;
use audience_embedded::{Options, Stores};
use audience_engine::durability::verify;
use audience_objects::Objects;
use clap::Args;
use serde::Serialize;

use crate::offsite::known_owner;
use crate::settings::{named, named_in};

/// The ends of the names of files and directories that a write left that was cut off.
const LEFT_BEHIND: [&str; 2] = [".new", ".tmp"];

/// The directory, and whether anything is done to it.
#[derive(Debug, Args)]
pub(crate) struct FreeSpaceArgs {
    /// The data directory of the server, which is stopped.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// The URL of checkpoints and history, as the server has it: events that are there can go. [default: none, all events stay]
    #[arg(long, env = "AUDIENCE_CHECKPOINTS", value_name = "URL")]
    checkpoints: Option<String>,
    /// Frees the space; without it nothing is changed.
    #[arg(long)]
    yes: bool,
    /// Prints the parts as JSON.
    #[arg(long)]
    json: bool,
}

/// A part of the directory that can go.
#[derive(Serialize)]
struct SparePart {
    part: &'static str,
    /// The number of files, checkpoints or events.
    count: u64,
    bytes: u64,
}

/// Everything that can go.
struct SpareSpace {
    files: Vec<PathBuf>,
    file_bytes: u64,
    checkpoints: Vec<u64>,
    checkpoint_bytes: u64,
    /// Events below this number can go.
    below: u64,
    events: u64,
    event_bytes: u64,
}

/// Prints what can go, and frees it where that is asked for.
pub(crate) fn run(args: &FreeSpaceArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.data.is_dir(), "{}: {} is no directory", named("data"), args.data.display());
    // What is kept in reserve is for this.
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let stores = Stores::open(&args.data, &options).with_context(|| named("data"))?;
    let spare = SpareSpace::find(args, &stores)?;
    spare.print(args.json)?;
    if !args.yes {
        eprintln!("Nothing is changed. With --yes this space is freed.");
        return Ok(ExitCode::SUCCESS);
    }
    spare.free(&stores)?;
    drop(stores);
    // Opened again, they delete the files of which nothing is left.
    Stores::open(&args.data, &options).with_context(|| named("data"))?;
    eprintln!("The space is freed. Start the server again, with the same --checkpoints if it had one.");
    Ok(ExitCode::SUCCESS)
}

impl SpareSpace {
    fn find(args: &FreeSpaceArgs, stores: &Stores) -> anyhow::Result<SpareSpace> {
        let files = left_behind(&args.data)?;
        let file_bytes = files.iter().map(|file| size(file)).sum();
        let own = stores.checkpoints();
        // With a URL those of the directory are of no use.
        let kept = if args.checkpoints.is_some() { None } else { newest_whole(&*own)?.map(|(number, _)| number) };
        let mut checkpoints = own.found()?;
        checkpoints.retain(|number| Some(*number) != kept);
        let bytes_of = |number: &u64| own.size(*number).ok().flatten().unwrap_or(0);
        let checkpoint_bytes = checkpoints.iter().map(bytes_of).sum();
        let log = stores.events();
        let (floor, end) = (log.floor(), log.end());
        let below = held_outside(args)?.min(end).max(floor);
        let events = below - floor;
        let event_bytes = (u128::from(log.bytes()?) * u128::from(events) / u128::from((end - floor).max(1))) as u64;
        Ok(SpareSpace { files, file_bytes, checkpoints, checkpoint_bytes, below, events, event_bytes })
    }

    fn parts(&self) -> [SparePart; 3] {
        [
            SparePart {
                part: "files of writes that were cut off",
                count: self.files.len() as u64,
                bytes: self.file_bytes,
            },
            SparePart { part: "older checkpoints", count: self.checkpoints.len() as u64, bytes: self.checkpoint_bytes },
            SparePart { part: "events that the history has", count: self.events, bytes: self.event_bytes },
        ]
    }

    fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if as_json {
            writeln!(out, "{}", serde_json::to_string_pretty(&self.parts())?)?;
            return Ok(());
        }
        for SparePart { part, count, bytes } in self.parts() {
            writeln!(out, "{bytes:>15} bytes  {part}: {count}")?;
        }
        Ok(())
    }

    /// Frees what is cheapest first: it gives the room that the rest needs.
    fn free(&self, stores: &Stores) -> anyhow::Result<()> {
        for file in &self.files {
            let removed = if file.is_dir() { fs::remove_dir_all(file) } else { fs::remove_file(file) };
            removed.with_context(|| format!("removing {}", file.display()))?;
        }
        let checkpoints = stores.checkpoints();
        self.checkpoints.iter().try_for_each(|number| checkpoints.remove(*number))?;
        if self.events > 0 {
            stores.events().forget(self.below)?;
        }
        Ok(())
    }
}

/// The newest checkpoint that can be read, and from where a start replays after it.
fn newest_whole(store: &dyn CheckpointStore) -> anyhow::Result<Option<(u64, u64)>> {
    let whole = |number: u64| match verify(store, number) {
        (Some(manifest), faults) if faults.is_empty() => Some((number, manifest.least.sequence)),
        _ => None,
    };
    Ok(store.found()?.into_iter().find_map(whole))
}

/// The number below which the history has every event and no start from its newest checkpoint replays one.
fn held_outside(args: &FreeSpaceArgs) -> anyhow::Result<u64> {
    let Some(url) = &args.checkpoints else { return Ok(0) };
    let objects = Objects::open(url, &std::env::vars().collect::<Vec<_>>());
    let objects = objects.with_context(|| named_in("checkpoints", "url"))?;
    let owner = known_owner(&args.data)?;
    ensure!(
        owner.is_some() && owner == objects.owner()?,
        "what is at {} belongs to another data directory than {}",
        objects.name(),
        args.data.display()
    );
    let replayed = newest_whole(&*objects.checkpoints())?.map_or(0, |(_, sequence)| sequence);
    Ok(objects.history().end()?.min(replayed))
}

fn left_behind(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data).with_context(|| format!("reading {}", data.display()))? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if LEFT_BEHIND.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The bytes of a file, or of a directory with everything in it.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}
